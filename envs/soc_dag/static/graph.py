"""The jobs of a static instance as one task graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from envs.core.errors import UsageError
from envs.soc_dag.types import Floats, Integers, SocInstance

Neighbours = tuple[tuple[tuple[int, float], ...], ...]


@dataclass(frozen=True, eq=False)
class TaskGraph:
    """All tasks of all jobs, job after job in the order of the releases.

    Attributes:
        instance: Where it comes from.
        times: ``(N, P)`` execution times, inf where a processing element (PE) cannot run the task.
        release: ``(N,)`` release time of the task's job.
        offsets: ``(J + 1,)`` first task of every job.
        predecessors: For every task its ``(predecessor, volume)`` pairs.
        successors: For every task its ``(successor, volume)`` pairs.
        order: ``(N,)`` a topological order, smaller index first within each job.
    """

    instance: SocInstance
    times: Floats
    release: Floats
    offsets: Integers
    predecessors: Neighbours
    successors: Neighbours
    order: tuple[int, ...]

    @property
    def num_tasks(self) -> int:
        """Number of tasks N."""
        return len(self.release)

    @property
    def num_processors(self) -> int:
        """Number of PEs P."""
        return self.instance.chip.num_processors

    @cached_property
    def supported(self) -> tuple[tuple[int, ...], ...]:
        """For every task the PEs that can run it, in ascending order."""
        return tuple(tuple(int(p) for p in np.flatnonzero(row)) for row in np.isfinite(self.times))

    @cached_property
    def mean_times(self) -> Floats:
        """``(N,)`` mean execution time w̄ over the PEs that can run a task."""
        possible = np.isfinite(self.times)
        total: Floats = np.where(possible, self.times, 0.0).sum(axis=1)
        means: Floats = total / possible.sum(axis=1)
        return means

    @cached_property
    def communication(self) -> tuple[float, float]:
        """Mean start-up time L̄ of a transfer, and mean time a volume unit: 1 / mean bandwidth.

        Means are over the pairs of different PEs. With a shared memory data travels twice, at the mean bandwidth
        between PEs and memory each time, and has no start-up time.
        """
        chip = self.instance.chip
        if self.instance.transfer == "shared_memory":
            return 0.0, float(2.0 / chip.memory_bandwidth.mean())
        if chip.num_processors == 1:
            return 0.0, 0.0
        apart = ~np.eye(chip.num_processors, dtype=bool)
        return float(chip.latency[apart].mean()), float(1.0 / chip.bandwidth[apart].mean())

    def mean_communication(self, volume: float) -> float:
        """Mean time c̄ = L̄ + volume / mean bandwidth of a transfer between two different PEs."""
        start_up, per_volume = self.communication
        return start_up + per_volume * volume


def task_graph(instance: SocInstance) -> TaskGraph:
    """Returns the task graph of a static instance.

    Raises:
        UsageError: Jobs arrive in a stream, there are none, times are noisy or PEs fail: nothing to plan in advance.
    """
    arrivals, name = instance.arrivals, instance.name
    if arrivals.mode != "static":
        raise UsageError(f"{name}: arrivals.mode is {arrivals.mode!r}; a static schedule needs 'static' arrivals")
    if not arrivals.releases:
        raise UsageError(f"{name}: arrivals.releases is empty; a static schedule needs at least one job")
    if instance.noise > 0 or instance.failures.between > 0:
        raise UsageError(
            f"{name}: noise is {instance.noise} and failures.between is {instance.failures.between}; "
            "a static schedule needs 0 for both"
        )
    kinds = [instance.job_types[kind] for kind, _ in arrivals.releases]
    sizes = [kind.num_tasks for kind in kinds]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    predecessors, successors, order = [], [], []
    for kind, first in zip(kinds, offsets.tolist(), strict=False):
        predecessors += [tuple((first + task, volume) for task, volume in row) for row in kind.predecessors]
        successors += [tuple((first + task, volume) for task, volume in row) for row in kind.successors]
        order += [first + task for task in kind.order]
    return TaskGraph(
        instance,
        np.concatenate([kind.times for kind in kinds]),
        np.repeat([float(release) for _, release in arrivals.releases], sizes),
        offsets,
        tuple(predecessors),
        tuple(successors),
        tuple(order),
    )
