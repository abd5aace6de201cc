"""The one-machine problem against all permutations."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.job_shop.one_machine import earliest_starts, preemptive_bound, solve_one_machine

NONE = np.empty(0, np.int64)


def random_problem(size, seed, arcs):
    """Draws heads, times, tails and delays along a random order, closed under longest paths."""
    rng = np.random.default_rng(seed)
    r, p, q = rng.integers(0, (30, 10, 30), size=(size, 3)).T.astype(np.int64).copy()
    delay = np.full((size, size), -1, np.int64)
    for before, after in itertools.combinations(rng.permutation(size), 2):
        if rng.random() < arcs:
            delay[before, after] = p[before] + rng.integers(0, 15)
    for middle, before, after in itertools.product(range(size), repeat=3):
        if delay[before, middle] >= 0 and delay[middle, after] >= 0:
            delay[before, after] = max(delay[before, after], delay[before, middle] + delay[middle, after])
    return r, p, q, delay


def value_of(sequence, r, p, q, delay):
    """The value of a sequence by definition, or None if it breaks a precedence."""
    starts = {}
    free_at = 0
    for job in sequence:
        if any(delay[later, job] >= 0 for later in sequence if later not in starts and later != job):
            return None
        released = [starts[before] + delay[before, job] for before in starts if delay[before, job] >= 0]
        starts[job] = max([free_at, r[job], *released])
        free_at = starts[job] + p[job]
    return max(starts[job] + p[job] + q[job] for job in starts)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2, 0.5]))
@settings(max_examples=150, deadline=None)
def test_optimum_of_all_permutations(size, seed, arcs):
    problem = random_problem(size, seed, arcs)
    r, p, q, delay = problem
    values = [value_of(sequence, *problem) for sequence in itertools.permutations(range(size))]
    optimum = min(value for value in values if value is not None)
    sequence, value, bound = solve_one_machine(r, p, q, delay, NONE, 100_000)
    assert value == bound == optimum == value_of(sequence.tolist(), *problem)
    assert preemptive_bound(r, p, q) <= optimum


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_stopped_search_keeps_the_incumbent_and_a_true_bound(size, seed):
    problem = random_problem(size, seed, 0.3)
    r, p, q, delay = problem
    sequences = list(itertools.permutations(range(size)))
    allowed = [sequence for sequence in sequences if value_of(sequence, *problem) is not None]
    incumbent = np.array(allowed[seed % len(allowed)], np.int64)
    sequence, value, bound = solve_one_machine(r, p, q, delay, incumbent, 1)
    assert bound <= min(value_of(other, *problem) for other in allowed)
    assert value == value_of(sequence.tolist(), *problem) <= value_of(incumbent.tolist(), *problem)


def test_earliest_starts_by_hand():
    r, p = np.array([0, 2, 0]), np.array([4, 1, 3])
    delay = np.full((3, 3), -1)
    delay[0, 2] = 9
    assert earliest_starts(np.array([0, 1, 2]), r, p, delay).tolist() == [0, 4, 9]
