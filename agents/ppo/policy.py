"""A network in the shape that stable-baselines3 expects of a policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.maskable.distributions import MaskableCategoricalDistribution, MaskableDistribution
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor

from agents.encoding import EpisodeEncodings, decide, encode, evaluate
from agents.ppo.adapter import EPISODE
from agents.ppo.buffer import DecisionBatch
from envs.core.spec import ACTION_MASK, GraphSpec
from models.build import make_network
from models.config import NetworkConfig
from models.network import masked


class NoFeatures(BaseFeaturesExtractor):
    """Stands in for the features extractor that a graph policy does not use."""

    def __init__(self, observation_space: spaces.Space[Any]) -> None:
        """Declares one (unused) feature."""
        super().__init__(observation_space, features_dim=1)


class GraphActorCriticPolicy(MaskableActorCriticPolicy):
    """Runs a network on the adapter's observations; while collecting, encodes once an episode.

    Only `forward` without gradients remembers encodings: it is what collection calls, always on the training
    environment. Everything else may see any environment and encodes anew.

    Attributes:
        demonstrator: What decides in the policy's place while collecting, given the masks and what the policy would
            have done; None for the policy itself.

    Args:
        observation_space: Space of the adapter's observations.
        action_space: Space of the actions.
        lr_schedule: Learning rate by remaining progress.
        spec: The graph spec.
        model: The network's shape.
        seed: Seed of the initial weights and of action sampling.
        optimizer_class: Optimiser, Adam by default.
        optimizer_kwargs: Further arguments of the optimiser.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        spec: GraphSpec,
        model: NetworkConfig,
        seed: int = 0,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Builds the network and the optimiser."""
        self.spec = spec
        self.model = model
        self.seed = seed
        self.demonstrator: Callable[[NDArray[np.bool_], NDArray[np.int64]], NDArray[np.int64]] | None = None
        self._encodings = EpisodeEncodings()
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=[],
            features_extractor_class=NoFeatures,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        self.sampler = torch.Generator().manual_seed(seed)

    def forward(
        self, obs: Any, deterministic: bool = False, action_masks: NDArray[np.bool_] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns an action, the estimated return ``(n, 1)`` and the action's log probability, for every lane."""
        if not torch.is_grad_enabled() and EPISODE in obs:
            embeddings = self._encodings.of(self.network, self.spec, obs)
            logits, values = decide(self.network, self.spec, obs, embeddings)
        else:
            logits, values = self._evaluate(obs)
        log_probabilities = self._log_probabilities(logits, self._mask(obs, action_masks))
        actions = self._choose(log_probabilities, deterministic)
        if self.demonstrator is not None:
            mask = self._mask(obs, action_masks).cpu().numpy()
            actions = torch.as_tensor(self.demonstrator(mask, actions.cpu().numpy()), device=actions.device)
        chosen = log_probabilities.gather(1, actions[:, None]).squeeze(1)
        return actions, values[:, None], chosen

    def evaluate_actions(
        self, obs: Any, actions: Tensor, action_masks: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns estimated returns ``(n, 1)``, log probabilities and entropies of the actions taken."""
        logits, values = self._evaluate(obs)
        log_probabilities = self._log_probabilities(logits, self._mask(obs, action_masks))
        chosen = log_probabilities.gather(1, actions[:, None]).squeeze(1)
        entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=1)
        return values[:, None], chosen, entropy

    def judge(self, obs: Any) -> tuple[Tensor, Tensor]:
        """Returns estimated returns ``(n,)`` and the log probabilities ``(n, actions)`` of all candidates."""
        logits, values = self._evaluate(obs)
        return values, self._log_probabilities(logits, self._mask(obs, None))

    def get_distribution(self, obs: Any, action_masks: NDArray[np.bool_] | None = None) -> MaskableDistribution:
        """Returns the distribution over actions."""
        logits, _ = self._evaluate(obs)
        distribution = MaskableCategoricalDistribution(self.spec.num_actions)
        distribution.proba_distribution(logits)
        distribution.apply_masking(self._mask(obs, action_masks).cpu().numpy())
        return distribution

    def predict_values(self, obs: Any) -> Tensor:
        """Returns estimated returns ``(n, 1)``."""
        return self._evaluate(obs)[1][:, None]

    def set_training_mode(self, mode: bool) -> None:
        """Switches between collecting and training; the encodings of the old weights are forgotten."""
        super().set_training_mode(mode)
        self._encodings.forget()

    def _predict(
        self, observation: Any, deterministic: bool = False, action_masks: NDArray[np.bool_] | None = None
    ) -> Tensor:
        logits, _ = self._evaluate(observation)
        return self._choose(self._log_probabilities(logits, self._mask(observation, action_masks)), deterministic)

    def _build(self, lr_schedule: Schedule) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            self.network = make_network(self.spec, self.model)
        arguments = {"lr": lr_schedule(1), **(self.optimizer_kwargs or {})}
        self.optimizer = self.optimizer_class(self.network.parameters(), **arguments)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "spec": self.spec,
            "model": self.model,
            "seed": self.seed,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }

    def _evaluate(self, obs: Any) -> tuple[Tensor, Tensor]:
        if isinstance(obs, DecisionBatch):
            return evaluate(self.network, self.spec, obs)
        return decide(self.network, self.spec, obs, encode(self.network, self.spec, obs))

    def _mask(self, obs: Any, action_masks: Any) -> Tensor:
        if action_masks is not None:
            return torch.as_tensor(action_masks, dtype=torch.bool, device=self.device)
        mask: Tensor = (obs.dynamic if isinstance(obs, DecisionBatch) else obs)[ACTION_MASK].bool()
        return mask

    def _log_probabilities(self, logits: Tensor, mask: Tensor) -> Tensor:
        return torch.log_softmax(masked(logits, mask), dim=1)

    def _choose(self, log_probabilities: Tensor, deterministic: bool) -> Tensor:
        if deterministic:
            return log_probabilities.argmax(dim=1)
        probabilities = log_probabilities.exp().cpu()
        return torch.multinomial(probabilities, 1, generator=self.sampler).squeeze(1).to(log_probabilities.device)
