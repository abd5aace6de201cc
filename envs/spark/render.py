"""Gantt charts of executions: a picture, text, and a self-contained HTML fragment.

Cores are rows, time runs to the right, every user has one colour and the jobs of a user have shades of it. Tasks that
have not started are left out.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from envs.core.drawing import SYMBOLS, Colour, colour_of, figure_pixels, hex_colour
from envs.spark.export import trace_rows
from envs.spark.types import SparkInstance, Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def gantt_figure(instance: SparkInstance, trace: Trace) -> Figure:
    """Draws an execution as a matplotlib figure, which belongs to no pyplot state."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    rows = trace_rows(instance, trace)
    figure = Figure(figsize=(12, 1.4 + 0.16 * instance.cores), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    colours = _job_colours(instance)
    for core in range(instance.cores):
        mine = [row for row in rows if row["core"] == core]
        axes.broken_barh(
            [(row["start"], row["end"] - row["start"]) for row in mine],
            (core - 0.42, 0.84),
            facecolors=[colours[row["job"]] for row in mine],
            edgecolors="white",
            linewidth=0.2,
        )
    axes.set_xlim(0.0, _horizon(instance, rows) * 1.01)
    axes.set_ylim(instance.cores - 0.5, -0.5)
    axes.set_xlabel("seconds")
    axes.set_ylabel("core")
    axes.set_title(_summary(instance, rows), fontsize=11)
    first = {job.user: colours[j] for j, job in reversed(list(enumerate(instance.jobs)))}
    handles = [Patch(color=first[user], label=user) for user in instance.users[:12]]
    axes.legend(handles=handles, fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def gantt_array(instance: SparkInstance, trace: Trace) -> NDArray[np.uint8]:
    """Draws an execution as an ``(height, width, 3)`` uint8 picture."""
    return figure_pixels(gantt_figure(instance, trace))


def gantt_text(instance: SparkInstance, trace: Trace, width: int = 100) -> str:
    """Draws an execution with characters, one line a core; a column shows the job that runs at its first moment.

    Jobs are written ``0`` to ``9``, ``a`` to ``z``, ``A`` to ``Z``, and over again from there.
    """
    rows = trace_rows(instance, trace)
    scale = _horizon(instance, rows) / width
    lines = [["."] * width for _ in range(instance.cores)]
    for row in rows:
        for column in range(int(np.ceil(row["start"] / scale)), min(int(np.ceil(row["end"] / scale)), width)):
            lines[row["core"]][column] = SYMBOLS[row["job"] % len(SYMBOLS)]
    margin = len(str(instance.cores - 1))
    drawn = [f"{core:>{margin}} {''.join(line)}" for core, line in enumerate(lines)]
    return "\n".join([f"{_summary(instance, rows)} (one column = {scale:.3g} s)", *drawn])


def gantt_html(instance: SparkInstance, trace: Trace) -> str:
    """Draws an execution as an HTML fragment that needs nothing from elsewhere; pointing at a task names it."""
    rows = trace_rows(instance, trace)
    colours = [hex_colour(each) for each in _job_colours(instance)]
    scale, height = 1000.0 / _horizon(instance, rows), 12
    parts = []
    for row in rows:
        told = f"{row['user']}, job {row['job']}, stage {row['stage']}, task {row['task']}"
        x, wide = row["start"] * scale, max((row["end"] - row["start"]) * scale, 0.5)
        parts.append(
            f'<rect x="{40 + x:.2f}" y="{height * row["core"] + 1}" width="{wide:.2f}" height="{height - 2}" '
            f'fill="{colours[row["job"]]}"><title>{html.escape(told)}: {row["start"]:.3f} to {row["end"]:.3f} s'
            "</title></rect>"
        )
    labels = "".join(
        f'<text x="34" y="{height * core + 10}" text-anchor="end" font-size="9" fill="currentColor">{core}</text>'
        for core in range(instance.cores)
    )
    summary = html.escape(_summary(instance, rows))
    box = f"0 0 1050 {height * instance.cores + 4}"
    return (
        f'<figure style="margin:1em 0;font:13px system-ui,sans-serif"><figcaption>{summary}</figcaption>'
        f'<svg viewBox="{box}" style="width:100%;height:auto" role="img" aria-label="Gantt chart of {summary}">'
        f"{labels}{''.join(parts)}</svg></figure>\n"
    )


def _horizon(instance: SparkInstance, rows: list[dict[str, Any]]) -> float:
    """End of the time axis; the bounds keep it still while an execution grows."""
    work = sum(job.work for job in instance.jobs) / instance.cores
    latest: float = max((row["end"] for row in rows), default=0.0)
    return max([work, latest, *(job.arrival for job in instance.jobs)])


def _summary(instance: SparkInstance, rows: list[dict[str, Any]]) -> str:
    size = f"{len(instance.users)} users, {len(instance.jobs)} jobs, {instance.cores} cores"
    end = max((row["end"] for row in rows), default=0.0)
    return f"{instance.name}: {size}, {len(rows)} of {len(instance.durations)} tasks, latest end {end:.6g} s"


def _job_colours(instance: SparkInstance) -> list[Colour]:
    """A hue a user, and shades of it for the user's jobs in turn."""
    seen: dict[str, int] = {}
    colours = []
    for job in instance.jobs:
        seen[job.user] = seen.get(job.user, -1) + 1
        colours.append(colour_of(instance.users.index(job.user), seen[job.user]))
    return colours
