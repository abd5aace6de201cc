"""CPOP: critical path on a processor.

Of the ready tasks that with the largest rank_u + rank_d comes next, ties by index. Tasks of a job's critical path go to
the processing element (PE) that runs all of them in the shortest time; where none can run all of them, these too go to
the PE of earliest finish, as all others. Insertion into gaps; ties to the smaller index of the PE.

Source: H. Topcuoglu, S. Hariri, M.-Y. Wu, "Performance-effective and low-complexity task scheduling for heterogeneous
computing", IEEE TPDS 13(3) (2002) 260-274, section 4.2.
"""

from __future__ import annotations

import numpy as np

from envs.soc_dag.static.graph import task_graph
from envs.soc_dag.static.ranks import critical_paths, rank_d, rank_u, settle
from envs.soc_dag.static.timeline import Timeline, by_priority
from envs.soc_dag.types import SocInstance, Trace


def cpop(instance: SocInstance) -> Trace:
    """Returns CPOP's schedule of a static instance."""
    graph = task_graph(instance)
    reserved: dict[int, int] = {}
    for path in critical_paths(graph):
        totals = graph.times[list(path)].sum(axis=0)
        if np.isfinite(totals).any():
            reserved.update(dict.fromkeys(path, int(totals.argmin())))
    timeline = Timeline(graph)
    for task in by_priority(graph, (-settle(rank_u(graph) + rank_d(graph))).tolist()):
        processor = reserved[task] if task in reserved else timeline.finishing_first(task, insertion=True)
        timeline.place_earliest(task, processor, insertion=True)
    return timeline.trace()
