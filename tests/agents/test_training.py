"""A run may start from the policy of a checkpoint, whichever learner made it and whichever goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from agents.checkpoint import load_checkpoint
from agents.ppo.config import PPOConfig
from agents.registry import AGENTS, agent_named
from agents.run import TrainingRun, ValidationConfig
from agents.sac.config import SACConfig
from agents.training import initial_weights, train
from envs.core import UsageError
from models.config import FlatConfig
from tests.agents.dice import DICE

MODEL = FlatConfig((8,))
PPO = PPOConfig(decisions=8, lanes=2, steps=4, minibatch=8, epochs=1, threads=1, seed=5)
STILL = 1e-30
"""A learning rate that moves no float32 weight."""
LEARNERS = {
    "ppo": replace(PPO, learning_rate=STILL, seed=6),
    "sac": SACConfig(decisions=8, lanes=2, steps=2, warm_up=4, minibatch=4, threads=1, seed=6, learning_rate=STILL),
}


def make_run(agent=PPO, **changes):
    run = TrainingRun("mine", "dice", {"max_decisions": 3}, MODEL, agent, ValidationConfig({}, instances=2))
    return replace(run, **changes)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return train(DICE, make_run(), tmp_path_factory.mktemp("first"))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_run_starts_from_the_policy_of_a_checkpoint(first, tmp_path, name):
    started = load_checkpoint(train(DICE, make_run(LEARNERS[name], initial=str(first)), tmp_path / "started"))
    afresh = load_checkpoint(train(DICE, make_run(LEARNERS[name]), tmp_path / "afresh"))
    source = load_checkpoint(first)
    assert all(torch.equal(tensor, source.weights[key]) for key, tensor in started.weights.items())
    assert any(not torch.equal(tensor, source.weights[key]) for key, tensor in afresh.weights.items())
    assert started.training["initial"] == str(first)
    assert "initial" not in afresh.training
    assert (started.training["learner"], started.training[name]) == (name, LEARNERS[name].to_mapping())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": FlatConfig((9,))},
            "whose network has not the shape of this run's: its model.widths",
        ),
        ({"initial": "no/such/folder"}, r"no/such/folder.* cannot be read"),
    ],
)
def test_another_shape_is_refused_before_anything_is_written(first, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        train(DICE, make_run(**{"initial": str(first), **changes}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_observations_are_refused(first):
    spec = DICE.bind({"max_decisions": 3}).spec
    other = replace(spec, nodes=(replace(spec.nodes[0], dynamic=spec.nodes[0].dynamic[:1]),))
    with pytest.raises(UsageError, match="was trained on other observations than this environment's"):
        initial_weights(str(first), other, load_checkpoint(first).model)


def test_learners_are_found_by_the_name_of_their_settings():
    assert all(agent.settings.name == name for name, agent in AGENTS.items())
    with pytest.raises(UsageError, match=r"agent.name is 'dqn'; expected one of ppo, sac"):
        agent_named("dqn")
