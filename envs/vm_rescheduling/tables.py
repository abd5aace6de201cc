"""From instances to the state and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.core.errors import UsageError
from envs.vm_rescheduling.state import ARRIVAL, DEPARTURE, EVENT, MACHINE, NUMA, TYPE, VM, Capacity, Records, VmState
from envs.vm_rescheduling.types import TERMS, Integers, Machines, Objective, VirtualMachines, VmInstance


@dataclass(frozen=True, eq=False)
class Tables:
    """An instance as the records of `envs.vm_rescheduling.state`.

    Attributes:
        vm: ``(vms,)`` records.
        numa: ``(numas,)`` records.
        machine: ``(machines,)`` records.
        type: ``(types,)`` records.
        event: ``(events,)`` records.
    """

    vm: Records
    numa: Records
    machine: Records
    type: Records
    event: Records


def build_tables(instance: VmInstance) -> Tables:
    """Returns the records of an instance as it stands before the first event."""
    vms, machines = instance.vms, instance.machines
    kinds, kind = vm_types(instance)
    vm = np.zeros(len(vms.names), VM)
    for name, values in (
        ("arrival", vms.arrival),
        ("departure", vms.departure),
        ("cores", vms.cores),
        ("memory", vms.memory),
        ("numas", vms.numa_count),
        ("group", vms.group),
        ("movable", vms.movable),
        ("home", vms.home),
        ("type", kind),
        ("start", vms.host),
        ("peer", _peers(vms.group)),
    ):
        vm[name] = values
    for name in ("host", "next", "previous"):
        vm[name] = -1
    numa = np.zeros(len(machines.machine_of_numa), NUMA)
    numa["machine"], numa["cores"], numa["memory"] = machines.machine_of_numa, machines.cores, machines.memory
    machine = np.zeros(len(machines.names), MACHINE)
    machine["cluster"], machine["first"], machine["numas"] = machines.cluster, machines.first_numa, machines.numa_count
    machine["head"] = -1
    types = np.zeros(len(kinds), TYPE)
    for column, name in enumerate(("cores", "memory", "numas", "home")):
        types[name] = kinds[:, column]
    return Tables(vm, numa, machine, types, _events(instance))


def load_tables(state: VmState, lane: int, label: int, instance: VmInstance, tables: Tables) -> None:
    """Writes an instance into a lane; the VMs are not in their places yet."""
    episode = state.episode[lane]
    for name in state.episode.dtype.names or ():
        episode[name] = 0
    weights = dict(zip(TERMS, instance.objective.vector.tolist(), strict=True))
    goal = instance.objective.goal
    values: dict[str, Any] = {
        **weights,
        "goal": -1.0 if goal is None else goal,
        "delay": instance.delay,
        "seconds": instance.migration_seconds,
        "limit": instance.migration_limit,
        "in_flight": instance.in_flight,
        "label": label,
        "chosen": -1,
        "vms": len(tables.vm),
        "numas": len(tables.numa),
        "machines": len(tables.machine),
        "types": len(tables.type),
        "events": len(tables.event),
    }
    for name, value in values.items():
        episode[name] = value
    for array, rows in (
        (state.vm, tables.vm),
        (state.numa, tables.numa),
        (state.machine, tables.machine),
        (state.type, tables.type),
        (state.event, tables.event),
    ):
        array[lane, : len(rows)] = rows
        array[lane, len(rows) :] = np.zeros((), array.dtype)
    state.gain[lane] = 0
    state.move[lane] = np.zeros((), state.move.dtype)


def vm_types(instance: VmInstance) -> tuple[Integers, Integers]:
    """Returns the types ``(types, 4)`` as cores, memory, NUMA count and cluster, and the type of every VM."""
    vms = instance.vms
    needs = np.stack([vms.cores, vms.memory, vms.numa_count, vms.home], axis=1)
    if not len(needs):
        return np.zeros((0, 4), np.int64), np.zeros(0, np.int64)
    kinds, kind = np.unique(needs, axis=0, return_inverse=True)
    return kinds, kind.reshape(-1).astype(np.int64)


def needed_capacity(instances: Sequence[VmInstance]) -> Capacity:
    """Returns the smallest capacity that holds all of ``instances``."""
    sizes = [_size(instance) for instance in instances]
    return Capacity(*(max(1, *(size[axis] for size in sizes)) for axis in range(len(Capacity._fields))))


def fits(instance: VmInstance, capacity: Capacity) -> bool:
    """Whether an instance needs no more than ``capacity``."""
    return all(needed <= room for needed, room in zip(_size(instance), capacity, strict=True))


def check_fit(instance: VmInstance, capacity: Capacity) -> None:
    """Raises `UsageError` if an instance needs more than ``capacity``."""
    for name, needed, room in zip(Capacity._fields, _size(instance), capacity, strict=True):
        if needed > room:
            raise UsageError(f"instance {instance.name} has {needed} {name}, but max_{name} is {room}")


def _size(instance: VmInstance) -> Capacity:
    vms = instance.vms
    events = int((vms.host < 0).sum() + np.isfinite(vms.departure).sum())
    numas = len(instance.machines.machine_of_numa)
    types = len(vm_types(instance)[0])
    return Capacity(len(vms.names), numas, len(instance.machines.names), types, instance.migration_limit, events)


def _peers(group: Integers) -> Integers:
    """The next VM of the same group, in a circle."""
    peer = np.arange(len(group))
    order = np.argsort(group, kind="stable")
    order = order[group[order] >= 0]
    starts = np.flatnonzero(np.diff(group[order], prepend=-2))
    for members in np.split(order, starts[1:]):
        peer[members] = np.roll(members, -1)
    return peer


def _events(instance: VmInstance) -> Records:
    vms = instance.vms
    leaving, coming = np.flatnonzero(np.isfinite(vms.departure)), np.flatnonzero(vms.host < 0)
    event = np.zeros(len(leaving) + len(coming), EVENT)
    event["time"] = np.concatenate([vms.departure[leaving], vms.arrival[coming]])
    event["kind"][: len(leaving)], event["kind"][len(leaving) :] = DEPARTURE, ARRIVAL
    event["vm"] = np.concatenate([leaving, coming])
    return event[np.lexsort((event["vm"], event["kind"], event["time"]))]


def read_tables(state: VmState, lane: int, name: str) -> VmInstance:
    """Returns the instance that a lane runs, from the state; names of machines and VMs are numbers."""
    episode = state.episode[lane]
    vm, numa = state.vm[lane, : episode["vms"]], state.numa[lane, : episode["numas"]]
    machine = state.machine[lane, : episode["machines"]]
    weights = {term: float(episode[term]) for term in TERMS if episode[term] > 0}
    goal = float(episode["goal"])
    return VmInstance(
        name,
        Machines(
            tuple(str(i) for i in range(len(machine))),
            machine["cluster"],
            numa["machine"],
            numa["cores"],
            numa["memory"],
        ),
        VirtualMachines(
            tuple(str(i) for i in range(len(vm))),
            vm["cores"],
            vm["memory"],
            vm["numas"],
            vm["start"],
            vm["group"],
            vm["movable"],
            vm["arrival"],
            vm["departure"],
            vm["home"],
        ),
        int(episode["limit"]),
        Objective(weights, goal if goal >= 0 else None),
        float(episode["delay"]),
        float(episode["seconds"]),
        int(episode["in_flight"]),
    )
