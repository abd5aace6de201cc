"""MCP: modified critical path.

Tasks in the lexicographic order of their sorted lists of the ALAP starts of themselves and of all their descendants,
ties by index; each on the processing element (PE) where it starts earliest, insertion into gaps allowed, ties to the
smaller index of the PE. Made for equal PEs: ALAP starts use the means over PEs.

Source: M.-Y. Wu, D. D. Gajski, "Hypertool: a programming aid for message-passing systems", IEEE TPDS 1(3) (1990)
330-343.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.soc_dag.static.graph import TaskGraph, task_graph
from envs.soc_dag.static.ranks import latest_starts, settle
from envs.soc_dag.static.timeline import Timeline, by_priority
from envs.soc_dag.types import SocInstance, Trace


def mcp(instance: SocInstance) -> Trace:
    """Returns MCP's schedule of a static instance."""
    graph = task_graph(instance)
    alap, reached = settle(latest_starts(graph)), _descendants(graph)
    keys = [tuple(np.sort(alap[row]).tolist()) for row in reached]
    timeline = Timeline(graph)
    for task in by_priority(graph, keys):
        processor = timeline.starting_first(task, insertion=True)
        timeline.place_earliest(task, processor, insertion=True)
    return timeline.trace()


def _descendants(graph: TaskGraph) -> NDArray[np.bool_]:
    """``(N, N)``: row i marks the tasks that can be reached from i, i included."""
    reached = np.eye(graph.num_tasks, dtype=bool)
    for task in reversed(graph.order):
        for after, _ in graph.successors[task]:
            reached[task] |= reached[after]
    return reached
