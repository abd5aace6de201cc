"""The networks of a soft actor-critic in the shape that stable-baselines3 expects of a policy."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from agents.encoding import EpisodeEncodings, decide, encode, evaluate
from agents.ppo.buffer import DecisionBatch
from agents.sac.config import SACConfig
from agents.sac.losses import log_policy
from envs.core.spec import ACTION_MASK, GraphSpec
from models.build import make_network
from models.config import NetworkConfig
from models.network import Network


class Temperature(nn.Module):
    """The weight of the entropy, kept as its logarithm."""

    def __init__(self, value: float) -> None:
        """Starts at ``value``."""
        super().__init__()
        self.log = nn.Parameter(torch.tensor(math.log(value)))

    @property
    def value(self) -> Tensor:
        """The temperature, without a gradient."""
        return self.log.detach().exp()


class GraphSACPolicy(BasePolicy):
    """An actor, two critics and their slow copies, all built from one `GraphSpec`.

    Critics are networks like the actor, whose scores of the candidates are read as action values.

    Args:
        observation_space: Space of the adapter's observations.
        action_space: Space of the actions.
        lr_schedule: Not used: the settings name the learning rates.
        spec: The graph spec.
        model: The shape of each network.
        config: Settings of the learner.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        spec: GraphSpec,
        model: NetworkConfig,
        config: SACConfig,
    ) -> None:
        """Builds the networks and the optimisers."""
        super().__init__(observation_space, action_space)
        self.spec, self.model, self.config = spec, model, config
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(config.seed)
            self.network = make_network(spec, model)
            self.critics = nn.ModuleList(make_network(spec, model) for _ in range(2))
        self.targets = copy.deepcopy(self.critics).requires_grad_(False)
        self.temperature = Temperature(config.temperature)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self.critic_optimizer = torch.optim.Adam(self.critics.parameters(), lr=config.critic_learning_rate)
        self.temperature_optimizer = torch.optim.Adam(
            self.temperature.parameters(), lr=config.temperature_learning_rate
        )
        self.sampler = torch.Generator().manual_seed(config.seed)
        self._encodings = EpisodeEncodings()

    def logits(self, batch: DecisionBatch) -> Tensor:
        """Returns the unmasked logits of the actor, ``(decisions, actions)``."""
        return evaluate(self.network, self.spec, batch)[0]

    def action_values(self, batch: DecisionBatch, networks: nn.ModuleList) -> list[Tensor]:
        """Returns the action values ``(decisions, actions)`` by each of the critics or of their slow copies."""
        return [evaluate(cast(Network, network), self.spec, batch)[0] for network in networks]

    @torch.no_grad()
    def explore(self, observation: Mapping[str, Tensor], *, uniform: bool) -> Tensor:
        """Draws a legal action in every lane of the training environment, encoding once an episode.

        Args:
            observation: Observation of the adapter.
            uniform: Draw all legal actions alike instead of by the policy.
        """
        mask = observation[ACTION_MASK].bool()
        if uniform:
            return self._choose(torch.zeros(mask.shape, device=mask.device), mask, deterministic=False)
        embeddings = self._encodings.of(self.network, self.spec, observation)
        logits, _ = decide(self.network, self.spec, observation, embeddings)
        return self._choose(logits, mask, deterministic=False)

    def forward(self, obs: Any, deterministic: bool = False) -> Tensor:
        """Returns a legal action for every lane."""
        return self._predict(obs, deterministic)

    def set_training_mode(self, mode: bool) -> None:
        """Switches between collecting and training; the encodings of the old weights are forgotten."""
        super().set_training_mode(mode)
        self._encodings.forget()

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        logits, _ = decide(self.network, self.spec, observation, encode(self.network, self.spec, observation))
        return self._choose(logits, observation[ACTION_MASK].bool(), deterministic)

    def _choose(self, logits: Tensor, mask: Tensor, deterministic: bool) -> Tensor:
        probabilities, _ = log_policy(logits, mask)
        if deterministic:
            return probabilities.argmax(dim=1)
        drawn = torch.multinomial(probabilities.cpu(), 1, generator=self.sampler).squeeze(1)
        return drawn.to(logits.device)
