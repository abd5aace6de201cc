"""From padded observation arrays to the tensors that networks read.

Nodes keep their padded places, so row ``b * capacity + i`` is node ``i`` of graph ``b``; edges are laid flat without
padding. Static parts are given once an episode: ``episode[b]`` says which episode decision ``b`` belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from envs.core.spec import CONTEXT, COUNTS, EdgeType, GraphSpec

Embeddings = dict[str, Tensor]
"""Per node type ``(graphs, capacity, hidden)``."""


def squash(features: Tensor) -> Tensor:
    """Compresses large values, ``sign(x) log(1 + |x|)``, so that instances of any size stay in the trained range."""
    return torch.sign(features) * torch.log1p(torch.abs(features))


@dataclass(frozen=True)
class StaticGraph:
    """What stays for an episode, of several episodes.

    Attributes:
        nodes: Per node type ``(episodes, capacity, static features)``; no features where a type has none.
        edges: Per static edge type ``(2, edges)`` int64 rows into the flattened ``(episodes * capacity)`` nodes.
        edge_features: Per static edge type with features ``(edges, features)``.
        arrays: The padded static arrays that it was laid out from; empty where a graph was made in another way.
    """

    nodes: dict[str, Tensor]
    edges: dict[str, Tensor]
    edge_features: dict[str, Tensor]
    arrays: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class DecisionGraph:
    """What changes from decision to decision, of several decisions.

    Attributes:
        episode: ``(decisions,)`` int64 row of the decision's episode in the static graph.
        nodes: Per decision node type ``(decisions, capacity, dynamic features)``.
        present: Per decision node type ``(decisions, capacity)`` bool, False for padding.
        edges: Per relation that `decision_edges` lists ``(2, edges)`` int64 rows; a type that `decision_types` does
            not list counts its rows in the static graph, any other in this one.
        edge_features: Per relation with features ``(edges, features)``.
        context: ``(decisions, context features)``.
        arrays: The padded dynamic arrays that it was laid out from; empty where a graph was made in another way.
    """

    episode: Tensor
    nodes: dict[str, Tensor]
    present: dict[str, Tensor]
    edges: dict[str, Tensor]
    edge_features: dict[str, Tensor]
    context: Tensor
    arrays: Mapping[str, Tensor] = field(default_factory=dict)


def decision_types(spec: GraphSpec) -> tuple[str, ...]:
    """Node types whose embeddings are computed at every decision: they change, or an action may pick them."""
    return tuple(node.name for node in spec.nodes if node.dynamic or node.name in spec.actions)


def decision_edges(spec: GraphSpec) -> tuple[EdgeType, ...]:
    """Edge types that carry messages at a decision: dynamic ones, and static ones between nodes that change."""
    changing = set(decision_types(spec))
    return tuple(
        edge
        for edge in spec.edges
        if (not edge.static and {edge.source, edge.target} & changing) or {edge.source, edge.target} <= changing
    )


def static_graph(spec: GraphSpec, arrays: Mapping[str, Tensor], rows: Tensor | None = None) -> StaticGraph:
    """Lays out the static arrays of several episodes.

    Args:
        spec: The graph spec.
        arrays: Static arrays with a leading episode axis.
        rows: ``(episodes,)`` their numbers 0, 1, ...; needed only where the spec has no static arrays.
    """
    if rows is None:
        leading = arrays[spec.static_keys[0]]
        rows = torch.arange(leading.shape[0], device=leading.device)
    episodes, device = len(rows), rows.device
    nodes = {
        node.name: arrays[node.static_key] if node.static else torch.zeros(episodes, node.capacity, 0, device=device)
        for node in spec.nodes
    }
    edges, features = {}, {}
    for edge in spec.edges:
        if edge.static:
            edges[edge.name], kept = _flatten(arrays[edge.index_key], edge, spec, rows, rows)
            if edge.features:
                features[edge.name] = arrays[edge.features_key].flatten(0, 1)[kept]
    return StaticGraph(nodes, edges, features, arrays)


def decision_graph(
    spec: GraphSpec, static: Mapping[str, Tensor], dynamic: Mapping[str, Tensor], episode: Tensor
) -> DecisionGraph:
    """Lays out the dynamic arrays of several decisions.

    Args:
        spec: The graph spec.
        static: Static arrays with a leading episode axis.
        dynamic: Dynamic arrays with a leading decision axis.
        episode: ``(decisions,)`` int64 row of each decision's episode.
    """
    counts = dynamic[COUNTS]
    decisions = counts.shape[0]
    rows = torch.arange(decisions, device=counts.device)
    changing = decision_types(spec)
    nodes, present = {}, {}
    for i, node in enumerate(spec.nodes):
        if node.name in changing:
            empty = torch.zeros(decisions, node.capacity, 0, device=counts.device)
            nodes[node.name] = dynamic[node.dynamic_key] if node.dynamic else empty
            present[node.name] = torch.arange(node.capacity, device=counts.device) < counts[:, i : i + 1]
    edges, features = {}, {}
    for edge in decision_edges(spec):
        index = static[edge.index_key][episode] if edge.static else dynamic[edge.index_key]
        source, target = (rows if end in changing else episode for end in (edge.source, edge.target))
        edges[edge.name], kept = _flatten(index, edge, spec, source, target)
        if edge.features:
            values = static[edge.features_key][episode] if edge.static else dynamic[edge.features_key]
            features[edge.name] = values.flatten(0, 1)[kept]
    context = dynamic[CONTEXT] if spec.context else torch.zeros(decisions, 0, device=counts.device)
    return DecisionGraph(episode, nodes, present, edges, features, context, dynamic)


def _flatten(index: Tensor, edge: EdgeType, spec: GraphSpec, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets ``(graphs, 2, capacity)`` indices to flat rows and drops padding; also returns which were kept."""
    offsets = torch.stack([source * spec.node(edge.source).capacity, target * spec.node(edge.target).capacity], dim=1)
    flat = (index.long() + offsets[:, :, None]).transpose(0, 1).flatten(1)
    kept = (index[:, 0, :] >= 0).flatten()
    return flat[:, kept], kept
