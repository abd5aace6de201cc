"""The loop of schedulers that compare all ready tasks on all processing elements (PEs) at every step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from envs.soc_dag.static.graph import TaskGraph
from envs.soc_dag.static.timeline import Timeline
from envs.soc_dag.types import Floats, Integers, Trace

Choice = Callable[[Integers, Floats, Floats], tuple[int, int]]
"""Chooses a row and a PE, given the ready tasks ``(R,)`` by index, when their data is on the PEs ``(R, P)``, inf where
a PE cannot run a task, and when the PEs are free ``(P,)``."""


def schedule_greedily(graph: TaskGraph, choose: Choice) -> Trace:
    """Places the chosen ready task after the last one on the chosen PE until all are placed."""
    timeline = Timeline(graph)
    missing = [len(before) for before in graph.predecessors]
    ready: list[int] = []
    data = np.full(graph.times.shape, np.inf)
    free = np.zeros(graph.num_processors)

    def release(task: int) -> None:
        ready.append(task)
        for p in graph.supported[task]:
            data[task, p] = timeline.data_ready(task, p)

    for task, count in enumerate(missing):
        if count == 0:
            release(task)
    while ready:
        ready.sort()
        rows = np.array(ready, np.int64)
        row, processor = choose(rows, data[rows], free)
        task = ready.pop(row)
        timeline.place_earliest(task, processor, insertion=False)
        free[processor] = timeline.end[task]
        for after, _ in graph.successors[task]:
            missing[after] -= 1
            if missing[after] == 0:
                release(after)
    return timeline.trace()


def first_smallest(*keys: Floats) -> tuple[int, int]:
    """Row and column of the smallest entry by the first key, then by the next; ties to the smaller row and column."""
    candidates = np.ones(keys[0].shape, bool)
    for key in keys:
        values = np.broadcast_to(key, candidates.shape)
        candidates &= values == values[candidates].min()
    row, column = np.unravel_index(int(candidates.argmax()), candidates.shape)
    return int(row), int(column)
