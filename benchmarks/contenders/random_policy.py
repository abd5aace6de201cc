"""A uniform random choice among legal actions, compiled, so that the policy's own time does not matter."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.random import next_integer


@njit(cache=True)
def choose(mask: NDArray[np.bool_], generator: NDArray[np.uint64], actions: NDArray[np.int64]) -> None:
    """Writes one legal action a lane.

    Args:
        mask: ``(lanes, actions)`` legal actions.
        generator: ``(1,)`` generator state, see `envs.core.random`.
        actions: ``(lanes,)`` receives the choice.
    """
    for lane in range(mask.shape[0]):
        legal = 0
        for action in range(mask.shape[1]):
            legal += mask[lane, action]
        rank = next_integer(generator, 0, 1, legal)
        for action in range(mask.shape[1]):
            rank -= mask[lane, action]
            if rank == 0:
                actions[lane] = action
                break
