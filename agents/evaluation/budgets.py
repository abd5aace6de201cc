"""Methods that were given several budgets, as curves of the gap against what was asked of the dispatcher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.evaluation.summary import MethodKey, MethodSummary
from agents.evaluation.tables import markdown_table

BUDGETS = ("samples", "simulations")
"""Settings that say how often a dispatcher may try, and nothing else about it."""


@dataclass(frozen=True)
class BudgetCurve:
    """One method under one or several budgets.

    Attributes:
        key: The method; its variant leaves the budget out.
        points: Its summaries, by the number of decisions.
    """

    key: MethodKey
    points: Sequence[MethodSummary]


def budget_curves(summaries: Sequence[MethodSummary]) -> list[BudgetCurve]:
    """Joins summaries that differ in their budget alone; solvers, which nothing is asked of, are left out.

    A method without a budget, such as a greedy policy, is a curve of one point.
    """
    families: dict[tuple[MethodKey, bool], list[MethodSummary]] = {}
    for summary in summaries:
        if summary.decisions:
            words = summary.key.variant.split(";")
            rest = [word for word in words if word.partition("=")[0] not in BUDGETS]
            key = summary.key._replace(variant=";".join(rest))
            families.setdefault((key, len(rest) < len(words)), []).append(summary)
    return [
        BudgetCurve(key, sorted(points, key=lambda point: point.decisions)) for (key, _), points in families.items()
    ]


def budget_table(curves: Sequence[BudgetCurve]) -> str:
    """Returns the curves as a Markdown table, one line a point, each curve by growing budget."""
    header = ["method", "setting", "decisions", "mean gap", "95 % interval"]
    lines = []
    for point in (point for curve in curves for point in curve.points):
        mean = point.mean
        cells = [f"{point.decisions:.0f}", f"{mean.estimate:.1f}", f"{mean.low:.1f} – {mean.high:.1f}"]
        lines.append([f"`{point.key.method}`", f"`{point.key.variant}`", *cells])
    return markdown_table(header, lines)
