"""Schedules become decisions that build them again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import problem
from envs.job_shop.decisions import decisions
from envs.job_shop.generators import uniform
from envs.job_shop.types import JobShopInstance, Schedule
from envs.job_shop.verify import verify

DEFINITION = problem("job_shop")


def schedule_of(options, instance, actions):
    bound = DEFINITION.bind({**options, **DEFINITION.fit([instance])})
    state = bound.allocate(1)
    bound.load(state, 0, instance)
    for action in actions:
        assert not bound.step(state, np.array([action]), np.ones(1, bool)).any()
    assert bound.finished(state)[0]
    return bound.solution(state, 0)


def delayed(instance, rng):
    """A valid schedule with idle time: random legal choices, then every start pushed back as if times were longer."""
    longer = JobShopInstance("longer", instance.machines, instance.times + 3, instance.num_machines)
    bound = DEFINITION.bind({"builder": "append", **DEFINITION.fit([longer])})
    state = bound.allocate(1)
    bound.load(state, 0, longer)
    while not bound.finished(state)[0]:
        bound.step(state, np.array([rng.choice(np.flatnonzero(state.mask[0]))]), np.ones(1, bool))
    return Schedule(bound.solution(state, 0).starts)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 5), st.booleans(), st.sampled_from(["append", "insertion"])
)
def test_free_builders_never_end_later_than_the_schedule(seed, jobs, machines, zeros, builder):
    rng = np.random.default_rng(seed)
    instance = uniform(jobs, machines, rng, name="i")
    if zeros:
        times = np.where(rng.random(instance.times.shape) < 0.4, 0, instance.times)
        instance = JobShopInstance("i", instance.machines, times, machines)
    schedule = delayed(instance, rng)
    actions = decisions({"builder": builder}, instance, schedule)
    assert actions is not None
    assert verify(instance, schedule_of({"builder": builder}, instance, actions)) <= verify(instance, schedule)


@pytest.mark.parametrize("builder", ["active", "non_delay"])
def test_a_schedule_of_the_builder_is_built_again(builder):
    rng = np.random.default_rng(5)
    for _ in range(20):
        instance = uniform(5, 4, rng, name="i")
        bound = DEFINITION.bind({"builder": builder, **DEFINITION.fit([instance])})
        state = bound.allocate(1)
        bound.load(state, 0, instance)
        while not bound.finished(state)[0]:
            bound.step(state, np.array([rng.choice(np.flatnonzero(state.mask[0]))]), np.ones(1, bool))
        schedule = bound.solution(state, 0)
        actions = decisions({"builder": builder}, instance, schedule)
        assert actions is not None
        np.testing.assert_array_equal(schedule_of({"builder": builder}, instance, actions).starts, schedule.starts)


def test_a_schedule_out_of_reach_has_no_decisions_unless_waiting_is_allowed():
    """Machine 0 has to idle for a moment until the urgent job comes."""
    instance = JobShopInstance("i", [[1, 0, 1], [0, 1, 0]], [[1, 5, 20], [10, 1, 1]], 2)
    schedule = Schedule(np.array([[0, 1, 6], [6, 26, 27]], np.int64))
    assert verify(instance, schedule) == 28
    assert decisions({"builder": "non_delay"}, instance, schedule) is None
    options = {"builder": "non_delay", "wait": True}
    waiting = decisions(options, instance, schedule)
    assert waiting is not None
    assert waiting.count(2) == 1
    np.testing.assert_array_equal(schedule_of(options, instance, waiting).starts, schedule.starts)
