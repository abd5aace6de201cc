"""Measures of fronts: sets of points whose coordinates are costs, all of them to be small.

Fronts are judged as MO-Gymnasium's users do (Felten et al., "A toolkit for reliable benchmarking and research in
multi-objective reinforcement learning", NeurIPS 2023), with costs in the place of returns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.core import UsageError

Floats = NDArray[np.float64]
Points = NDArray[np.float64]
"""``(points, criteria)`` costs."""

_COMPARED = 2**20
"""Most numbers that are compared at a time."""


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Marks the points that no other one beats in a criterion without losing in another; of equal ones, the first."""
    costs = _points(points)
    keep = np.ones(len(costs), np.bool_)
    number = np.arange(len(costs))
    block = max(1, _COMPARED // max(1, costs.size))
    for start in range(0, len(costs), block):
        own = slice(start, start + block)
        no_worse = (costs[None] <= costs[own, None]).all(axis=2)
        no_better = (costs[None] >= costs[own, None]).all(axis=2)
        earlier = number[None] < number[own, None]
        keep[own] = ~(no_worse & (~no_better | earlier)).any(axis=1)
    return keep


def hypervolume(points: ArrayLike, reference: Sequence[float] | Floats) -> float:
    """Returns the volume of what some point dominates and the reference point bounds.

    Exact for any number of criteria: by a sweep over the last one, with the volumes of the others in every slice (While
    et al., IEEE TEC 10, 2006). Points that are not below the reference point everywhere count for nothing.
    """
    costs, corner = _points(points), np.asarray(reference, np.float64)
    if costs.shape[1] != len(corner):
        raise UsageError(
            f"the reference point has {len(corner)} entries for {costs.shape[1]} criteria; expected as many"
        )
    costs = costs[(costs < corner).all(axis=1)]
    return _volume(costs, corner) if len(costs) else 0.0


def expected_utility(points: ArrayLike, weights: ArrayLike, scales: Sequence[float]) -> float:
    """Returns the mean over preferences of the least weighted scaled cost that some point has; smaller is better.

    It is minus the expected utility metric of Zintgraf et al. (2015) for linear utilities, and so minus the `eum` of
    morl-baselines on returns -scale x cost; there the weights are 50, spread evenly over the whole simplex.

    Args:
        points: ``(points, criteria)`` costs.
        weights: ``(preferences, criteria)`` weights.
        scales: What a unit of each cost is worth.
    """
    values = (_points(points) * np.asarray(scales)) @ _points(weights).T
    return float(values.min(axis=0).mean())


def inverted_generational_distance(points: ArrayLike, front: ArrayLike) -> float:
    """Returns the mean distance from every point of ``front`` to the nearest of ``points``.

    Costs are divided by the ranges of ``front``, so that every criterion counts alike; a criterion without a range is
    left as it is.
    """
    best = _points(front)
    ranges = np.ptp(best, axis=0)
    ranges[ranges == 0.0] = 1.0
    differences = (best[:, None, :] - _points(points)[None, :, :]) / ranges
    return float(np.sqrt((differences**2).sum(axis=2)).min(axis=1).mean())


def best_known(fronts: Sequence[ArrayLike]) -> Points:
    """Returns the non-dominated points of several fronts together, by their first cost."""
    merged = np.concatenate([_points(front) for front in fronts])
    kept = merged[non_dominated(merged)]
    return np.asarray(kept[np.lexsort(kept.T[::-1])])


def _volume(costs: Points, corner: Floats) -> float:
    if len(corner) == 1:
        return float(corner[0] - costs[:, 0].min())
    if len(corner) > 2:
        costs = costs[non_dominated(costs)]
    order = np.argsort(costs[:, -1], kind="stable")
    heights = np.append(costs[order, -1], corner[-1])
    if len(corner) == 2:
        reached = corner[0] - np.minimum.accumulate(costs[order, 0])
        return float((reached * np.diff(heights)).sum())
    total = 0.0
    for i in range(len(costs)):
        if heights[i + 1] > heights[i]:
            total += _volume(costs[order[: i + 1], :-1], corner[:-1]) * (heights[i + 1] - heights[i])
    return float(total)


def _points(points: ArrayLike) -> Points:
    array = np.asarray(points, np.float64)
    if array.ndim != 2:
        raise UsageError(f"points have the shape {array.shape}; expected (points, criteria)")
    return array
