"""The state of running episodes: what `envs.vm_rescheduling.dynamics` reads and writes.

Axes: L lanes, V virtual machines (VMs), N NUMA nodes, M machines, T types of VMs, P migrations, E events, A actions.
VMs of equal cores, memory, NUMA count and cluster are of one *type*: whatever is asked about destinations is asked
once a type. A *place* of a VM is a NUMA node; of one on two nodes, the first of a machine.

What belongs together is one structured array: ``state.vm[lane, v].host`` in compiled code, ``state.vm["host"]`` in
NumPy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Records = NDArray[Any]

DEPARTURE, ARRIVAL = 0, 1
"""Kinds of events."""


def _record(real: str, whole: str) -> np.dtype[Any]:
    kinds = ((np.float64, real), (np.int64, whole))
    return np.dtype([(name, np.dtype(kind)) for kind, names in kinds for name in names.split()])


EPISODE = _record(
    real="goal delay seconds fr16 fr64 memory64 occupied_hosts scale_cores scale_memory scale_hosts unit first clock",
    whole="label vms numas machines types limit in_flight events migrations released next_event stopped chosen"
    " free_cores free_memory fragments large pieces occupied running",
)
"""What an episode has one of.

``goal`` (-1 for none), ``delay``, ``seconds``, ``limit``, ``in_flight``: as in the instance. ``fr16, fr64, memory64,
occupied_hosts``: weights of the objective. ``scale_cores, scale_memory, scale_hosts``: what one core, one MB, one
machine of a numerator counts for, in the fixed unit of the gains; ``unit``: that unit, in the weighted sum.
``first``: the weighted sum at the start. ``clock``: simulated time. ``label``: number of a named instance, -1 for a
drawn one. ``vms, numas, machines, types, events``: sizes. ``migrations, released, next_event``: migrations begun,
migrations whose source is free again, next event. ``stopped``: 1 after a stop. ``chosen``: VM whose destination is
asked for, -1 if a VM is. ``free_cores, free_memory``: sums. ``fragments``: sum of free cores mod 16. ``large``:
64-core VMs that fit. ``pieces``: sum of free memory mod 64 GiB. ``occupied``: machines with a VM. ``running``: VMs
there.
"""

VM = _record(
    real="arrival departure leave best",
    whole="cores memory numas group movable home type start host next previous peer migrated",
)
"""VM: as in the instance; ``start`` is the host at the start. ``leave``: gain of taking it away; ``best``: largest
gain of putting it somewhere else, -inf if it may go nowhere. ``host``: its place,
-1 while it is not there. ``next, previous``: other VMs on the machine, -1 at the ends. ``peer``: next VM of its group,
in a circle; itself if it has no group. ``migrated``: how often it has been migrated."""

NUMA = _record(real="", whole="machine cores memory free_cores free_memory held_cores held_memory")
"""NUMA node: free is what no VM there has; of that, held is what migrations under way still hold."""

MACHINE = _record(real="cost", whole="cluster first numas vms head")
"""Machine: its part of the weighted sum, in the unit of the gains; the first VM there."""

TYPE = _record(real="best second", whole="cores memory numas home place")
"""Type of VMs: largest gain of putting one somewhere, the place, and the largest gain elsewhere; -inf if there is
none."""

MOVE = _record(real="", whole="vm numa source")
"""Migration: VM, where to, where from; the source is -1 when nothing is held there any more."""

EVENT = _record(real="time", whole="kind vm")
"""Arrival or departure, in the order in which they happen."""


class Capacity(NamedTuple):
    """Most VMs, NUMA nodes, machines, types of VMs, migrations and events of an instance."""

    vms: int
    numas: int
    machines: int
    types: int
    migrations: int
    events: int


class VmState(NamedTuple):
    """State of L lanes.

    Attributes:
        generator: ``(L,)`` generator word.
        episode: ``(L,)`` records `EPISODE`.
        vm: ``(L, V)`` records `VM`.
        numa: ``(L, N)`` records `NUMA`.
        machine: ``(L, M)`` records `MACHINE`.
        type: ``(L, T)`` records `TYPE`.
        gain: ``(L, T, N)`` decrease of the weighted sum when one more VM of a type comes to a place; -inf where none
            fits.
        move: ``(L, P)`` records `MOVE`.
        event: ``(L, E)`` records `EVENT`.
        mask: ``(L, A)`` legal actions.
    """

    generator: NDArray[np.uint64]
    episode: Records
    vm: Records
    numa: Records
    machine: Records
    type: Records
    gain: Floats
    move: Records
    event: Records
    mask: Flags


def allocate(lanes: int, capacity: Capacity) -> VmState:
    """Returns the zeroed state of ``lanes`` lanes."""
    return VmState(
        generator=np.zeros(lanes, np.uint64),
        episode=np.zeros(lanes, EPISODE),
        vm=np.zeros((lanes, capacity.vms), VM),
        numa=np.zeros((lanes, capacity.numas), NUMA),
        machine=np.zeros((lanes, capacity.machines), MACHINE),
        type=np.zeros((lanes, capacity.types), TYPE),
        gain=np.zeros((lanes, capacity.types, capacity.numas)),
        move=np.zeros((lanes, capacity.migrations), MOVE),
        event=np.zeros((lanes, max(1, capacity.events)), EVENT),
        mask=np.zeros((lanes, capacity.vms + 1 + capacity.numas), np.bool_),
    )
