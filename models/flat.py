"""The baseline without structure: a multilayer perceptron over all observation arrays laid end to end.

It is what flat policies of the field are (SoCRATES, Sung and Ryu 2021, has layers of 512 and 256): nothing says which
numbers belong to the same node, so weights are tied to one capacity and nothing carries over to other places of a node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.core.errors import UsageError
from envs.core.spec import ACTION_MASK, COUNTS, GraphSpec
from models.batch import DecisionGraph, Embeddings, StaticGraph, squash
from models.config import FlatConfig
from models.network import Network

STATIC = "static"
"""Key of the flattened static arrays in what `FlatNetwork.encode` returns."""


@dataclass(frozen=True)
class Slot:
    """One observation array in the input of the network.

    Attributes:
        key: Name of the array.
        shape: Its shape at the capacity of the network.
        scales: Divisors of its numbers after adding ``shift``; None for features, which are squashed.
        shift: What is added before; 1 turns the -1 of absent edges into 0.
        names: For every axis the node or edge type that limits it, or None.
    """

    key: str
    shape: tuple[int, ...]
    scales: tuple[int, ...] | None
    shift: int
    names: tuple[str | None, ...]

    def transform(self, array: Tensor) -> Tensor:
        """Returns the numbers that the network reads, in the shape of ``array``; what pads them is always 0."""
        if self.scales is None:
            return squash(array)
        scales = torch.tensor(self.scales, dtype=torch.float32, device=array.device)
        return (array.float() + self.shift) / (scales[:, None] if self.shift else scales)


def slots(spec: GraphSpec) -> dict[str, Slot]:
    """Returns the arrays that a flat network reads, all but the action mask, in the order of the spec."""
    names: dict[str, tuple[str | None, ...]] = {}
    scales: dict[str, tuple[int, ...]] = {COUNTS: tuple(max(1, count) for count in spec.capacities.values())}
    for node in spec.nodes:
        names[node.static_key] = names[node.dynamic_key] = (node.name, None)
    for edge in spec.edges:
        names[edge.index_key], names[edge.features_key] = (None, edge.name), (edge.name, None)
        scales[edge.index_key] = tuple(max(1, spec.node(end).capacity) for end in (edge.source, edge.target))
    shifted = {edge.index_key for edge in spec.edges}
    return {
        key: Slot(key, shape, scales.get(key), int(key in shifted), names.get(key, (None,)))
        for key, (shape, _) in spec.arrays.items()
        if key != ACTION_MASK
    }


def at_capacity(spec: GraphSpec, wanted: Mapping[str, int]) -> GraphSpec:
    """Returns the spec with other capacities.

    Raises:
        UsageError: ``wanted`` names other node and edge types than the spec.
    """
    if set(wanted) != set(spec.capacities):
        raise UsageError(f"model.capacities is for {', '.join(wanted)}; expected {', '.join(spec.capacities)}")
    nodes = tuple(replace(node, capacity=wanted[node.name]) for node in spec.nodes)
    return replace(spec, nodes=nodes, edges=tuple(replace(edge, capacity=wanted[edge.name]) for edge in spec.edges))


class FlatNetwork(Network):
    """Scores every place for a candidate and estimates the return, from the numbers of all arrays in their places.

    It runs in environments of the capacity it was built for and, with the rest left empty, of smaller ones.

    Args:
        spec: The graph spec.
        config: The network's shape; without capacities it takes those of ``spec``.
    """

    def __init__(self, spec: GraphSpec, config: FlatConfig) -> None:
        """Builds the network; the policy starts out nearly uniform."""
        self.spec = at_capacity(spec, config.capacities) if config.capacities else spec
        super().__init__(replace(config, capacities=self.spec.capacities))
        known = slots(self.spec)
        self.static_slots = [known[key] for key in self.spec.static_keys]
        self.dynamic_slots = [known[key] for key in self.spec.dynamic_keys if key != ACTION_MASK]
        width = sum(_size(slot) for slot in (*self.static_slots, *self.dynamic_slots))
        layers: list[nn.Module] = []
        for hidden in config.widths:
            layers += [nn.Linear(width, hidden), nn.ReLU()]
            width = hidden
        self.body = nn.Sequential(*layers)
        self.score = nn.Linear(width, self.spec.num_actions)
        self.value = nn.Linear(width, 1)
        nn.init.orthogonal_(self.score.weight, gain=0.01)

    def holds(self, spec: GraphSpec) -> bool:
        """Whether environments with this spec fit into the capacity of the network."""
        own = self.spec.capacities
        return all(count <= own[name] for name, count in spec.capacities.items())

    def encode(self, graph: StaticGraph) -> Embeddings:
        """Returns the static numbers ``(episodes, numbers)`` in their places, under the key ``static``.

        Raises:
            UsageError: The arrays have a larger capacity than the network.
        """
        episodes = next(iter(graph.nodes.values())).shape[0]
        flat = [self._flatten(slot, graph.arrays[slot.key]) for slot in self.static_slots]
        return {STATIC: torch.cat(flat, dim=1) if flat else torch.zeros(episodes, 0, device=self.value.weight.device)}

    def decide(self, static: Embeddings, graph: DecisionGraph) -> tuple[Tensor, Tensor]:
        """Returns unmasked logits ``(decisions, actions)`` and estimated returns ``(decisions,)``.

        Raises:
            UsageError: The arrays have a larger capacity than the network.
        """
        dynamic = [self._flatten(slot, graph.arrays[slot.key]) for slot in self.dynamic_slots]
        logits, values = self.score_and_value(torch.cat([static[STATIC][graph.episode], *dynamic], dim=1))
        parts = []
        for name in self.spec.actions:
            offered = graph.nodes[name].shape[1]
            self._check(name, offered)
            start = self.spec.action_offset(name)
            parts.append(logits[:, start : start + offered])
        return torch.cat(parts, dim=1), values

    def score_and_value(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the logits ``(rows, places)`` and values ``(rows,)`` of inputs ``(rows, numbers)``."""
        hidden = self.body(numbers)
        return self.score(hidden), self.value(hidden).squeeze(-1)

    def _flatten(self, slot: Slot, array: Tensor) -> Tensor:
        """Transforms one batched array and pads it to the capacity of the network."""
        padding: list[int] = []
        for name, size, offered in zip(slot.names, slot.shape, array.shape[1:], strict=True):
            if name is not None:
                self._check(name, offered)
            padding = [0, size - offered, *padding]
        return functional.pad(slot.transform(array), padding).flatten(1)

    def _check(self, name: str, offered: int) -> None:
        own = self.spec.capacities[name]
        if offered > own:
            raise UsageError(
                f"the flat policy was built for environments with room for {own} {name}, this one has room for "
                f"{offered}; expected at most {own}, or a policy on graphs, which runs on any size"
            )


def _size(slot: Slot) -> int:
    size = 1
    for axis in slot.shape:
        size *= axis
    return size
