"""The learner: its targets by hand, a problem it solves, a temperature that keeps the entropy where it should be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from agents.policy_dispatcher import PolicyDispatcher
from agents.rollout import roll_out
from agents.sac.learner import make_learner
from agents.sac.losses import entropy
from envs.core import problem
from envs.core.spec import ACTION_MASK
from models.config import ModelConfig
from tests.agents.dice import WAIT, DiceInstance


@pytest.fixture(scope="module")
def explored(small_sac):
    """A learner that has only explored: 64 steps of 6 lanes, uniformly, and not learned anything."""
    learner = small_sac.learner(warm_up=384, decisions=385, buffer=1000, discount=0.5, temperature=0.2)
    return learner.learn(384)


def test_the_bellman_target_worked_out_by_hand(small_sac, explored):
    # pi = (1/4, 3/4); the lower of (1, 2) and (3, 0) is (1, 0); the dice take their eyes, waiting takes 2.
    policy = explored.policy
    small_sac.always(policy.network, [0.0, math.log(3.0)])
    small_sac.always(policy.targets[0], [1.0, 2.0])
    small_sac.always(policy.targets[1], [3.0, 0.0])
    surprise = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    value = 0.25 * 1 + 0.75 * 0 + 0.2 * surprise
    batch = explored.replay.sample(200)
    assert batch.ended.any()
    assert not batch.ended.all()
    expected = batch.rewards + 0.5 * value * ~batch.ended
    assert torch.allclose(explored.bellman_targets(batch), expected)
    assert set(batch.rewards[batch.actions == WAIT].tolist()) == {-2.0}


def test_losses_worked_out_by_hand(small_sac, explored):
    policy = explored.policy
    small_sac.always(policy.network, [0.0, math.log(3.0)])
    for critics, scores in ((policy.critics, ([4.0, -1.0], [2.0, 1.0])), (policy.targets, ([0.0, 0.0], [0.0, 0.0]))):
        for critic, values in zip(critics, scores, strict=True):
            small_sac.always(critic, values)
    batch = explored.replay.sample(50)
    loss, entropies = explored.actor_loss(batch)
    surprise = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    assert loss.item() == pytest.approx(-(0.25 * 2 + 0.75 * -1 + 0.2 * surprise), rel=1e-5)
    assert entropies.tolist() == pytest.approx([surprise] * 50)
    wanted = explored.bellman_targets(batch)
    first, second = (torch.tensor(values)[batch.actions] for values in ([4.0, -1.0], [2.0, 1.0]))
    by_hand = 0.5 * ((first - wanted) ** 2).mean() + 0.5 * ((second - wanted) ** 2).mean()
    assert explored.critic_loss(batch).item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_target_critics_follow_by_the_share(small_sac):
    learner = small_sac.learner(polyak=0.25, decisions=200)
    learner.learn(96)
    before = [parameter.clone() for parameter in learner.policy.targets.parameters()]
    learner.gradient_step(learner.replay.sample(32))
    critics, targets = learner.policy.critics.parameters(), learner.policy.targets.parameters()
    moved = 0
    for old, critic, target in zip(before, critics, targets, strict=True):
        assert torch.allclose(target, 0.75 * old + 0.25 * critic)
        moved += not torch.equal(old, target)
    assert moved


def test_the_warm_up_draws_all_legal_actions_alike_and_trains_nothing(small_sac, explored):
    fresh = small_sac.learner(warm_up=384, decisions=385, buffer=1000)
    assert explored._n_updates == 0
    share = explored.replay.actions[:64].mean()
    assert share == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(384))
    fresh.learn(400)
    assert fresh._n_updates > 0


def test_it_learns_to_wait(small_sac):
    learner = small_sac.learner(decisions=2400, discount=0.9)
    instances = [DiceInstance(f"i{seed}", 4) for seed in range(8)]
    learner.learn(2400)
    outcomes = roll_out(small_sac.definition, {}, instances, PolicyDispatcher(learner.policy.network, "learned"))
    assert [outcome.objective for outcome in outcomes] == [8.0] * 8
    # Two decisions from the end it still takes 2 + 0.9 * 2, whatever bonus the little entropy left gives.
    batch = learner.replay._get_samples(np.arange(len(learner.replay.rewards) * 6))
    values = learner.policy.action_values(batch.observations, learner.policy.critics)[0]
    left = batch.observations.dynamic["move_dynamic"][:, 0, 1]
    assert values[left == 1, WAIT].mean().item() == pytest.approx(-2.0, abs=0.2)
    assert values[left == 2, WAIT].mean().item() == pytest.approx(-3.8, abs=0.3)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_tuning_brings_the_entropy_to_its_target(small_sac, share):
    tuned = {"temperature_learning_rate": 0.02, "temperature": 0.1, "entropy_share": share}
    learner = small_sac.learner(decisions=3000, discount=0.5, gradient_steps=6, **tuned)
    learner.learn(3000)
    batch = learner.replay.sample(256)
    mask = batch.observations.dynamic[ACTION_MASK].bool()
    reached = entropy(learner.policy.logits(batch.observations), mask).mean().item()
    assert reached == pytest.approx(share * math.log(2), abs=0.08)
    assert learner.policy.temperature.value.item() != pytest.approx(0.1, rel=0.2)


def test_a_fixed_temperature_stays_and_a_tuned_one_keeps_its_bounds(small_sac):
    fixed = small_sac.learner(decisions=400).learn(400)
    assert fixed.policy.temperature.value.item() == pytest.approx(0.05)
    bounds = {"lowest_temperature": 0.04, "highest_temperature": 0.06, "entropy_share": 1.0}
    tuned = small_sac.learner(decisions=400, temperature_learning_rate=0.1, **bounds).learn(400)
    assert tuned.policy.temperature.value.item() == pytest.approx(0.06)


class LegalOnly(BaseCallback):
    """Fails on an action that the mask forbids."""

    def _on_step(self):
        mask = self.model._last_obs[ACTION_MASK]
        assert mask[np.arange(len(mask)), self.locals["actions"]].all()
        return True


def test_graph_networks_learn_on_masked_problems_with_legal_actions_alone(small_sac):
    config = small_sac.config(decisions=300, gradient_steps=1, minibatch=16)
    options = {"builder": "active", "sizes": ((3, 2), (2, 3))}
    model = ModelConfig(hidden=8, heads=2, encoder_layers=1)
    learner = make_learner(problem("job_shop"), options, model, config)
    before = {name: tensor.clone() for name, tensor in learner.policy.network.state_dict().items()}
    learner.learn(300, callback=LegalOnly())
    after = learner.policy.network.state_dict()
    assert all(torch.isfinite(tensor).all() for tensor in after.values())
    assert any(not torch.equal(before[name], after[name]) for name in before)
