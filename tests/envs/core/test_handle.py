"""Handles: many arrays as one argument of a compiled function."""

import copy
import pickle
from typing import NamedTuple

import numpy as np
from numba import njit

from envs.core.handle import Handle, HandleCache, kernel


class Pair(NamedTuple):
    """Two arrays."""

    count: np.ndarray
    ratio: np.ndarray


@njit
def through_handle(handle):
    divide(handle.arrays)


@kernel
def divide(pair):
    for i in range(pair.count.shape[0]):
        pair.ratio[i] = 1 / pair.count[i]


def pair(*counts):
    return Pair(np.array(counts), np.zeros(len(counts)))


def test_compiled_functions_write_into_the_arrays_behind_a_handle():
    mine = pair(2, 0, -4)
    through_handle(Handle(mine))
    assert mine.ratio.tolist() == [0.5, np.inf, -0.25]


def test_a_handle_keeps_its_arrays_alive():
    ratio = np.zeros(1000)
    handle = Handle(Pair(np.full(1000, 8), ratio))
    for _ in range(10):
        np.full(1000, 3)  # would be given the memory of an array that nobody holds
    through_handle(handle)
    assert ratio.tolist() == [0.125] * 1000


def test_the_cache_tells_arrays_apart_by_identity():
    handles = HandleCache()
    first, equal = pair(1, 2), pair(1, 2)
    assert handles(first) is handles(Pair(*first))
    assert handles(first) is not handles(equal)
    assert handles(first) is not handles(Pair(first.count, equal.ratio))


def test_the_cache_forgets_the_oldest():
    handles = HandleCache()
    first = pair(1)
    handle = handles(first)
    for i in range(3):
        handles(pair(i))
    assert handles(first) is handle
    for i in range(4):
        handles(pair(i))
    assert handles(first) is not handle


def test_copies_and_pickles_of_a_cache_know_nothing():
    handles = HandleCache()
    mine = pair(1)
    handle = handles(mine)
    for other in (copy.deepcopy(handles), pickle.loads(pickle.dumps(handles))):
        assert other(mine) is not handle
