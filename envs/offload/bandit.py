"""LinUCB on what an observer sees of a server, compiled: the bandit baseline of the paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle
from envs.offload.channel import draw_rates
from envs.offload.draws import draw_arrivals
from envs.offload.dynamics import begin_lane, dispatch, weigh
from envs.offload.state import OffloadState, state_handle
from envs.offload.types import Floats

_BINS, _BIN_BITS = 16, 4e6
_SEEN = 5 + _BINS


@dataclass(frozen=True)
class LinearBandit:
    """Estimates of the weighted cost of a choice above the least that its task has, for the cloud and for edge servers.

    Attributes:
        weights: ``(2, width)`` coefficients of the context, the cloud's first.
    """

    weights: Floats

    def choose(self, state: OffloadState, lane: int) -> int:
        """Returns the server of least estimated cost."""
        return int(_choose(state, lane, self.weights, np.zeros((2, 1, 1)), 0.0, np.empty(_SEEN)))


def train_bandit(state: OffloadState, episodes: int, exploration: float, ridge: float) -> LinearBandit:
    """Trains on drawn episodes of the system and under the preference that stand in lane 0 of ``state``."""
    return LinearBandit(_train(state_handle(state), episodes, exploration, ridge))


@njit(cache=True, nogil=True)
def _train(handle: Handle[OffloadState], episodes: int, exploration: float, ridge: float) -> NDArray[np.float64]:
    state = handle.arrays
    inverse = np.zeros((2, _SEEN, _SEEN))
    for arm in range(2):
        for i in range(_SEEN):
            inverse[arm, i, i] = 1.0 / ridge
    targets, weights = np.zeros((2, _SEEN)), np.zeros((2, _SEEN))
    context = np.empty(_SEEN)
    for _ in range(episodes):
        draw_rates(state, 0)
        draw_arrivals(state, 0, 0, 0)
        begin_lane(state, 0)
        while state.next_task[0] < state.size[0, 1]:
            server = _choose(state, 0, weights, inverse, exploration, context)
            arm = min(server, 1)
            _context(state, 0, server, context)
            cost = weigh(state, 0, state.extra[0, server]) - state.least[0]
            gain = inverse[arm] @ context
            inverse[arm] -= np.outer(gain, gain) / (1.0 + context @ gain)
            targets[arm] += cost * context
            weights[arm] = inverse[arm] @ targets[arm]
            dispatch(state, 0, server)
    return weights


@njit(cache=True, nogil=True)
def _choose(
    state: OffloadState,
    lane: int,
    weights: NDArray[np.float64],
    inverse: NDArray[np.float64],
    exploration: float,
    context: NDArray[np.float64],
) -> int:
    best, least = 0, np.inf
    for s in range(state.size[lane, 0]):
        arm = min(s, 1)
        _context(state, lane, s, context)
        value = weights[arm] @ context
        if exploration > 0.0:
            value -= exploration * np.sqrt(context @ (inverse[arm] @ context))
        if value < least:
            best, least = s, value
    return best


@njit(cache=True, nogil=True)
def _context(state: OffloadState, lane: int, server: int, out: NDArray[np.float64]) -> None:
    """Writes size, rate, frequency, running tasks and their histogram."""
    task = state.next_task[lane]
    out[:_SEEN] = 0.0
    out[0] = 1.0
    out[1] = state.bits[lane, task] / 16e6
    out[2] = state.rate[lane, state.user[lane, task], server] / 1e9
    out[3] = state.hertz[lane, server] / 4e9
    out[4] = state.running_count[lane, server] / 10.0
    for i in range(state.running_count[lane, server]):
        left = state.mark[lane, state.running[lane, server, i]] - state.progress[lane, server]
        out[5 + max(0, min(int(left / _BIN_BITS), _BINS - 1))] += 0.2
