"""Every environment is a Gymnasium environment, made through Gymnasium or directly."""

import pickle
import warnings
from dataclasses import fields

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from envs.core import GraphEnv, GraphVectorEnv


def test_variants_reach_every_option(definition):
    reached = {option for variant in definition.variants for option in variant}
    assert reached == {field.name for field in fields(definition.config)}


def test_options_have_defaults_that_gymnasium_can_make(definition):
    env = gymnasium.make(f"envs:{definition.env_id}")
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space


def test_gymnasium_checker_has_nothing_to_say(case):
    env = case.registered(disable_env_checker=True).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(infinity|minimum value|maximum value).*")
        check_env(env)


def test_spaces_contain_what_is_returned(case, tools):
    env = case.single()
    for observation, action in tools.random_steps(env, seed=1):
        assert observation in env.observation_space
        assert action is None or action in env.action_space


def test_vector_spaces_contain_what_is_returned(case, tools):
    env = case.vector(3)
    rng = np.random.default_rng(0)
    observation, info = env.reset(seed=1)
    for _ in range(60):
        assert observation in env.observation_space
        for key in ("objective", "reward_unit", "invalid_action"):
            assert info[key].shape == info[f"_{key}"].shape == (3,)
        actions = tools.random_actions(env, rng)
        assert actions in env.action_space
        observation, rewards, terminated, truncated, info = env.step(actions)
        assert rewards.dtype == np.float64
        assert terminated.dtype == truncated.dtype == np.bool_
        assert rewards.shape == terminated.shape == truncated.shape == (3,)


def test_gymnasium_make_gives_the_same_bytes(case, tools):
    ours, theirs = case.single(), case.registered()
    assert isinstance(theirs.unwrapped, GraphEnv)
    for (mine, action), (other, same_action) in zip(
        tools.random_steps(ours, 2), tools.random_steps(theirs.unwrapped, 2), strict=True
    ):
        tools.assert_same(mine, other)
        assert action == same_action


def test_gymnasium_make_vec_gives_the_native_environment(case, tools):
    env = gymnasium.make_vec(f"envs:{case.definition.env_id}", num_envs=3, **case.options)
    assert isinstance(env.unwrapped, GraphVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    tools.assert_same(env.reset(seed=4)[0], case.vector(3).reset(seed=4)[0])


def test_gymnasium_make_vec_passes_arguments_of_the_shell(case):
    env = gymnasium.make_vec(f"envs:{case.definition.env_id}", num_envs=2, max_episode_steps=1, **case.options)
    env.reset(seed=0)
    actions = env.unwrapped.action_masks().argmax(axis=1)
    _, _, terminated, truncated, _ = env.step(actions)
    assert np.all(terminated | truncated)


def test_specs_survive_pickling(case, tools):
    env = case.registered()
    again = gymnasium.make(pickle.loads(pickle.dumps(env.spec)))
    tools.assert_same(env.reset(seed=5)[0], again.reset(seed=5)[0])
    vector = gymnasium.make_vec(f"envs:{case.definition.env_id}", num_envs=2, **case.options)
    vector_again = gymnasium.make_vec(pickle.loads(pickle.dumps(vector.unwrapped.spec)), num_envs=2)
    tools.assert_same(vector.reset(seed=5)[0], vector_again.reset(seed=5)[0])


def test_environments_survive_pickling_in_mid_episode(case, tools):
    env = case.single()
    env.reset(seed=6)
    env.step(int(np.flatnonzero(env.action_masks())[0]))
    copy = pickle.loads(pickle.dumps(env))
    assert tools.same_state(env.snapshot(), copy.snapshot())
    action = int(np.flatnonzero(env.action_masks())[-1])
    tools.assert_same(env.step(action)[0], copy.step(action)[0])


def test_pictures(case, tools):
    env = case.single(render_mode="rgb_array")
    env.reset(seed=3)
    beginning = env.render()
    for _, action in tools.random_steps(env, seed=3):
        if action is None:
            break
        middle = env.render()
    end = env.render()
    for picture in (beginning, middle, end):
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        assert picture.std() > 0
    assert beginning.shape != end.shape or not np.array_equal(beginning, end)


def test_text_pictures(case, tools):
    env = case.single(render_mode="ansi")
    env.reset(seed=3)
    before = env.render()
    for _ in tools.random_steps(env, seed=3):
        pass
    assert isinstance(before, str)
    assert before.strip()
    assert env.render() != before


def test_vector_pictures_are_one_a_lane(case):
    env = case.vector(2, render_mode="ansi")
    env.reset(seed=0)
    assert [type(text) for text in env.render()] == [str, str]
    assert case.vector(2).render() is None


def test_time_limit_of_gymnasium_truncates(case):
    env = case.registered(max_episode_steps=1)
    env.reset(seed=0)
    _, _, terminated, truncated, _ = env.step(int(env.unwrapped.action_masks().argmax()))
    assert terminated or truncated


@pytest.mark.parametrize("wrapper", [gymnasium.wrappers.vector.RecordEpisodeStatistics])
def test_vector_wrappers_count_episodes(case, tools, wrapper):
    env = wrapper(case.vector(2))
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    returns = np.zeros(2)
    for _ in range(tools.step_limit):
        _, rewards, terminated, _, info = env.step(tools.random_actions(env.unwrapped, rng))
        returns += rewards
        if terminated.any():
            break
    ended = np.flatnonzero(terminated)
    statistics = info["final_info"]["episode"] if "episode" not in info else info["episode"]
    np.testing.assert_allclose(statistics["r"][ended], returns[ended], atol=1e-6)
