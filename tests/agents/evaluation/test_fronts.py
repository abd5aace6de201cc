"""Measures of fronts, by hand and against pymoo."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pymoo.indicators.hv import HV
from pymoo.indicators.igd import IGD

from agents.evaluation.fronts import (
    best_known,
    expected_utility,
    hypervolume,
    inverted_generational_distance,
    non_dominated,
)
from envs.core import UsageError


def points(criteria):
    return st.integers(1, 8).flatmap(
        lambda count: arrays(np.float64, (count, criteria), elements=st.integers(0, 6).map(float))
    )


def test_dominated_and_repeated_points_are_marked():
    costs = [[1, 3], [2, 2], [2, 3], [3, 1], [2, 2], [3, 3]]
    assert non_dominated(costs).tolist() == [True, True, False, True, False, False]


def test_hypervolume_by_hand():
    # Two steps of a stair below (4, 4): 3 x 1 + 2 x 2 ... (1, 3) covers 3 x 1, (2, 1) adds 2 x 2.
    assert hypervolume([[1, 3], [2, 1]], (4, 4)) == 3 + 4
    assert hypervolume([[1, 3], [2, 1], [2, 3], [5, 0], [4, 0]], (4, 4)) == 7
    assert hypervolume([[4, 4]], (4, 4)) == 0.0
    assert hypervolume([[1.0]], (3.0,)) == 2.0
    # A unit cube and a flat one beside it, overlapping in 1 x 1 x 1.
    assert hypervolume([[1, 1, 1], [0, 1, 1.5]], (2, 2, 2)) == 1 + 0.5


@given(st.integers(2, 4).flatmap(points))
def test_hypervolume_is_pymoos(costs):
    reference = np.full(costs.shape[1], 5.0)
    assert hypervolume(costs, reference) == pytest.approx(float(HV(ref_point=reference)(costs)), abs=1e-9)


@given(points(3), points(3), st.randoms(use_true_random=False))
def test_more_points_never_cost_volume_and_their_order_is_nothing(costs, others, random):
    both = np.concatenate([costs, others])
    assert hypervolume(both, (6, 6, 6)) >= hypervolume(costs, (6, 6, 6)) - 1e-9
    order = list(range(len(both)))
    random.shuffle(order)
    assert hypervolume(both[order], (6, 6, 6)) == pytest.approx(hypervolume(both, (6, 6, 6)))
    assert hypervolume(both * (2, 3, 0.5), (12, 18, 3)) == pytest.approx(3 * hypervolume(both, (6, 6, 6)))


def test_expected_utility_takes_the_best_point_of_every_preference():
    weights = [(1.0, 0.0), (0.5, 0.5), (0.0, 1.0)]
    costs = [[1.0, 30.0], [3.0, 10.0]]
    # Scaled: (1, 3) and (3, 1): 1, 2, 1.
    assert expected_utility(costs, weights, (1.0, 0.1)) == pytest.approx(4 / 3)


def test_distance_counts_every_criterion_by_its_range():
    front = [[0.0, 100.0], [1.0, 0.0]]
    assert inverted_generational_distance(front, front) == 0.0
    assert inverted_generational_distance([[0.0, 100.0]], front) == pytest.approx(np.sqrt(2) / 2)
    found = np.array([[0.5, 60.0], [0.9, 30.0]])
    scaled = IGD(np.array(front) / (1, 100))(found / (1, 100))
    assert inverted_generational_distance(found, front) == pytest.approx(float(scaled))
    assert inverted_generational_distance([[1.0, 5.0]], [[0.0, 5.0]]) == 1.0  # no range


def test_the_best_known_front_is_merged_in_order():
    merged = best_known([[[3.0, 1.0], [1.0, 3.0]], [[2.0, 1.5], [3.0, 2.0]]])
    assert merged.tolist() == [[1.0, 3.0], [2.0, 1.5], [3.0, 1.0]]


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match=r"points have the shape \(2,\); expected \(points, criteria\)"):
        non_dominated([1.0, 2.0])
    with pytest.raises(UsageError, match="the reference point has 3 entries for 2 criteria"):
        hypervolume([[1.0, 2.0]], (3, 3, 3))
