"""Statistics of benchmark results, in plain NumPy.

The choice of statistics follows Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice"
(NeurIPS 2021): interquartile mean, stratified percentile bootstrap, probability of improvement. The sampling units are
the instances of a benchmark, the strata its groups; several seeds of an instance are averaged first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.core import UsageError

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Reduces the last axis."""


class Interval(NamedTuple):
    """An estimate with the ends of its bootstrap confidence interval."""

    estimate: float
    low: float
    high: float


def mean(values: ArrayLike) -> Floats:
    """Arithmetic mean over the last axis."""
    return np.asarray(np.asarray(values, np.float64).mean(axis=-1))


def interquartile_mean(values: ArrayLike) -> Floats:
    """Mean over the last axis without the lowest and the highest quarter (each rounded down to whole values)."""
    ordered = np.sort(np.asarray(values, np.float64), axis=-1)
    count = ordered.shape[-1]
    cut = count // 4
    return mean(ordered[..., cut : count - cut])


def stratified_bootstrap(
    values: ArrayLike,
    strata: Sequence[Any] | None = None,
    statistic: Statistic = mean,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a statistic; instances are drawn with replacement within their stratum.

    Args:
        values: ``(instances,)`` values.
        strata: Stratum of each instance; None puts all in one.
        statistic: What to estimate.
        confidence: Coverage of the interval.
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.
    """
    array = _vector(values)
    if not 0.0 < confidence < 1.0:
        raise UsageError(f"confidence is {confidence}; expected a number between 0 and 1")
    if resamples < 1:
        raise UsageError(f"resamples is {resamples}; expected at least 1")
    draws = statistic(array[_resample(len(array), strata, resamples, seed)])
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(draws, [tail, 100.0 - tail])
    return Interval(float(statistic(array)), float(low), float(high))


def paired_difference(
    values: ArrayLike, baseline: ArrayLike, strata: Sequence[Any] | None = None, **bootstrap: Any
) -> Interval:
    """Mean of ``values - baseline`` over the same instances; below zero, ``values`` are better.

    Args:
        values: ``(instances,)`` values of a method.
        baseline: ``(instances,)`` values of the baseline, in the same order.
        strata: Stratum of each instance.
        bootstrap: Further arguments of `stratified_bootstrap`.
    """
    first, second = _vector(values), _vector(baseline)
    if first.shape != second.shape:
        raise UsageError(f"paired values differ in number: {len(first)} and {len(second)}")
    return stratified_bootstrap(first - second, strata, **bootstrap)


def probability_of_improvement(
    values: ArrayLike, baseline: ArrayLike, strata: Sequence[Any] | None = None, **bootstrap: Any
) -> Interval:
    """Share of the instances on which ``values`` lie below ``baseline``; ties count one half."""
    first, second = _vector(values), _vector(baseline)
    if first.shape != second.shape:
        raise UsageError(f"paired values differ in number: {len(first)} and {len(second)}")
    wins = np.where(first < second, 1.0, np.where(first == second, 0.5, 0.0))
    return stratified_bootstrap(wins, strata, **bootstrap)


def _vector(values: ArrayLike) -> Floats:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise UsageError(f"values have shape {array.shape}; expected one axis with at least one entry")
    return array


def _resample(count: int, strata: Sequence[Any] | None, resamples: int, seed: int) -> NDArray[np.int64]:
    """``(resamples, count)`` indices; every index is replaced by one of its own stratum."""
    generator = np.random.default_rng(seed)
    labels = np.unique(np.asarray(strata if strata is not None else np.zeros(count)), return_inverse=True)[1]
    if len(labels) != count:
        raise UsageError(f"strata have {len(labels)} entries; expected {count}")
    drawn = np.empty((resamples, count), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        drawn[:, members] = generator.choice(members, size=(resamples, len(members)))
    return drawn
