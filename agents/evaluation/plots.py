"""Plots as SVG that needs nothing from elsewhere: fragments for a report, and files."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agents.evaluation.budgets import budget_curves
from agents.evaluation.front_runner import FrontSummary
from agents.evaluation.fronts import non_dominated
from agents.evaluation.summary import MethodSummary
from envs.core import Criterion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"rule": "#4c78a8", "solver": "#54a24b", "learned": "#e45756", "search": "#b279a2"}


def gap_plot(summaries: Sequence[MethodSummary]) -> str:
    """Mean gap of every method with its confidence interval, best on top."""
    from matplotlib.figure import Figure

    ordered = sorted(summaries, key=lambda summary: -summary.mean.estimate)
    figure = Figure(figsize=(8.0, 1.2 + 0.28 * len(ordered)), layout="constrained")
    axes = figure.add_subplot()
    for row, summary in enumerate(ordered):
        estimate, low, high = summary.mean
        colour = _COLOURS.get(summary.key.kind, "#777777")
        axes.errorbar(estimate, row, xerr=[[estimate - low], [high - estimate]], fmt="o", color=colour, capsize=3)
    axes.set_yticks(range(len(ordered)), [str(summary.key) for summary in ordered])
    axes.set_xlabel("mean gap to the best known value, %")
    axes.grid(axis="x", alpha=0.3)
    return _svg(figure, "gap")


def time_plot(summaries: Sequence[MethodSummary]) -> str:
    """Mean gap against the time of an instance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for summary in summaries:
        colour = _COLOURS.get(summary.key.kind, "#777777")
        seconds = max(summary.seconds, 1e-6)
        axes.scatter(seconds, summary.mean.estimate, color=colour, s=24)
        axes.annotate(
            summary.key.method, (seconds, summary.mean.estimate), xytext=(4, 3), textcoords="offset points", fontsize=8
        )
    axes.set_xscale("log")
    axes.set_xlabel("seconds an instance")
    axes.set_ylabel("mean gap, %")
    axes.grid(alpha=0.3)
    return _svg(figure, "time")


def decision_plot(summaries: Sequence[MethodSummary], *, whole: bool = False) -> str:
    """Mean gap against the decisions asked for on an instance; points that differ in their budget alone are joined.

    Args:
        summaries: The methods; those that nothing is asked of are left out.
        whole: Return an SVG file and not an element for a page.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for curve in budget_curves(summaries):
        decisions = [point.decisions for point in curve.points]
        means = [point.mean for point in curve.points]
        (line,) = axes.plot(
            decisions, [mean.estimate for mean in means], marker="o", markersize=4, label=str(curve.key)
        )
        lows, highs = [mean.low for mean in means], [mean.high for mean in means]
        axes.fill_between(decisions, lows, highs, color=line.get_color(), alpha=0.12, linewidth=0)
    axes.set_xscale("log")
    axes.set_xlabel("decisions an instance")
    axes.set_ylabel("mean gap, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return (_svg_document if whole else _svg)(figure, "decisions")


def group_plot(summaries: Sequence[MethodSummary], groups: Sequence[str]) -> str:
    """Mean gap by group of instances, of the ten methods with the least mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for summary in sorted(summaries, key=lambda summary: summary.mean.estimate)[:10]:
        here = [group for group in groups if group in summary.group_gaps]
        gaps = [summary.group_gaps[group] for group in here]
        axes.plot([groups.index(group) for group in here], gaps, marker="o", markersize=3, label=str(summary.key))
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel("mean gap, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _svg(figure, "group")


def _svg(figure: Figure, name: str) -> str:
    """Renders a figure as an inline SVG element: same input, same text, and no addresses in it."""
    return re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", _svg_document(figure, name))


def _svg_document(figure: Figure, name: str) -> str:
    """Renders a figure as an SVG file, which has to name its namespaces: same input, same text."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif", "font.size": 9}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


def front_plot(summaries: Sequence[FrontSummary], criteria: Sequence[Criterion]) -> str:
    """Mean costs of every method of one group by preference, the first two criteria; dominated points are pale.

    The text is an SVG file of its own.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.5), layout="constrained")
    axes = figure.add_subplot()
    for number, summary in enumerate(summaries):
        points = summary.run.points[:, :2]
        best = non_dominated(points)
        colour = f"C{number % 10}"
        chosen = points[best][np.argsort(points[best][:, 0])]
        axes.plot(chosen[:, 0], chosen[:, 1], marker="o", markersize=3, color=colour, label=str(summary.run.key))
        axes.scatter(points[~best][:, 0], points[~best][:, 1], s=10, color=colour, alpha=0.2, linewidths=0)
    reference = summaries[0].reference_point
    axes.set_xlabel(f"{criteria[0].name}, {criteria[0].unit}")
    axes.set_ylabel(f"{criteria[1].name}, {criteria[1].unit}")
    point = ", ".join(f"{value:g} {criterion.unit}" for value, criterion in zip(reference, criteria, strict=True))
    axes.set_title(f"{summaries[0].run.group}; hypervolume against ({point})", fontsize=10)
    axes.set_xlim(right=min(reference[0], axes.get_xlim()[1]))
    axes.set_ylim(top=min(reference[1], axes.get_ylim()[1]))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return _svg_document(figure, "front")
