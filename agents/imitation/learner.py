"""A learner that collects as PPO does, with a rule in the policy's place, and learns what the rule decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from agents.imitation.buffer import DemonstrationBuffer, DemonstrationSamples
from agents.imitation.config import ImitationConfig
from agents.imitation.demonstration import Demonstration, demonstrated_choice, demonstrated_costs
from agents.ppo.adapter import GraphVecEnv
from agents.ppo.algorithm import GraphPPO
from agents.ppo.learner import make_learner as make_ppo
from agents.ppo.policy import GraphActorCriticPolicy
from envs.core import GraphVectorEnv, Problem, ProblemDefinition, Rule, UsageError
from envs.core import problem as problem_named
from models.config import NetworkConfig


class ImitationLearner(GraphPPO):
    """Learns what a rule says of the candidates by cross-entropy, and the returns by squared error.

    Made by `make_learner`, which sets the rest.
    """

    rule: Rule
    imitation: ImitationConfig

    def collect_rollouts(self, env: Any, *arguments: Any, **settings: Any) -> bool:
        """Collects episodes in which the rule decides, or the learner while the rule says what it would have done."""
        graph_env = cast(GraphVecEnv, self.env).env
        buffer = cast(DemonstrationBuffer, self.rollout_buffer)
        own = round(self.imitation.learner_share * graph_env.num_envs)

        def decide(mask: NDArray[np.bool_], drawn: NDArray[np.int64]) -> NDArray[np.int64]:
            demonstration = self._demonstration(graph_env, mask)
            buffer.demonstrate(demonstration.targets, demonstration.regrets)
            return np.concatenate([drawn[:own], demonstration.choice[own:]])

        policy = cast(GraphActorCriticPolicy, self.policy)
        policy.demonstrator = decide
        try:
            return bool(super().collect_rollouts(env, *arguments, **settings))
        finally:
            policy.demonstrator = None

    def _demonstration(self, env: GraphVectorEnv, mask: NDArray[np.bool_]) -> Demonstration:
        settings = self.imitation
        if settings.target == "choice":
            return demonstrated_choice(self.rule, env, mask)
        return demonstrated_costs(self.rule, env, mask, settings.reward_scale, settings.temperature)

    def train(self) -> None:
        """Passes over the demonstrated decisions."""
        policy = cast(GraphActorCriticPolicy, self.policy)
        policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        logged: dict[str, list[float]] = {}
        for _ in range(self.n_epochs):
            for batch in self.rollout_buffer.get(self.batch_size):
                measures, loss = self._loss(policy, cast(DemonstrationSamples, batch))
                self.policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                self.policy.optimizer.step()
                for name, value in measures.items():
                    logged.setdefault(name, []).append(value.item())
        self._n_updates += self.n_epochs
        for name, values in logged.items():
            self.logger.record(f"train/{name}", float(np.mean(values)))
        self.clipper.record(self.logger)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _loss(self, policy: GraphActorCriticPolicy, batch: DemonstrationSamples) -> tuple[dict[str, Tensor], Tensor]:
        values, log_probabilities = policy.judge(batch.observations)
        probabilities = log_probabilities.exp()
        # Illegal candidates have probability 0 and log probability -1e9: both products are 0 there.
        missed = -(batch.targets * log_probabilities).sum(dim=1).mean()
        entropy = -(probabilities * log_probabilities).sum(dim=1).mean()
        error = functional.mse_loss(values, batch.returns)
        regret = batch.regrets.gather(1, log_probabilities.argmax(dim=1, keepdim=True)).mean()
        target_entropy = torch.special.entr(batch.targets).sum(dim=1).mean()
        measures = {
            "cross_entropy": missed,
            "target_entropy": target_entropy,
            "value_loss": error,
            "regret_drawn": (probabilities * batch.regrets).sum(dim=1).mean(),
            "regret_greedy": regret,
        }
        return measures, missed + self.vf_coef * error - self.ent_coef * entropy


def make_learner(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    model: NetworkConfig,
    config: ImitationConfig,
    *,
    device: str = "cpu",
) -> ImitationLearner:
    """Builds a learner whose every random draw follows from ``config.seed``; see `agents.ppo.learner.make_learner`."""
    learner = make_ppo(
        definition,
        options,
        model,
        config.as_ppo(),
        device=device,
        algorithm=ImitationLearner,
        buffer=DemonstrationBuffer,
    )
    imitation = cast(ImitationLearner, learner)
    imitation.rule = definition.rules[config.rule]
    imitation.imitation = config
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
    if config.target == "cost" and not rules[config.rule].expected:
        expecting = [rule.name for rule in rules.values() if rule.expected]
        raise UsageError(
            f"agent.settings.target is 'cost', but rule {config.rule} expects no costs; those of {name} that do: "
            f"{', '.join(expecting) or 'none'}"
        )
