"""Gantt charts of executions: a matplotlib figure, a picture array, an HTML fragment, and text for the terminal.

Machines are rows, time runs to the right, every job has one colour; grey is a machine under repair, and an operation
that it interrupts goes on behind it. Operations that are not completed are left out.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.drawing import SYMBOLS, colours, figure_pixels, hex_colour, is_dark, round_step
from envs.stochastic_job_shop.types import Execution, StochasticJobShopInstance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REPAIR = "#b0b0b0"
_ROW, _LEFT, _CHART = 22, 44, 1000


class _Bar(NamedTuple):
    """A stretch of time on a machine; job -1 stands for a repair."""

    machine: int
    start: float
    end: float
    job: int
    operation: int


def gantt_figure(instance: StochasticJobShopInstance, execution: Execution) -> Figure:
    """Draws an execution, finished or not, as a matplotlib figure that belongs to no pyplot state."""
    from matplotlib.figure import Figure

    bars, horizon = _bars(instance, execution), _horizon(instance, execution)
    palette = colours(instance.num_jobs)
    figure = Figure(figsize=(12, 1.3 + 0.3 * instance.num_machines), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlim(0, horizon * 1.01)
    axes.set_ylim(instance.num_machines - 0.5, -0.5)
    axes.set_yticks(range(instance.num_machines), [f"M{machine}" for machine in range(instance.num_machines)])
    axes.set_xlabel("time")
    axes.set_title(_summary(instance, execution), fontsize=11)
    for bar in bars:
        colour = _REPAIR if bar.job < 0 else palette[bar.job]
        axes.broken_barh(
            [(bar.start, bar.end - bar.start)],
            (bar.machine - 0.42, 0.84),
            facecolors=[colour],
            edgecolors="white",
            linewidth=0.4,
        )
        if bar.job >= 0 and (bar.end - bar.start) * 780 / horizon > 4.5 * len(str(bar.job)) + 2:
            axes.text(
                (bar.start + bar.end) / 2,
                bar.machine,
                str(bar.job),
                ha="center",
                va="center_baseline",
                fontsize=7,
                color="white" if is_dark(palette[bar.job]) else "black",
            )
    return figure


def gantt_array(instance: StochasticJobShopInstance, execution: Execution) -> NDArray[np.uint8]:
    """Draws an execution as an ``(height, width, 3)`` uint8 picture."""
    return figure_pixels(gantt_figure(instance, execution))


def gantt_text(instance: StochasticJobShopInstance, execution: Execution, width: int = 100) -> str:
    """Draws an execution with characters, one line per machine.

    A column shows the job that was on the machine at the column's first moment (``0`` to ``9``, ``a`` to ``z``, ``A``
    to ``Z``, and over again), ``#`` for a repair, or a dot.
    """
    scale = _horizon(instance, execution) / width
    rows = [["."] * width for _ in range(instance.num_machines)]
    for bar in _bars(instance, execution):
        last = min(int(np.ceil(bar.end / scale)), width)
        for column in range(int(np.ceil(bar.start / scale)), max(last, min(int(bar.start / scale) + 1, width))):
            rows[bar.machine][column] = "#" if bar.job < 0 else SYMBOLS[bar.job % len(SYMBOLS)]
    margin = len(f"M{instance.num_machines - 1} ")
    lines = [f"{_summary(instance, execution)} (one column = {scale:.3g})"]
    lines += [f"M{machine}".ljust(margin) + "".join(row) for machine, row in enumerate(rows)]
    return "\n".join(lines)


def gantt_html(instance: StochasticJobShopInstance, execution: Execution) -> str:
    """Draws an execution as an HTML fragment that needs nothing from elsewhere; bars tell their data as titles."""
    scale, bottom = _CHART / _horizon(instance, execution), _ROW * instance.num_machines
    palette = [hex_colour(colour) for colour in colours(instance.num_jobs)]
    summary = html.escape(_summary(instance, execution))
    parts = [
        f'<figure class="gantt"><figcaption>{summary}</figcaption>'
        f'<svg viewBox="0 0 {_LEFT + _CHART + 14} {bottom + 34}" width="100%" role="img" aria-label="{summary}" '
        'style="font:10px system-ui,sans-serif">'
    ]
    for machine in range(instance.num_machines):
        parts.append(f'<text x="{_LEFT - 6}" y="{_ROW * machine + 15}" text-anchor="end">M{machine}</text>')
    step = round_step(_CHART / scale, 12)
    for tick in np.arange(0.0, _CHART / scale, step).tolist():
        x = _LEFT + tick * scale
        parts.append(f'<line x1="{x:.2f}" x2="{x:.2f}" y1="0" y2="{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.2f}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>')
    for bar in _bars(instance, execution):
        told = "repair" if bar.job < 0 else f"job {bar.job}, operation {bar.operation}"
        parts.append(
            f'<rect x="{_LEFT + bar.start * scale:.2f}" y="{_ROW * bar.machine + 2}" '
            f'width="{max((bar.end - bar.start) * scale, 0.5):.2f}" height="{_ROW - 4}" stroke="#fff" '
            f'stroke-width="0.5" fill="{_REPAIR if bar.job < 0 else palette[bar.job]}">'
            f"<title>{told}: {bar.start:g} to {bar.end:g}</title></rect>"
        )
    return "".join([*parts, "</svg></figure>\n"])


def _bars(instance: StochasticJobShopInstance, execution: Execution) -> list[_Bar]:
    """Lists completed operations and, on top of them, repairs."""
    bars = [
        _Bar(
            int(instance.machines[job, operation]),
            float(execution.starts[job, operation]),
            float(execution.ends[job, operation]),
            job,
            operation,
        )
        for job, operation in np.argwhere(np.isfinite(execution.ends)).tolist()
    ]
    end = max([bar.end for bar in bars], default=0.0)
    columns = (execution.failed_machines.tolist(), execution.failed_at.tolist(), execution.repaired_at.tolist())
    for machine, failed, repaired in zip(*columns, strict=True):
        until = max(end, failed) if np.isnan(repaired) else repaired
        bars.append(_Bar(machine, failed, until, -1, -1))
    return bars


def _horizon(instance: StochasticJobShopInstance, execution: Execution) -> float:
    """End of the time axis; a bound by expected times keeps it still while an execution grows."""
    expected = float((instance.releases + instance.expected.sum(axis=1)).max())
    ends = execution.ends[np.isfinite(execution.ends)]
    return max(float(ends.max(initial=0.0)), expected, 1e-9)


def _summary(instance: StochasticJobShopInstance, execution: Execution) -> str:
    completed = int(np.isfinite(execution.ends).sum())
    size = f"{instance.name}: {instance.num_jobs} jobs, {instance.num_machines} machines"
    if completed == execution.ends.size:
        return f"{size}, makespan {float(execution.ends.max()):.6g}"
    started = int(np.isfinite(execution.starts).sum())
    return f"{size}, {started} operations started, {completed} of {execution.ends.size} completed"
