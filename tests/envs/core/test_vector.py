"""The vector environment and the single one on top of it."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.core import GraphEnv, IllegalActionError, UsageError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lanes": 0}, "num_envs is 0; expected at least 1"),
        ({"autoreset_mode": AutoresetMode.NEXT_STEP}, "expected SAME_STEP or DISABLED"),
        ({"render_mode": "human"}, "render_mode is 'human'; expected 'rgb_array', 'ansi' or None"),
    ],
)
def test_bad_arguments(make, arguments, message):
    with pytest.raises(UsageError, match=message):
        make(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": [1, 2, 3]}, "seed has 3 entries; expected 2"),
        ({"seed": [1, -2]}, "seed of lane 1 is -2; expected at least 0"),
        ({"options": {"instances": [5]}}, r"options\['instances'\] has 1 entries; expected 2"),
        ({"options": {"reset_mask": np.ones(3, bool)}}, r"options\['reset_mask'\] is bool\(3,\); expected bool\(2,\)"),
        ({"options": {"reset_mask": np.ones(2)}}, r"options\['reset_mask'\] is float64\(2,\); expected bool\(2,\)"),
    ],
)
def test_bad_reset_arguments(make, arguments, message):
    with pytest.raises(UsageError, match=message):
        make().reset(**arguments)


def test_lane_i_has_seed_plus_i(make):
    env, other = make(3), make(3)
    env.reset(seed=10)
    other.reset(seed=[10, 11, 12])
    np.testing.assert_array_equal(env.state.generator, other.state.generator)


def test_a_missing_seed_leaves_the_lane_its_generator(make):
    env, other = make(2), make(2)
    env.reset(seed=10)
    other.reset(seed=10)
    env.reset(seed=[None, 99])
    other.reset()
    assert env.state.generator[0] == other.state.generator[0]
    assert env.state.generator[1] != other.state.generator[1]


def test_without_any_seed_two_environments_differ(make):
    env, other = make(1), make(1)
    env.reset()
    other.reset()
    assert env.state.generator[0] != other.state.generator[0]


def test_lanes_without_a_seed_on_the_first_reset_differ_from_each_other(make):
    env = make(3)
    env.reset(seed=[None, None, 5])
    assert len(set(env.state.generator.tolist())) == 3
    assert np.all(env.state.generator > 100)


def test_hand_computed_episode(make):
    env = make(2, autoreset_mode=AutoresetMode.DISABLED)
    observation, info = env.reset(seed=0, options={"instances": [3, 1]})
    assert observation["action_mask"].tolist() == [[True, True, True], [True, False, False]]
    assert info["objective"].tolist() == [0, 0]
    _, rewards, terminated, truncated, info = env.step([0, 2])
    assert rewards.tolist() == [-1, -0.25]
    assert info["invalid_action"].tolist() == [False, True]
    assert not terminated.any()
    _, rewards, terminated, truncated, info = env.step([1, 0])
    assert rewards.tolist() == [-1, -1]
    assert terminated.tolist() == [True, True]
    assert truncated.tolist() == [False, False]
    assert info["objective"].tolist() == [2, 1]
    assert [env.solution(0), env.solution(1)] == [2, 1]


def test_strict_names_lane_action_and_what_is_legal(make):
    env = make(2, strict=True)
    env.reset(seed=0, options={"instances": [5, 2]})
    with pytest.raises(IllegalActionError, match=r"lane 1: action 2 is masked; legal actions are \[0, 1\]"):
        env.step([2, 2])


def test_autoreset_in_the_same_step(make):
    env = make(2)
    env.reset(seed=0, options={"instances": [1, 5]})
    observation, rewards, terminated, _, info = env.step([0, 0])
    assert terminated.tolist() == [True, False]
    assert rewards.tolist() == [-1, -1]
    assert info["final_obs"][0]["take_dynamic"].tolist() == [[0], [0], [0]]
    assert info["final_info"]["objective"].tolist() == [1, 1]
    assert info["objective"].tolist() == [0, 1]
    assert observation["take_dynamic"][0, 0, 0] == env.instance(0) >= 4
    assert observation["take_dynamic"][1, 0, 0] == 4


def test_truncated_lanes_begin_anew_in_the_same_step(make):
    env = make(2, max_episode_steps=2)
    env.reset(seed=0, options={"instances": [9, 2]})
    env.step([0, 0])
    _, _, terminated, truncated, info = env.step([0, 0])
    assert terminated.tolist() == [False, True]
    assert truncated.tolist() == [True, False]
    assert info["final_obs"][0]["take_dynamic"][0, 0] == 7
    assert info["objective"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "outlives"), [({"double_buffer": True}, True), ({"copy": True}, True), ({}, False)]
)
def test_observations_outlive_a_step_where_promised(make, arguments, outlives):
    env = make(3, **{"copy": False, **arguments})
    assert env.observations_outlive_a_step is outlives
    observation, _ = env.reset(seed=0, options={"instances": [1, 2, 9]})
    kept_all = True
    for _ in range(12):
        before = {key: array.copy() for key, array in observation.items()}
        following, _, _, _, _ = env.step([0, 0, 0])
        kept_all &= all(np.array_equal(array, before[key]) for key, array in observation.items())
        np.testing.assert_array_equal(following["take_dynamic"][:, 0, 0], env.state.left)
        observation = following
    assert kept_all is outlives


def test_render_draws_every_lane(make):
    env = make(2, render_mode="ansi")
    env.reset(seed=0, options={"instances": [3, 1]})
    assert env.render() == ("ooo", "o")
    assert make(2).render() is None


def test_single_environment_is_one_lane(pile):
    env = GraphEnv(pile, render_mode="ansi")
    observation, info = env.reset(seed=0, options={"instance": 2})
    assert observation["action_mask"].tolist() == env.action_masks().tolist() == [True, True, False]
    assert info == {"objective": 0.0, "reward_unit": 1.0, "invalid_action": False}
    assert env.render() == "oo"
    snapshot = env.snapshot()
    for _ in range(2):
        observation, reward, terminated, truncated, info = env.step(1)
        assert (reward, terminated, truncated, info["objective"]) == (-1.0, True, False, 1.0)
        assert env.restore(snapshot)["action_mask"].tolist() == [True, True, False]


def test_single_environment_can_be_strict(pile):
    env = GraphEnv(pile, strict=True)
    env.reset(seed=0, options={"instance": 1})
    with pytest.raises(IllegalActionError, match=r"action 1 is masked; legal actions are \[0\]"):
        env.step(1)
