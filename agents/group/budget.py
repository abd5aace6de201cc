"""How many solutions every instance gets: the knapsack of Knapsack RL (arXiv 2509.25849), solved greedily.

Both value functions are concave in the number of solutions, so giving one solution after another to whoever gains most
by it is optimal, and no dynamic programme is needed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Value = Callable[[int], float]


def binary_value(count: int, success: float) -> float:
    """What ``count`` solutions are worth where each is a success with a known probability.

    The probability that successes and failures both occur, 1 - p^N - (1-p)^N, times the gain p (1-p)^2.
    """
    both = 1.0 - success**count - (1.0 - success) ** count
    return success * (1.0 - success) ** 2 * both


def variance_value(count: int, variance: float, room: float) -> float:
    """What ``count`` solutions are worth by the spread of their objectives: (1 - 1/N) s^2 times the room that is left.

    Args:
        count: Number of solutions.
        variance: Variance of the objective, in squared units.
        room: Distance of the mean to the bound, from 0 to 1.
    """
    return (1.0 - 1.0 / count) * variance * room


def allocate(values: Sequence[Value], total: int, low: int, high: int, leftover: Sequence[int] = ()) -> Integers:
    """Shares out ``total`` solutions so that the sum of the values is largest; all are spent.

    Args:
        values: Value of a number of solutions, concave, for every instance.
        total: Solutions in all, from ``low`` to ``high`` times the number of instances.
        low: Fewest solutions of an instance.
        high: Most solutions of an instance.
        leftover: Order in which instances that gain nothing get what is left, rank by instance; by default evenly.

    Returns:
        ``(instances,)`` numbers of solutions.
    """
    counts = np.full(len(values), low, np.int64)
    if not low * len(values) <= total <= high * len(values):
        raise ValueError(f"{total} solutions cannot be shared out among {len(values)}, {low} to {high} each")
    heap = [(-_gain(value, low), i) for i, value in enumerate(values) if low < high]
    heapq.heapify(heap)
    spent = int(counts.sum())
    while spent < total and heap:
        gain, i = heapq.heappop(heap)
        if gain >= 0.0:
            break
        counts[i] += 1
        spent += 1
        if counts[i] < high:
            heapq.heappush(heap, (-_gain(values[i], int(counts[i])), i))
    _spend_evenly(counts, total - spent, high, leftover or [0] * len(values))
    return counts


def binary_budget(success: NDArray[np.float64], total: int, low: int, high: int) -> Integers:
    """Shares out solutions by rates of success, ``(instances,)``.

    Instances that always or never succeed are worth nothing and get the least; what nobody can use goes to those that
    never succeed, then to the others.
    """
    ranks = [0 if p <= 0 else 1 for p in success]
    return allocate([_binary(float(p)) for p in success], total, low, high, ranks)


def variance_budget(
    variance: NDArray[np.float64], room: NDArray[np.float64], total: int, low: int, high: int
) -> Integers:
    """Shares out solutions by the variance and the room of every instance, ``(instances,)`` each."""
    values = [_variance(float(v), float(r)) for v, r in zip(variance, room, strict=True)]
    return allocate(values, total, low, high)


def _binary(success: float) -> Value:
    return lambda count: binary_value(count, success)


def _variance(variance: float, room: float) -> Value:
    return lambda count: variance_value(count, variance, room)


def _gain(value: Value, count: int) -> float:
    return value(count + 1) - value(count)


def _spend_evenly(counts: Integers, rest: int, high: int, ranks: Sequence[int]) -> None:
    """Gives what is left, one by one, to whoever has least among those of the lowest rank with room."""
    heap = [(rank, int(counts[i]), i) for i, rank in enumerate(ranks) if counts[i] < high]
    heapq.heapify(heap)
    for _ in range(rest):
        rank, count, i = heapq.heappop(heap)
        counts[i] += 1
        if count + 1 < high:
            heapq.heappush(heap, (rank, count + 1, i))
