"""SAGA problem instances and DAGBench graphs (JSON): a task graph on related machines.

``task_graph`` has ``tasks`` (name, cost) and ``dependencies`` (source, target, size); ``network`` has ``nodes`` (name,
speed) and ``edges`` (source, target, speed), either direction standing for both. The execution time of a task is its
cost over the node's speed, a transfer takes size over the link's speed and is free within a node. Edges from a node to
itself are ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from envs.core.errors import UsageError
from envs.core.fields import naming, shorten
from envs.soc_dag.formats.fields import Fields
from envs.soc_dag.formats.json_text import load_json
from envs.soc_dag.types import Chip, Floats, JobType, SocInstance, make_chip, single_dag


def is_saga(data: Any) -> bool:
    """True if JSON data looks like a SAGA problem instance."""
    return isinstance(data, dict) and "task_graph" in data


def read_saga(path: Path, data: Any = None) -> SocInstance:
    """Reads a SAGA problem instance; ``data`` is the file's content if it has been read already.

    Raises:
        UsageError: The file cannot be read or is no problem instance; the message names file, field and value.
    """
    with naming(path):
        top = Fields.of(load_json(path) if data is None else data)
        chip, speeds = _network(top.fields("network"))
        graph = top.fields("task_graph")
        tasks = graph.entries("tasks")
        index = _index(tasks)
        costs = np.array([task.number("cost") for task in tasks], np.float64)
        edges = graph.entries("dependencies")
        ends = [[_end(edge, field, index) for edge in edges] for field in ("source", "target")]
        name = top.text("name", path.stem)
        job_type = JobType(
            name,
            tuple(index),
            costs[:, None] / speeds,
            np.array(ends[0], np.int64),
            np.array(ends[1], np.int64),
            np.array([edge.number("size") for edge in edges], np.float64),
        )
        return single_dag(name, chip, job_type, time_unit="time")


def _network(network: Fields) -> tuple[Chip, Floats]:
    nodes = network.entries("nodes")
    index = _index(nodes)
    speeds = np.array([node.number("speed") for node in nodes], np.float64)
    if not len(speeds):
        raise UsageError(f"{network.name('nodes')} is empty; expected at least one")
    if (speeds <= 0).any():
        raise UsageError(f"{network.name('nodes')} has a speed of 0; expected more than 0")
    bandwidth = np.zeros((len(nodes), len(nodes)))
    for edge in network.entries("edges"):
        source, target = _end(edge, "source", index), _end(edge, "target", index)
        bandwidth[source, target] = bandwidth[target, source] = edge.number("speed", infinite=True)
    np.fill_diagonal(bandwidth, np.inf)
    if (bandwidth <= 0).any():
        here, there = (list(index)[end] for end in np.argwhere(bandwidth <= 0)[0])
        raise UsageError(f"{network.name('edges')} has no link with a speed between nodes {here!r} and {there!r}")
    return make_chip("network", tuple(index), bandwidth=bandwidth), speeds


def _index(entries: list[Fields]) -> dict[str, int]:
    index: dict[str, int] = {}
    for position, entry in enumerate(entries):
        name = entry.text("name")
        if name in index:
            raise UsageError(f"{entry.name('name')} is {shorten(name)} again; expected distinct names")
        index[name] = position
    return index


def _end(edge: Fields, field: str, index: dict[str, int]) -> int:
    name = edge.text(field)
    if name not in index:
        raise UsageError(f"{edge.name(field)} is {shorten(name)}; expected one of the names listed")
    return index[name]
