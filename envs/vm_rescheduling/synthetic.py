"""Clusters from scratch, with the flavours of the published snapshots on machines of any kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from envs.core.errors import UsageError
from envs.vm_rescheduling.filling import ANY, BEST, WORST, place
from envs.vm_rescheduling.types import Floats, Integers, Machines, VirtualMachines, VmInstance


@dataclass(frozen=True)
class MachineType:
    """A kind of machine.

    Attributes:
        numas: NUMA nodes, 1 or 2.
        cores: Cores of a node.
        memory: Memory of a node in MB.
        share: Its share of the machines, relative to the other types.
    """

    numas: int = 2
    cores: int = 44
    memory: int = 184388
    share: float = 1.0


@dataclass(frozen=True)
class Mix:
    """The flavours of a snapshot, and the placement that gives a cluster like it.

    Attributes:
        flavours: Rows of cores, memory in MB, NUMA nodes, and VMs of the snapshot that have them.
        utilisation: Share of the cores that the snapshot's VMs take.
        spread: Probability that a VM with 8 or more cores a node goes to the emptiest node, else to the fullest.
        scatter: Probability that a smaller VM goes to any node with room, else to the fullest.
        disorder: Standard deviation of the logarithm of a node's cores by which VMs are put in order, largest first.
    """

    flavours: tuple[tuple[int, int, int, int], ...]
    utilisation: float
    spread: float
    scatter: float
    disorder: float


def _flavours(memory_per_core: int, counts: Mapping[int, tuple[int, int]]) -> tuple[tuple[int, int, int, int], ...]:
    return tuple(
        (cores, cores * memory_per_core, nodes, pair[nodes - 1])
        for cores, pair in counts.items()
        for nodes in (1, 2)
        if pair[nodes - 1]
    )


MIXES: Mapping[str, Mix] = MappingProxyType(
    {
        "medium": Mix(
            _flavours(
                2048,
                {2: (337, 0), 4: (906, 3), 8: (311, 57), 16: (184, 46), 32: (61, 50), 64: (0, 130), 88: (0, 4)},
            ),
            utilisation=0.943,
            spread=1.0,
            scatter=0.4,
            disorder=0.3,
        ),
        "large": Mix(
            (
                *_flavours(
                    4096,
                    {
                        2: (1030, 0), 4: (670, 10), 8: (617, 84), 16: (767, 152), 32: (253, 479), 64: (0, 266),
                        88: (0, 216),
                    },
                ),
                (84, 350208, 2, 2),
            ),
            utilisation=0.819,
            spread=0.35,
            scatter=0.6,
            disorder=0.3,
        ),
    }
)  # fmt: skip
"""Flavours counted on the snapshots Medium and Large of ByteDance's DRL-based-VM-Rescheduling."""

_SMALL = 8
_ROUNDS = 8


def synthetic(
    machines: int,
    rng: Generator,
    *,
    mix: str = "medium",
    utilisation: float | None = None,
    keep: float = 1.0,
    machine_types: Sequence[MachineType] = (MachineType(),),
    clusters: Sequence[float] = (1.0,),
    migration_limit: int = 50,
    name: str | None = None,
) -> VmInstance:
    """Draws a cluster from scratch.

    Flavours are drawn independently, with the frequencies of the mix, until they take ``utilisation`` of the cores of
    a cluster; flavours that fit none of its machines are left out. They are placed from the largest to the smallest,
    in some disorder: large VMs where most cores are free, small ones where fewest are or anywhere, see `Mix`. VMs that
    fit nowhere are dropped and others drawn in their place, a few times. Then VMs are kept with probability ``keep``.

    Args:
        machines: Number of machines.
        rng: Source of randomness.
        mix: Name of one of `MIXES`.
        utilisation: Share of the cores that VMs take before the thinning; None for that of the mix's snapshot.
        keep: Probability that a VM stays.
        machine_types: Kinds of machines; every machine's is drawn by their shares.
        clusters: Relative numbers of machines of the clusters.
        migration_limit: Most migrations.
        name: Name of the instance; by default ``synthetic_<mix>_<machines>``.

    Raises:
        UsageError: A parameter is out of range.
    """
    if mix not in MIXES:
        raise UsageError(f"mix is {mix!r}; expected one of {', '.join(MIXES)}")
    parameters = MIXES[mix]
    wanted = parameters.utilisation if utilisation is None else utilisation
    if machines < 1 or not 0 < wanted <= 1 or not 0 < keep <= 1:
        raise UsageError(
            f"machines={machines}, utilisation={wanted}, keep={keep}; expected at least 1, and shares above 0, up to 1"
        )
    if not machine_types or not clusters or min(clusters) <= 0 or min(kind.share for kind in machine_types) <= 0:
        raise UsageError(
            f"machine_types={machine_types}, clusters={clusters}; expected at least one, of positive shares"
        )
    shares = np.array([kind.share for kind in machine_types])
    kinds = rng.choice(len(machine_types), machines, p=shares / shares.sum())
    ends = np.round(np.cumsum(clusters) / np.sum(clusters) * machines).astype(np.int64)
    of_machine = np.searchsorted(ends, np.arange(machines), side="right")
    built = _machines(machine_types, kinds, of_machine)
    parts = [_populate(built, cluster, parameters, wanted, rng) for cluster in np.unique(of_machine)]
    vms = np.concatenate(parts)
    vms = vms[rng.random(len(vms)) < keep]
    vms = vms[np.argsort(vms[:, 3], kind="stable")]
    return VmInstance(name or f"synthetic_{mix}_{machines}", built, _running(built, vms), migration_limit)


