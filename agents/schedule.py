"""Learning rates over a training."""

from __future__ import annotations

import math

SCHEDULES = ("linear", "cosine", "constant")


def learning_rate(schedule: str, first: float, last: float, warm_up: float, remaining: float) -> float:
    """Returns the learning rate at a moment of a training.

    Args:
        schedule: "linear" or "cosine" from ``first`` to ``last``, or "constant".
        first: Learning rate after the warm-up.
        last: Learning rate at the end; without meaning for "constant".
        warm_up: Share of the training over which the rate rises linearly from 0.
        remaining: Share of the training that is still to come; a last rollout may overshoot the end by a little, which
            counts as the end.
    """
    remaining = min(max(remaining, 0.0), 1.0)
    if 1.0 - remaining < warm_up:
        return first * (1.0 - remaining) / warm_up
    share = remaining / (1.0 - warm_up)
    if schedule == "constant":
        return first
    if schedule == "cosine":
        share = (1.0 - math.cos(math.pi * share)) / 2.0
    return last + share * (first - last)
