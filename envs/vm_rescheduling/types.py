"""What an instance of VM rescheduling is, and what a plan of migrations is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

TERMS = ("fr16", "fr64", "memory64", "occupied_hosts")
MEMORY_PIECE = 65536
"""Size in MB of the pieces that the term ``memory64`` counts: 64 GiB."""


def _frozen(array: object, dtype: type, length: int, what: str) -> NDArray[np.generic]:
    values: NDArray[np.generic] = np.array(array, dtype)
    if values.shape != (length,):
        raise UsageError(f"{what} has shape {values.shape}; expected {(length,)}")
    values.setflags(write=False)
    return values


@dataclass(frozen=True, eq=False)
class Machines:
    """Physical machines (PMs), each with one or two NUMA nodes.

    Attributes:
        names: Name of every machine.
        cluster: ``(machines,)`` cluster of every machine; VMs never leave theirs.
        machine_of_numa: ``(numas,)`` machine of every NUMA node; the nodes of a machine follow each other, and machines
            stand in order.
        cores: ``(numas,)`` cores (vCPU) of every NUMA node.
        memory: ``(numas,)`` memory of every NUMA node in MB.
    """

    names: tuple[str, ...]
    cluster: Integers
    machine_of_numa: Integers
    cores: Integers
    memory: Integers

    def __post_init__(self) -> None:
        """Checks shapes, order and ranges."""
        numas = len(self.machine_of_numa)
        for name, length in (
            ("cluster", len(self.names)),
            *((n, numas) for n in ("machine_of_numa", "cores", "memory")),
        ):
            object.__setattr__(self, name, _frozen(getattr(self, name), np.int64, length, f"machines: {name}"))
        expected = np.repeat(np.arange(len(self.names)), np.bincount(self.machine_of_numa, minlength=len(self.names)))
        counts = np.bincount(self.machine_of_numa, minlength=len(self.names))
        if not np.array_equal(expected, self.machine_of_numa) or not np.isin(counts, (1, 2)).all():
            raise UsageError("machines: expected one or two NUMA nodes for every machine, in the order of the machines")
        if numas and (self.cores.min() < 1 or self.memory.min() < 1):
            raise UsageError("machines: cores and memory of a NUMA node; expected at least 1")

    @cached_property
    def first_numa(self) -> Integers:
        """``(machines,)`` first NUMA node of every machine."""
        return np.searchsorted(self.machine_of_numa, np.arange(len(self.names))).astype(np.int64)

    @cached_property
    def numa_count(self) -> Integers:
        """``(machines,)`` NUMA nodes of every machine."""
        return np.bincount(self.machine_of_numa, minlength=len(self.names)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class VirtualMachines:
    """Virtual machines (VMs): what they need, where they run, and when.

    A VM on one NUMA node takes its cores and memory there; one on two takes half of each on both nodes of a machine.

    Attributes:
        names: Name of every VM.
        cores: ``(vms,)`` cores.
        memory: ``(vms,)`` memory in MB.
        numa_count: ``(vms,)`` 1 or 2.
        host: ``(vms,)`` NUMA node that it runs on at the start, of two the first; -1 for a VM that arrives later.
        group: ``(vms,)`` host anti-affinity group, -1 for none: no VM is moved to a machine with another of its group.
        movable: ``(vms,)`` whether it may be migrated.
        arrival: ``(vms,)`` seconds after which it arrives; 0 for those that run at the start.
        departure: ``(vms,)`` seconds after which it leaves; inf for those that stay.
        home: ``(vms,)`` cluster that it belongs to.
    """

    names: tuple[str, ...]
    cores: Integers
    memory: Integers
    numa_count: Integers
    host: Integers
    group: Integers
    movable: Flags
    arrival: Floats
    departure: Floats
    home: Integers

    def __post_init__(self) -> None:
        """Checks shapes and ranges."""
        count = len(self.names)
        for name in ("cores", "memory", "numa_count", "host", "group", "home"):
            object.__setattr__(self, name, _frozen(getattr(self, name), np.int64, count, f"vms: {name}"))
        for name in ("arrival", "departure"):
            object.__setattr__(self, name, _frozen(getattr(self, name), np.float64, count, f"vms: {name}"))
        object.__setattr__(self, "movable", _frozen(self.movable, np.bool_, count, "vms: movable"))
        bad = np.flatnonzero(
            ~np.isin(self.numa_count, (1, 2))
            | (self.cores < 1)
            | (self.memory < 0)
            | (self.cores % self.numa_count != 0)
            | (self.memory % self.numa_count != 0)
            | ~(self.arrival >= 0)
            | ~(self.departure > self.arrival)
            | ((self.host < 0) & (self.arrival == 0))
            | ((self.host >= 0) & (self.arrival > 0))
        )
        if len(bad):
            vm = int(bad[0])
            raise UsageError(
                f"VM {self.names[vm]} has cores {self.cores[vm]}, memory {self.memory[vm]}, numa_count "
                f"{self.numa_count[vm]}, host {self.host[vm]}, arrival {self.arrival[vm]:g}, departure "
                f"{self.departure[vm]:g}; expected a positive need that is even on two NUMA nodes, a host exactly if "
                "it runs at the start, and a departure after the arrival"
            )


@dataclass(frozen=True)
class Objective:
    """What a plan is to minimise.

    Without a goal it is the weighted sum of terms of the placement at the end:

    - ``fr16``: fragment rate, the share of free cores that 16-core VMs on one NUMA node cannot use,
      ``sum over NUMA nodes of (free mod 16) / sum of free`` (Yang et al., EuroSys 2025, section 2);
    - ``fr64``: the same for 64-core VMs on two NUMA nodes, ``1 - 64 * sum over machines of min over their two nodes of
      floor(free / 32) / sum of free``; a machine with one node hosts none;
    - ``memory64``: the share of free memory that pieces of 64 GiB cannot use, a NUMA node at a time;
    - ``occupied_hosts``: the share of machines with at least one VM.

    With a goal it is the number of migrations until the weighted sum is at most the goal, where the plan ends: none
    follows a migration that reached it. A plan that ends above it counts as ``migration_limit + 1 + 100 * excess``.

    A rate whose denominator is 0 is 0.

    Attributes:
        weights: Weight by term.
        goal: What the weighted sum is to reach with the fewest migrations; None to minimise the sum itself.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: {"fr16": 1.0})
    goal: float | None = None

    def __post_init__(self) -> None:
        """Checks the terms."""
        object.__setattr__(self, "weights", {name: float(weight) for name, weight in self.weights.items()})
        for name, weight in self.weights.items():
            if name not in TERMS or not 0 < weight < np.inf:
                raise UsageError(
                    f"objective has the term {name!r} of weight {weight:g}; expected positive ones of {TERMS}"
                )
        if self.goal is not None and not 0 <= self.goal < np.inf:
            raise UsageError(f"objective has the goal {self.goal}; expected a finite number of at least 0")
        if not self.weights:
            raise UsageError(f"objective has no term; expected at least one of {', '.join(TERMS)}")

    @property
    def vector(self) -> Floats:
        """``(4,)`` weights in the order of `TERMS`."""
        return np.array([self.weights.get(name, 0.0) for name in TERMS])


