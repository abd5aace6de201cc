"""A trained network as a dispatcher: encode once an episode, decide at every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.dispatcher import LaneDraws, Seeds
from envs.core import GraphSpec, GraphVectorEnv, Observation
from envs.core.spec import ACTION_MASK
from models.batch import Embeddings, decision_graph, static_graph
from models.network import Network, masked


class PolicyDispatcher:
    """Dispatches with a trained network, greedily or by sampling, on instances of any size that it can run on.

    Args:
        network: The network.
        name: Name for reports.
        options: Environment options that the policy must be run with.
        seed: Seed of the sampling, or one seed a lane; None takes the most probable action.
        temperature: Divides the logits when sampling.
        threshold: Share of the largest probability below which an action is not drawn.
    """

    def __init__(
        self,
        network: Network,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        seed: Seeds | None = None,
        temperature: float = 1.0,
        threshold: float = 0.0,
    ) -> None:
        """Keeps the network as it is; it is not copied."""
        self.network = network
        self.name = name
        self.options = dict(options or {})
        self.temperature = temperature
        self.threshold = threshold
        self._generator = torch.Generator().manual_seed(seed) if isinstance(seed, int) else None
        self._draws = None if seed is None or isinstance(seed, int) else LaneDraws(seed)
        self._embeddings: Embeddings = {}
        self._static: dict[str, torch.Tensor] = {}
        self._episode = torch.zeros(0, dtype=torch.int64)
        self._device = next(network.parameters()).device

    def sampling(self, seed: Seeds, temperature: float = 1.0, threshold: float = 0.0) -> PolicyDispatcher:
        """Returns a dispatcher that samples from the same policy."""
        return PolicyDispatcher(
            self.network, self.name, self.options, seed=seed, temperature=temperature, threshold=threshold
        )

    @torch.inference_mode()
    def reset(self, env: GraphVectorEnv, observation: Observation) -> None:
        """Encodes the static part of every lane; lanes that all run one instance share one encoding."""
        spec = env.problem.spec
        static = {key: torch.from_numpy(observation[key].copy()).to(self._device) for key in spec.static_keys}
        shared = all(bool((array == array[:1]).all()) for array in static.values())
        self._static = {key: array[:1] for key, array in static.items()} if shared else static
        lanes = torch.arange(env.num_envs, device=self._device)
        self._episode = torch.zeros_like(lanes) if shared else lanes
        self._embeddings = self.network.encode(static_graph(spec, self._static, lanes[:1] if shared else lanes))

    @torch.inference_mode()
    def decide(self, env: GraphVectorEnv, observation: Observation) -> NDArray[np.int64]:
        """Chooses one legal action in every lane that has one."""
        logits = self.logits(env.problem.spec, observation)
        if self._generator is None and self._draws is None:
            return logits.argmax(dim=1).cpu().numpy()
        probabilities = torch.softmax(logits / self.temperature, dim=1).cpu()
        if self.threshold > 0:
            largest = probabilities.max(dim=1, keepdim=True).values
            probabilities = torch.where(probabilities < self.threshold * largest, 0.0, probabilities)
        if self._draws is None:
            return torch.multinomial(probabilities, 1, generator=self._generator).squeeze(1).numpy()
        return _invert(probabilities.double().numpy(), self._draws.uniform(len(probabilities), 1))

    @torch.inference_mode()
    def logits(self, spec: GraphSpec, observation: Observation) -> torch.Tensor:
        """Returns masked logits ``(lanes, actions)`` of the episodes that `reset` saw."""
        dynamic = {key: torch.from_numpy(observation[key]).to(self._device) for key in spec.dynamic_keys}
        graph = decision_graph(spec, self._static, dynamic, self._episode)
        logits, _ = self.network.decide(self._embeddings, graph)
        return masked(logits, dynamic[ACTION_MASK])


def _invert(probabilities: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draws one index a row, given ``(rows, 1)`` uniform numbers; an entry of probability 0 is never drawn."""
    cumulated = probabilities.cumsum(axis=1)
    return np.asarray((cumulated > uniform * cumulated[:, -1:]).argmax(axis=1), np.int64)
