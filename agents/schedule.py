"""Learning rates over a training."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.core import UsageError

SCHEDULES = ("linear", "cosine", "constant")
SUFFIX = ".json"

Floats = NDArray[np.float64]


def check_schedule(schedule: str, warm_up: float) -> None:
    """Checks a schedule: one of `SCHEDULES`, or a file that scripts/refine_schedule.py wrote.

    Raises:
        UsageError: It is neither, the file cannot be read, or it is to follow a warm-up.
    """
    if schedule in SCHEDULES:
        return
    if not schedule.endswith(SUFFIX):
        raise UsageError(
            f"agent.settings.schedule is {schedule!r}; expected one of {', '.join(SCHEDULES)}, or a {SUFFIX} file of "
            "scripts/refine_schedule.py"
        )
    read_factors(schedule)
    if warm_up:
        raise UsageError(
            f"agent.settings.warm_up is {warm_up}; expected 0, as the schedule {schedule} has a beginning of its own"
        )


def learning_rate(schedule: str, first: float, last: float, warm_up: float, remaining: float) -> float:
    """Returns the learning rate at a moment of a training.

    Args:
        schedule: "linear" or "cosine" from ``first`` to ``last``, "constant", or a file whose factors go from
            ``last`` (0) to ``first`` (1).
        first: Learning rate after the warm-up.
        last: Learning rate at the end; without meaning for "constant".
        warm_up: Share of the training over which the learning rate rises linearly from 0.
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
    elif schedule != "linear":
        factors = read_factors(schedule)
        share = float(np.interp(1.0 - remaining, np.linspace(0.0, 1.0, len(factors)), factors))
    return last + share * (first - last)


def refine(norms: ArrayLike, power: float) -> Floats:
    """Returns the schedule for which an earlier run's gradient norms say that it would have been best.

    Theorem and heuristics of Defazio et al. 2023 (arXiv 2310.07831): the norms are smoothed by a median filter over a
    tenth of the run, reflected at its ends; step t gets the weight norm^-power, and the rate
    weight_t * (sum of the later weights), here scaled so that the largest is 1. Equal norms give linear decay, and the
    last rate is 0.

    Args:
        norms: ``(updates,)`` norms of the gradients, positive.
        power: 1 for L1 norms and Adam, 2 for L2 norms and plain gradient descent.
    """
    values = np.asarray(norms, np.float64)
    half = min(int(0.1 * len(values) / 2.0), len(values) - 1)
    padded = np.pad(values, half, mode="reflect")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    weights = (smooth / smooth.max()) ** -power
    later = np.append(np.cumsum(weights[::-1])[::-1][1:], 0.0)
    rates = weights * later
    return np.asarray(rates / rates.max())


@cache
def read_factors(path: str) -> tuple[float, ...]:
    """Reads the factors of a schedule's file, which are evenly spread over a training.

    Raises:
        UsageError: The file is not there, or does not hold factors.
    """
    expected = 'expected {"factors": [...]} with at least two numbers from 0 to 1'
    try:
        factors = json.loads(Path(path).read_text(encoding="utf-8"))["factors"]
        numbers = tuple(float(factor) for factor in factors)
    except OSError as error:
        raise UsageError(f"agent.settings.schedule: {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"agent.settings.schedule: {path} is not a schedule; {expected}") from None
    if len(numbers) < 2 or not all(0.0 <= factor <= 1.0 for factor in numbers):
        raise UsageError(f"agent.settings.schedule: {path} holds {len(numbers)} factors; {expected}")
    return numbers
