"""Simulated time, further measures and randomness are what the catalogue entry says of them."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from agents.evaluation.rows import COLUMNS

LANES = 4


def play(env, instances=None, seeds=None):
    """Runs the same random ranking of actions in all lanes; returns the clocks (None without) and the objectives."""
    rng = np.random.default_rng(0)
    _, info = env.reset(seed=seeds or 0, options={} if instances is None else {"instances": instances})
    clocks = [info.get("clock")]
    while not env.problem.finished(env.state).all():
        mask = env.action_masks()
        info = env.step(np.where(mask, rng.random(mask.shape[1]), -1.0).argmax(axis=1))[4]
        clocks.append(info.get("clock"))
    return clocks, info["objective"]


def test_time_never_runs_backwards(case):
    env = case.vector(LANES, autoreset_mode=AutoresetMode.DISABLED)
    clocks, _ = play(env)
    if env.problem.clock(env.state) is None:
        assert all(clock is None for clock in clocks)
        return
    assert np.isfinite(clocks).all()
    assert (np.diff(clocks, axis=0) >= 0).all()
    assert (clocks[-1] > clocks[0]).all()


def test_the_clock_of_an_ended_episode_is_in_its_final_info(case, tools):
    env, twin = case.vector(LANES), case.vector(LANES, autoreset_mode=AutoresetMode.DISABLED)
    if env.problem.clock(env.state) is None:
        pytest.skip("no time passes in this problem")
    _, start = env.reset(seed=0)
    twin.reset(seed=0)
    for _ in range(tools.step_limit):
        actions = env.action_masks().argmax(axis=1)
        _, _, ended, _, info = env.step(actions)
        last = twin.step(actions)[4]
        np.testing.assert_array_equal(info["clock"][~ended], last["clock"][~ended])
        assert info["_clock"].all()
        if ended.any():
            np.testing.assert_array_equal(info["final_info"]["clock"], last["clock"])
            np.testing.assert_array_equal(info["clock"], env.problem.clock(env.state))
            assert (info["clock"][ended] < last["clock"][ended]).all()
            assert start["clock"].shape == (LANES,)
            return
    raise AssertionError("episodes did not end")


def test_further_measures_have_the_same_names_on_every_instance_and_are_numbers(case):
    if case.definition.metrics is None:
        pytest.skip(f"{case.definition.name} has no further measures")
    env = case.vector(LANES, autoreset_mode=AutoresetMode.DISABLED)
    play(env)
    instances = [env.instance(lane) for lane in range(LANES)]
    found = [case.definition.metrics(instance, env.solution(lane)) for lane, instance in enumerate(instances)]
    names: dict[bool, list[str]] = {}
    for instance, measures in zip(instances, found, strict=True):
        assert names.setdefault(case.definition.stochastic(instance), list(measures)) == list(measures)
        assert all(isinstance(value, float) for value in measures.values())
        assert not set(measures) & set(COLUMNS)


def test_only_stochastic_instances_depend_on_the_seed(case):
    drawn = case.vector(1)
    drawn.reset(seed=3)
    instance = drawn.instance(0)
    env = case.vector(LANES, autoreset_mode=AutoresetMode.DISABLED)
    _, objectives = play(env, [instance] * LANES, seeds=[10, 11, 12, 13])
    _, again = play(env, [instance] * LANES, seeds=[10, 10, 12, 13])
    if case.definition.stochastic(instance):
        assert len(set(objectives.tolist())) > 1
    else:
        assert len(set(objectives.tolist())) == 1
    np.testing.assert_array_equal(again, objectives[[0, 0, 2, 3]])
