"""Ranks that order the tasks of a graph.

Mean execution times w̄ are over the processing elements (PEs) that can run a task; c̄ is the mean communication time
of an edge, see `TaskGraph`. Release times stand in no rank: list schedulers respect them when they place tasks.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from envs.soc_dag.static.graph import TaskGraph
from envs.soc_dag.types import Floats

_DIGITS = 11


def rank_u(graph: TaskGraph) -> Floats:
    """Upward ranks ``(N,)``: that of i is w̄_i + the max over successors j of (c̄_ij + that of j).

    Source: H. Topcuoglu, S. Hariri, M.-Y. Wu, "Performance-effective and low-complexity task scheduling for
    heterogeneous computing", IEEE TPDS 13(3) (2002) 260-274, equation 6.
    """
    ranks = graph.mean_times.copy()
    for task in reversed(graph.order):
        ranks[task] += max(
            (graph.mean_communication(volume) + ranks[after] for after, volume in graph.successors[task]), default=0.0
        )
    return ranks


def rank_d(graph: TaskGraph) -> Floats:
    """Downward ranks ``(N,)``: that of i is the max over predecessors j of (that of j + w̄_j + c̄_ji), 0 at an entry.

    Source: as `rank_u`, equation 8.
    """
    ranks, mean = np.zeros(graph.num_tasks), graph.mean_times
    for task in graph.order:
        ranks[task] = max(
            (ranks[before] + mean[before] + graph.mean_communication(v) for before, v in graph.predecessors[task]),
            default=0.0,
        )
    return ranks


def critical_paths(graph: TaskGraph) -> list[tuple[int, ...]]:
    """For every job the tasks of its critical path, from an entry on: where rank_u + rank_d is its length.

    Ties go to the smaller index. Source: as `rank_u`, section 4.2 (CPOP).
    """
    priority = settle(rank_u(graph) + rank_d(graph))

    def longest(tasks: Iterable[int]) -> int:
        return min(tasks, key=lambda task: (-priority[task], task))

    paths = []
    for first, last in pairwise(graph.offsets.tolist()):
        path = [longest(task for task in range(first, last) if not graph.predecessors[task])]
        while graph.successors[path[-1]]:
            path.append(longest(after for after, _ in graph.successors[path[-1]]))
        paths.append(tuple(path))
    return paths


def optimistic_costs(graph: TaskGraph) -> Floats:
    """Optimistic cost table OCT ``(N, P)``, 0 at an exit, else with c̄ only between different PEs p and q.

    OCT(i, p) = max over successors j of min over PEs q of (OCT(j, q) + w_jq + c̄_ij).

    Source: H. Arabnejad, J. G. Barbosa, "List scheduling algorithm for heterogeneous systems by an optimistic cost
    table", IEEE TPDS 25(3) (2014) 682-694, equation 5.
    """
    costs = np.zeros(graph.times.shape)
    for task in reversed(graph.order):
        for after, volume in graph.successors[task]:
            onward = costs[after] + graph.times[after]
            elsewhere = onward.min() + graph.mean_communication(volume)
            costs[task] = np.maximum(costs[task], np.minimum(onward, elsewhere))
    return costs


def static_levels(graph: TaskGraph, times: Floats | None = None) -> Floats:
    """Static level SL ``(N,)``: longest path of execution times from a task to an exit, itself included.

    Args:
        graph: The task graph.
        times: ``(N,)`` execution times to add up; the means w̄ if left out.
    """
    levels = (graph.mean_times if times is None else times).copy()
    for task in reversed(graph.order):
        levels[task] += max((levels[after] for after, _ in graph.successors[task]), default=0.0)
    return levels


def latest_starts(graph: TaskGraph) -> Floats:
    """ALAP start ``(N,)``: length of the critical path minus rank_u.

    Source: M.-Y. Wu, D. D. Gajski, "Hypertool: a programming aid for message-passing systems", IEEE TPDS 1(3) (1990)
    330-343, with means in place of the times of equal processors.
    """
    ranks = rank_u(graph)
    latest: Floats = ranks.max() - ranks
    return latest


def settle(values: Floats) -> Floats:
    """Cuts off rounding errors, so that equal ranks that were added up in another order tie."""
    scale = max(float(np.abs(values).max(initial=0.0)), 1e-300)
    return np.round(values / scale, _DIGITS)