def _machines(types: Sequence[MachineType], kinds: Integers, clusters: Integers) -> Machines:
    numas, cores, memory = (np.array([getattr(kind, what) for kind in types]) for what in ("numas", "cores", "memory"))
    owner = np.repeat(np.arange(len(kinds)), numas[kinds])
    names = tuple(f"pm_{machine}" for machine in range(len(kinds)))
    return Machines(names, clusters, owner, cores[kinds][owner], memory[kinds][owner])


def _populate(machines: Machines, cluster: int, mix: Mix, utilisation: float, rng: Generator) -> Integers:
    """Returns ``(vms, 4)`` rows of cores, memory, NUMA count and host of the VMs of one cluster."""
    members = np.flatnonzero(machines.cluster == cluster)
    start, stop = machines.first_numa[members[0]], machines.first_numa[members[-1]] + machines.numa_count[members[-1]]
    free_cores, free_memory = machines.cores[start:stop].copy(), machines.memory[start:stop].copy()
    owner = machines.machine_of_numa[start:stop] - members[0]
    first = np.append(machines.first_numa[members] - start, stop - start)
    flavours = _fitting(mix, free_cores, free_memory, np.diff(first).max())
    left = utilisation * float(free_cores.sum())
    placed = []
    for _ in range(_ROUNDS):
        drawn = _draw(flavours, left, mix, rng)
        if not len(drawn):
            break
        hosts = place(
            drawn[:, 0], drawn[:, 1], drawn[:, 2], _rules(drawn, mix, rng), rng.random(len(drawn)),
            first, owner, free_cores, free_memory,
        )  # fmt: skip
        here = hosts >= 0
        placed.append(np.column_stack([drawn[here, :3], hosts[here] + start]))
        left -= float(drawn[here, 0].sum())
    return np.concatenate(placed) if placed else np.empty((0, 4), np.int64)


def _fitting(mix: Mix, cores: Integers, memory: Integers, nodes: int) -> Integers:
    flavours = np.array(mix.flavours, np.int64)
    share = flavours[:, :2] // flavours[:, 2:3]
    fits = (share[:, 0] <= cores.max()) & (share[:, 1] <= memory.max()) & (flavours[:, 2] <= nodes)
    chosen: Integers = flavours[fits]
    return chosen


def _draw(flavours: Integers, cores: float, mix: Mix, rng: Generator) -> Integers:
    """Draws flavours that take at most ``cores`` together, in the order in which they are to be placed."""
    if not len(flavours) or cores < flavours[:, 0].min():
        return np.empty((0, 4), np.int64)
    shares = flavours[:, 3] / flavours[:, 3].sum()
    count = int(cores / (shares @ flavours[:, 0]) * 1.2) + 50
    drawn = flavours[rng.choice(len(flavours), count, p=shares)]
    drawn = drawn[np.cumsum(drawn[:, 0]) <= cores]
    order = np.log(drawn[:, 0] / drawn[:, 2]) + mix.disorder * rng.standard_normal(len(drawn))
    return drawn[np.argsort(-order, kind="stable")]


def _rules(drawn: Integers, mix: Mix, rng: Generator) -> Integers:
    chance: Floats = rng.random(len(drawn))
    large = drawn[:, 0] // drawn[:, 2] >= _SMALL
    chosen: Integers = np.where(
        large, np.where(chance < mix.spread, WORST, BEST), np.where(chance < mix.scatter, ANY, BEST)
    )
    return chosen


def _running(machines: Machines, vms: Integers) -> VirtualMachines:
    count = len(vms)
    return VirtualMachines(
        names=tuple(f"vm_{vm}" for vm in range(count)),
        cores=vms[:, 0],
        memory=vms[:, 1],
        numa_count=vms[:, 2],
        host=vms[:, 3],
        group=np.full(count, -1),
        movable=np.ones(count, np.bool_),
        arrival=np.zeros(count),
        departure=np.full(count, np.inf),
        home=machines.cluster[machines.machine_of_numa[vms[:, 3]]],
    )
