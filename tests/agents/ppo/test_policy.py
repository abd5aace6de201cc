"""The policy that stable-baselines3 drives: remembered encodings, masks, sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3.common.utils import obs_as_tensor

from agents.ppo.adapter import EPISODE
from envs.core.spec import ACTION_MASK


def randomise(policy):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy.network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))


def weights(learner):
    return b"".join(tensor.numpy().tobytes() for tensor in learner.policy.network.state_dict().values())


@pytest.mark.parametrize("decision", ["pooling", "attention"])
def test_remembered_encodings_equal_fresh_ones(small, decision):
    learner = small.learner(model={"decision": decision})
    policy, adapter = learner.policy, learner.env
    randomise(policy)
    policy.set_training_mode(False)
    observation = adapter.reset()
    rng = np.random.default_rng(0)
    for _ in range(30):
        tensors = obs_as_tensor(observation, "cpu")
        with torch.no_grad():
            actions, values, log_probabilities = policy(tensors)
            fresh_values, fresh, _ = policy.evaluate_actions(tensors, actions)
        torch.testing.assert_close(values, fresh_values, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(log_probabilities, fresh, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(values, policy.predict_values(tensors), rtol=1e-4, atol=1e-5)
        observation, _, _, _ = adapter.step(small.legal_actions(adapter, rng))


def test_collection_encodes_every_episode_once(small, monkeypatch):
    learner = small.learner()
    policy, adapter = learner.policy, learner.env
    policy.set_training_mode(False)
    encoded = []
    encode = policy.network.encode

    def count(graph):
        encoded.append(len(graph.nodes["operation"]))
        return encode(graph)

    monkeypatch.setattr(policy.network, "encode", count)
    observation = adapter.reset()
    numbers = set()
    rng = np.random.default_rng(0)
    for _ in range(30):
        numbers.update(observation[EPISODE][:, 0].tolist())
        with torch.no_grad():
            policy(obs_as_tensor(observation, "cpu"))
        observation, _, _, _ = adapter.step(small.legal_actions(adapter, rng))
    assert sum(encoded) == len(numbers)


def test_new_weights_are_not_used_with_old_encodings(small):
    learner = small.learner()
    policy = learner.policy
    tensors = obs_as_tensor(learner.env.reset(), "cpu")
    policy.set_training_mode(False)
    with torch.no_grad():
        policy(tensors)
        policy.set_training_mode(True)
        randomise(policy)
        policy.set_training_mode(False)
        actions, values, _ = policy(tensors)
        expected, _, _ = policy.evaluate_actions(tensors, actions)
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-5)


def test_looking_at_another_environment_does_not_disturb_what_is_remembered(small):
    """The other environment has as many lanes, and its episodes carry the same numbers."""
    learner = small.learner()
    policy = learner.policy
    randomise(policy)
    policy.set_training_mode(False)
    here, there = small.adapter(lanes=6, seed=1), small.adapter(lanes=6, seed=2)
    observation, other = here.reset(), there.reset()
    rng = np.random.default_rng(0)
    for _ in range(14):
        assert observation[EPISODE].tolist() == other[EPISODE].tolist()
        tensors = obs_as_tensor(observation, "cpu")
        with torch.no_grad():
            actions, values, log_probabilities = policy(tensors)
            fresh_values, fresh, _ = policy.evaluate_actions(tensors, actions)
            policy.predict_values(obs_as_tensor(other, "cpu"))
            policy.get_distribution(obs_as_tensor(other, "cpu"))
        torch.testing.assert_close(values, fresh_values, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(log_probabilities, fresh, rtol=1e-4, atol=1e-5)
        policy.predict(other)
        observation, _, _, _ = here.step(small.legal_actions(here, rng))
        other, _, _, _ = there.step(small.legal_actions(there, rng))


def test_only_legal_actions_are_sampled_and_as_often_as_the_policy_says(small):
    learner = small.learner(lanes=2, steps=64)
    policy = learner.policy
    randomise(policy)
    observation = {key: np.repeat(array[:1], 4000, axis=0) for key, array in learner.env.reset().items()}
    observation[ACTION_MASK][:, 1] = False
    tensors = obs_as_tensor(observation, "cpu")
    with torch.no_grad():
        actions, _, log_probabilities = policy(tensors)
        distribution = policy.get_distribution(tensors, observation[ACTION_MASK]).distribution.probs[0]
        greedy, _, _ = policy(tensors, deterministic=True)
    frequency = torch.bincount(actions, minlength=3) / 4000
    assert frequency[1] == 0
    assert distribution[1] == 0
    torch.testing.assert_close(frequency, distribution, rtol=0, atol=0.03)
    torch.testing.assert_close(log_probabilities.exp(), distribution[actions], rtol=1e-4, atol=1e-5)
    assert (greedy == distribution.argmax()).all()


def test_the_seed_decides_everything(small):
    def train(seed):
        torch.manual_seed(int.from_bytes(np.random.default_rng().bytes(4), "little"))
        learner = small.learner(seed=seed)
        learner.learn(200)
        return weights(learner)

    assert train(1) == train(1)
    assert train(1) != train(2)


def test_building_a_policy_leaves_the_global_generator_alone(small):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    small.learner()
    assert torch.equal(torch.get_rng_state(), before)
