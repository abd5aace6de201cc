"""Instances made from other instances: thinned, cut to size, with anti-affinity groups, with churn.

Thinning a nearly full snapshot gives the published workload levels (Yang et al., EuroSys 2025: high, medium and low);
`synthetic` makes clusters from scratch. All randomness comes from the seed or generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from envs.core.errors import UsageError
from envs.vm_rescheduling.synthetic import MIXES, MachineType, Mix, synthetic
from envs.vm_rescheduling.types import Flags, Floats, Integers, Machines, VirtualMachines, VmInstance

__all__ = [
    "LEVELS",
    "MIXES",
    "SPLITS",
    "MachineType",
    "Mix",
    "split_seeds",
    "sub_cluster",
    "synthetic",
    "thin",
    "thin_by_size",
    "with_churn",
    "with_groups",
]

LEVELS: Mapping[str, float] = MappingProxyType({"high": 0.90, "medium": 0.69, "low": 0.40})
"""Probability with which a VM of the snapshot Medium stays, by published workload level."""

SPLITS: Mapping[str, range] = MappingProxyType(
    {"test": range(12), "validation": range(1_000, 1_100), "train": range(10_000, 10_000_000)}
)
"""Seeds of `thin` by split; results are reported on the test seeds only."""

_SEED_OFFSET = 1_000


def split_seeds(name: str) -> range:
    """Returns the seeds of the split "train", "validation" or "test"; no two splits share any.

    Raises:
        UsageError: There is no such split.
    """
    if name not in SPLITS:
        raise UsageError(f"there is no split {name!r}; expected one of {', '.join(SPLITS)}")
    return SPLITS[name]


def thin(instance: VmInstance, keep: float, seed: int) -> VmInstance:
    """Keeps each VM with probability ``keep``: in their order, iff ``default_rng(1000 + seed).random() < keep``.

    Raises:
        UsageError: ``keep`` is no probability or ``seed`` is below 0.
    """
    return _thin(instance, np.full(len(instance.vms.names), keep), seed, f"{instance.name}_keep{keep:g}_{seed}")


def thin_by_size(instance: VmInstance, seed: int, *, large: float = 0.925, small: float = 0.995) -> VmInstance:
    """Keeps VMs of 16 and more cores with probability ``large``, the others with ``small``.

    The defaults turn the snapshot Medium into another workload of level high: fuller machines, as fragmented.
    """
    keep = np.where(instance.vms.cores >= 16, large, small)
    return _thin(instance, keep, seed, f"{instance.name}_keep{large:g}_{small:g}_{seed}")


def _thin(instance: VmInstance, keep: Floats, seed: int, name: str) -> VmInstance:
    if seed < 0 or not ((keep >= 0) & (keep <= 1)).all():
        raise UsageError(f"{name} has probabilities {np.unique(keep)}, seed {seed}; expected 0 to 1 and at least 0")
    rng = np.random.default_rng(_SEED_OFFSET + seed)
    return replace(instance, name=name, vms=_chosen(instance.vms, rng.random(len(keep)) < keep))


def _chosen(vms: VirtualMachines, which: Flags) -> VirtualMachines:
    rows = np.flatnonzero(which)
    columns = {each.name: getattr(vms, each.name)[rows] for each in fields(vms) if each.name != "names"}
    return VirtualMachines(names=tuple(vms.names[row] for row in rows), **columns)


def sub_cluster(instance: VmInstance, machines: int, rng: Generator) -> VmInstance:
    """Returns a random choice of machines with their VMs; VMs that arrive later stay in the same proportion.

    Machines keep their order, clusters are numbered anew, and the migration limit stays.

    Raises:
        UsageError: There are not so many machines.
    """
    old, total = instance.machines, len(instance.machines.names)
    if not 1 <= machines <= total:
        raise UsageError(f"{instance.name} has {total} machines; cannot choose {machines}")
    chosen = np.sort(rng.choice(total, machines, replace=False))
    kept_clusters, clusters = np.unique(old.cluster[chosen], return_inverse=True)
    numas = np.flatnonzero(np.isin(old.machine_of_numa, chosen))
    cut = Machines(
        tuple(old.names[machine] for machine in chosen),
        clusters.astype(np.int64),
        np.searchsorted(chosen, old.machine_of_numa[numas]),
        old.cores[numas],
        old.memory[numas],
    )
    vms = instance.vms
    runs = vms.host >= 0
    stays = np.isin(vms.home, kept_clusters) & (rng.random(len(vms.names)) < machines / total)
    vms = _chosen(vms, np.where(runs, np.isin(vms.host, numas), stays))
    host = np.where(vms.host >= 0, np.searchsorted(numas, vms.host), -1)
    vms = replace(vms, host=host, home=np.searchsorted(kept_clusters, vms.home))
    return replace(instance, name=f"{instance.name}_{machines}pm", machines=cut, vms=vms)


def with_groups(instance: VmInstance, level: float, rng: Generator, *, size: int = 5) -> VmInstance:
    """Returns the instance with other anti-affinity groups, none of which has two VMs on a machine at the start.

    Every VM joins a group with probability ``level``. Those that join are dealt to as many groups as are needed for
    at most ``size`` VMs each, machine by machine in random order; so groups differ by at most one VM, unless a machine
    has more VMs that join than there are groups: these stay without one.

    Args:
        instance: The instance.
        level: Probability that a VM joins a group.
        rng: Source of randomness.
        size: VMs of a group.

    Raises:
        UsageError: ``level`` is no probability or ``size`` is below 1.
    """
    if not 0 <= level <= 1 or size < 1:
        raise UsageError(f"level={level}, size={size}; expected 0 to 1 and at least 1")
    vms, machines = instance.vms, instance.machines
    count = len(vms.names)
    joins = np.flatnonzero(rng.random(count) < level)
    groups = -(-len(joins) // size)
    place = np.where(vms.host >= 0, machines.machine_of_numa[vms.host], len(machines.names) + np.arange(count))
    rank = rng.permutation(len(machines.names) + count)[place]
    order = joins[np.lexsort((rng.random(len(joins)), rank[joins]))]
    group = np.full(count, -1, np.int64)
    if groups:
        crowded = _place_in_run(rank[order]) >= groups
        dealt = order[~crowded]
        group[dealt] = np.arange(len(dealt)) % groups
    return replace(instance, name=f"{instance.name}_groups{level:g}", vms=replace(vms, group=group))


def _place_in_run(values: Integers) -> Integers:
    """How many equal values stand directly before each value."""
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1])) if len(values) else np.empty(0, np.int64)
    return np.arange(len(values)) - np.repeat(starts, np.diff(np.append(starts, len(values))))


def with_churn(instance: VmInstance, rate_per_second: float, horizon: float, rng: Generator) -> VmInstance:
    """Returns the instance with VMs that arrive and leave.

    Changes come at random (a Poisson process) at ``rate_per_second``; each is an arrival or a departure with equal
    probability. An arriving VM has the flavour and the cluster of a random VM of the instance, a departing one is
    drawn from those that run or have arrived. The same generator with a longer horizon gives the same changes and more.

    Args:
        instance: An instance without churn.
        rate_per_second: Arrivals and departures a second.
        horizon: Seconds after which nothing changes.
        rng: Source of randomness.

    Raises:
        UsageError: The instance has churn already, or a parameter is below 0.
    """
    if instance.changes or not rate_per_second >= 0 or not 0 <= horizon < np.inf:
        raise UsageError(
            f"{instance.name} with churn at rate {rate_per_second} until {horizon}; expected an instance "
            "without churn, and numbers of at least 0"
        )
    vms, count = instance.vms, len(instance.vms.names)
    flavours: list[int] = []
    arrivals: list[float] = []
    departures = [np.inf] * count
    running = list(range(count))
    time = _next_change(0.0, rate_per_second, rng)
    while time <= horizon and count:
        arrives, uniform = rng.random() < 0.5, rng.random()
        if arrives:
            running.append(count + len(arrivals))
            flavours.append(int(uniform * count))
            arrivals.append(time)
            departures.append(np.inf)
        elif running:
            index = int(uniform * len(running))
            departures[running[index]] = time
            running[index] = running[-1]
            running.pop()
        time = _next_change(time, rate_per_second, rng)
    return replace(
        instance, name=f"{instance.name}_churn{rate_per_second:g}", vms=_joined(vms, flavours, arrivals, departures)
    )


def _next_change(time: float, rate: float, rng: Generator) -> float:
    return time + float(rng.exponential(1.0 / rate)) if rate > 0 else np.inf


def _joined(
    vms: VirtualMachines, flavours: list[int], arrivals: list[float], departures: list[float]
) -> VirtualMachines:
    later, none = np.array(flavours, np.int64), np.full(len(flavours), -1)
    return VirtualMachines(
        names=(*vms.names, *(f"later_{index}" for index in range(len(later)))),
        **{
            what: np.append(getattr(vms, what), getattr(vms, what)[later]) for what in ("cores", "memory", "numa_count")
        },
        host=np.append(vms.host, none),
        group=np.append(vms.group, none),
        movable=np.append(vms.movable, np.ones(len(later), np.bool_)),
        arrival=np.append(vms.arrival, arrivals),
        departure=np.array(departures),
        home=np.append(vms.home, vms.home[later]),
    )
