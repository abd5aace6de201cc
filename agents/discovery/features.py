"""The named features that a formula may read of an observation, for every kind of node that an action may pick.

A node's own features have their plain names (``processing_time``). Those of its neighbours, meaned over the edges of
one kind, and those of the context stand behind the other's name (``machine.remaining_load``, ``context.now``). What of
a name is no letter or digit becomes an underscore.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core import Observation
from envs.core.spec import CONTEXT, EdgeType, GraphSpec

Values = NDArray[np.float64]
Reader = Callable[[Observation], Values]


def readers(spec: GraphSpec) -> dict[str, dict[str, Reader]]:
    """Returns, by kind of candidate and by name of the feature, how to read it.

    Args:
        spec: What the environment observes.

    Returns:
        Functions from an observation of several lanes to ``(lanes, capacity)`` values, ``(lanes, 1)`` of the context.
    """
    return {name: dict(_of_candidate(spec, name)) for name in spec.actions}


def read(known: Mapping[str, Reader], names: Iterable[str], observation: Observation) -> dict[str, Values]:
    """Returns the arrays of some features."""
    return {name: known[name](observation) for name in names}


def _of_candidate(spec: GraphSpec, candidate: str) -> Iterable[tuple[str, Reader]]:
    for name, key, column in _columns(spec, candidate):
        yield name, _own(key, column)
    for edge in spec.edges:
        ends = (edge.source, edge.target)
        if candidate in ends and ends != (candidate, candidate):
            side = ends.index(candidate)
            other = ends[1 - side]
            twice = sum(set(ends) == {each.source, each.target} for each in spec.edges) > 1
            owner = f"{other}_{edge.relation}" if twice else other
            for name, key, column in _columns(spec, other):
                yield f"{owner}.{name}", _meaned(spec, edge, side, key, column)
    for column, feature in enumerate(spec.context):
        yield f"{CONTEXT}.{_identifier(feature.name)}", _own(CONTEXT, column)


def _columns(spec: GraphSpec, node: str) -> Iterable[tuple[str, str, int]]:
    kind = spec.node(node)
    for key, features in ((kind.static_key, kind.static), (kind.dynamic_key, kind.dynamic)):
        for column, feature in enumerate(features):
            yield _identifier(feature.name), key, column


def _identifier(name: str) -> str:
    """The name of a feature as a word of a formula."""
    return re.sub(r"\W+", "_", name).strip("_")


def _own(key: str, column: int) -> Reader:
    if key == CONTEXT:
        return lambda observation: observation[CONTEXT][:, column, None].astype(np.float64)
    return lambda observation: observation[key][:, :, column].astype(np.float64)


def _meaned(spec: GraphSpec, edge: EdgeType, side: int, key: str, column: int) -> Reader:
    capacity = spec.node((edge.source, edge.target)[side]).capacity

    def reader(observation: Observation) -> Values:
        index: NDArray[Any] = observation[edge.index_key]
        lanes, places = np.nonzero(index[:, 0] >= 0)
        nodes, others = index[lanes, side, places], index[lanes, 1 - side, places]
        flat = lanes * capacity + nodes
        shape = (len(index), capacity)
        length = shape[0] * shape[1]
        total = np.bincount(flat, observation[key][lanes, others, column], length)
        return (total / np.maximum(np.bincount(flat, minlength=length), 1.0)).reshape(shape)

    return reader
