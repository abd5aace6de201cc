"""The static half of a policy: message passing over what stays for an episode."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATv2Conv, GINConv, GINEConv, MessagePassing, TransformerConv

from envs.core.spec import EdgeType, GraphSpec
from models.alternating import AlternatingLayer
from models.batch import Embeddings, StaticGraph, squash
from models.config import ModelConfig


class Encoder(nn.Module):
    """Embeds every node of the static graph.

    Relations are used in both directions. A layer is pre-normalised and residual.

    Args:
        spec: The graph spec; only names and feature counts matter, not capacities.
        config: The network's shape.
    """

    def __init__(self, spec: GraphSpec, config: ModelConfig) -> None:
        """Builds one projection a node type and one layer of relations a round."""
        super().__init__()
        self.project = nn.ModuleDict({node.name: nn.Linear(len(node.static) + 1, config.hidden) for node in spec.nodes})
        static_edges = [edge for edge in spec.edges if edge.static]
        names = [node.name for node in spec.nodes]
        self.layers = nn.ModuleList(
            AlternatingLayer(static_edges, config)
            if config.convolution == "alternating"
            else EncoderLayer(static_edges, names, config)
            for _ in range(config.encoder_layers if static_edges else 0)
        )

    def forward(self, graph: StaticGraph) -> Embeddings:
        """Returns the embedding of every node."""
        nodes = {}
        for name, features in graph.nodes.items():
            ones = features.new_ones(*features.shape[:-1], 1)
            nodes[name] = self.project[name](torch.cat([squash(features), ones], dim=-1))
        for layer in self.layers:
            nodes = layer(nodes, graph)
        return nodes


class EncoderLayer(nn.Module):
    """One round of messages along every static relation, both ways, and a feed-forward step."""

    def __init__(self, edges: list[EdgeType], types: list[str], config: ModelConfig) -> None:
        """Builds one convolution a relation and direction."""
        super().__init__()
        self.edges = edges
        self.forwards = nn.ModuleDict({edge.name: convolution(config, len(edge.features)) for edge in edges})
        self.backwards = nn.ModuleDict({edge.name: convolution(config, len(edge.features)) for edge in edges})
        ends = {end for edge in edges for end in (edge.source, edge.target)}
        touched = [name for name in types if name in ends]
        self.normalise = nn.ModuleDict({name: nn.LayerNorm(config.hidden) for name in touched})
        self.update = nn.ModuleDict({name: feed_forward(config.hidden) for name in touched})

    def forward(self, nodes: Embeddings, graph: StaticGraph) -> Embeddings:
        """Returns the next embedding of every node."""
        normal = {name: normalise(nodes[name]).flatten(0, 1) for name, normalise in self.normalise.items()}
        incoming: dict[str, list[Tensor]] = {name: [] for name in normal}
        for edge in self.edges:
            index = graph.edges[edge.name]
            features = squash(graph.edge_features[edge.name]) if edge.features else None
            ends = (normal[edge.source], normal[edge.target])
            incoming[edge.target].append(self.forwards[edge.name](ends, index, features))
            incoming[edge.source].append(self.backwards[edge.name](ends[::-1], index.flip(0), features))
        result = dict(nodes)
        for name, messages in incoming.items():
            heard = nodes[name] + torch.stack(messages).sum(dim=0).view_as(nodes[name])
            result[name] = heard + self.update[name](heard)
        return result


class Convolution(nn.Module):
    """A PyTorch Geometric convolution between two node sets, with or without edge features."""

    def __init__(self, inner: MessagePassing, project: nn.Module | None) -> None:
        """Wraps ``inner``; ``project`` is applied to edge features before, None means that there are none."""
        super().__init__()
        self.inner = inner
        self.project = project

    def forward(self, ends: tuple[Tensor, Tensor], index: Tensor, features: Tensor | None) -> Tensor:
        """Returns one message for every target node."""
        values = () if self.project is None else (self.project(features),)
        message: Tensor = self.inner(ends, index, *values)
        return message


def convolution(config: ModelConfig, edge_features: int) -> Convolution:
    """Builds the convolution that ``config`` names for a relation with so many edge features."""
    hidden, heads = config.hidden, config.heads
    edge_dim = edge_features or None
    if config.convolution == "gin":
        if not edge_dim:
            return Convolution(GINConv(feed_forward(hidden)), None)
        return Convolution(GINEConv(feed_forward(hidden)), nn.Linear(edge_dim, hidden))
    if config.convolution == "gatv2":
        conv: MessagePassing = GATv2Conv(
            (hidden, hidden), hidden // heads, heads=heads, add_self_loops=False, edge_dim=edge_dim
        )
    else:
        conv = TransformerConv((hidden, hidden), hidden // heads, heads=heads, edge_dim=edge_dim)
    return Convolution(conv, nn.Identity() if edge_dim else None)


def feed_forward(hidden: int) -> nn.Sequential:
    """A pre-normalised two-layer perceptron of constant width."""
    return nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
