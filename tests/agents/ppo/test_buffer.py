"""The rollout buffer keeps every transition, with the observation it was taken on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import ConvertCallback

from agents.ppo.adapter import EPISODE

LANES, STEPS = 6, 16


def collect(learner, rollouts=1):
    """Collects like `learn` does; returns what was handed to the buffer in the last rollout, step by step."""
    _, callback = learner._setup_learn(10**6, ConvertCallback(lambda *_: True))
    add, added = learner.rollout_buffer.add, []

    def record(obs, *arguments, **more):
        added.append({key: array.copy() for key, array in obs.items()})
        add(obs, *arguments, **more)

    learner.rollout_buffer.add = record
    for _ in range(rollouts):
        added.clear()
        learner.collect_rollouts(learner.env, callback, learner.rollout_buffer, STEPS)
    return added


@pytest.fixture
def learner(small):
    return small.learner(options={**small.options, "sizes": ((3, 2), (2, 2), (3, 3))})


@pytest.mark.parametrize("rollouts", [1, 2])
@pytest.mark.parametrize("size", [5, 24, LANES * STEPS, None])
def test_minibatches_hold_every_free_decision_once_with_its_observation(learner, size, rollouts):
    added = collect(learner, rollouts)
    buffer = learner.rollout_buffer
    free = np.flatnonzero((buffer.action_masks.sum(axis=2) > 1).flatten())
    buffer.values = np.arange(STEPS * LANES, dtype=np.float32).reshape(STEPS, LANES)  # a name for each transition
    names = []
    for batch in buffer.get(size):
        assert abs(len(batch.old_values) - min(size or len(free), len(free))) <= (size or 1) / 2
        assert len(torch.unique(batch.observations.episode)) == batch.observations.episodes
        for row, name in enumerate(batch.old_values.long().tolist()):
            names.append(name)
            step, lane = divmod(name, LANES)
            observation = added[step]
            for key, array in batch.observations.dynamic.items():
                assert array[row].numpy().tobytes() == observation[key][lane].tobytes(), key
            episode = int(batch.observations.episode[row])
            for key, array in batch.observations.static.items():
                assert array[episode].numpy().tobytes() == observation[key][lane].tobytes(), key
            assert int(batch.actions[row]) == int(buffer.actions[step, lane, 0])
            assert batch.action_masks[row].tolist() == buffer.action_masks[step, lane].tolist()
    assert sorted(names) == free.tolist()


@pytest.mark.parametrize("legal", [0, 1, 2, 3, 7])
def test_no_minibatch_is_a_single_decision(learner, legal):
    collect(learner)
    buffer = learner.rollout_buffer
    buffer.action_masks[:] = False
    buffer.action_masks[..., 0] = True
    buffer.action_masks[:legal, 2, 1] = True
    sizes = [len(batch.old_values) for batch in buffer.get(2)]
    assert sum(sizes) == (legal if legal > 1 else STEPS * LANES)
    assert min(sizes) > 1


def test_static_arrays_are_stored_once_an_episode(learner):
    added = collect(learner)
    numbers = {int(number) for observation in added for number in observation[EPISODE][:, 0]}
    assert learner.rollout_buffer.episodes_stored == len(numbers)
    assert all(len(arrays) == len(numbers) for arrays in learner.rollout_buffer.static.values())


@pytest.mark.parametrize("decision", ["pooling", "attention"])
def test_training_sees_the_probabilities_and_values_of_collection(small, decision):
    learner = small.learner(model={"decision": decision})
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in learner.policy.network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    collect(learner, rollouts=2)
    learner.policy.set_training_mode(True)
    spread = []
    for batch in learner.rollout_buffer.get(20):
        values, log_probabilities, entropies = learner.policy.evaluate_actions(
            batch.observations, batch.actions.flatten(), action_masks=batch.action_masks
        )
        torch.testing.assert_close(values.flatten(), batch.old_values, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(log_probabilities, batch.old_log_prob, rtol=1e-4, atol=1e-5)
        assert (entropies >= 0).all()
        assert (entropies <= torch.log(batch.action_masks.sum(dim=1)) + 1e-5).all()
        spread.append(log_probabilities.detach())
    assert torch.cat(spread).std() > 0.05


def test_the_order_changes_from_pass_to_pass_and_repeats_with_the_seed(small):
    def orders(seed):
        learner = small.learner(seed=seed)
        collect(learner)
        learner.rollout_buffer.values = np.arange(STEPS * LANES, dtype=np.float32).reshape(STEPS, LANES)
        return [torch.cat([batch.old_values for batch in learner.rollout_buffer.get(24)]).tolist() for _ in range(2)]

    first, second = orders(1)
    assert first != second
    assert orders(1) == [first, second]
    assert orders(2)[0] != first


def test_advantages_follow_their_definition(small):
    learner = small.learner(discount=0.9, gae_lambda=0.8)
    collect(learner)
    buffer = learner.rollout_buffer
    rng = np.random.default_rng(0)
    for name in ("rewards", "values"):
        setattr(buffer, name, rng.normal(size=(STEPS, LANES)).astype(np.float32))
    last_values = rng.normal(size=LANES).astype(np.float32)
    dones = np.array([True, False] * 3)
    buffer.compute_returns_and_advantage(torch.from_numpy(last_values), dones)
    for lane in range(LANES):
        advantage = 0.0
        for step in reversed(range(STEPS)):
            ended = dones[lane] if step == STEPS - 1 else buffer.episode_starts[step + 1, lane]
            following = last_values[lane] if step == STEPS - 1 else buffer.values[step + 1, lane]
            surprise = buffer.rewards[step, lane] + 0.9 * following * (1 - ended) - buffer.values[step, lane]
            advantage = surprise + 0.9 * 0.8 * (1 - ended) * advantage
            assert buffer.advantages[step, lane] == pytest.approx(advantage, abs=1e-5)
    assert np.allclose(buffer.returns, buffer.advantages + buffer.values)
