"""Generators of job shop instances: Taillard's and Demirkol's to the bit, uniform ones, and ones of known optimum.

Sources:
    E. Taillard, "Benchmarks for basic scheduling problems", European Journal of Operational Research 64 (1993).
    E. Demirkol, S. Mehta, R. Uzsoy, "Benchmarks for shop scheduling problems", European Journal of Operational
    Research 109 (1998).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.taillard import LehmerGenerator, taillard_matrices
from envs.job_shop.types import JobShopInstance, Schedule

_DEMIRKOL_LARGEST_TIME = 200


def taillard(jobs: int, machines: int, time_seed: int, machine_seed: int, name: str = "taillard") -> JobShopInstance:
    """Generates an instance as Taillard (1993), section 4: times uniform on 1..99, routes by swapping.

    Args:
        jobs: Number of jobs.
        machines: Number of machines, and of operations of each job.
        time_seed: Seed of the stream that draws the times, job by job.
        machine_seed: Seed of the stream that draws the routes, job by job.
        name: Name of the instance.
    """
    _check_size(jobs, machines)
    routes, times = taillard_matrices(jobs, machines, time_seed, machine_seed)
    return JobShopInstance(name, routes, times, machines)


def demirkol(
    jobs: int,
    machines: int,
    seed: int,
    routing: Literal["job_shop", "two_sets"] = "job_shop",
    name: str = "demirkol",
) -> JobShopInstance:
    """Generates an instance as Demirkol, Mehta and Uzsoy (1998).

    One stream serves a job at a time: a draw a machine, whose order is the route, then a time uniform on 1..200 for
    each operation. With ``"two_sets"`` every job visits the first half of the machines before the second half.

    A draw is kept in single precision. That is inferred from the 80 published instances, all of which it reproduces:
    it matters to one of their 49,000 times, job 12, operation 5 (counted from 0) of dmu29, whose draw 0.51000001 is
    rounded to 0.50999999, so that its time is 102 as published, where exact arithmetic gives 103.

    Args:
        jobs: Number of jobs.
        machines: Number of machines, and of operations of each job.
        seed: Seed of the stream.
        routing: ``"job_shop"`` (the published problems J, dmu01-40) or ``"two_sets"`` (cJ, dmu41-80).
        name: Name of the instance.
    """
    _check_size(jobs, machines)
    if routing not in ("job_shop", "two_sets"):
        raise UsageError(f"routing is {routing!r}; expected 'job_shop' or 'two_sets'")
    stream = LehmerGenerator(seed)
    half = machines // 2 if routing == "two_sets" else 0
    routes, times = [], []
    for _ in range(jobs):
        keys = [stream.single_precision() for _ in range(machines)]
        first = sorted(range(half), key=keys.__getitem__)
        routes.append(first + sorted(range(half, machines), key=keys.__getitem__))
        times.append([_demirkol_time(stream) for _ in range(machines)])
    return JobShopInstance(name, np.array(routes, np.int32), np.array(times, np.int32), machines)


def _demirkol_time(stream: LehmerGenerator) -> int:
    return min(1 + int(_DEMIRKOL_LARGEST_TIME * stream.single_precision()), _DEMIRKOL_LARGEST_TIME)


def uniform(
    jobs: int, machines: int, rng: np.random.Generator, low: int = 1, high: int = 99, name: str = "uniform"
) -> JobShopInstance:
    """Generates an instance with times uniform on ``low..high`` and each route a uniform permutation.

    Args:
        jobs: Number of jobs.
        machines: Number of machines, and of operations of each job.
        rng: Source of randomness.
        low: Smallest time, at least 0.
        high: Largest time.
        name: Name of the instance.
    """
    _check_size(jobs, machines)
    _check_times(low, high)
    times = rng.integers(low, high, size=(jobs, machines), endpoint=True)
    routes = rng.permuted(np.tile(np.arange(machines), (jobs, 1)), axis=1)
    return JobShopInstance(name, routes.astype(np.int32), times.astype(np.int32), machines)


class KnownOptimum(NamedTuple):
    """An instance with an optimal schedule.

    Attributes:
        instance: The instance.
        schedule: An optimal schedule of it.
        makespan: The makespan of that schedule, the least possible.
    """

    instance: JobShopInstance
    schedule: Schedule
    makespan: int


def toy(
    jobs: int, machines: int, rng: np.random.Generator, low: int = 1, high: int = 99, name: str = "toy"
) -> KnownOptimum:
    """Generates an instance around a schedule that is optimal by construction.

    Time is cut into ``K = max(jobs, machines)`` slots of random lengths, ``T`` in all. In slot ``s``, after the labels
    are shuffled, job ``j`` is on machine ``(j + s) mod K``, so that jobs and machines meet exactly once and nothing
    overlaps. With at least as many jobs as machines, one machine works through every slot to its full length (with
    fewer, one job does); every other operation is cut to a random time of ``low`` up to the length of its slot. All
    start at the start of their slot. The schedule ends at ``T``; and none can end sooner, since the full machine (or
    job) has ``T`` units of work. The optimum is therefore ``T``, and equals the instance's ``lower_bound``.

    Args:
        jobs: Number of jobs.
        machines: Number of machines, and of operations of each job.
        rng: Source of randomness.
        low: Smallest time, at least 0.
        high: Largest time.
        name: Name of the instance.
    """
    _check_size(jobs, machines)
    _check_times(low, high)
    slots = max(jobs, machines)
    lengths = rng.integers(low, high, size=slots, endpoint=True)
    slot_starts = np.cumsum(lengths) - lengths
    job_labels, machine_labels = rng.permutation(slots)[:jobs], rng.permutation(slots)[:machines]
    meeting = (machine_labels[None, :] - job_labels[:, None]) % slots
    routes = np.argsort(meeting, axis=1)
    slot = np.take_along_axis(meeting, routes, axis=1)
    times = rng.integers(low, lengths[slot], endpoint=True)
    full = routes == rng.integers(machines) if jobs >= machines else (np.arange(jobs) == rng.integers(jobs))[:, None]
    times = np.where(full, lengths[slot], times)
    instance = JobShopInstance(name, routes.astype(np.int32), times.astype(np.int32), machines)
    starts: NDArray[np.int64] = slot_starts[slot].astype(np.int64)
    return KnownOptimum(instance, Schedule(starts), int(lengths.sum()))


def _check_size(jobs: int, machines: int) -> None:
    if jobs < 1 or machines < 1:
        raise UsageError(f"the size is {jobs} jobs by {machines} machines; expected at least 1 by 1")


def _check_times(low: int, high: int) -> None:
    if not 0 <= low <= high:
        raise UsageError(f"times run from {low} to {high}; expected 0 <= low <= high")
