"""The typed graph that every decision is taken on: what an observation holds and what an action means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.errors import UsageError

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

Observation = dict[str, NDArray[Any]]
"""One observation, or a batch of them with a leading lane axis: array name to array."""

COUNTS = "counts"
CONTEXT = "context"
ACTION_MASK = "action_mask"


@dataclass(frozen=True)
class Feature:
    """One number that describes a node, an edge or the whole graph.

    Attributes:
        name: What it is, in the standard terms of the field.
        unit: Its unit, "1" for a plain ratio or a count.
        low: Smallest value that can occur.
        high: Largest value that can occur.
    """

    name: str
    unit: str = "1"
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class NodeType:
    """A kind of node.

    Attributes:
        name: Identifier, e.g. ``"operation"``.
        capacity: Number of rows in the padded arrays.
        static: Features that stay as they are for an episode.
        dynamic: Features that may change at every decision.
    """

    name: str
    capacity: int
    static: tuple[Feature, ...] = ()
    dynamic: tuple[Feature, ...] = ()

    @property
    def static_key(self) -> str:
        """Name of the ``(capacity, len(static))`` float32 array."""
        return f"{self.name}_static"

    @property
    def dynamic_key(self) -> str:
        """Name of the ``(capacity, len(dynamic))`` float32 array."""
        return f"{self.name}_dynamic"


@dataclass(frozen=True)
class EdgeType:
    """A kind of directed edge.

    Attributes:
        source: Node type that the edge leaves.
        relation: Verb that joins the two, e.g. ``"precedes"``.
        target: Node type that the edge enters.
        capacity: Number of columns in the padded index array.
        static: Whether edges and features stay as they are for an episode.
        features: Numbers on each edge.
    """

    source: str
    relation: str
    target: str
    capacity: int
    static: bool
    features: tuple[Feature, ...] = ()

    @property
    def triple(self) -> tuple[str, str, str]:
        """The PyTorch Geometric edge type ``(source, relation, target)``."""
        return (self.source, self.relation, self.target)

    @property
    def name(self) -> str:
        """Identifier, unique within a spec."""
        return f"{self.source}_{self.relation}_{self.target}"

    @property
    def index_key(self) -> str:
        """Name of the ``(2, capacity)`` int32 array of source and target rows, padded with -1."""
        return f"{self.name}_index"

    @property
    def features_key(self) -> str:
        """Name of the ``(capacity, len(features))`` float32 array."""
        return f"{self.name}_features"


@dataclass(frozen=True)
class GraphSpec:
    """Declares the observation graph of one problem at one capacity.

    An action is the index of a *candidate node*: the node types in ``actions`` are laid end to end in that order,
    each taking ``capacity`` indices.

    Attributes:
        nodes: Node types.
        edges: Edge types.
        actions: Names of the node types that an action may pick, in order.
        context: Features of the graph as a whole.
    """

    nodes: tuple[NodeType, ...]
    edges: tuple[EdgeType, ...]
    actions: tuple[str, ...]
    context: tuple[Feature, ...] = ()
    _by_name: dict[str, NodeType] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Checks that every name refers to something and that no array would be written twice."""
        object.__setattr__(self, "_by_name", {node.name: node for node in self.nodes})
        if len(self._by_name) != len(self.nodes):
            raise UsageError(f"GraphSpec.nodes names a node type twice: {[node.name for node in self.nodes]}")
        for edge in self.edges:
            for end in (edge.source, edge.target):
                if end not in self._by_name:
                    raise UsageError(f"GraphSpec.edges: {edge.name} refers to the unknown node type {end!r}")
        if len({edge.name for edge in self.edges}) != len(self.edges):
            raise UsageError(f"GraphSpec.edges names an edge type twice: {[edge.name for edge in self.edges]}")
        for name in self.actions:
            if name not in self._by_name:
                raise UsageError(f"GraphSpec.actions refers to the unknown node type {name!r}")

    def node(self, name: str) -> NodeType:
        """Returns the node type called ``name``."""
        return self._by_name[name]

    @property
    def num_actions(self) -> int:
        """Length of the action mask: the capacities of the action node types, summed."""
        return sum(self.node(name).capacity for name in self.actions)

    @property
    def capacities(self) -> dict[str, int]:
        """Capacity of every node and edge type by name."""
        nodes = {node.name: node.capacity for node in self.nodes}
        return {**nodes, **{edge.name: edge.capacity for edge in self.edges}}

    def action_offset(self, node_type: str) -> int:
        """Action index of row 0 of ``node_type``."""
        before = self.actions[: self.actions.index(node_type)]
        return sum(self.node(name).capacity for name in before)

    def locate_action(self, action: int) -> tuple[str, int]:
        """Returns the node type and the row that ``action`` picks.

        Raises:
            IndexError: ``action`` is not in ``range(num_actions)``.
        """
        rest = action
        for name in self.actions if action >= 0 else ():
            capacity = self.node(name).capacity
            if rest < capacity:
                return name, rest
            rest -= capacity
        raise IndexError(f"action {action} is outside 0..{self.num_actions - 1}")

    @property
    def arrays(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shape and type of every array of one observation, in a fixed order."""
        real, index = np.dtype(np.float32), np.dtype(np.int32)
        result: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        for node in self.nodes:
            if node.static:
                result[node.static_key] = ((node.capacity, len(node.static)), real)
            if node.dynamic:
                result[node.dynamic_key] = ((node.capacity, len(node.dynamic)), real)
        for edge in self.edges:
            result[edge.index_key] = ((2, edge.capacity), index)
            if edge.features:
                result[edge.features_key] = ((edge.capacity, len(edge.features)), real)
        if self.context:
            result[CONTEXT] = ((len(self.context),), real)
        result[COUNTS] = ((len(self.nodes) + len(self.edges),), index)
        result[ACTION_MASK] = ((self.num_actions,), np.dtype(np.bool_))
        return result

    @property
    def static_keys(self) -> tuple[str, ...]:
        """Names of the arrays that stay as they are for an episode."""
        nodes = [node.static_key for node in self.nodes if node.static]
        edges = [key for edge in self.edges if edge.static for key in self._edge_keys(edge)]
        return (*nodes, *edges)

    @property
    def dynamic_keys(self) -> tuple[str, ...]:
        """Names of the arrays that may change at every decision."""
        static = set(self.static_keys)
        return tuple(key for key in self.arrays if key not in static)

    def allocate(self, lanes: int) -> Observation:
        """Returns zeroed arrays for ``lanes`` observations, with -1 in the edge indices."""
        result = {key: np.zeros((lanes, *shape), dtype) for key, (shape, dtype) in self.arrays.items()}
        for edge in self.edges:
            result[edge.index_key].fill(-1)
        return result

    def observation_space(self) -> spaces.Dict:
        """The Gymnasium space of one observation."""
        bounds: dict[str, tuple[Any, Any]] = {ACTION_MASK: (0, 1), COUNTS: (0, self._largest_count())}
        for node in self.nodes:
            bounds[node.static_key] = _feature_bounds(node.static, node.capacity)
            bounds[node.dynamic_key] = _feature_bounds(node.dynamic, node.capacity)
        for edge in self.edges:
            ends = (self.node(edge.source).capacity, self.node(edge.target).capacity)
            bounds[edge.index_key] = (-1, max(*ends, 1) - 1)
            bounds[edge.features_key] = _feature_bounds(edge.features, edge.capacity)
        if self.context:
            low, high = _feature_bounds(self.context, 1)
            bounds[CONTEXT] = (low[0], high[0])
        return spaces.Dict(
            {
                key: spaces.Box(*bounds[key], shape=shape, dtype=dtype.type)
                for key, (shape, dtype) in self.arrays.items()
            }
        )

    def action_space(self) -> spaces.Discrete:
        """The Gymnasium space of one action."""
        return spaces.Discrete(self.num_actions)

    def trim(self, observation: Mapping[str, NDArray[Any]]) -> Observation:
        """Cuts the padding off one observation (no lane axis); candidates move together in the action mask."""
        counts = observation[COUNTS]
        node_counts = {node.name: int(counts[i]) for i, node in enumerate(self.nodes)}
        result: Observation = {}
        for node in self.nodes:
            for key in (node.static_key, node.dynamic_key):
                if key in observation:
                    result[key] = observation[key][: node_counts[node.name]]
        for i, edge in enumerate(self.edges, start=len(self.nodes)):
            result[edge.index_key] = observation[edge.index_key][:, : counts[i]]
            if edge.features:
                result[edge.features_key] = observation[edge.features_key][: counts[i]]
        if self.context:
            result[CONTEXT] = observation[CONTEXT]
        result[COUNTS] = counts
        result[ACTION_MASK] = observation[ACTION_MASK][self.real_actions(node_counts)]
        return result

    def real_actions(self, node_counts: Mapping[str, int]) -> NDArray[np.int64]:
        """Action indices that belong to existing nodes, given how many of each type exist."""
        parts = [self.action_offset(name) + np.arange(node_counts[name]) for name in self.actions]
        return np.concatenate(parts).astype(np.int64)

    def to_hetero_data(self, observation: Mapping[str, NDArray[Any]]) -> HeteroData:
        """Converts one observation to a ``torch_geometric.data.HeteroData`` without padding.

        Node stores hold ``static`` and ``dynamic`` matrices (and ``x``, both side by side), edge stores hold
        ``edge_index`` and, where the spec has edge features, ``edge_attr``; ``context`` and ``action_mask`` are
        attributes of the graph.
        """
        import torch
        from torch_geometric.data import HeteroData

        trimmed = self.trim(observation)
        data = HeteroData()
        for i, node in enumerate(self.nodes):
            parts = []
            for name, key in (("static", node.static_key), ("dynamic", node.dynamic_key)):
                if key in trimmed:
                    data[node.name][name] = torch.from_numpy(trimmed[key].copy())
                    parts.append(data[node.name][name])
            rows = int(trimmed[COUNTS][i])
            data[node.name].x = torch.cat(parts, dim=1) if parts else torch.zeros(rows, 0)
        for edge in self.edges:
            store = data[edge.triple]
            store.edge_index = torch.from_numpy(trimmed[edge.index_key].astype(np.int64))
            if edge.features:
                store.edge_attr = torch.from_numpy(trimmed[edge.features_key].copy())
        if self.context:
            data.context = torch.from_numpy(trimmed[CONTEXT].copy())
        data.action_mask = torch.from_numpy(trimmed[ACTION_MASK].copy())
        return data

    def to_metadata(self) -> dict[str, Any]:
        """A JSON-ready description without capacities: what a policy trained on this spec can be run on."""
        return {
            "nodes": {
                node.name: {"static": _describe(node.static), "dynamic": _describe(node.dynamic)} for node in self.nodes
            },
            "edges": {
                edge.name: {"triple": list(edge.triple), "static": edge.static, "features": _describe(edge.features)}
                for edge in self.edges
            },
            "actions": list(self.actions),
            "context": _describe(self.context),
        }

    def _edge_keys(self, edge: EdgeType) -> tuple[str, ...]:
        return (edge.index_key, edge.features_key) if edge.features else (edge.index_key,)

    def _largest_count(self) -> int:
        return max([1, *(node.capacity for node in self.nodes), *(edge.capacity for edge in self.edges)])


def _feature_bounds(features: tuple[Feature, ...], rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bounds of a ``(rows, features)`` array; padding rows are zero, so zero always lies inside."""
    low = np.array([min(f.low, 0.0) for f in features], np.float32)
    high = np.array([max(f.high, 0.0) for f in features], np.float32)
    return np.tile(low, (rows, 1)), np.tile(high, (rows, 1))


def _describe(features: tuple[Feature, ...]) -> list[dict[str, str]]:
    return [{"name": f.name, "unit": f.unit} for f in features]
