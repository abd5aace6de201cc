"""A learner that collects as PPO does, with a rule in the policy's place, and learns what the rule decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO
from torch.nn import functional

from agents.dispatcher import RuleDispatcher
from agents.imitation.config import ImitationConfig
from agents.ppo.adapter import GraphVecEnv
from agents.ppo.learner import make_learner as make_ppo
from agents.ppo.policy import GraphActorCriticPolicy
from envs.core import Problem, ProblemDefinition, Rule, UsageError
from envs.core import problem as problem_named
from envs.core.spec import ACTION_MASK
from models.config import NetworkConfig


class ImitationLearner(MaskablePPO):
    """Learns a rule's decisions by cross-entropy, and its returns by squared error.

    Made by `make_learner`, which sets ``rule``.
    """

    rule: Rule

    def collect_rollouts(self, env: Any, *arguments: Any, **settings: Any) -> bool:
        """Collects episodes in which the rule decides."""
        dispatcher = RuleDispatcher(self.rule)
        graph_env = cast(GraphVecEnv, self.env).env

        def decide(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
            return dispatcher.decide(graph_env, {ACTION_MASK: mask})

        policy = cast(GraphActorCriticPolicy, self.policy)
        policy.demonstrator = decide
        try:
            return bool(super().collect_rollouts(env, *arguments, **settings))
        finally:
            policy.demonstrator = None

    def train(self) -> None:
        """Passes over the demonstrated decisions."""
        policy = cast(GraphActorCriticPolicy, self.policy)
        policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        imitation, errors, agreement = [], [], []
        for _ in range(self.n_epochs):
            for batch in self.rollout_buffer.get(self.batch_size):
                actions = batch.actions.long().flatten()
                values, chosen, entropy = policy.evaluate_actions(batch.observations, actions)
                missed, error = -chosen.mean(), functional.mse_loss(values.flatten(), batch.returns)
                loss = missed + self.vf_coef * error - self.ent_coef * entropy.mean()
                self.policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
                imitation.append(missed.item())
                errors.append(error.item())
                agreement.append((chosen > -np.log(2.0)).float().mean().item())
        self._n_updates += self.n_epochs
        for name, values_ in (("cross_entropy", imitation), ("value_loss", errors), ("likely_share", agreement)):
            self.logger.record(f"train/{name}", float(np.mean(values_)))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")


def make_learner(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    model: NetworkConfig,
    config: ImitationConfig,
    *,
    device: str = "cpu",
) -> ImitationLearner:
    """Builds a learner whose every random draw follows from ``config.seed``; see `agents.ppo.learner.make_learner`."""
    learner = make_ppo(definition, options, model, config.as_ppo(), device=device, algorithm=ImitationLearner)
    imitation = cast(ImitationLearner, learner)
    imitation.rule = definition.rules[config.rule]
    return imitation


def check_rule(problem: Problem[Any, Any, Any], name: str, config: ImitationConfig) -> None:
    """Checks that the problem has the rule.

    Raises:
        UsageError: It does not.
    """
    del problem
    rules = problem_named(name).rules
    if config.rule not in rules:
        raise UsageError(f"agent.settings.rule is {config.rule!r}; {name} has {', '.join(rules)}")
