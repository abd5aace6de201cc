"""HEFT: heterogeneous earliest finish time.

Tasks in order of decreasing rank_u, ties by index; each on the processing element (PE) of earliest finish, insertion
into gaps allowed, ties to the smaller index of the PE.

Source: H. Topcuoglu, S. Hariri, M.-Y. Wu, "Performance-effective and low-complexity task scheduling for heterogeneous
computing", IEEE TPDS 13(3) (2002) 260-274, section 4.1.
"""

from __future__ import annotations

from envs.soc_dag.static.graph import task_graph
from envs.soc_dag.static.ranks import rank_u, settle
from envs.soc_dag.static.timeline import Timeline, by_priority
from envs.soc_dag.types import SocInstance, Trace


def heft(instance: SocInstance) -> Trace:
    """Returns HEFT's schedule of a static instance."""
    graph = task_graph(instance)
    timeline = Timeline(graph)
    for task in by_priority(graph, (-settle(rank_u(graph))).tolist()):
        processor = timeline.finishing_first(task, insertion=True)
        timeline.place_earliest(task, processor, insertion=True)
    return timeline.trace()
