"""Interchangeable VMs as classes, and placements as counts of classes on places.

Two movable VMs of the same need, cluster and anti-affinity group are interchangeable, so a placement is, for every
class and place, a number of VMs; a re-placement is a matrix of changes of these numbers. A place is a NUMA node, for a
VM on two of them the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from envs.vm_rescheduling.types import MEMORY_PIECE, TERMS, Floats, Integers, VmInstance

Change = NDArray[np.int64]
"""``(classes, numas)`` change of the number of VMs of a class on a place."""


@dataclass(frozen=True, eq=False)
class VmClasses:
    """The movable VMs that run at the start of an instance, by class.

    Attributes:
        instance: The instance.
        cores: ``(classes,)`` cores on each of a VM's NUMA nodes.
        memory: ``(classes,)`` memory in MB on each of them.
        width: ``(classes,)`` NUMA nodes of a VM.
        home: ``(classes,)`` cluster.
        group: ``(classes,)`` anti-affinity group; -1 for none, also where only one VM is in it.
        counts: ``(classes, numas)`` VMs at the start.
        members: VMs by class and place.
    """

    instance: VmInstance
    cores: Integers
    memory: Integers
    width: Integers
    home: Integers
    group: Integers
    counts: Integers
    members: dict[tuple[int, int], list[int]]

    @cached_property
    def numas(self) -> int:
        """NUMA nodes."""
        return len(self.instance.machines.machine_of_numa)

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """``(classes, numas)`` places that could hold a VM if every movable VM left."""
        machines = self.instance.machines
        cores, memory = self.room
        own = (cores >= self.cores[:, None]) & (memory >= self.memory[:, None])
        allowed: NDArray[np.bool_] = own & (machines.cluster[machines.machine_of_numa] == self.home[:, None])
        double = self.width == 2
        allowed[double] &= self.is_first & np.roll(own[double], -1, axis=1)
        return allowed

    @cached_property
    def is_first(self) -> NDArray[np.bool_]:
        """``(numas,)`` first NUMA nodes of machines with two."""
        machines = self.instance.machines
        first = np.zeros(self.numas, np.bool_)
        first[machines.first_numa[machines.numa_count == 2]] = True
        return first

    @cached_property
    def room(self) -> tuple[Integers, Integers]:
        """``(numas,)`` cores and memory that are free if every movable VM leaves."""
        cores, memory = self.needs(self.counts)
        return self.instance.free_cores + cores, self.instance.free_memory + memory

    def needs(self, numbers: Change) -> tuple[Integers, Integers]:
        """Returns the ``(numas,)`` cores and memory that numbers of VMs by class and place take."""
        takes = []
        for need in (self.cores, self.memory):
            taken = need @ numbers
            second = np.where(self.width == 2, need, 0) @ numbers
            taken[1:] += second[:-1]
            takes.append(taken)
        return takes[0], takes[1]

    @cached_property
    def occupants(self) -> Integers:
        """``(machines,)`` VMs at the start."""
        instance = self.instance
        hosts = instance.vms.host[instance.vms.host >= 0]
        return np.bincount(instance.machines.machine_of_numa[hosts], minlength=len(instance.machines.names))

    @cached_property
    def fixed_groups(self) -> set[tuple[int, int]]:
        """Groups and machines where a VM of the group runs that may not be moved."""
        vms, machine = self.instance.vms, self.instance.machines.machine_of_numa
        fixed = np.flatnonzero((vms.host >= 0) & ~vms.movable & (vms.group >= 0))
        return {(int(vms.group[vm]), int(machine[vms.host[vm]])) for vm in fixed}

    def no_change(self) -> Change:
        """Returns the change of nothing."""
        return np.zeros((len(self.cores), self.numas), np.int64)


def classes_of(instance: VmInstance) -> VmClasses:
    """Returns the classes of an instance's movable VMs."""
    vms = instance.vms
    sizes = np.bincount(vms.group[vms.group >= 0], minlength=1)
    keys: dict[tuple[int, ...], int] = {}
    members: dict[tuple[int, int], list[int]] = {}
    for vm in np.flatnonzero((vms.host >= 0) & vms.movable).tolist():
        width, group = int(vms.numa_count[vm]), int(vms.group[vm])
        group = group if group >= 0 and sizes[group] > 1 else -1
        key = (int(vms.cores[vm]) // width, int(vms.memory[vm]) // width, width, int(vms.home[vm]), group)
        number = keys.setdefault(key, len(keys))
        members.setdefault((number, int(vms.host[vm])), []).append(vm)
    cores, memory, widths, homes, groups = np.array(list(keys), np.int64).reshape(-1, 5).T
    counts = np.zeros((len(keys), len(instance.machines.machine_of_numa)), np.int64)
    for place, here in members.items():
        counts[place] = len(here)
    return VmClasses(instance, cores, memory, widths, homes, groups, counts, members)


@dataclass(frozen=True, eq=False)
class LinearObjective:
    """The weighted sum of the objective's terms as a constant and rewards that the machines earn.

    Migrations do not change the sums of free cores and memory, so every term is linear in whole numbers: 16-core pieces
    of a NUMA node, 64-core pieces of a machine, pieces of memory of a NUMA node, occupied machines.

    Attributes:
        constant: The sum if no machine earned anything and none were occupied.
        rewards: ``(4,)`` decrease of the sum for one piece of each kind (in the order of `TERMS`); for an occupied
            machine it is negative.
    """

    constant: float
    rewards: Floats

    def earned(
        self, own: Integers, other: Integers, own_memory: Integers, other_memory: Integers, occupied: NDArray[np.bool_]
    ) -> Floats:
        """Returns what machines earn with free cores and memory on their two nodes (0 on one that does not exist)."""
        pieces16, pieces64, pieces_memory, host = self.rewards
        earned: Floats = (
            pieces16 * (own // 16 + other // 16)
            + pieces64 * np.minimum(own // 32, other // 32)
            + pieces_memory * (own_memory // MEMORY_PIECE + other_memory // MEMORY_PIECE)
            + host * occupied
        )
        return earned


def linear_objective(instance: VmInstance) -> LinearObjective:
    """Returns the linear form of an instance's objective."""
    weights = dict(zip(TERMS, instance.objective.vector.tolist(), strict=True))
    cores, memory = int(instance.free_cores.sum()), int(instance.free_memory.sum())
    constant = (weights["fr16"] + weights["fr64"]) * (cores > 0) + weights["memory64"] * (memory > 0)
    rewards = np.array(
        [
            weights["fr16"] * 16 / cores if cores else 0.0,
            weights["fr64"] * 64 / cores if cores else 0.0,
            weights["memory64"] * MEMORY_PIECE / memory if memory else 0.0,
            -weights["occupied_hosts"] / max(1, len(instance.machines.names)),
        ]
    )
    return LinearObjective(constant, rewards)
