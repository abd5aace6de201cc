"""Executions worked out by hand, against the deterministic job shop, and by the verifier on random instances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.core.problem import Problem
from envs.job_shop import PROBLEM as DETERMINISTIC
from envs.job_shop.types import JobShopInstance
from envs.stochastic_job_shop import PROBLEM
from envs.stochastic_job_shop.state import NOT_YET
from envs.stochastic_job_shop.types import LAWS, OBJECTIVES, StochasticJobShopInstance

ON = np.ones(1, np.bool_)


def started(instance, seed=1, **options):
    problem = PROBLEM.bind({**PROBLEM.fit([instance]), **options})
    state = problem.allocate(1)
    state.generator[:] = seed
    problem.load(state, 0, instance)
    return problem, state


def played(instance, rule="spt", seed=1, definition=PROBLEM, **options):
    problem = definition.bind({**definition.fit([instance]), **options})
    state = problem.allocate(1)
    state.generator[:] = seed
    problem.load(state, 0, instance)
    while not problem.finished(state)[0]:
        priority = definition.rules[rule].priority(state)
        problem.step(state, np.where(problem.action_masks(state), priority, np.inf).argmin(axis=1), ON)
    return problem, state


TWO = StochasticJobShopInstance("two", [[0, 1], [0, 1]], [[3.0, 2.0], [2.0, 4.0]], 2)


@pytest.mark.parametrize(
    ("objective", "value"),
    # SPT: job 1 on machine 0 in [0, 2), on 1 in [2, 6); job 0 on 0 in [2, 5), on 1 in [6, 8).
    [("makespan", 8.0), ("flow_time", 14.0), ("tardiness", 4.0), ("weighted_tardiness", 11.0)],
)
def test_objectives_by_hand(objective, value):
    instance = replace(TWO, objective=objective, due_dates=[5.0, 5.0], weights=[3.0, 2.0])
    problem, state = played(instance)
    assert state.starts[0].tolist() == [[2.0, 6.0], [0.0, 2.0]]
    assert problem.objective(state)[0] == PROBLEM.verify(instance, problem.solution(state, 0)) == value
    assert problem.potential(state)[0] == value


def test_releases_let_time_pass_and_hide_jobs():
    problem, state = started(replace(TWO, releases=[1.0, 2.5]))
    assert (state.clock[0], state.mask[0].tolist()) == (1.0, [True, False])
    out = problem.spec.allocate(1)
    problem.observe(state, np.arange(1), out, static=True)
    assert out["job_dynamic"][0, 0].any()
    assert not out["job_dynamic"][0, 1].any()
    problem.step(state, np.array([0]), ON)
    assert (state.clock[0], state.mask[0].tolist()) == (4.0, [True, True])


def test_waiting_is_deliberate():
    _, state = started(replace(TWO, releases=[0.0, 1.0]))
    assert state.mask.shape == (1, 2)
    problem, state = started(replace(TWO, releases=[0.0, 1.0]), wait=True)
    assert state.mask[0].tolist() == [True, False, True]
    problem.step(state, np.array([2]), ON)
    assert (state.clock[0], state.mask[0].tolist()) == (1.0, [True, True, False])


def test_breakdowns_interrupt_and_resume():
    instance = StochasticJobShopInstance("one", [[0]], [[50.0]], 1, time_to_failure=10.0, repair_time=3.0)
    problem, state = played(instance)
    log = problem.solution(state, 0)
    inside = log.failed_at < log.ends[0, 0]
    assert inside.sum() >= 1
    down = (log.repaired_at - log.failed_at)[inside].sum()
    assert log.ends[0, 0] - log.starts[0, 0] == pytest.approx(50.0 + down)
    assert PROBLEM.verify(instance, log) == pytest.approx(log.ends[0, 0])
    with pytest.raises(UsageError, match="processing time is"):
        PROBLEM.verify(instance, replace(log, ends=log.ends + 1.0))
    with pytest.raises(UsageError, match="no machine of it fails"):
        PROBLEM.verify(replace(instance, time_to_failure=0.0), log)


def test_steps_are_decisions_and_then_time():
    problem, state = started(replace(TWO, law="lognormal", sigma=0.5))
    twin_problem, twin = started(replace(TWO, law="lognormal", sigma=0.5))
    while not problem.finished(state)[0]:
        action = state.mask.argmax(axis=1)
        before = state.clock.copy()
        problem.step(twin, action, ON)
        assert not problem.decide(state, action, ON)[0]
        assert state.clock == before
        assert state.drawn[0, action[0], state.job_next[0, action[0]]] == NOT_YET
        problem.advance(state, ON)
        for mine, other in zip(state, twin, strict=True):
            assert mine.tobytes() == other.tobytes()
    assert twin_problem.finished(twin)[0]


def test_another_future_keeps_the_past_and_what_has_run():
    instance = replace(TWO, law="lognormal", sigma=0.5)
    problem, state = played(instance)
    finished = problem.objective(state)[0]
    others = set()
    for seed in range(20):
        problem, state = started(instance)
        problem.step(state, state.mask.argmax(axis=1), ON)
        known = (state.clock[0], state.starts.tobytes(), state.ends.tobytes())
        state.generator[:] = seed
        problem.resample(state, np.arange(1))
        assert known == (state.clock[0], state.starts.tobytes(), state.ends.tobytes())
        while not problem.finished(state)[0]:
            problem.step(state, state.mask.argmax(axis=1), ON)
        PROBLEM.verify(instance, problem.solution(state, 0))
        others.add(problem.objective(state)[0])
    assert len(others - {finished}) > 10


@pytest.mark.parametrize("rule", ["fifo", "spt", "lpt", "mwkr", "mopnr", "lwkr", "spt_mwkr"])
def test_without_noise_it_is_the_non_delay_job_shop(rule):
    rng = np.random.default_rng(3)
    for _ in range(5):
        routes = rng.permuted(np.tile(np.arange(5), (7, 1)), axis=1).astype(np.int32)
        times = rng.integers(1, 30, (7, 5)).astype(np.int32)
        instance = StochasticJobShopInstance("same", routes, times.astype(np.float64), 5)
        _, state = played(instance, rule)
        _, other = played(JobShopInstance("same", routes, times, 5), rule, definition=DETERMINISTIC)
        np.testing.assert_array_equal(state.starts, other.starts)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(LAWS), st.sampled_from(OBJECTIVES), st.booleans(), st.booleans())
def test_random_executions_are_verified(seed, law, objective, wait, fails):
    problem = PROBLEM.bind(
        {
            **{"sizes": ((4, 3), (2, 2)), "law": law, "objective": objective, "wait": wait, "utilisation": 0.8},
            **{"due_factors": (1.0, 2.0), "weighted": True, "time_low": 0, "time_high": 9, "above": 9},
            **({"failure_gap": 5.0, "repair_time": 1.0} if fails else {}),
        }
    )
    assert isinstance(problem, Problem)
    state = problem.allocate(1)
    state.generator[:] = seed
    problem.draw(state, np.arange(1))
    rng = np.random.default_rng(seed)
    while not problem.finished(state)[0]:
        problem.step(state, np.array([rng.choice(np.flatnonzero(state.mask[0]))]), ON)
    objective_value = PROBLEM.verify(problem.instance(state, 0), problem.solution(state, 0))
    assert problem.objective(state)[0] == pytest.approx(objective_value, rel=1e-9, abs=1e-9)
    assert problem.potential(state)[0] == pytest.approx(objective_value, rel=1e-9, abs=1e-9)
