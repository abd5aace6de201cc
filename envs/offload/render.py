"""The servers over time: how many tasks each of them runs, and when tasks were sent to it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from envs.core.drawing import figure_pixels, round_step
from envs.offload.types import EventLog, OffloadInstance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CELLS = 120
_SHADES = " .:-=+*#%@"


def occupancy(instance: OffloadInstance, log: EventLog, cells: int = _CELLS) -> tuple[NDArray[np.float64], float]:
    """Returns the mean number of tasks at every server in each of ``cells`` spans of time, and the time that they end.

    A task counts from its dispatch to its completion, and one that is not complete to the end of the picture.

    Returns:
        ``(S, cells)`` numbers of tasks, and seconds.
    """
    known = log.completed[log.completed >= 0.0]
    length = max(float(known.max(initial=0.0)), instance.system.horizon * instance.system.step_seconds)
    edges = np.linspace(0.0, length, cells + 1)
    counts = np.zeros((len(instance.system.hertz), cells))
    for task in np.flatnonzero(log.server >= 0):
        begin = instance.dispatch_seconds[task]
        end = log.completed[task] if log.completed[task] >= 0.0 else length
        overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)
        counts[log.server[task]] += np.maximum(overlap, 0.0) / (length / cells)
    return counts, length


def timeline_text(instance: OffloadInstance, log: EventLog) -> str:
    """Draws a line a server, the darker the more tasks it runs."""
    counts, length = occupancy(instance, log, 80)
    most = max(1.0, float(counts.max()))
    lines = [f"{_title(instance, log)}, darkest {most:.0f} tasks, {length:.0f} s"]
    for server, row in enumerate(counts):
        shades = "".join(_SHADES[min(len(_SHADES) - 1, int(np.ceil((len(_SHADES) - 1) * c / most)))] for c in row)
        lines.append(f"{_server_name(instance, server):>16} |{shades}|")
    return "\n".join(lines)


def timeline_figure(instance: OffloadInstance, log: EventLog) -> Figure:
    """Draws a row a server as a matplotlib figure, which belongs to no pyplot state."""
    from matplotlib.figure import Figure

    counts, length = occupancy(instance, log)
    figure = Figure(figsize=(10, 4.5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    extent = (0.0, length, len(counts) - 0.5, -0.5)
    image = axes.imshow(counts, aspect="auto", cmap="viridis_r", vmin=0.0, interpolation="nearest", extent=extent)
    for task in np.flatnonzero(log.server >= 0):
        size = 4.0 + 20.0 * instance.bits[task] / instance.bits.max()
        axes.scatter(instance.dispatch_seconds[task], log.server[task], s=size, c="#c0504d", linewidths=0)
    axes.set_yticks(range(len(counts)), [_server_name(instance, server) for server in range(len(counts))])
    axes.set_xlabel("seconds")
    axes.set_title(_title(instance, log) + "; a dot a dispatch, as large as its task", fontsize=10)
    figure.colorbar(image, ax=axes, label="tasks")
    return figure


def timeline_array(instance: OffloadInstance, log: EventLog) -> NDArray[np.uint8]:
    """Draws the servers as an ``(height, width, 3)`` uint8 picture."""
    return figure_pixels(timeline_figure(instance, log))


def timeline_html(instance: OffloadInstance, log: EventLog) -> str:
    """Draws the servers as an HTML fragment that needs nothing from elsewhere; pointing at a span tells its tasks."""
    counts, length = occupancy(instance, log)
    most = max(1.0, float(counts.max()))
    width, row, left = 7, 26, 130
    parts = []
    for server, values in enumerate(counts.tolist()):
        y = 8 + row * server
        parts.append(f'<text x="{left - 8}" y="{y + 17}" text-anchor="end">{_server_name(instance, server)}</text>')
        for cell, value in enumerate(values):
            light = round(96 - 66 * value / most)
            begin = length * cell / _CELLS
            parts.append(
                f'<rect x="{left + width * cell}" y="{y}" width="{width}" height="{row - 4}" '
                f'fill="hsl(190 55% {light}%)"><title>{begin:.0f} s: {value:.1f} tasks</title></rect>'
            )
    bottom = 8 + row * len(counts)
    step = round_step(length, 10)
    for mark in np.arange(0.0, length + 1e-9, step):
        x = left + width * _CELLS * mark / length
        parts.append(f'<text x="{x:.0f}" y="{bottom + 14}" text-anchor="middle">{mark:g} s</text>')
    size = f'width="{left + width * _CELLS + 20}" height="{bottom + 24}"'
    title = html.escape(_title(instance, log))
    return (
        f"<figure><figcaption>{title}</figcaption>"
        f'<svg {size} font-family="sans-serif" font-size="12">{"".join(parts)}</svg></figure>'
    )


def _title(instance: OffloadInstance, log: EventLog) -> str:
    done = int((log.completed >= 0.0).sum())
    weights = " / ".join(f"{weight:.3g}" for weight in instance.preference)
    return f"{instance.name}: {done} of {len(instance.bits)} tasks complete, preference {weights}"


def _server_name(instance: OffloadInstance, server: int) -> str:
    name = "cloud" if server == 0 else f"edge {server}"
    return f"{name} {instance.system.hertz[server] / 1e9:.3g} GHz"
