"""A second critic of the states between decisions and what follows on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import ConvertCallback

from agents.ppo.config import PPOConfig
from agents.ppo.learner import check_settings, make_learner, parts
from agents.state import restore_state, save_state
from envs.core import GraphVectorEnv, UsageError, problem

DEFINITION = problem("stochastic_job_shop")
OPTIONS = {"sizes": ((4, 3),), "sigmas": (0.5,)}


@pytest.fixture
def learner_of(small):
    """Makes learners on a small stochastic shop."""

    def make(**settings):
        return make_learner(DEFINITION, OPTIONS, small.model(), small.config(critic="post_decision", **settings))

    return make


def collect(learner, steps=16):
    _, callback = learner._setup_learn(10**6, ConvertCallback(lambda *_: True), reset_num_timesteps=False)
    learner.collect_rollouts(learner.env, callback, learner.rollout_buffer, steps)
    return learner.rollout_buffer


def test_looking_between_changes_nothing_and_foresees_nothing():
    env = GraphVectorEnv(DEFINITION.bind(OPTIONS), 4, skip_forced=True)
    observation, _ = env.reset(seed=1)
    actions = observation["action_mask"].argmax(axis=1)
    before = [array.copy() for array in env.state]
    seen, earned = env.post_decision(actions)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(before, env.state, strict=True))
    env.state.generator[...] += np.uint64(99)  # another future
    env.state.key[...] += np.uint64(99)
    again, earned_again = env.post_decision(actions)
    assert (earned == earned_again).all()
    assert all((seen[key] == again[key]).all() for key in seen)


def test_what_the_decision_earns_and_what_follows_make_the_reward():
    env = GraphVectorEnv(DEFINITION.bind(OPTIONS), 4)
    observation, _ = env.reset(seed=1)
    actions = observation["action_mask"].argmax(axis=1)
    seen, earned = env.post_decision(actions)
    state, own = env.problem.allocate(4), env.state
    for array, source in zip(state, own, strict=True):
        array[...] = source
    before = env.problem.potential(state)
    active = np.ones(4, np.bool_)
    assert not env.problem.decide(state, actions, active).any()
    between = env.problem.potential(state)
    env.problem.advance(state, active)
    after = env.problem.potential(state)
    _, rewards, *_ = env.step(actions)
    unit = env.problem.reward_unit(env.state)
    assert earned == pytest.approx((before - between) / unit)
    assert earned + (between - after) / unit == pytest.approx(rewards)
    assert set(seen) == set(observation)


def test_the_buffer_keeps_the_states_between(learner_of):
    learner = learner_of()
    buffer = collect(learner)
    seen, earned = learner.env.between
    assert (buffer.earned[-1] == earned).all()
    assert all((array[-1] == seen[key]).all() for key, array in buffer.between.items())
    sizes, visited = [], np.zeros(buffer.values.shape, np.int64)
    for observations, index in buffer.between_batches(20, shuffle=True):
        sizes.append(len(observations.episode))
        visited[index] += 1
        for key, array in observations.dynamic.items():
            assert (array.numpy() == buffer.between[key][index]).all()
    assert (visited == 1).all()
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("combination", ["largest", "expected"])
def test_advantages_are_those_of_both_critics(learner_of, combination, monkeypatch):
    learner = learner_of(post_decision=combination)
    buffer = collect(learner)
    second = learner._second_values(buffer)
    first = buffer.returns - buffer.values
    seen = []
    get = buffer.get
    monkeypatch.setattr(buffer, "get", lambda size: seen.append(buffer.advantages.copy()) or get(size))
    learner.train()
    led = buffer.returns - buffer.earned - second
    wanted = np.maximum(first, led) if combination == "largest" else buffer.earned + second - buffer.values
    assert np.allclose(seen[0], wanted)
    assert second.std() > 0


def test_the_second_critic_learns_what_follows(learner_of):
    """Here a mean over the nodes of the state, so that no noise is left."""
    learner = learner_of(learning_rate=0.01, max_gradient_norm=100.0)
    buffer = collect(learner)
    target = buffer.between["job_dynamic"].mean(axis=(2, 3))

    def error():
        return ((learner._second_values(buffer) - target) ** 2).mean()

    assert error() > target.var() > 0
    for _ in range(60):
        list(learner._second_epoch(buffer, target))
    assert error() < 0.1 * target.var()


def test_both_critics_begin_and_go_on_apart_and_are_resumed(learner_of, tmp_path):
    learner, other = learner_of(), learner_of()
    first, second = learner.policy.network.state_dict(), learner.second.state_dict()
    assert any((first[key] != second[key]).any() for key in first)
    learner.learn(3 * 16 * 6)
    save_state(tmp_path, parts(learner), {}, {})
    restore_state(tmp_path, parts(other), {})
    for mine, theirs in zip(learner.second.parameters(), other.second.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    mine, theirs = (each.second_optimiser.state_dict()["state"] for each in (learner, other))
    assert torch.equal(mine[0]["exp_avg"], theirs[0]["exp_avg"])


def test_problems_without_such_states_are_named():
    with pytest.raises(UsageError, match="but job_shop shows no state between a decision and what follows"):
        check_settings(problem("job_shop").bind({}), "job_shop", PPOConfig(critic="post_decision"))
    with pytest.raises(UsageError, match="JobShop has no state between a decision and what follows"):
        GraphVectorEnv(problem("job_shop").bind({}), 1).post_decision(np.zeros(1, np.int64))
    with pytest.raises(UsageError, match="post_decision is 'mean'; expected one of largest, expected"):
        PPOConfig(post_decision="mean")
