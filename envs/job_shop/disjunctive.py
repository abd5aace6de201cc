"""Longest paths in the disjunctive graph of a job shop, compiled.

Nodes are operations, numbered ``job * operations + position``. Fixed arcs lead along each job; every machine adds a
chain through the operations sequenced on it so far, kept as two arrays of neighbours (-1: none, or not sequenced).
An arc's length is the time of the operation it leaves. The *head* of an operation is the longest path to it, its
earliest start; its *tail* is the longest path from its end to the end of the schedule.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@numba.njit(cache=True)
def topological_order(operations: int, previous: Ints, following: Ints) -> Ints:
    """Orders the operations so that every arc leads forward.

    Args:
        operations: Operations per job.
        previous: ``(n,)`` operation before each on its machine, or -1.
        following: ``(n,)`` operation after each on its machine, or -1.

    Returns:
        ``(n,)`` operations in order; shorter if the graph has a cycle.
    """
    count = previous.size
    order = np.empty(count, np.int64)
    missing = np.empty(count, np.int64)
    filled = 0
    for node in range(count):
        missing[node] = (node % operations > 0) + (previous[node] >= 0)
        if missing[node] == 0:
            order[filled] = node
            filled += 1
    done = 0
    while done < filled:
        node = order[done]
        done += 1
        if node % operations < operations - 1:
            missing[node + 1] -= 1
            if missing[node + 1] == 0:
                order[filled] = node + 1
                filled += 1
        successor = following[node]
        if successor >= 0:
            missing[successor] -= 1
            if missing[successor] == 0:
                order[filled] = successor
                filled += 1
    return order[:filled]


@numba.njit(cache=True)
def heads(order: Ints, times: Ints, operations: int, previous: Ints) -> Ints:
    """Returns the ``(n,)`` heads: the earliest starts of all operations."""
    head = np.zeros(times.size, np.int64)
    for node in order:
        if node % operations > 0:
            head[node] = head[node - 1] + times[node - 1]
        before = previous[node]
        if before >= 0:
            head[node] = max(head[node], head[before] + times[before])
    return head


@numba.njit(cache=True)
def tails(order: Ints, times: Ints, operations: int, following: Ints) -> Ints:
    """Returns the ``(n,)`` tails: the longest paths from the end of each operation to the end of the schedule."""
    tail = np.zeros(times.size, np.int64)
    for index in range(order.size - 1, -1, -1):
        node = order[index]
        if node % operations < operations - 1:
            tail[node] = tail[node + 1] + times[node + 1]
        after = following[node]
        if after >= 0:
            tail[node] = max(tail[node], tail[after] + times[after])
    return tail


@numba.njit(cache=True)
def delays(order: Ints, times: Ints, operations: int, previous: Ints, chosen: Ints) -> Ints:
    """Returns the longest paths between chosen operations.

    Args:
        order: Topological order of all operations.
        times: ``(n,)`` processing times.
        operations: Operations per job.
        previous: ``(n,)`` operation before each on its machine, or -1.
        chosen: ``(k,)`` operations.

    Returns:
        ``(k, k)`` matrix: entry ``(a, b)`` is the least time from the start of ``chosen[a]`` to the start of
        ``chosen[b]``, -1 if no path leads there or ``a == b``.
    """
    size = chosen.size
    delay = np.full((size, size), -1, np.int64)
    position = np.empty(times.size, np.int64)
    for index in range(order.size):
        position[order[index]] = index
    for row in range(size):
        source = chosen[row]
        distance = np.full(times.size, -1, np.int64)
        distance[source] = 0
        for index in range(position[source] + 1, order.size):
            node = order[index]
            reach = -1
            if node % operations > 0 and distance[node - 1] >= 0:
                reach = distance[node - 1] + times[node - 1]
            before = previous[node]
            if before >= 0 and distance[before] >= 0:
                reach = max(reach, distance[before] + times[before])
            distance[node] = reach
        for column in range(size):
            if column != row:
                delay[row, column] = distance[chosen[column]]
    return delay
