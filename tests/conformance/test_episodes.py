"""How episodes end and begin: autoreset in the same step, truncation, partial resets."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.core import UsageError


def test_final_observation_and_info_belong_to_the_ended_episode(case, tools):
    """A twin without autoreset shows what the last observation and objective were."""
    env = case.vector(3)
    twin = case.vector(3, autoreset_mode=AutoresetMode.DISABLED)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    twin.reset(seed=0)
    seen = 0
    for _ in range(tools.step_limit):
        actions = tools.random_actions(env, rng)
        observation, rewards, terminated, _, info = env.step(actions)
        last, twin_rewards, twin_terminated, _, twin_info = twin.step(actions)
        np.testing.assert_array_equal(rewards, twin_rewards)
        np.testing.assert_array_equal(terminated, twin_terminated)
        assert ("final_obs" in info) == ("final_info" in info) == terminated.any()
        if terminated.any():
            np.testing.assert_array_equal(info["_final_obs"], terminated)
            np.testing.assert_array_equal(info["_final_info"], terminated)
            for lane in range(3):
                if terminated[lane]:
                    tools.assert_same(info["final_obs"][lane], tools.row(last, lane))
                    final_objective = info["final_info"]["objective"][lane]
                    assert final_objective == twin_info["objective"][lane]
                    assert final_objective == pytest.approx(case.verified(twin, lane), rel=1e-12)
                    assert not info["final_obs"][lane]["action_mask"].any()
                    seen += 1
                else:
                    assert info["final_obs"][lane] is None
            observation_again, _ = twin.reset(options={"reset_mask": terminated})
            tools.assert_same(observation, observation_again)
        if seen >= 6:
            return
    raise AssertionError("episodes did not end")


@pytest.mark.parametrize("limit", [1, 2])
def test_episodes_are_truncated_at_the_limit(case, tools, limit):
    env = case.vector(3, max_episode_steps=limit)
    free = case.vector(3)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    free.reset(seed=0)
    ended = np.zeros(3, bool)
    for step in range(1, limit + 1):
        actions = tools.random_actions(env, rng)
        _, _, terminated, truncated, info = env.step(actions)
        last, _, free_terminated, _, _ = free.step(actions)
        if not ended.any():
            np.testing.assert_array_equal(terminated, free_terminated)
            np.testing.assert_array_equal(truncated, ~terminated & (step == limit))
            for lane in np.flatnonzero(truncated):
                tools.assert_same(info["final_obs"][lane], tools.row(last, lane))
        ended |= terminated | truncated
    assert ended.all()


def test_step_count_begins_anew_with_each_episode(case, tools):
    env = case.vector(2, max_episode_steps=2)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    length = np.zeros(2, int)
    for _ in range(12):
        _, _, terminated, truncated, _ = env.step(tools.random_actions(env, rng))
        length += 1
        np.testing.assert_array_equal(truncated, (length == 2) & ~terminated)
        length[terminated | truncated] = 0


def test_partial_reset_leaves_the_other_lanes(case, tools):
    env = case.vector(4, autoreset_mode=AutoresetMode.DISABLED)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(2):
        before, *_ = env.step(tools.random_actions(env, rng))
    state = env.snapshot()
    mask = np.array([True, False, True, False])
    after, info = env.reset(seed=50, options={"reset_mask": mask})
    fresh, fresh_info = case.vector(4).reset(seed=50)
    for lane in range(4):
        expected = fresh if mask[lane] else before
        tools.assert_same(tools.row(after, lane), tools.row(expected, lane))
    np.testing.assert_array_equal(info["objective"][mask], fresh_info["objective"][mask])
    for was, now in zip(state.state, env.state, strict=True):
        np.testing.assert_array_equal(was[~mask], now[~mask])


def test_reset_without_a_seed_goes_on_drawing(case, tools):
    """A second reset without a seed continues the generators: same from the same start, reseeded only when asked."""
    env, other = case.vector(8), case.vector(8)
    env.reset(seed=1)
    other.reset(seed=1)
    tools.assert_same(env.reset()[0], other.reset()[0])
    assert np.all(env.state.generator == other.state.generator)
    assert len(set(env.state.generator.tolist())) == 8


def test_bad_reset_masks_are_usage_errors(case):
    env = case.vector(2)
    with pytest.raises(UsageError, match=r"options\['reset_mask'\]"):
        env.reset(options={"reset_mask": np.array([1, 0])})
