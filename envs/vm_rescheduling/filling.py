"""Compiled placement of many VMs on the machines of one cluster, for generated instances.

NUMA nodes, and machines with two of them, stand in buckets by the cores that are free (on a machine: on the fuller
node), so that a VM is placed in time that grows with the cores of a node, not with the number of machines.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.vm_rescheduling.types import Floats, Integers

BEST, WORST, ANY = 0, 1, 2
"""Where a VM goes among the nodes with room: where the fewest cores stay free, the most, or anywhere at random."""


class _Buckets(NamedTuple):
    members: NDArray[np.int32]  # (levels, items)
    size: Integers  # (levels,)
    position: NDArray[np.int32]  # (items,)


@njit(cache=True)
def _insert(buckets: _Buckets, item: int, level: int) -> None:
    buckets.members[level, buckets.size[level]] = item
    buckets.position[item] = buckets.size[level]
    buckets.size[level] += 1


@njit(cache=True)
def _remove(buckets: _Buckets, item: int, level: int) -> None:
    buckets.size[level] -= 1
    last = buckets.members[level, buckets.size[level]]
    buckets.members[level, buckets.position[item]] = last
    buckets.position[last] = buckets.position[item]


@njit(cache=True)
def _fill(keys: Integers, levels: int) -> _Buckets:
    buckets = _Buckets(
        np.empty((levels, len(keys)), np.int32), np.zeros(levels, np.int64), np.empty(len(keys), np.int32)
    )
    for item in range(len(keys)):
        if keys[item] >= 0:
            _insert(buckets, item, keys[item])
    return buckets


@njit(cache=True)
def _pick(buckets: _Buckets, need: int, rule: int, uniform: float) -> int:
    """An item with at least ``need`` free cores, chosen by ``rule``; -1 if there is none."""
    levels = len(buckets.size)
    if need >= levels:
        return -1
    if rule == ANY:
        left = int(uniform * buckets.size[need:].sum())
        for level in range(need, levels):
            if left < buckets.size[level]:
                return int(buckets.members[level, left])
            left -= buckets.size[level]
        return -1
    for step in range(levels - need):
        level = need + step if rule == BEST else levels - 1 - step
        if buckets.size[level]:
            return int(buckets.members[level, int(uniform * buckets.size[level])])
    return -1


@njit(cache=True)
def _roomy(buckets: _Buckets, need: int, share: int, free_memory: Integers, first: Integers, nodes: int) -> int:
    """The first item, the fullest ones first, with both the cores and the memory; -1 if there is none."""
    for level in range(need, len(buckets.size)):
        for index in range(buckets.size[level]):
            item = int(buckets.members[level, index])
            start = first[item] if nodes == 2 else item
            if free_memory[start : start + nodes].min() >= share:
                return item
    return -1


@njit(cache=True)
def place(
    cores: Integers,
    memory: Integers,
    numa_count: Integers,
    rule: Integers,
    uniform: Floats,
    first: Integers,
    machine_of_numa: Integers,
    free_cores: Integers,
    free_memory: Integers,
) -> Integers:
    """Places VMs one after the other.

    Args:
        cores: ``(vms,)`` cores.
        memory: ``(vms,)`` memory.
        numa_count: ``(vms,)`` 1 or 2.
        rule: ``(vms,)`` `BEST`, `WORST` or `ANY`.
        uniform: ``(vms,)`` random numbers on [0, 1) that choose among equals.
        first: ``(machines + 1,)`` first NUMA node of every machine, and the number of nodes.
        machine_of_numa: ``(numas,)`` machine of every NUMA node.
        free_cores: ``(numas,)`` free cores; the VMs are taken off.
        free_memory: ``(numas,)`` free memory; likewise.

    Returns:
        ``(vms,)`` NUMA node of every VM, of two the first; -1 where it fitted nowhere.
    """
    machines = len(first) - 1
    fuller = np.full(machines, -1, np.int64)
    for machine in range(machines):
        if first[machine + 1] - first[machine] == 2:
            fuller[machine] = free_cores[first[machine] : first[machine] + 2].min()
    levels = free_cores.max() + 1
    singles, doubles = _fill(free_cores, levels), _fill(fuller, levels)
    hosts = np.full(len(cores), -1, np.int64)
    for vm in range(len(cores)):
        nodes = numa_count[vm]
        need, share = cores[vm] // nodes, memory[vm] // nodes
        buckets = singles if nodes == 1 else doubles
        item = _pick(buckets, need, rule[vm], uniform[vm])
        if item < 0:
            continue
        start = item if nodes == 1 else first[item]
        if free_memory[start : start + nodes].min() < share:
            item = _roomy(buckets, need, share, free_memory, first, nodes)
            if item < 0:
                continue
            start = item if nodes == 1 else first[item]
        hosts[vm] = start
        for numa in range(start, start + nodes):
            _remove(singles, numa, free_cores[numa])
            free_cores[numa] -= need
            free_memory[numa] -= share
            _insert(singles, numa, free_cores[numa])
        machine = machine_of_numa[start]
        if fuller[machine] >= 0:
            _remove(doubles, machine, fuller[machine])
            fuller[machine] = free_cores[first[machine] : first[machine] + 2].min()
            _insert(doubles, machine, fuller[machine])
    return hosts