@dataclass(frozen=True, eq=False)
class VmInstance:
    """A placement of VMs on machines, and how it may be changed.

    Migrations are carried out one after the other. The first begins at ``delay``, when the plan is ready; each takes
    ``migration_seconds``. VMs arrive and leave meanwhile; all that is due at a moment happens before the migration that
    begins then, departures first. An arriving VM goes to the NUMA node of its cluster where the fewest cores stay free
    (best fit; on two nodes, to the machine with the fewest), the first one among equals, and is turned away if none has
    room or all of those hold a VM of its group.

    Attributes:
        name: Name for reports.
        machines: The machines.
        vms: The VMs, later ones included.
        migration_limit: Most migrations (MNL).
        objective: What is minimised.
        delay: Seconds before the first migration.
        migration_seconds: Seconds between two migrations.
        in_flight: Migrations that are under way at the same time: the room at the source of a migration is free again
            only when this many further migrations have begun; 0 frees it at once.
    """

    name: str
    machines: Machines
    vms: VirtualMachines
    migration_limit: int = 50
    objective: Objective = field(default_factory=Objective)
    delay: float = 0.0
    migration_seconds: float = 0.0
    in_flight: int = 0

    def __post_init__(self) -> None:
        """Checks ranges and that the VMs fit where they are."""
        if self.migration_limit < 1 or self.in_flight < 0 or not 0 <= self.delay < np.inf:
            raise UsageError(
                f"{self.name} has migration_limit {self.migration_limit}, in_flight {self.in_flight}, delay "
                f"{self.delay}; expected at least 1, 0 and 0"
            )
        if not 0 <= self.migration_seconds < np.inf:
            raise UsageError(f"{self.name} has migration_seconds {self.migration_seconds}; expected at least 0")
        self._check_hosts()

    def _check_hosts(self) -> None:
        machines, vms = self.machines, self.vms
        here = np.flatnonzero(vms.host >= 0)
        host, double = vms.host[here], vms.numa_count[here] == 2
        known = host < len(machines.machine_of_numa)
        machine = machines.machine_of_numa[np.where(known, host, 0)]
        paired = (machines.numa_count[machine] == 2) & (host == machines.first_numa[machine])
        bad = here[~known | (double & ~paired)]
        if len(bad):
            vm = int(bad[0])
            raise UsageError(f"VM {vms.names[vm]} has host {vms.host[vm]}; expected a NUMA node that can hold it")
        away = np.flatnonzero(vms.home[here] != machines.cluster[machine])
        if len(away):
            vm, cluster = int(here[away[0]]), int(machines.cluster[machine[away[0]]])
            raise UsageError(f"VM {vms.names[vm]} of cluster {vms.home[vm]} runs in cluster {cluster}")
        for what, free in (("cores", self.free_cores), ("memory", self.free_memory)):
            short = np.flatnonzero(free < 0)
            if len(short):
                numa = int(short[0])
                raise UsageError(
                    f"machine {machines.names[machines.machine_of_numa[numa]]}: its VMs need {-free[numa]} more "
                    f"{what} than NUMA node {numa - machines.first_numa[machines.machine_of_numa[numa]]} has"
                )

    def _free(self, capacity: Integers, need: Integers) -> Integers:
        vms, free = self.vms, capacity.copy()
        here = vms.host >= 0
        share = need // vms.numa_count
        np.subtract.at(free, vms.host[here], share[here])
        both = here & (vms.numa_count == 2)
        np.subtract.at(free, vms.host[both] + 1, share[both])
        return free

    @cached_property
    def free_cores(self) -> Integers:
        """``(numas,)`` free cores at the start."""
        return self._free(self.machines.cores, self.vms.cores)

    @cached_property
    def free_memory(self) -> Integers:
        """``(numas,)`` free memory in MB at the start."""
        return self._free(self.machines.memory, self.vms.memory)

    @property
    def changes(self) -> bool:
        """Whether VMs arrive or leave."""
        return bool((self.vms.host < 0).any() or np.isfinite(self.vms.departure).any())


