"""Condenses the rows of instances that are run with many seeds: one line an instance and method.

Where the environment itself draws (arrivals, noise), the sampling units are the seeds of one instance. Under the same
seed all methods meet the same draws, so differences are taken seed by seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.evaluation.rows import ResultRow, metric_names
from agents.evaluation.statistics import Interval, paired_difference, stratified_bootstrap
from agents.evaluation.summary import MethodKey, find_baseline
from agents.evaluation.tables import markdown_table


@dataclass(frozen=True)
class SeedSummary:
    """One method on one instance over many seeds. Objectives are minimised.

    Attributes:
        instance: Name of the instance.
        key: The method.
        seeds: Number of seeds.
        objective: Mean objective over the seeds with its interval.
        metrics: Mean of every further measure over the seeds where it is defined; nan if there are none.
        difference: Mean objective minus the baseline's over the seeds that both have; None for the baseline itself
            and where no seed is common.
        seconds: Mean wall time of a run.
    """

    instance: str
    key: MethodKey
    seeds: int
    objective: Interval
    metrics: Mapping[str, float]
    difference: Interval | None
    seconds: float


def summarise_seeds(
    rows: Sequence[ResultRow],
    *,
    baseline: str | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> list[SeedSummary]:
    """Summarises every method on every instance, in the order of their first row, instances together.

    Args:
        rows: Results of stochastic instances.
        baseline: Name of the method that others are compared with; by default the first.
        confidence: Coverage of the intervals.
        resamples: Number of bootstrap samples.

    Raises:
        UsageError: There is no method called ``baseline``.
    """
    if not rows:
        return []
    groups: dict[str, dict[MethodKey, list[ResultRow]]] = {}
    for row in rows:
        key = MethodKey(row.method, row.kind, row.variant)
        groups.setdefault(row.instance, {}).setdefault(key, []).append(row)
    reference = find_baseline(list(dict.fromkeys(key for methods in groups.values() for key in methods)), baseline)
    bootstrap: dict[str, Any] = {"confidence": confidence, "resamples": resamples}
    return [
        _summarise(name, key, own, [] if key == reference else methods.get(reference, []), bootstrap)
        for name, methods in groups.items()
        for key, own in methods.items()
    ]


def stochastic_rows(
    rows: Sequence[ResultRow], instances: Sequence[Any], stochastic: Callable[[Any], bool]
) -> list[ResultRow]:
    """Returns the rows of those instances on which the environment itself draws."""
    names = {instance.name for instance in instances if stochastic(instance)}
    return [row for row in rows if row.instance in names]


def seed_table(summaries: Sequence[SeedSummary], metrics: Sequence[str] = (), digits: int = 1) -> str:
    """One Markdown table an instance, best mean first: objective, interval, difference from the baseline, metrics.

    Args:
        summaries: What `summarise_seeds` returned.
        metrics: Names of the further measures to show.
        digits: Decimals.
    """
    parts = []
    for name in dict.fromkeys(summary.instance for summary in summaries):
        chosen = sorted((s for s in summaries if s.instance == name), key=lambda s: s.objective.estimate)
        header = ["method", "setting", "seeds", "mean", "95 % interval", "against the baseline", *metrics]
        parts.append(f"#### {name}\n\n{markdown_table(header, [_line(s, metrics, digits) for s in chosen])}")
    return "\n".join(parts)


def group_seed_table(rows: Sequence[ResultRow], groups: Mapping[str, str], *, resamples: int = 2000) -> str:
    """One Markdown table a group of instances, best first: mean objective, and the mean ratio to the first method's.

    Ratios are of runs with the same instance and seed, so of the same draws; they are averaged over the seeds of an
    instance, and the 95 % interval resamples instances. Methods that lack a run of the first one are compared on those
    they have.

    Args:
        rows: Results of stochastic instances.
        groups: Group of each instance.
        resamples: Number of bootstrap samples.
    """
    methods: dict[tuple[str, MethodKey], list[ResultRow]] = {}
    for row in rows:
        methods.setdefault((groups[row.instance], MethodKey(row.method, row.kind, row.variant)), []).append(row)
    first = next(iter(methods))[1]
    base = {(row.instance, row.seed): row.objective for (_, key), own in methods.items() if key == first for row in own}
    parts = []
    for group in dict.fromkeys(group for group, _ in methods):
        lines = []
        for key, own in ((key, own) for (name, key), own in methods.items() if name == group):
            mean = float(np.mean([row.objective for row in own]))
            ratios: dict[str, list[float]] = {}
            for row in own:
                if (row.instance, row.seed) in base:
                    ratios.setdefault(row.instance, []).append(row.objective / base[row.instance, row.seed])
            ratio = stratified_bootstrap([float(np.mean(each)) for each in ratios.values()], resamples=resamples)
            seconds = sum(row.wall_seconds for row in own) / len(own)
            count = f"{len(ratios)} × {len({row.seed for row in own})}"
            cells = [f"{mean:.1f}", f"{ratio.estimate:.4f}", f"{ratio.low:.4f} – {ratio.high:.4f}", f"{seconds:.2g}"]
            setting = f"`{key.variant}`" if key.variant else ""
            lines.append((mean, [f"`{key.method}`", setting, count, *cells]))
        header = ["method", "setting", "instances × seeds", "mean", "ratio", "95 % interval", "s / run"]
        table = markdown_table(header, [line for _, line in sorted(lines, key=lambda line: line[0])])
        parts.append(f"#### {group}\n\n{table}")
    return "\n".join(parts)


def _summarise(
    instance: str, key: MethodKey, rows: Sequence[ResultRow], base: Sequence[ResultRow], bootstrap: Mapping[str, Any]
) -> SeedSummary:
    own, other = ({row.seed: row.objective for row in each} for each in (rows, base))
    common = [seed for seed in own if seed in other]
    pairs = ([own[seed] for seed in common], [other[seed] for seed in common])
    return SeedSummary(
        instance=instance,
        key=key,
        seeds=len(own),
        objective=stratified_bootstrap(list(own.values()), **bootstrap),
        metrics={name: _defined_mean(rows, name) for name in metric_names(rows)},
        difference=paired_difference(*pairs, **bootstrap) if common else None,
        seconds=sum(row.wall_seconds for row in rows) / len(rows),
    )


def _defined_mean(rows: Sequence[ResultRow], name: str) -> float:
    values = np.array([row.metrics.get(name, np.nan) for row in rows])
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _line(summary: SeedSummary, metrics: Sequence[str], digits: int) -> list[str]:
    objective, difference = summary.objective, summary.difference
    measured = [summary.metrics.get(name, float("nan")) for name in metrics]
    return [
        f"`{summary.key.method}`",
        f"`{summary.key.variant}`" if summary.key.variant else "",
        str(summary.seeds),
        f"{objective.estimate:.{digits}f}",
        f"{objective.low:.{digits}f} – {objective.high:.{digits}f}",
        "–" if difference is None else signed(difference, digits),
        *("–" if np.isnan(value) else f"{value:.{digits}f}" for value in measured),
    ]


def signed(interval: Interval, digits: int) -> str:
    """Writes a difference and its interval, all with their signs."""
    return f"{interval.estimate:+.{digits}f} ({interval.low:+.{digits}f} to {interval.high:+.{digits}f})"
