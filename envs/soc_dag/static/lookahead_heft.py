"""Lookahead HEFT.

HEFT's order; for every processing element (PE) the task is placed there tentatively, and its children after it in
order of decreasing rank_u, each on its PE of earliest finish as far as their predecessors have a place yet; the PE
with which the last of the children ends first is taken, for an exit that of its own earliest finish. Insertion into
gaps; ties to the smaller index of the PE.

Source: L. F. Bittencourt, R. Sakellariou, E. R. M. Madeira, "DAG scheduling using a lookahead variant of the
heterogeneous earliest finish time algorithm", PDP 2010, 27-34.
"""

from __future__ import annotations

from collections.abc import Sequence

from envs.soc_dag.static.graph import task_graph
from envs.soc_dag.static.ranks import rank_u, settle
from envs.soc_dag.static.timeline import Timeline, by_priority
from envs.soc_dag.types import SocInstance, Trace


def lookahead_heft(instance: SocInstance) -> Trace:
    """Returns the schedule of HEFT with one level of lookahead for a static instance."""
    graph = task_graph(instance)
    keys = (-settle(rank_u(graph))).tolist()
    timeline = Timeline(graph)
    for task in by_priority(graph, keys):
        children = sorted((after for after, _ in graph.successors[task]), key=lambda after: (keys[after], after))
        ends = [(_last_end(timeline, task, p, children), p) for p in graph.supported[task]]
        timeline.place_earliest(task, min(ends)[1], insertion=True)
    return timeline.trace()


def _last_end(timeline: Timeline, task: int, processor: int, children: Sequence[int]) -> float:
    """Latest end of the children with the task on a PE; leaves the timeline as it was."""
    timeline.place_earliest(task, processor, insertion=True)
    for child in children:
        timeline.place_earliest(child, timeline.finishing_first(child, insertion=True), insertion=True)
    end = max((timeline.end[child] for child in children), default=timeline.end[task])
    for each in (*children, task):
        timeline.remove(each)
    return end