@dataclass(frozen=True, eq=False)
class Plan:
    """Migrations, in order.

    Attributes:
        vm: ``(migrations,)`` VM that moves.
        numa: ``(migrations,)`` NUMA node that it moves to, of two the first.
    """

    vm: Integers
    numa: Integers

    def __post_init__(self) -> None:
        """Checks the shapes."""
        count = len(self.vm)
        for name in ("vm", "numa"):
            object.__setattr__(self, name, _frozen(getattr(self, name), np.int64, count, f"plan: {name}"))


def plan(moves: Sequence[tuple[int, int]]) -> Plan:
    """Returns the plan of ``(vm, numa)`` moves."""
    pairs = np.array(moves, np.int64).reshape(-1, 2)
    return Plan(pairs[:, 0], pairs[:, 1])


def score(weights: Floats, machines: Machines, free_cores: Integers, free_memory: Integers, occupied: Flags) -> float:
    """Returns the weighted sum of the terms of `Objective`.

    Args:
        weights: ``(4,)`` in the order of `TERMS`.
        machines: The machines.
        free_cores: ``(numas,)`` free cores.
        free_memory: ``(numas,)`` free memory in MB.
        occupied: ``(machines,)`` whether a VM runs there.
    """
    cores, memory = int(free_cores.sum()), int(free_memory.sum())
    pairs = machines.first_numa[machines.numa_count == 2]
    large = np.minimum(free_cores[pairs] // 32, free_cores[pairs + 1] // 32).sum()
    terms = np.array(
        [
            (free_cores % 16).sum() / cores if cores else 0.0,
            1 - 64 * large / cores if cores else 0.0,
            (free_memory % MEMORY_PIECE).sum() / memory if memory else 0.0,
            occupied.sum() / len(occupied) if len(occupied) else 0.0,
        ]
    )
    return float(weights @ terms)


def value(objective: Objective, reached: float, migrations: int, migration_limit: int) -> float:
    """Returns the objective of a plan that ends at the weighted sum ``reached`` after so many migrations."""
    if objective.goal is None:
        return reached
    excess = reached - objective.goal
    return float(migrations) if excess <= 1e-9 else migration_limit + 1 + 100 * excess
