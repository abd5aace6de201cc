"""OLB: opportunistic load balancing.

Tasks in order of their jobs' release, then of their index, predecessors first; each after the last task on the
processing element (PE) that is free first among those that can run it, whatever its execution time, ties to the
smaller index of the PE.

Source: T. D. Braun et al., "A comparison of eleven static heuristics for mapping a class of independent tasks onto
heterogeneous distributed computing systems", Journal of Parallel and Distributed Computing 61(6) (2001) 810-837.
"""

from __future__ import annotations

from envs.soc_dag.static.graph import task_graph
from envs.soc_dag.static.timeline import Timeline, by_priority
from envs.soc_dag.types import SocInstance, Trace


def olb(instance: SocInstance) -> Trace:
    """Returns the OLB schedule of a static instance."""
    graph = task_graph(instance)
    timeline = Timeline(graph)
    for task in by_priority(graph, range(graph.num_tasks)):
        timeline.place_earliest(task, min(graph.supported[task], key=timeline.available), insertion=False)
    return timeline.trace()
