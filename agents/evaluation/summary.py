"""Condenses result rows into one line a method: means by group, intervals, comparison with a baseline, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from agents.evaluation.rows import ResultRow
from agents.evaluation.statistics import (
    Interval,
    interquartile_mean,
    paired_difference,
    probability_of_improvement,
    stratified_bootstrap,
)
from envs.core import UsageError


class MethodKey(NamedTuple):
    """A method in one variant."""

    method: str
    kind: str
    variant: str

    def __str__(self) -> str:
        """Name and variant in one phrase."""
        return f"{self.method} ({self.variant})" if self.variant else self.method


@dataclass(frozen=True)
class MethodSummary:
    """One method over a benchmark. Gaps are in percent, lower is better.

    Attributes:
        key: The method.
        gaps: Gap by instance, averaged over seeds.
        group_gaps: Mean gap by group; a group without rows is missing.
        mean: Mean gap over the instances with its interval.
        iqm: Interquartile mean of the gap with its interval.
        seconds: Mean wall time of an instance.
        decisions: Mean number of decisions asked for on an instance; 0 for a solver.
        ms_per_decision: Milliseconds a decision over all runs; None for a solver.
        seeds: Number of different seeds.
        difference: Mean gap minus the baseline's over the instances both have; None for the baseline itself.
        improvement: Share of those instances where the gap is below the baseline's; None for the baseline itself.
    """

    key: MethodKey
    gaps: Mapping[str, float]
    group_gaps: Mapping[str, float]
    mean: Interval
    iqm: Interval
    seconds: float
    decisions: float
    ms_per_decision: float | None
    seeds: int
    difference: Interval | None
    improvement: Interval | None


def summarise(
    rows: Sequence[ResultRow],
    groups: Mapping[str, str],
    *,
    baseline: str | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> list[MethodSummary]:
    """Summarises every method of ``rows`` that has gaps, in the order of their first row.

    Args:
        rows: Results of one benchmark.
        groups: Group of each instance; instances that are not there form one group of their own.
        baseline: Name of the method that others are compared with; by default the first.
        confidence: Coverage of the intervals.
        resamples: Number of bootstrap samples.

    Raises:
        UsageError: There is no method called ``baseline``.
    """
    by_method: dict[MethodKey, list[ResultRow]] = {}
    for row in rows:
        if row.gap_percent is not None:
            by_method.setdefault(MethodKey(row.method, row.kind, row.variant), []).append(row)
    if not by_method:
        return []
    reference = find_baseline(list(by_method), baseline)
    base = _gaps(by_method[reference])
    bootstrap: dict[str, Any] = {"confidence": confidence, "resamples": resamples}
    return [
        _summarise(key, runs, groups, None if key == reference else base, bootstrap) for key, runs in by_method.items()
    ]


def group_names(groups: Mapping[str, str], instances: Sequence[str]) -> list[str]:
    """Names of the groups of ``instances``, in order of first appearance."""
    return list(dict.fromkeys(groups.get(name, "") for name in instances))


def baseline_key(summaries: Sequence[MethodSummary]) -> MethodKey:
    """The method that the others were compared with."""
    return next(summary.key for summary in summaries if summary.difference is None)


def find_baseline(keys: Sequence[MethodKey], baseline: str | None) -> MethodKey:
    """Returns the first method called ``baseline``, in any variant or as ``method (variant)``; None gives the first.

    Raises:
        UsageError: There is none.
    """
    if baseline is None:
        return keys[0]
    for key in keys:
        if baseline in (key.method, str(key)):
            return key
    raise UsageError(
        f"baseline {baseline!r} is not among the methods {', '.join(dict.fromkeys(k.method for k in keys))}"
    )


def _gaps(rows: Sequence[ResultRow]) -> dict[str, float]:
    """Mean gap over seeds by instance."""
    by_instance: dict[str, list[float]] = {}
    for row in rows:
        if row.gap_percent is not None:
            by_instance.setdefault(row.instance, []).append(row.gap_percent)
    return {instance: float(np.mean(values)) for instance, values in by_instance.items()}


def _summarise(
    key: MethodKey,
    rows: Sequence[ResultRow],
    groups: Mapping[str, str],
    base: Mapping[str, float] | None,
    bootstrap: Mapping[str, Any],
) -> MethodSummary:
    gaps = _gaps(rows)
    values = list(gaps.values())
    strata = [groups.get(name, "") for name in gaps]
    group_gaps = {
        group: float(np.mean([value for value, label in zip(values, strata, strict=True) if label == group]))
        for group in dict.fromkeys(strata)
    }
    decisions = sum(row.decisions for row in rows)
    wall = sum(row.wall_seconds for row in rows)
    common = [name for name in gaps if base is not None and name in base]
    pair = ([gaps[name] for name in common], [base[name] for name in common]) if base is not None and common else None
    pair_strata = [groups.get(name, "") for name in common]
    return MethodSummary(
        key=key,
        gaps=gaps,
        group_gaps=group_gaps,
        mean=stratified_bootstrap(values, strata, **bootstrap),
        iqm=stratified_bootstrap(values, strata, interquartile_mean, **bootstrap),
        seconds=wall / len(rows),
        decisions=decisions / len(rows),
        ms_per_decision=1000.0 * wall / decisions if decisions else None,
        seeds=len({row.seed for row in rows}),
        difference=paired_difference(*pair, pair_strata, **bootstrap) if pair else None,
        improvement=probability_of_improvement(*pair, pair_strata, **bootstrap) if pair else None,
    )
