"""Static encoder of attention within groups: nodes attend to those that share a neighbour with them.

In a job shop operations attend within their job, then within their machine, in turns: every relation between two node
types makes groups of its sources. The idea of blocks in turns is that of Pirnay and Grimm ("Self-improvement for neural
combinatorial optimization", TMLR 2024), whose residual branches start at zero (ReZero, Bachlechner et al., UAI 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.core.spec import EdgeType
from models.batch import Embeddings, StaticGraph, squash
from models.config import ModelConfig


class AlternatingLayer(nn.Module):
    """Attention within the groups of every relation in turn; the groups' own nodes then hear their members' mean.

    Relations within one node type (such as an operation's successor) make no groups. They are heard as means over
    predecessors and over successors before the attention.

    Args:
        edges: The static relations.
        config: The network's shape.
    """

    def __init__(self, edges: list[EdgeType], config: ModelConfig) -> None:
        """Builds one block a relation."""
        super().__init__()
        hidden = config.hidden
        self.heads = config.heads
        self.within = [edge for edge in edges if edge.source == edge.target]
        self.grouping = [edge for edge in edges if edge.source != edge.target]
        names = [edge.name for edge in edges]
        self.features = nn.ModuleDict(
            {edge.name: nn.Linear(len(edge.features), hidden, bias=False) for edge in edges if edge.features}
        )
        self.normalise = nn.ModuleDict({name: nn.LayerNorm(hidden) for name in names})
        self.neighbours = nn.ModuleDict({edge.name: nn.Linear(2 * hidden, hidden) for edge in self.within})
        self.query_key_value = nn.ModuleDict({edge.name: nn.Linear(hidden, 3 * hidden) for edge in self.grouping})
        self.members = nn.ModuleDict({edge.name: nn.Linear(hidden, hidden) for edge in self.grouping})
        self.update = nn.ModuleDict({name: _perceptron(hidden) for name in names})
        gains = [f"{name}_{part}" for name in names for part in ("heard", "update")]
        gains += [f"{edge.name}_members" for edge in self.grouping]
        self.gain = nn.ParameterDict({gain: torch.zeros(1) for gain in gains})

    def forward(self, nodes: Embeddings, graph: StaticGraph) -> Embeddings:
        """Returns the next embedding of every node."""
        result = dict(nodes)
        for edge in self.within:
            heard = self._neighbours(edge, result[edge.source], graph)
            self._add(edge, result, edge.source, heard)
        for edge in self.grouping:
            member = _incidence(edge, result, graph)
            source = self._with_features(edge, result[edge.source], graph)
            self._add(edge, result, edge.source, self._attend(edge, source, member))
            share = member / member.sum(dim=1, keepdim=True).clamp(min=1)
            mean = self.members[edge.name](torch.bmm(share.transpose(1, 2), result[edge.source]))
            result[edge.target] = result[edge.target] + self.gain[f"{edge.name}_members"] * mean
        return result

    def _add(self, edge: EdgeType, nodes: Embeddings, name: str, heard: Tensor) -> None:
        """Adds what was heard, and then a perceptron of the sum, each by a gain that starts at zero."""
        nodes[name] = nodes[name] + self.gain[f"{edge.name}_heard"] * heard
        nodes[name] = nodes[name] + self.gain[f"{edge.name}_update"] * self.update[edge.name](nodes[name])

    def _neighbours(self, edge: EdgeType, nodes: Tensor, graph: StaticGraph) -> Tensor:
        index = graph.edges[edge.name]
        flat = self.normalise[edge.name](nodes).flatten(0, 1)
        message = flat[index[0]], flat[index[1]]
        if edge.features:
            extra = self.features[edge.name](squash(graph.edge_features[edge.name]))
            message = message[0] + extra, message[1] + extra
        before, after = (_mean_at(index[1 - end], message[end], flat.shape[0]) for end in (0, 1))
        heard: Tensor = self.neighbours[edge.name](torch.cat([before, after], dim=-1)).view_as(nodes)
        return heard

    def _with_features(self, edge: EdgeType, nodes: Tensor, graph: StaticGraph) -> Tensor:
        normal: Tensor = self.normalise[edge.name](nodes)
        if not edge.features:
            return normal
        extra = self.features[edge.name](squash(graph.edge_features[edge.name]))
        flat = normal.flatten(0, 1)
        return (flat + _mean_at(graph.edges[edge.name][0], extra, flat.shape[0])).view_as(normal)

    def _attend(self, edge: EdgeType, nodes: Tensor, member: Tensor) -> Tensor:
        graphs, length, _ = nodes.shape
        split = self.query_key_value[edge.name](nodes).view(graphs, length, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        # Nodes without a group attend to themselves: a softmax over nothing is not a number.
        alone = torch.eye(length, dtype=torch.bool, device=nodes.device)
        together = (torch.bmm(member, member.transpose(1, 2)) > 0) | alone
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=together[:, None])
        return attended.transpose(1, 2).reshape(nodes.shape)


def _perceptron(hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, hidden))


def _incidence(edge: EdgeType, nodes: Embeddings, graph: StaticGraph) -> Tensor:
    """Returns ``(graphs, sources, targets)`` ones where the relation holds."""
    sources, targets = nodes[edge.source], nodes[edge.target]
    index = graph.edges[edge.name]
    place = index[0] * targets.shape[1] + index[1] % targets.shape[1]
    flat = sources.new_zeros(sources.shape[0] * sources.shape[1] * targets.shape[1])
    flat = flat.index_add(0, place, flat.new_ones(place.shape[0]))
    return flat.view(sources.shape[0], sources.shape[1], targets.shape[1]).clamp(max=1)


def _mean_at(target: Tensor, values: Tensor, rows: int) -> Tensor:
    total = values.new_zeros(rows, values.shape[1]).index_add(0, target, values)
    count = values.new_zeros(rows).index_add(0, target, values.new_ones(values.shape[0]))
    return total / count.clamp(min=1)[:, None]
