"""The dynamic half of a policy: what is computed at every decision.

Training on a CPU spends nearly all its time here, so the layers avoid whatever costs a pass over all nodes without
adding much: static embeddings are projected once an episode and then looked up, pooling is one batched product.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GATv2Conv, MessagePassing, SAGEConv

from envs.core.spec import EdgeType, GraphSpec
from models.batch import DecisionGraph, Embeddings, decision_edges, decision_types, squash
from models.config import ModelConfig


class DecisionCore(nn.Module):
    """Embeds the nodes that change, from their dynamic features, their static embedding and their relations.

    Args:
        spec: The graph spec; only names and feature counts matter, not capacities.
        config: The network's shape.
    """

    def __init__(self, spec: GraphSpec, config: ModelConfig) -> None:
        """Builds one projection a node type and one layer a round."""
        super().__init__()
        hidden = config.hidden
        self.types = decision_types(spec)
        features = {name: len(spec.node(name).dynamic) for name in self.types}
        self.dynamic = nn.ModuleDict({name: nn.Linear(count, hidden) for name, count in features.items() if count})
        self.static = nn.ModuleDict({name: nn.Linear(hidden, hidden, bias=False) for name in self.types})
        self.context = nn.Linear(len(spec.context) + 1, hidden)
        layer = AttentionLayer if config.decision == "attention" else PoolingLayer
        self.layers = nn.ModuleList(layer(spec, config) for _ in range(config.decision_layers))
        self.pool = Pooling(self.types, hidden)

    def forward(self, static: Embeddings, graph: DecisionGraph) -> tuple[Embeddings, Tensor]:
        """Returns the embeddings of the nodes that change and ``(decisions, hidden)`` of the graph as a whole."""
        ones = graph.context.new_ones(graph.context.shape[0], 1)
        context = self.context(torch.cat([squash(graph.context), ones], dim=-1))
        nodes = {}
        for name in self.types:
            own = self.static[name](static[name])[graph.episode]
            if name in self.dynamic:
                own = self.dynamic[name](squash(graph.nodes[name])) + own
            nodes[name] = torch.relu(own + context[:, None])
        for layer in self.layers:
            nodes = layer(nodes, static, graph)
        return nodes, torch.relu(context + self.pool(nodes, graph))


class Relations(nn.Module):
    """Messages along every relation, in both directions, to some node types: means or attention over neighbours."""

    def __init__(self, edges: tuple[EdgeType, ...], targets: tuple[str, ...], config: ModelConfig) -> None:
        """Builds one map a relation and direction that ends in ``targets``."""
        super().__init__()
        self.ways = [
            (edge, f"{way}_{edge.name}", way == "forward")
            for edge in edges
            for way, end in (("forward", edge.target), ("backward", edge.source))
            if end in targets
        ]
        self.maps = nn.ModuleDict({key: _messages(config) for _, key, _ in self.ways})
        self.features = nn.ModuleDict(
            {key: nn.Linear(len(edge.features), config.hidden) for edge, key, _ in self.ways if edge.features}
        )

    def forward(self, nodes: Embeddings, static: Embeddings, graph: DecisionGraph) -> Embeddings:
        """Returns the summed messages by node type, for types that any relation reaches."""
        result: Embeddings = {}
        for edge, key, forwards in self.ways:
            index = graph.edges[edge.name]
            source, target = (edge.source, edge.target) if forwards else (edge.target, edge.source)
            index = index if forwards else index.flip(0)
            x = (nodes if source in nodes else static)[source].flatten(0, 1)
            y = nodes[target].flatten(0, 1)
            message = self.maps[key]((x, y), index)
            if edge.features:
                values = self.features[key](squash(graph.edge_features[edge.name]))
                message = message + _scatter_mean(values, index[1], y.shape[0])
            message = message.view_as(nodes[target])
            result[target] = result[target] + message if target in result else message
        return result


class Pooling(nn.Module):
    """Mean over the present nodes of every type, mapped to one vector a graph."""

    def __init__(self, types: tuple[str, ...], hidden: int) -> None:
        """Builds one linear map over everything pooled."""
        super().__init__()
        self.types = types
        self.map = nn.Linear(len(types) * hidden, hidden)

    def forward(self, nodes: Embeddings, graph: DecisionGraph) -> Tensor:
        """Returns ``(decisions, hidden)``."""
        parts = []
        for name in self.types:
            present = graph.present[name].to(nodes[name].dtype)
            weights = present / present.sum(dim=1, keepdim=True).clamp(min=1)
            parts.append(torch.bmm(weights[:, None], nodes[name]).squeeze(1))
        pooled: Tensor = self.map(torch.cat(parts, dim=-1))
        return pooled


class MessageStep(nn.Module):
    """Messages along relations: first to the nodes that no action picks, then, with their news, to the candidates."""

    def __init__(self, spec: GraphSpec, config: ModelConfig) -> None:
        """Builds the relations and one update a node type."""
        super().__init__()
        hidden = config.hidden
        edges, types = decision_edges(spec) if config.messages != "none" else (), decision_types(spec)
        others = tuple(name for name in types if name not in spec.actions)
        self.rounds = nn.ModuleList(Relations(edges, targets, config) for targets in (others, spec.actions) if targets)
        self.targets = [targets for targets in (others, spec.actions) if targets]
        self.update = nn.ModuleDict(
            {name: nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden)) for name in types}
        )

    def forward(self, nodes: Embeddings, static: Embeddings, graph: DecisionGraph, extra: Embeddings) -> Embeddings:
        """Returns the next embedding of every changing node; ``extra`` is added to what a node hears."""
        result = dict(nodes)
        for targets, relations in zip(self.targets, self.rounds, strict=True):
            messages = relations(result, static, graph)
            for name in targets:
                heard = nodes[name] + extra[name]
                heard = heard + messages[name] if name in messages else heard
                result[name] = nodes[name] + self.update[name](heard)
        return result


class PoolingLayer(nn.Module):
    """One message step in which every node also hears what the graph as a whole looks like."""

    def __init__(self, spec: GraphSpec, config: ModelConfig) -> None:
        """Builds the parts."""
        super().__init__()
        self.pool = Pooling(decision_types(spec), config.hidden)
        self.step = MessageStep(spec, config)

    def forward(self, nodes: Embeddings, static: Embeddings, graph: DecisionGraph) -> Embeddings:
        """Returns the next embedding of every changing node."""
        whole = self.pool(nodes, graph)[:, None]
        result: Embeddings = self.step(nodes, static, graph, dict.fromkeys(nodes, whole))
        return result


class AttentionLayer(nn.Module):
    """One message step in which nodes also attend to all changing nodes of their graph (Vaswani et al. 2017)."""

    def __init__(self, spec: GraphSpec, config: ModelConfig) -> None:
        """Builds the parts."""
        super().__init__()
        self.types, self.heads = decision_types(spec), config.heads
        self.normalise = nn.LayerNorm(config.hidden)
        self.query_key_value = nn.Linear(config.hidden, 3 * config.hidden)
        self.out = nn.Linear(config.hidden, config.hidden)
        self.step = MessageStep(spec, config)

    def forward(self, nodes: Embeddings, static: Embeddings, graph: DecisionGraph) -> Embeddings:
        """Returns the next embedding of every changing node."""
        tokens = torch.cat([nodes[name] for name in self.types], dim=1)
        present = torch.cat([graph.present[name] for name in self.types], dim=1)
        sizes = [nodes[name].shape[1] for name in self.types]
        attended = torch.split(self._attend(tokens, present), sizes, dim=1)
        result: Embeddings = self.step(nodes, static, graph, dict(zip(self.types, attended, strict=True)))
        return result

    def _attend(self, tokens: Tensor, present: Tensor) -> Tensor:
        graphs, length, _ = tokens.shape
        split = self.query_key_value(self.normalise(tokens)).view(graphs, length, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mask = present[:, None, None, :]
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed: Tensor = self.out(attended.transpose(1, 2).reshape(tokens.shape))
        return mixed


def _messages(config: ModelConfig) -> MessagePassing:
    """Builds the map of one relation and direction."""
    hidden, heads = config.hidden, config.heads
    if config.messages == "attention":
        return GATv2Conv((hidden, hidden), hidden // heads, heads=heads, add_self_loops=False, bias=False)
    return SAGEConv((hidden, hidden), hidden, root_weight=False, bias=False)


def _scatter_mean(values: Tensor, target: Tensor, rows: int) -> Tensor:
    total = values.new_zeros(rows, values.shape[1]).index_add(0, target, values)
    count = values.new_zeros(rows).index_add(0, target, values.new_ones(values.shape[0]))
    return total / count.clamp(min=1)[:, None]
