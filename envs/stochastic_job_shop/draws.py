"""What an episode of the stochastic job shop draws at random: processing times, failures and repairs.

Every number comes from a stream of the episode's key, by operation or by machine and change, so that no decision
changes what another event draws and methods can be compared under the same luck.

Sources:
    D. G. Malcolm, J. H. Roseboom, C. E. Clark, W. Fazar, "Application of a technique for research and development
    program evaluation", Operations Research 7(5), 1959 (PERT).
    G. Marsaglia, W. W. Tsang, "A simple method for generating gamma variables", ACM Transactions on Mathematical
    Software 26(3), 2000.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.core.random import stream_uniform

DETERMINISTIC, LOGNORMAL, TRIANGULAR, PERT = 0, 1, 2, 3

_DURATIONS, _CHANGES = 1, 2
_PER_OPERATION, _PER_MACHINE = 256, 1_000_003


@njit(cache=True)
def failure_gap(key: np.uint64, machine: int, change: int, mean: float) -> float:
    """Draws the exponential time to the machine's change number ``change`` (even: a failure, odd: a repair)."""
    drawn: float = -mean * np.log(1.0 - stream_uniform(key, _CHANGES, machine * _PER_MACHINE + change))
    return drawn


@njit(cache=True)
def draw_duration(
    key: np.uint64, operation: int, law: int, sigma: float, least: float, mode: float, greatest: float
) -> float:
    """Draws the processing time of an operation.

    Args:
        key: Key of the episode.
        operation: Number of the operation in the instance.
        law: Index into `envs.stochastic_job_shop.types.LAWS`.
        sigma: Standard deviation of the logarithm (log-normal law).
        least: Least time.
        mode: Most likely time; the expected one of the deterministic and the log-normal law.
        greatest: Greatest time.
    """
    first = operation * _PER_OPERATION
    if law == LOGNORMAL and sigma > 0.0:
        factor: float = np.exp(sigma * _normal(key, first) - 0.5 * sigma * sigma)
        return mode * factor
    if law == TRIANGULAR and greatest > least:
        return _triangular(stream_uniform(key, _DURATIONS, first), least, mode, greatest)
    if law == PERT and greatest > least:
        span = greatest - least
        one = _gamma(key, first, 1.0 + 4.0 * (mode - least) / span)
        other = _gamma(key, first + _PER_OPERATION // 2, 1.0 + 4.0 * (greatest - mode) / span)
        return least + span * one / (one + other)
    return mode


@njit(cache=True)
def _normal(key: np.uint64, counter: int) -> float:
    """A standard normal number (Box and Muller's method)."""
    radius = np.sqrt(-2.0 * np.log(1.0 - stream_uniform(key, _DURATIONS, counter)))
    drawn: float = radius * np.cos(2.0 * np.pi * stream_uniform(key, _DURATIONS, counter + 1))
    return drawn


@njit(cache=True)
def _triangular(draw: float, least: float, mode: float, greatest: float) -> float:
    """Inverts the distribution function of the triangular law."""
    span = greatest - least
    below: float = least + np.sqrt(draw * span * (mode - least))
    above: float = greatest - np.sqrt((1.0 - draw) * span * (greatest - mode))
    return below if draw * span < mode - least else above


@njit(cache=True)
def _gamma(key: np.uint64, counter: int, shape: float) -> float:
    """A gamma number of a shape of at least 1, by rejection; the 40 tries that it may take fail once in 10^50."""
    d = shape - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    for trial in range(40):
        x = _normal(key, counter + 3 * trial)
        v = (1.0 + c * x) ** 3
        if v > 0.0:
            u = stream_uniform(key, _DURATIONS, counter + 3 * trial + 2)
            if np.log(1.0 - u) < 0.5 * x * x + d - d * v + d * np.log(v):
                drawn: float = d * v
                return drawn
    return d
