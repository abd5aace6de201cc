"""What is remembered of the instances of a pool."""

from __future__ import annotations

import numpy as np
import pytest

from agents.group.config import GroupConfig
from agents.group.pool import Pool


def pool(count=5, **settings):
    config = GroupConfig(**{"pool": count, "instances": 2, "rollouts": 8, "budget": "binary", **settings})
    return Pool([f"i{i}" for i in range(count)], config)


def test_every_instance_comes_once_before_any_comes_twice():
    own, rng = pool(), np.random.default_rng(0)
    seen = np.concatenate([own.next(2, rng) for _ in range(10)])
    for start in range(0, 20, 5):
        assert sorted(seen[start : start + 5]) == [0, 1, 2, 3, 4]


def test_statistics_by_hand():
    own = pool(success="bound", margin=0.5, forgetting=0.5)
    own.remember(2, np.array([10.0, 14.0, 16.0, 20.0]), 10.0, 10.0, improves=False)
    assert own.success[2] == 0.5
    assert own.variance[2] == pytest.approx(0.13)
    assert own.room[2] == pytest.approx(1 / 3)
    assert own.incumbent[2] == 10.0
    own.remember(2, np.array([10.0, 10.0]), 10.0, 10.0, improves=False)
    assert own.success[2] == 0.75
    assert own.variance[2] == pytest.approx(0.065)
    assert own.room[2] == pytest.approx(1 / 6)
    assert own.visits.tolist() == [0, 0, 2, 0, 0]


def test_success_is_to_beat_the_best_of_earlier_visits():
    own = pool(success="incumbent", margin=-0.1)
    own.remember(0, np.array([20.0, 30.0]), 1.0, 1.0, improves=False)
    own.remember(0, np.array([18.0, 18.1, 17.0, 40.0]), 1.0, 1.0, improves=False)
    assert own.success[0] == 0.5
    assert own.incumbent[0] == 17.0


def test_the_budget_of_known_instances_is_shared_and_spent():
    own = pool()
    assert own.budget(np.array([0, 1])).tolist() == [8, 8]
    own.visits[:] = 1
    own.visits[3] = 0
    own.success[:] = [0.4, 0.0, 1.0, 0.0, 0.4]
    assert own.budget(np.array([0, 3])).tolist() == [8, 8]
    assert own.budget(np.array([0, 1, 3])).tolist() == [14, 2, 8]
    assert own.budget(np.array([0, 4])).tolist() == [8, 8]


def test_it_comes_back_as_it_was():
    own, rng = pool(), np.random.default_rng(1)
    own.next(3, rng)
    own.remember(1, np.array([3.0, 4.0]), 2.0, 1.0, improves=True)
    other = pool()
    other.restore(own.arrays())
    for key, array in own.arrays().items():
        np.testing.assert_array_equal(other.arrays()[key], array)
    with pytest.raises(ValueError, match="visits is for 5 instances; expected 6"):
        pool(6).restore(own.arrays())
