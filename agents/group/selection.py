"""Which solutions, and which of their decisions, are learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]


def best_of_groups(objective: Floats, group: Integers, present: Flags) -> Flags:
    """Marks the lane of least objective of every group; of equals the first."""
    order = np.lexsort((np.arange(len(group)), np.where(present, objective, np.inf), group))
    first = np.unique(group[order], return_index=True)[1]
    marked = np.zeros(len(group), np.bool_)
    marked[order[first]] = True
    return marked & present


def most_different(values: Floats, count: int) -> Integers:
    """Returns the indices of the subset of ``count`` values whose variance is largest.

    Such a subset is made of the k smallest and the count - k largest values for some k (D3S, arXiv 2509.22115), so that
    ``count + 1`` candidates have to be looked at.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order] - values.mean()
    count = min(count, len(values))
    sums, squares = (np.concatenate([[0.0], np.cumsum(power)]) for power in (ordered, ordered**2))
    small = np.arange(count + 1)
    start = len(values) - (count - small)
    total = sums[small] + sums[-1] - sums[start]
    square = squares[small] + squares[-1] - squares[start]
    k = int(np.argmax(square - total**2 / max(count, 1)))
    return np.concatenate([order[:k], order[len(values) - (count - k) :]])


def share_of(count: int, share: float) -> int:
    """So many of ``count`` are a share, at least one."""
    return max(1, round(share * count)) if count else 0


def most_important(scores: Sequence[Floats], allowed: Sequence[Flags], share: float) -> list[Flags]:
    """Marks the share of all allowed decisions whose scores are largest.

    Args:
        scores: Scores of decisions, ``(lanes, steps)`` for each size.
        allowed: Decisions that may be marked.
        share: Share of those that are.
    """
    flat = np.concatenate([score[mask] for score, mask in zip(scores, allowed, strict=True)])
    chosen = np.zeros(len(flat), np.bool_)
    chosen[np.argsort(-flat, kind="stable")[: share_of(len(flat), share)]] = True
    marked, start = [], 0
    for mask in allowed:
        kept = np.zeros_like(mask)
        count = int(mask.sum())
        kept[mask] = chosen[start : start + count]
        start += count
        marked.append(kept)
    return marked


def evenly_spaced(objective: Floats, count: int) -> Integers:
    """Returns the indices of ``count`` values evenly spaced in their order, from the least to the largest (BOPO)."""
    order = np.argsort(objective, kind="stable")
    return order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(np.int64))]
