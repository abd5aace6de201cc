"""Gantt charts: machines are rows, time runs to the right, every job has one colour."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from envs.core.drawing import SYMBOLS, colours, figure_pixels, hex_colour, is_dark
from envs.flexible_job_shop.export import schedule_rows
from envs.flexible_job_shop.types import FlexibleJobShopInstance, Schedule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 100


def gantt_text(instance: FlexibleJobShopInstance, schedule: Schedule) -> str:
    """Draws a schedule with characters, one line a machine; a column shows the job at its first moment, or a dot."""
    rows = schedule_rows(instance, schedule)
    horizon = max((row["end"] for row in rows), default=1)
    scale = max(1, -(-horizon // _COLUMNS))
    lines = [["."] * max(1, -(-horizon // scale)) for _ in range(instance.machines)]
    for row in rows:
        for column in range(-(-row["start"] // scale), -(-row["end"] // scale)):
            lines[row["machine"]][column] = SYMBOLS[row["job"] % len(SYMBOLS)]
    margin = len(f"M{instance.machines - 1} ")
    drawn = [f"M{machine}".ljust(margin) + "".join(line) for machine, line in enumerate(lines)]
    return "\n".join([f"{_summary(instance, schedule)} (one column = {scale})", *drawn])


def gantt_figure(instance: FlexibleJobShopInstance, schedule: Schedule) -> Figure:
    """Draws a schedule as a matplotlib figure, which belongs to no pyplot state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 1.3 + 0.3 * instance.machines), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    palette = colours(instance.jobs)
    for row in schedule_rows(instance, schedule):
        length = row["end"] - row["start"]
        colour = palette[row["job"]]
        axes.barh(row["machine"], length, 0.84, left=row["start"], color=colour, edgecolor="white", linewidth=0.4)
        if length:
            ink = "white" if is_dark(colour) else "black"
            middle = (row["start"] + row["end"]) / 2
            axes.text(middle, row["machine"], str(row["job"]), ha="center", va="center", fontsize=6, color=ink)
    axes.set_yticks(range(instance.machines), [f"machine {machine}" for machine in range(instance.machines)])
    axes.set_ylim(instance.machines - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("time")
    axes.set_title(_summary(instance, schedule), fontsize=10)
    return figure


def gantt_array(instance: FlexibleJobShopInstance, schedule: Schedule) -> NDArray[np.uint8]:
    """Draws the same as an ``(height, width, 3)`` uint8 picture of one size."""
    return figure_pixels(gantt_figure(instance, schedule))


def gantt_html(instance: FlexibleJobShopInstance, schedule: Schedule) -> str:
    """Draws a schedule as an HTML fragment that needs nothing from elsewhere; pointing at an operation names it."""
    rows = schedule_rows(instance, schedule)
    scale = 1000.0 / max((row["end"] for row in rows), default=1)
    palette = [hex_colour(colour) for colour in colours(instance.jobs)]
    parts = []
    for row in rows:
        what = f"operation {row['operation']} of job {row['job']} on machine {row['machine']}"
        told = f"{what}: {row['start']} to {row['end']}"
        parts.append(
            f'<rect x="{scale * row["start"]:.2f}" y="{24 * row["machine"]}" '
            f'width="{scale * (row["end"] - row["start"]):.2f}" height="20" fill="{palette[row["job"]]}" '
            f'stroke="white"><title>{html.escape(told)}</title></rect>'
        )
    summary = html.escape(_summary(instance, schedule))
    return (
        f'<figure style="margin:1em 0;font:13px system-ui,sans-serif"><figcaption>{summary}</figcaption>'
        f'<svg viewBox="0 0 1000 {24 * instance.machines}" style="width:100%;height:auto" role="img" '
        f'aria-label="{summary}">{"".join(parts)}</svg></figure>\n'
    )


def _summary(instance: FlexibleJobShopInstance, schedule: Schedule) -> str:
    rows = schedule_rows(instance, schedule)
    end = max((row["end"] for row in rows), default=0)
    return (
        f"{instance.name}: {instance.jobs} jobs, {instance.machines} machines, {len(rows)} of "
        f"{int(instance.operations.sum())} operations, makespan {end}"
    )
