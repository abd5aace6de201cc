"""What is kept of a group, against brute force and by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.group.selection import best_of_groups, evenly_spaced, most_different, most_important

NUMBERS = st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=1, max_size=9)


@settings(deadline=None, max_examples=200)
@given(NUMBERS, st.data())
def test_the_most_different_subset_is_that_of_brute_force(values, data):
    values = np.array(values)
    count = data.draw(st.integers(1, len(values)))
    chosen = most_different(values, count)
    assert len(set(chosen.tolist())) == count
    best = max(np.var(values[list(subset)]) for subset in combinations(range(len(values)), count))
    assert np.var(values[chosen]) == pytest.approx(best, rel=1e-6, abs=1e-6)


def test_the_best_of_every_group_is_one_lane():
    objective = np.array([3.0, 2.0, 2.0, 1.0, 9.0, 8.0])
    group = np.array([0, 0, 0, 1, 2, 2])
    present = np.array([True, True, True, True, True, False])
    assert np.flatnonzero(best_of_groups(objective, group, present)).tolist() == [1, 3, 4]


def test_the_most_important_decisions_are_taken_across_sizes():
    scores = [np.array([[0.9, 0.1], [0.5, 0.8]]), np.array([[0.7, 0.95, 0.2]])]
    allowed = [np.array([[True, True], [True, False]]), np.array([[True, True, True]])]
    kept = most_important(scores, allowed, 0.5)
    assert kept[0].tolist() == [[True, False], [False, False]]
    assert kept[1].tolist() == [[True, True, False]]
    assert [mask.sum() for mask in most_important(scores, allowed, 1e-9)] == [0, 1]


def test_evenly_spaced_ones_have_the_best_and_the_worst():
    objective = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    assert objective[evenly_spaced(objective, 3)].tolist() == [1.0, 3.0, 5.0]
    assert len(evenly_spaced(objective, 16)) == 5
