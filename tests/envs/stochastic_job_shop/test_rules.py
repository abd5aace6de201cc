"""Priorities of the due-date rules on a single machine, by their formulas."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from envs.stochastic_job_shop import PROBLEM
from envs.stochastic_job_shop.types import StochasticJobShopInstance

P, D, W = [10.0, 20.0, 5.0], [12.0, 50.0, 4.0], [1.0, 4.0, 2.0]


def priorities(rule):
    instance = StochasticJobShopInstance(
        "single", [[0]] * 3, [[p] for p in P], 1, due_dates=D, weights=W, objective="weighted_tardiness"
    )
    problem = PROBLEM.bind(PROBLEM.fit([instance]))
    state = problem.allocate(1)
    problem.load(state, 0, instance)
    return PROBLEM.rules[rule].priority(state)[0]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("edd", D),
        ("mdd", [12.0, 50.0, 5.0]),
        ("slack", [2.0, 30.0, -1.0]),
        ("s_ro", [2.0, 30.0, -1.0]),
        ("cr", [1.2, 2.5, 0.8]),
        ("odd", D),
        ("wspt", [10.0, 5.0, 2.5]),
        ("wmdd", [12.0, 12.5, 2.5]),
        # Mean time in the queue 35 / 3, look-ahead 3: slack over 35.
        ("atc", [-exp(-2 / 35) / 10, -exp(-30 / 35) / 5, -0.4]),
        ("covert", [-(1 - 2 / 20) / 10, -(1 - 30 / 40) / 5, -0.4]),
    ],
)
def test_priorities_on_a_single_machine(rule, expected):
    np.testing.assert_allclose(priorities(rule), expected, rtol=1e-12)


def test_published_vector_of_modified_due_dates():
    """Cetinkaya et al. 2025: MDD with ties to the smaller index gives the order 1, 0, 2, 3, 5, 4 and tardiness 144."""
    instance = StochasticJobShopInstance(
        "vector",
        [[0]] * 6,
        [[10.0], [11.0], [10.0], [10.0], [11.0], [10.0]],
        1,
        due_dates=[15.0, 11.0, 13.0, 11.0, 12.0, 11.0],
        objective="tardiness",
    )
    problem = PROBLEM.bind(PROBLEM.fit([instance]))
    state = problem.allocate(1)
    problem.load(state, 0, instance)
    while not problem.finished(state)[0]:
        priority = PROBLEM.rules["mdd"].priority(state)
        problem.step(state, np.where(state.mask, priority, np.inf).argmin(axis=1), np.ones(1, np.bool_))
    order = np.argsort(state.starts[0, :, 0]).tolist()
    assert order == [1, 0, 2, 3, 5, 4]
    assert problem.objective(state)[0] == 144.0
