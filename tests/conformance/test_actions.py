"""The mask is right: every masked action is refused without a trace, every other one is taken."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.core import IllegalActionError, Snapshot


def decisions(case, tools, episodes=3):
    """Snapshots and masks of every decision of some random episodes."""
    env = case.single()
    for seed in range(episodes):
        for _, action in tools.random_steps(env, seed=seed):
            if action is not None:
                yield env.snapshot(), env.action_masks()


def on_lanes(snapshot, lanes):
    """The state of a single lane, on many."""
    repeated = [np.repeat(array, lanes, axis=0) for array in (*snapshot.state, *snapshot[1:])]
    return Snapshot(tuple(repeated[:-2]), *repeated[-2:])


def test_mask_tells_exactly_which_actions_are_taken(case, tools):
    size = case.definition.bind(case.options).spec.num_actions
    actions = np.arange(-1, size + 1)
    env = case.vector(len(actions), autoreset_mode=AutoresetMode.DISABLED)
    penalty = env.problem.illegal_action_penalty
    for snapshot, mask in decisions(case, tools):
        legal = np.concatenate([[False], mask, [False]])
        start = on_lanes(snapshot, len(actions))
        before = env.restore(start)
        after, rewards, terminated, truncated, info = env.step(actions)
        np.testing.assert_array_equal(info["invalid_action"], ~legal)
        changed = np.zeros(len(actions), bool)
        for was, now in zip(start.state, env.state, strict=True):
            changed |= (was != now).reshape(len(actions), -1).any(axis=1)
        np.testing.assert_array_equal(changed, legal)
        refused = np.flatnonzero(~legal)
        np.testing.assert_array_equal(rewards[refused], -penalty)
        assert not (terminated | truncated)[refused].any()
        for key in before:
            np.testing.assert_array_equal(before[key][refused], after[key][refused], err_msg=key)


def test_some_action_is_legal_until_the_end(case, tools):
    env = case.single()
    for seed in range(5):
        for observation, action in tools.random_steps(env, seed=seed):
            assert observation["action_mask"].any() == (action is not None)
            np.testing.assert_array_equal(observation["action_mask"], env.action_masks())


def test_strict_raises_and_leaves_the_state(case, tools):
    env = case.single(strict=True)
    for seed in range(2):
        for _, action in tools.random_steps(env, seed=seed):
            if action is None:
                break
            before = env.snapshot()
            for illegal in [-1, *np.flatnonzero(~env.action_masks()), len(env.action_masks())]:
                with pytest.raises(IllegalActionError, match=f"action {illegal} is masked"):
                    env.step(int(illegal))
            assert tools.same_state(before, env.snapshot())


def test_finished_lanes_stand_still_without_autoreset(case, tools):
    env = case.vector(3, autoreset_mode=AutoresetMode.DISABLED)
    rng = np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    ended = np.zeros(3, bool)
    for _ in range(tools.step_limit):
        previous = observation
        observation, rewards, terminated, _, info = env.step(tools.random_actions(env, rng))
        for lane in np.flatnonzero(ended):
            tools.assert_same(tools.row(previous, lane), tools.row(observation, lane))
        assert not rewards[ended].any()
        assert not (terminated | info["invalid_action"])[ended].any()
        ended |= terminated
        if ended.all():
            break
    assert ended.all()
