"""The policy and value network that every learner trains and every export ships."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from envs.core.spec import GraphSpec
from models.batch import DecisionGraph, Embeddings, StaticGraph
from models.config import ModelConfig, NetworkConfig
from models.decision import DecisionCore
from models.encoder import Encoder


class Network(nn.Module, ABC):
    """What every policy offers: it scores candidates and estimates the return.

    Attributes:
        config: Its shape; with it and its weights it can be built again.
    """

    def __init__(self, config: NetworkConfig) -> None:
        """Keeps the shape."""
        super().__init__()
        self.config = config

    @abstractmethod
    def encode(self, graph: StaticGraph) -> Embeddings:
        """Reads the static part of several episodes; the first axis of every result is the episode."""

    @abstractmethod
    def decide(self, static: Embeddings, graph: DecisionGraph) -> tuple[Tensor, Tensor]:
        """Returns unmasked logits ``(decisions, actions)`` and estimated returns ``(decisions,)``."""

    def holds(self, spec: GraphSpec) -> bool:
        """Whether the network can run in environments of the capacity of this spec."""
        return True


class PolicyNetwork(Network):
    """Scores the candidate nodes of a graph and estimates the return.

    `encode` reads what stays for an episode; `decide` reads what changes. The parameters depend on the names and
    feature counts of the spec only, so one network runs on instances of any size.

    Args:
        spec: The graph spec.
        config: The network's shape.
    """

    def __init__(self, spec: GraphSpec, config: ModelConfig) -> None:
        """Builds the network; the policy starts out nearly uniform."""
        super().__init__(config)
        hidden = config.hidden
        self.actions = spec.actions
        self.encoder = Encoder(spec, config)
        self.core = DecisionCore(spec, config)
        self.node = nn.ModuleDict({name: nn.Linear(hidden, hidden) for name in spec.actions})
        self.whole = nn.Linear(hidden, hidden, bias=False)
        scores = {name: nn.Linear(hidden, 1) for name in spec.actions}
        self.value = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        for score in scores.values():
            nn.init.orthogonal_(score.weight, gain=0.01)
        self.score = nn.ModuleDict(scores)

    def encode(self, graph: StaticGraph) -> Embeddings:
        """Embeds the static part of several episodes: per node type ``(episodes, capacity, hidden)``."""
        embeddings: Embeddings = self.encoder(graph)
        return embeddings

    def decide(self, static: Embeddings, graph: DecisionGraph) -> tuple[Tensor, Tensor]:
        """Returns unmasked logits ``(decisions, actions)`` and estimated returns ``(decisions,)``."""
        nodes, whole = self.core(static, graph)
        shared = self.whole(whole)[:, None]
        logits = [
            self.score[name](torch.relu(self.node[name](nodes[name]) + shared)).squeeze(-1) for name in self.actions
        ]
        return torch.cat(logits, dim=1), self.value(whole).squeeze(-1)


def masked(logits: Tensor, mask: Tensor) -> Tensor:
    """Replaces the logits of illegal actions by -1e9, which a softmax turns into exactly zero."""
    return torch.where(mask, logits, torch.full_like(logits, -1e9))
