"""Random numbers for compiled dynamics: one 64-bit word of generator state a lane, kept inside the problem's state.

The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@njit(cache=True, inline="always")
def next_word(generator: NDArray[np.uint64], lane: int) -> np.uint64:
    """Advances the generator of ``lane`` and returns 64 random bits."""
    generator[lane] += _GAMMA
    z: np.uint64 = generator[lane]
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@njit(cache=True, inline="always")
def next_uniform(generator: NDArray[np.uint64], lane: int) -> float:
    """Returns a float64 uniform on [0, 1)."""
    return (next_word(generator, lane) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, inline="always")
def next_integer(generator: NDArray[np.uint64], lane: int, low: int, high: int) -> int:
    """Returns an integer uniform on ``low..high``, both ends included."""
    return low + int(np.floor(next_uniform(generator, lane) * (high - low + 1)))


@njit(cache=True, inline="always")
def stream_uniform(key: np.uint64, stream: int, counter: int) -> float:
    """Returns number ``counter`` of a stream of float64 uniforms on [0, 1) that depends on nothing but its arguments.

    Episodes that share ``key`` share these numbers, whatever was decided in between (common random numbers).
    """
    z = key + np.uint64(stream) * _MIX_1 + np.uint64(counter + 1) * _GAMMA
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z = (z ^ (z >> np.uint64(31))) * _MIX_1
    z = z ^ (z >> np.uint64(29))
    return (z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


def seed_words(seeds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Turns user seeds (small, consecutive) into well-separated generator words, one word a seed."""
    words = [np.random.SeedSequence(int(seed)).generate_state(1, np.uint64)[0] for seed in seeds]
    return np.array(words, np.uint64)
