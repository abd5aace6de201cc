"""Runs networks on observations as a learner meets them: encodes what stays once an episode, decides at every step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from agents.ppo.adapter import EPISODE
from agents.ppo.buffer import DecisionBatch
from envs.core.spec import ACTION_MASK, GraphSpec
from models.batch import Embeddings, decision_graph, static_graph
from models.network import Network


def encode(
    network: Network, spec: GraphSpec, observation: Mapping[str, Tensor], lanes: Tensor | None = None
) -> Embeddings:
    """Encodes the static part of every lane, or of the ``lanes`` alone."""
    static = {key: observation[key] if lanes is None else observation[key][lanes] for key in spec.static_keys}
    return network.encode(static_graph(spec, static, _rows(observation[ACTION_MASK] if lanes is None else lanes)))


def decide(
    network: Network, spec: GraphSpec, observation: Mapping[str, Tensor], embeddings: Embeddings
) -> tuple[Tensor, Tensor]:
    """Returns unmasked logits ``(lanes, actions)`` and values ``(lanes,)``, given the encoding of every lane."""
    graph = decision_graph(spec, observation, observation, _rows(observation[ACTION_MASK]))
    return network.decide(embeddings, graph)


def evaluate(network: Network, spec: GraphSpec, batch: DecisionBatch) -> tuple[Tensor, Tensor]:
    """Returns unmasked logits ``(decisions, actions)`` and values ``(decisions,)`` of stored decisions."""
    rows = torch.arange(batch.episodes, device=batch.episode.device)
    embeddings = network.encode(static_graph(spec, batch.static, rows))
    return network.decide(embeddings, decision_graph(spec, batch.static, batch.dynamic, batch.episode))


class EpisodeEncodings:
    """Remembers the encoding of every lane's episode, for as long as the weights stay as they are."""

    def __init__(self) -> None:
        """Starts empty."""
        self._embeddings: Embeddings = {}
        self._numbers: Tensor | None = None

    def forget(self) -> None:
        """Makes the next call encode every lane: the weights have changed."""
        self._numbers = None

    def of(self, network: Network, spec: GraphSpec, observation: Mapping[str, Tensor]) -> Embeddings:
        """Returns the encodings of every lane, computed anew only where an episode began since the last call."""
        numbers = observation[EPISODE][:, 0]
        if self._numbers is None or self._numbers.shape != numbers.shape:
            self._embeddings = encode(network, spec, observation)
        else:
            lanes = torch.nonzero(self._numbers != numbers).squeeze(1)
            if lanes.numel():
                for name, embedding in encode(network, spec, observation, lanes).items():
                    self._embeddings[name][lanes] = embedding
        self._numbers = numbers.clone()
        return self._embeddings


def _rows(like: Tensor) -> Tensor:
    return torch.arange(len(like), device=like.device)
