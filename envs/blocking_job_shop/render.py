"""Gantt charts of executions: machines are rows, time runs to the right, every job has one colour.

A pale bar is a job that is processed and blocks its machine; grey is a machine that is shut down.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.blocking_job_shop.export import execution_rows
from envs.blocking_job_shop.types import BlockingJobShopInstance, Execution
from envs.core.drawing import SYMBOLS, colours, figure_pixels, hex_colour, is_dark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 100
_SHUT = "#909090"


class _Bar(NamedTuple):
    """A stretch of time on a machine: a job that is processed or blocks, or (job -1) a shutdown."""

    machine: int
    start: float
    end: float
    job: int
    blocks: bool
    told: str


def gantt_text(instance: BlockingJobShopInstance, execution: Execution) -> str:
    """Draws an execution with characters, one line a machine.

    A column shows the job that was processed at its first moment, ``-`` for a job that blocks, ``#`` for a shutdown, or
    a dot.
    """
    bars = _bars(instance, execution)
    scale = max(max((bar.end for bar in bars), default=0.0), 1.0) / _COLUMNS
    lines = [["."] * _COLUMNS for _ in range(instance.num_machines)]
    for bar in bars:
        symbol = "#" if bar.job < 0 else "-" if bar.blocks else SYMBOLS[bar.job % len(SYMBOLS)]
        for column in range(int(np.ceil(bar.start / scale)), min(int(np.ceil(bar.end / scale)), _COLUMNS)):
            lines[bar.machine][column] = symbol
    margin = len(f"M{instance.num_machines - 1} ")
    drawn = [f"M{machine}".ljust(margin) + "".join(line) for machine, line in enumerate(lines)]
    return "\n".join([f"{_summary(instance, execution)} (one column = {scale:.3g})", *drawn])


def gantt_figure(instance: BlockingJobShopInstance, execution: Execution) -> Figure:
    """Draws an execution as a matplotlib figure, which belongs to no pyplot state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 1.3 + 0.3 * instance.num_machines), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    palette = colours(instance.jobs)
    bars = _bars(instance, execution)
    horizon = max((bar.end for bar in bars), default=1.0)
    for bar in bars:
        colour = _SHUT if bar.job < 0 else palette[bar.job]
        alpha = 0.3 if bar.blocks else 1.0
        axes.barh(bar.machine, bar.end - bar.start, 0.84, left=bar.start, color=colour, alpha=alpha, edgecolor="white")
        if bar.job >= 0 and not bar.blocks and bar.end - bar.start > 0.012 * horizon:
            ink = "white" if is_dark(palette[bar.job]) else "black"
            middle = (bar.start + bar.end) / 2
            axes.text(middle, bar.machine, str(bar.job), ha="center", va="center", fontsize=6, color=ink)
    axes.set_yticks(range(instance.num_machines), [f"machine {machine}" for machine in range(instance.num_machines)])
    axes.set_ylim(instance.num_machines - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("time")
    axes.set_title(_summary(instance, execution), fontsize=10)
    return figure


def gantt_array(instance: BlockingJobShopInstance, execution: Execution) -> NDArray[np.uint8]:
    """Draws the same as an ``(height, width, 3)`` uint8 picture of one size."""
    return figure_pixels(gantt_figure(instance, execution))


def gantt_html(instance: BlockingJobShopInstance, execution: Execution) -> str:
    """Draws an execution as an HTML fragment that needs nothing from elsewhere; pointing at a bar names it."""
    bars = _bars(instance, execution)
    scale = 1000.0 / max((bar.end for bar in bars), default=1.0)
    palette = [hex_colour(colour) for colour in colours(instance.jobs)]
    parts = [
        f'<rect x="{scale * bar.start:.2f}" y="{24 * bar.machine}" '
        f'width="{max(scale * (bar.end - bar.start), 0.5):.2f}" height="20" stroke="white" '
        f'fill="{_SHUT if bar.job < 0 else palette[bar.job]}" fill-opacity="{0.3 if bar.blocks else 1}">'
        f"<title>{html.escape(bar.told)}: {bar.start:g} to {bar.end:g}</title></rect>"
        for bar in bars
    ]
    summary = html.escape(_summary(instance, execution))
    return (
        f'<figure style="margin:1em 0;font:13px system-ui,sans-serif"><figcaption>{summary}</figcaption>'
        f'<svg viewBox="0 0 1000 {24 * instance.num_machines}" style="width:100%;height:auto" role="img" '
        f'aria-label="{summary}">{"".join(parts)}</svg></figure>\n'
    )


def _bars(instance: BlockingJobShopInstance, execution: Execution) -> list[_Bar]:
    """What has been processed, what blocks behind it, and on top of both the shutdowns."""
    bars = []
    rows = execution_rows(instance, execution)
    latest = max((row["end"] for row in rows), default=0.0)
    for row in rows:
        told = f"operation {row['operation']} of job {row['job']}"
        leave = latest if row["leave"] is None else row["leave"]
        bars.append(_Bar(row["machine"], row["start"], row["end"], row["job"], False, told))
        if leave > row["end"]:
            bars.append(_Bar(row["machine"], row["end"], leave, row["job"], True, f"blocked by job {row['job']}"))
    columns = (execution.shut_machines.tolist(), execution.shut_at.tolist(), execution.opened_at.tolist())
    for machine, shut, opened in zip(*columns, strict=True):
        end = latest if np.isnan(opened) else min(opened, latest)
        if end > shut:
            bars.append(_Bar(machine, shut, end, -1, False, "shut down"))
    return bars


def _summary(instance: BlockingJobShopInstance, execution: Execution) -> str:
    ends = execution.ends[np.isfinite(execution.ends)]
    return (
        f"{instance.name}: {instance.jobs} jobs, {instance.num_machines} machines, {ends.size} of "
        f"{execution.ends.size} operations, time {ends.max(initial=0.0):.6g}"
    )
