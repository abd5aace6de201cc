"""Environments with a vector of rewards, over every registered problem with several objectives."""

import gymnasium
import mo_gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from mo_gymnasium.wrappers import LinearReward, MORecordEpisodeStatistics

from envs.core import UsageError, problem, problems
from envs.core.registry import make_vector_reward_vector_env, register_all
from envs.core.several import VectorRewardEnv

NAMES = [name for name, definition in problems().items() if definition.trade_off]


@pytest.fixture(params=NAMES)
def definition(request):
    register_all()
    return problem(request.param)


def actions(env, rng):
    return np.array([rng.choice(np.flatnonzero(mask)) for mask in env.action_masks()])


def test_there_is_such_a_problem():
    assert NAMES


def test_the_weighted_vector_is_the_scalar_reward(definition):
    for options in definition.variants:
        vector, scalar = (
            VectorRewardEnv(definition.bind(options)),
            gymnasium.make(definition.env_id, **options).unwrapped,
        )
        rng = np.random.default_rng(0)
        for env in (vector, scalar):
            env.reset(seed=3)
        if options.get("reward", "cost") != "cost":
            continue  # the scalar reward leaves something out
        weights = vector.problem.preferences(vector._lane.state)[0]
        ended = False
        while not ended:
            action = rng.choice(np.flatnonzero(scalar.action_masks()))
            _, rewards, ended, _, info = vector.step(action)
            _, reward, scalar_ended, _, _ = scalar.step(action)
            assert rewards.dtype == np.float32
            assert rewards in vector.reward_space
            assert weights @ rewards == pytest.approx(reward, rel=1e-5, abs=1e-5)
            assert ended == scalar_ended
        scales = [criterion.scale for criterion in vector.problem.criteria]
        assert info["objective"] == pytest.approx(weights @ (scales * info["objectives"]), rel=1e-9)


def test_a_refused_action_costs_every_objective_the_penalty(definition):
    env = VectorRewardEnv(definition.bind({}))
    env.reset(seed=0)
    _, rewards, _, _, info = env.step(env.action_space.n + 5)
    assert info["invalid_action"]
    np.testing.assert_allclose(rewards, -env.problem.illegal_action_penalty, rtol=1e-6)


def test_returning_to_a_snapshot_repeats_the_rewards(definition):
    env = VectorRewardEnv(definition.bind({}))
    env.reset(seed=0)
    env.step(0)
    kept = env.snapshot()
    first = env.step(1)[1]
    env.step(0)
    env.restore(kept)
    np.testing.assert_array_equal(env.step(1)[1], first)


def test_lanes_equal_single_runs_across_episodes(definition):
    options = definition.variants[0]
    lanes = gymnasium.make_vec(definition.vector_env_id, num_envs=3, vectorization_mode="vector_entry_point", **options)
    lanes = lanes.unwrapped
    singles = [gymnasium.make(definition.vector_env_id, **options).unwrapped for _ in range(3)]
    lanes.reset(seed=5)
    for lane, single in enumerate(singles):
        single.reset(seed=5 + lane)
    rng = np.random.default_rng(0)
    ended = 0
    for _ in range(80):
        chosen = actions(lanes, rng)
        _, rewards, terminated, _, _ = lanes.step(chosen)
        assert rewards.shape == (3, lanes.reward_dim)
        for lane, single in enumerate(singles):
            _, reward, over, _, _ = single.step(chosen[lane])
            np.testing.assert_allclose(rewards[lane], reward, rtol=1e-5, atol=1e-6)
            if over:
                single.reset()
        ended += terminated.sum()
    assert ended > 3


class FreshWeights(LinearReward):
    """Gives every info its own copy of the weights, which Gymnasium's checker asks for."""

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {**info, "reward_weights": self.w.copy()}


def test_mo_gymnasiums_own_checks_pass(definition):
    env = mo_gymnasium.make(definition.vector_env_id)
    dimension = env.unwrapped.reward_dim
    assert env.unwrapped.reward_space.shape == (dimension,)
    unchecked = mo_gymnasium.make(definition.vector_env_id, disable_env_checker=True)
    check_env(FreshWeights(unchecked, weight=np.full(dimension, 1 / dimension)), skip_render_check=True)
    recorded = MORecordEpisodeStatistics(env, gamma=definition.trade_off.gamma)
    recorded.reset(seed=1)
    total, ended = np.zeros(dimension), False
    while not ended:
        _, rewards, ended, _, info = recorded.step(np.flatnonzero(recorded.unwrapped.action_masks())[0])
        total += rewards
    np.testing.assert_allclose(info["episode"]["r"], total, rtol=1e-4)


def test_a_problem_with_one_objective_has_no_vector():
    with pytest.raises(UsageError, match="the problem has a single objective; expected several"):
        make_vector_reward_vector_env("job_shop", 2)
