"""Random numbers of the compiled dynamics."""

import numpy as np
import pytest

from envs.core.random import next_integer, next_uniform, next_word, seed_words


def generator(word=0, lanes=1):
    return np.full(lanes, word, np.uint64)


def test_splitmix64_from_zero_as_published():
    """The first words of the reference implementation seeded with 0."""
    state = generator()
    words = [int(next_word(state, 0)) for _ in range(3)]
    assert words == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_a_lane_advances_itself_alone():
    state = generator(7, lanes=3)
    next_word(state, 1)
    assert state[0] == state[2] == 7
    assert state[1] != 7


def test_uniform_fills_the_unit_interval_evenly():
    state = generator(1)
    draws = np.array([next_uniform(state, 0) for _ in range(20_000)])
    assert 0 <= draws.min() < draws.max() < 1
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    chi_squared = ((counts - 1000) ** 2 / 1000).sum()
    assert chi_squared < 43.8  # 99.9 % of the chi-squared distribution with 19 degrees of freedom


@pytest.mark.parametrize(("low", "high"), [(0, 0), (-3, 3), (1, 99)])
def test_integers_are_even_and_reach_both_ends(low, high):
    state = generator(2)
    draws = np.array([next_integer(state, 0, low, high) for _ in range(20_000)])
    values, counts = np.unique(draws, return_counts=True)
    assert values.tolist() == list(range(low, high + 1))
    expected = 20_000 / len(values)
    freedom = len(values) - 1
    assert ((counts - expected) ** 2 / expected).sum() <= freedom + 4 * np.sqrt(2 * freedom)


def test_seed_words_of_neighbouring_seeds_are_far_apart():
    words = seed_words(np.arange(1000, dtype=np.uint64))
    assert len(set(words.tolist())) == 1000
    bits = np.unpackbits((words[:-1] ^ words[1:]).view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
    assert 31 < bits.mean() < 33


def test_streams_of_neighbouring_seeds_are_uncorrelated():
    state = seed_words(np.arange(2, dtype=np.uint64))
    draws = np.array([[next_uniform(state, lane) for lane in range(2)] for _ in range(10_000)])
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.04  # four standard errors


def test_seed_words_depend_on_the_seed_alone():
    both = seed_words(np.array([5, 9], np.uint64))
    assert both[1] == seed_words(np.array([9], np.uint64))[0]
