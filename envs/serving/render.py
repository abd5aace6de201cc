"""Timelines of executions: a picture, text, and a self-contained HTML fragment.

Every request is a row: it waits (light), its prompt is computed (dark), its tokens come (colour of its replica).
"""

from __future__ import annotations

import html
import itertools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from envs.core.drawing import colour_of, figure_pixels, hex_colour
from envs.serving.trace import Trace, busy_tokens, trace_rows
from envs.serving.types import ServingInstance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_ROWS = 200


def timeline_figure(instance: ServingInstance, trace: Trace) -> Figure:
    """Draws requests and the tokens of every iteration as a matplotlib figure, which belongs to no pyplot state."""
    from matplotlib.figure import Figure

    rows, horizon = _rows(instance, trace)
    figure = Figure(figsize=(12, 3.0 + 0.06 * len(rows)), dpi=100, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    for place, (spans, replica) in enumerate(rows):
        for (begin, end), colour in zip(spans, _colours(replica), strict=True):
            upper.barh(place, end - begin, left=begin, height=0.9, color=colour)
    upper.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    upper.set_ylabel("request")
    upper.set_title(_summary(instance, trace), fontsize=11)
    for k, (starts, tokens) in enumerate(busy_tokens(instance, trace.log)):
        lower.plot(starts, tokens, ".", markersize=2, color=colour_of(k, 0), label=instance.replicas[k].name)
    lower.set_xlim(0.0, horizon * 1.01)
    lower.set_xlabel("seconds")
    lower.set_ylabel("tokens an iteration")
    lower.legend(fontsize=7)
    return figure


def timeline_array(instance: ServingInstance, trace: Trace) -> NDArray[np.uint8]:
    """Draws an execution as an ``(height, width, 3)`` uint8 picture."""
    return figure_pixels(timeline_figure(instance, trace))


def timeline_text(instance: ServingInstance, trace: Trace, width: int = 100) -> str:
    """Draws an execution with characters: ``.`` waits, ``#`` computes the prompt, ``=`` hands out tokens."""
    rows, horizon = _rows(instance, trace)
    lines = [_summary(instance, trace)]
    for spans, _ in rows:
        line = [" "] * width
        for (begin, end), symbol in zip(spans, ".#=", strict=True):
            first, last = int(begin / horizon * (width - 1)), int(end / horizon * (width - 1))
            for place in range(first, last + 1 if end > begin else first):
                line[place] = symbol
        lines.append("".join(line).rstrip())
    return "\n".join(lines)


def timeline_html(instance: ServingInstance, trace: Trace) -> str:
    """Draws an execution as an SVG fragment that needs nothing from elsewhere."""
    rows, horizon = _rows(instance, trace)
    width, height = 1000, 5
    parts = []
    for place, (spans, replica) in enumerate(rows):
        for (begin, end), colour in zip(spans, _colours(replica), strict=True):
            if end > begin:
                x, length = width * begin / horizon, width * (end - begin) / horizon
                parts.append(
                    f'<rect x="{x:.2f}" y="{place * height}" width="{length:.2f}" height="{height - 1}" '
                    f'fill="{hex_colour(colour)}"/>'
                )
    return (
        f"<figure><figcaption>{html.escape(_summary(instance, trace))}</figcaption>"
        f'<svg viewBox="0 0 {width} {max(height * len(rows), 1)}" width="100%" role="img" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg></figure>'
    )


_Spans = list[tuple[float, float]]


def _rows(instance: ServingInstance, trace: Trace) -> tuple[list[tuple[_Spans, int]], float]:
    """Waiting, prompt and token spans of the first requests, with their replicas, and the end of the picture."""
    found = trace_rows(instance, trace)
    horizon = max([row["last_token"] for row in found] + [row["arrival"] for row in found] + [1e-9])
    rows = []
    for row in found[:_MOST_ROWS]:
        if row["replica"] >= 0:
            moments = [row["arrival"], row["admitted"], row["first_token"], row["last_token"]]
            known = [moment if moment >= 0.0 else horizon for moment in moments]
            rows.append((list(itertools.pairwise(known)), int(row["replica"])))
    return rows, horizon


def _colours(replica: int) -> list[tuple[float, float, float]]:
    return [(0.85, 0.85, 0.85), (0.3, 0.3, 0.3), colour_of(replica, 0)]


def _summary(instance: ServingInstance, trace: Trace) -> str:
    rows = trace.outcome.requests
    done = int((rows["generated"] >= rows["output"]).sum())
    return f"{instance.name}: {done} of {len(instance.requests)} requests answered by {len(instance.replicas)} replicas"
