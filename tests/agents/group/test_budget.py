"""Greedy shares of a budget against a dynamic programme."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.group.budget import allocate, binary_budget, binary_value, variance_budget, variance_value


def best_by_dynamic_programme(values, total, low, high):
    """The largest sum of values over all ways to spend exactly ``total``."""
    best = {0: 0.0}
    for value in values:
        reached = {}
        for spent, worth in best.items():
            for count in range(low, high + 1):
                if spent + count <= total:
                    reached[spent + count] = max(reached.get(spent + count, -np.inf), worth + value(count))
        best = reached
    return best[total]


@st.composite
def budgets(draw):
    instances = draw(st.integers(1, 6))
    low = draw(st.integers(1, 4))
    high = draw(st.integers(low, 12))
    return instances, low, high, draw(st.integers(low * instances, high * instances))


@settings(deadline=None, max_examples=150)
@given(budgets(), st.randoms(use_true_random=False))
def test_greedy_is_optimal_for_rates_of_success(budget, random):
    instances, low, high, total = budget
    rates = np.array([random.choice([0.0, 1.0, random.random(), random.random()]) for _ in range(instances)])
    counts = binary_budget(rates, total, low, high)
    assert counts.sum() == total
    assert (low <= counts).all()
    assert (counts <= high).all()
    got = sum(binary_value(int(n), p) for n, p in zip(counts, rates, strict=True))
    values = [lambda n, p=p: binary_value(n, p) for p in rates]
    assert got == pytest.approx(best_by_dynamic_programme(values, total, low, high), abs=1e-12)


@settings(deadline=None, max_examples=150)
@given(budgets(), st.randoms(use_true_random=False))
def test_greedy_is_optimal_for_variances(budget, random):
    instances, low, high, total = budget
    variance = np.array([random.choice([0.0, random.random()]) for _ in range(instances)])
    room = np.array([random.random() for _ in range(instances)])
    counts = variance_budget(variance, room, total, low, high)
    assert counts.sum() == total
    got = sum(variance_value(int(n), v, r) for n, v, r in zip(counts, variance, room, strict=True))
    values = [lambda n, v=v, r=r: variance_value(n, v, r) for v, r in zip(variance, room, strict=True)]
    assert got == pytest.approx(best_by_dynamic_programme(values, total, low, high), abs=1e-12)


def test_values_by_hand():
    assert binary_value(2, 0.5) == pytest.approx(0.5 * 0.25 * 0.5)
    assert binary_value(3, 1 / 3) == pytest.approx(4 / 27 * (1 - 1 / 27 - 8 / 27))
    assert variance_value(4, 2.0, 0.5) == pytest.approx(0.75)


def test_what_is_certain_gets_the_least_and_hopeless_ones_the_rest():
    assert binary_budget(np.array([0.0, 1.0, 0.4]), 14, 2, 10).tolist() == [2, 2, 10]
    assert binary_budget(np.array([0.0, 1.0, 0.4]), 20, 2, 10).tolist() == [8, 2, 10]
    assert binary_budget(np.array([0.0, 1.0, 0.4]), 25, 2, 10).tolist() == [10, 5, 10]
    assert binary_budget(np.array([0.0, 0.0]), 7, 2, 10).tolist() in ([4, 3], [3, 4])


def test_a_budget_that_cannot_be_spent_is_refused():
    with pytest.raises(ValueError, match="9 solutions cannot be shared out among 2, 1 to 4 each"):
        allocate([float, float], 9, 1, 4)
