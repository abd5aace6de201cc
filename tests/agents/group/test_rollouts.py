"""What is collected and made again, against the plain vector environment of every problem."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from agents.encoding import evaluate
from agents.group.config import GroupConfig
from agents.group.learner import make_learner
from agents.group.rollouts import collect, replay, tensors_of
from agents.ppo.buffer import DecisionBatch
from envs.core import GraphVectorEnv, Snapshot, problem, problems
from envs.core.spec import ACTION_MASK
from models.config import ModelConfig
from models.network import masked
from tests.agents.dice import DICE

MODEL = ModelConfig(hidden=8, heads=2, encoder_layers=1)


def collected(name, draws="own"):
    """A learner on the second variant of a problem, and one size of its first iteration."""
    definition = problem(name)
    config = GroupConfig(decisions=10, instances=3, rollouts=4, threads=1, draws=draws)
    learner = make_learner(definition, definition.variants[1], MODEL, config)
    learner.env.reset()
    groups = learner.source.next(learner.shuffling)
    return learner, collect(learner.policy.network, groups.starts[0], learner.policy.sampler)


@pytest.mark.parametrize("name", problems())
def test_episodes_are_those_of_the_vector_environment(name):
    _, rollouts = collected(name)
    start = rollouts.start
    lanes = len(start.row)
    env = GraphVectorEnv(start.problem, lanes, skip_forced=True, strict=True, autoreset_mode=AutoresetMode.DISABLED)
    state = tuple(saved[start.row] for saved in start.state)
    observation = env.restore(Snapshot(state, np.zeros(lanes, np.int64), np.zeros(lanes, bool)))
    keep = np.arange(rollouts.actions.shape[1]) < rollouts.lengths[:, None]
    decisions = replay(rollouts, keep)
    assert len(decisions.lane) == rollouts.lengths.sum()
    for step in range(rollouts.actions.shape[1]):
        running = rollouts.lengths > step
        for row in np.flatnonzero(decisions.step == step):
            lane = decisions.lane[row]
            assert running[lane]
            for key, array in decisions.dynamic.items():
                assert array[row].tobytes() == observation[key][lane].tobytes(), (key, step)
            for key, array in rollouts.static.items():
                assert array[rollouts.static_row[lane]].tobytes() == observation[key][lane].tobytes(), key
        assert (rollouts.free[:, step] == (observation[ACTION_MASK].sum(axis=1) > 1))[running].all()
        observation, _, _, _, info = env.step(rollouts.actions[:, step])
    np.testing.assert_array_equal(info["objective"], rollouts.objective)


def test_log_probabilities_and_entropies_are_those_of_the_network():
    learner, rollouts = collected("job_shop")
    keep = rollouts.free & (np.arange(rollouts.actions.shape[1]) < rollouts.lengths[:, None])
    decisions = replay(rollouts, keep)
    every = np.arange(len(rollouts.static["operation_static"]))
    batch = DecisionBatch(
        tensors_of(rollouts.static, every, torch.device("cpu")),
        tensors_of(decisions.dynamic, np.arange(len(decisions.lane)), torch.device("cpu")),
        torch.from_numpy(rollouts.static_row[decisions.lane]),
        len(every),
    )
    with torch.no_grad():
        logits, _ = evaluate(learner.policy.network, rollouts.start.problem.spec, batch)
    log_probabilities = torch.log_softmax(masked(logits, batch.dynamic[ACTION_MASK]), dim=1)
    at = decisions.lane, decisions.step
    chosen = log_probabilities.gather(1, torch.from_numpy(rollouts.actions[at])[:, None]).squeeze(1)
    np.testing.assert_allclose(chosen, rollouts.log_probabilities[at], atol=1e-5)
    entropy = torch.special.entr(log_probabilities.exp()).sum(dim=1)
    np.testing.assert_allclose(entropy, rollouts.entropies[at], atol=1e-5)


def test_a_group_shares_its_instance_and_its_static_arrays():
    _, rollouts = collected("job_shop")
    state = rollouts.start.state
    assert len(state[0]) == len(np.unique(rollouts.start.group))
    assert len(rollouts.static["operation_static"]) == len(state[0])
    assert len({rollouts.actions[lane].tobytes() for lane in range(4)}) > 1


@pytest.mark.parametrize("draws", ["own", "common"])
def test_lanes_of_a_stochastic_group_have_draws_of_their_own_or_common_ones(draws):
    stochastic = replace(DICE, stochastic=lambda instance: not instance.loaded)
    config = GroupConfig(decisions=10, instances=2, rollouts=6, threads=1, draws=draws)
    learner = make_learner(stochastic, {"max_decisions": 6}, MODEL, config)
    learner.env.reset()
    (start,) = learner.source.next(learner.shuffling).starts
    eyes = dict(zip(type(learner.env.env.state)._fields, start.state, strict=True))["eyes"][start.row]
    different = [len({row.tobytes() for row in eyes[start.group == group]}) for group in (0, 1)]
    assert different == ([6, 6] if draws == "own" else [1, 1])
