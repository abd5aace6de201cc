"""The order as a bar of jobs, coloured by whether they are late, above the weighted tardiness that they add."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from envs.core.drawing import SYMBOLS, figure_pixels
from envs.single_machine.types import JobOrder, SingleMachineInstance
from envs.single_machine.verify import timetable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_IN_TIME, _LATE = "#2f6db3", "#d1495b"
_COLUMNS = 100


def order_text(instance: SingleMachineInstance, order: JobOrder) -> str:
    """Draws the order with characters: a line with each job's symbol for its time, and one with ``!`` for late ones."""
    rows = timetable(instance, order)
    scale = max(1, -(-_end(rows) // _COLUMNS))
    columns = -(-_end(rows) // scale)
    jobs, late = ["."] * columns, [" "] * columns
    for job, start, end, cost in rows:
        for column in range(-(-start // scale), -(-end // scale)):
            jobs[column] = SYMBOLS[job % len(SYMBOLS)]
            late[column] = "!" if cost else " "
    return "\n".join([f"{_summary(instance, order)} (one column = {scale})", "".join(jobs), "".join(late).rstrip()])


def order_figure(instance: SingleMachineInstance, order: JobOrder) -> Figure:
    """Draws the order and the growth of the objective as a matplotlib figure, which belongs to no pyplot state."""
    from matplotlib.figure import Figure

    rows = timetable(instance, order)
    figure = Figure(figsize=(10, 3.5), dpi=100, layout="constrained")
    figure.suptitle(_summary(instance, order), fontsize=10)
    bar, growth = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (1, 2)})
    for job, start, end, cost in rows:
        bar.barh(0, end - start, left=start, color=_LATE if cost else _IN_TIME, edgecolor="white")
        if end - start > 0.02 * _end(rows):
            bar.text((start + end) / 2, 0, str(job), ha="center", va="center", color="white", fontsize=7)
    bar.set_yticks([])
    bar.set_ylabel("in time (blue), late (red)", fontsize=7)
    ends, costs = [0, *(end for _, _, end, _ in rows)], [0, *(cost for *_, cost in rows)]
    growth.step(ends, np.cumsum(costs), where="post", color=_LATE)
    growth.set_xlabel("time", fontsize=8)
    growth.set_ylabel("weighted tardiness so far", fontsize=8)
    growth.set_xlim(0, int(instance.release.max() + instance.time.sum()))
    return figure


def order_array(instance: SingleMachineInstance, order: JobOrder) -> NDArray[np.uint8]:
    """Draws the same as an ``(height, width, 3)`` uint8 picture of one size."""
    return figure_pixels(order_figure(instance, order))


def order_html(instance: SingleMachineInstance, order: JobOrder) -> str:
    """Draws the order as an HTML fragment that needs nothing from elsewhere; pointing at a job names it."""
    rows = timetable(instance, order)
    scale = 1000.0 / max(_end(rows), 1)
    parts = []
    for job, start, end, cost in rows:
        told = f"job {job}: {start} to {end}, due {instance.due[job]}, weight {instance.weight[job]}, costs {cost}"
        parts.append(
            f'<rect x="{scale * start:.2f}" y="0" width="{scale * (end - start):.2f}" height="40" '
            f'fill="{_LATE if cost else _IN_TIME}" stroke="white"><title>{html.escape(told)}</title></rect>'
        )
    summary = html.escape(_summary(instance, order))
    return (
        f'<figure style="margin:1em 0;font:13px system-ui,sans-serif"><figcaption>{summary}: in time blue, late red'
        f'</figcaption><svg viewBox="0 0 1000 42" style="width:100%;height:auto" role="img" aria-label="{summary}">'
        f"{''.join(parts)}</svg></figure>\n"
    )


def _end(rows: list[tuple[int, int, int, int]]) -> int:
    return rows[-1][2] if rows else 1


def _summary(instance: SingleMachineInstance, order: JobOrder) -> str:
    rows = timetable(instance, order)
    late = sum(cost > 0 for *_, cost in rows)
    return f"{instance.name}: {len(rows)} of {instance.jobs} jobs, {late} late, cost {sum(cost for *_, cost in rows)}"
