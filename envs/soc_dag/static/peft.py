"""PEFT: predict earliest finish time.

Of the ready tasks that with the largest mean of its optimistic costs OCT comes next, ties by index; it goes to the
processing element (PE) with the smallest EFT + OCT, insertion into gaps allowed, ties to the smaller index of the PE.
The mean is over the PEs that can run the task.

Source: H. Arabnejad, J. G. Barbosa, "List scheduling algorithm for heterogeneous systems by an optimistic cost table",
IEEE TPDS 25(3) (2014) 682-694.
"""

from __future__ import annotations

import numpy as np

from envs.soc_dag.static.graph import task_graph
from envs.soc_dag.static.ranks import optimistic_costs, settle
from envs.soc_dag.static.timeline import Timeline, by_priority
from envs.soc_dag.types import SocInstance, Trace


def peft(instance: SocInstance) -> Trace:
    """Returns PEFT's schedule of a static instance."""
    graph = task_graph(instance)
    costs = optimistic_costs(graph)
    possible = np.isfinite(graph.times)
    ranks = np.where(possible, costs, 0.0).sum(axis=1) / possible.sum(axis=1)
    penalties = costs.tolist()
    timeline = Timeline(graph)
    for task in by_priority(graph, (-settle(ranks)).tolist()):
        processor = timeline.finishing_first(task, insertion=True, penalty=penalties[task])
        timeline.place_earliest(task, processor, insertion=True)
    return timeline.trace()
