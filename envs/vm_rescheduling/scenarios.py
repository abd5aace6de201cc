"""Random instances: machines from a pool, some of their VMs gone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.random import Generator

from envs.vm_rescheduling.generators import sub_cluster, synthetic, thin, with_churn, with_groups
from envs.vm_rescheduling.snapshots import load_snapshot
from envs.vm_rescheduling.state import Capacity
from envs.vm_rescheduling.tables import needed_capacity, vm_types
from envs.vm_rescheduling.types import Objective, VmInstance

SOURCES = ("synthetic", "medium", "large")

_DEVIATIONS = 8.0
"""Standard deviations above the mean number of arrivals and departures that there is room for."""


@dataclass(frozen=True)
class Scenario:
    """Random instances of one kind; the fields are the options of `envs.vm_rescheduling.env.VmConfig`.

    A synthetic instance is one of ``pool`` clusters, one from a snapshot a choice of its machines; either is thinned,
    with a share of VMs that stays drawn uniformly from ``keep``.
    """

    source: str
    machines: int
    mix: str
    pool: int
    pool_seed: int
    keep: tuple[float, float]
    affinity: float
    churn: float
    delay: float
    migration_seconds: float
    in_flight: int
    migration_limit: int
    objective: Objective

    @cached_property
    def bases(self) -> tuple[VmInstance, ...]:
        """What instances are made from: clusters, or one snapshot."""
        if self.source != "synthetic":
            return (load_snapshot(self.source),)
        generators = (np.random.default_rng([self.pool_seed, number]) for number in range(self.pool))
        return tuple(synthetic(self.machines, rng, mix=self.mix) for rng in generators)

    @cached_property
    def capacity(self) -> Capacity:
        """Room for any instance."""
        needed = needed_capacity(self.bases)
        if self.source != "synthetic":
            base = self.bases[0]
            count = min(self.machines, len(base.machines.names))
            hosts = np.bincount(base.machines.machine_of_numa[base.vms.host], minlength=len(base.machines.names))
            needed = needed._replace(
                vms=int(np.sort(hosts)[-count:].sum()),
                numas=int(np.sort(base.machines.numa_count)[-count:].sum()),
                machines=count,
                types=len(vm_types(base)[0]),
            )
        changes = self._most_changes
        return needed._replace(vms=needed.vms + changes, events=max(1, changes), migrations=self.migration_limit)

    @property
    def _horizon(self) -> float:
        return self.delay + self.migration_limit * self.migration_seconds

    @property
    def _most_changes(self) -> int:
        mean = self.churn * self._horizon
        return math.ceil(mean + _DEVIATIONS * math.sqrt(mean) + 1) if mean > 0 else 0

    def draw(self, rng: Generator) -> VmInstance:
        """Returns an instance drawn with ``rng``."""
        base = self.bases[int(rng.integers(len(self.bases)))]
        if self.source != "synthetic" and self.machines < len(base.machines.names):
            base = sub_cluster(base, self.machines, rng)
        keep = rng.uniform(*self.keep)
        instance = thin(base, keep, int(rng.integers(1 << 40))) if keep < 1 else base
        if self.affinity > 0:
            instance = with_groups(instance, self.affinity, rng)
        instance = replace(
            instance,
            name="drawn",
            migration_limit=self.migration_limit,
            objective=self.objective,
            delay=self.delay,
            migration_seconds=self.migration_seconds,
            in_flight=self.in_flight,
        )
        return with_churn(instance, self.churn, self._horizon, rng) if self._most_changes else instance
