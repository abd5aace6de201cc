"""The independent checker of job shop schedules.

It shares no code with the dynamics and uses plain Python integers, so that a mistake there cannot hide here.
Jobs, operations and machines are counted from 0 in its messages, as in `JobShopInstance`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from envs.core.errors import UsageError
from envs.job_shop.types import JobShopInstance, Schedule


class _Interval(NamedTuple):
    """One operation on its machine; the field order makes sorting put a zero-time operation before its equals."""

    start: int
    end: int
    job: int
    operation: int

    def __str__(self) -> str:
        return f"operation {self.operation} of job {self.job} [{self.start}, {self.end})"


def verify(instance: JobShopInstance, schedule: Schedule) -> float:
    """Checks a complete schedule against the definition of the job shop and recomputes its makespan.

    Every operation starts at an integer time of at least 0, no earlier than the end of its predecessor in the job,
    and of any two operations on a machine one ends no later than the other starts. An operation of time 0 may
    therefore sit between two others, or at the same moment as another of time 0, but not strictly inside one.

    Args:
        instance: The job shop.
        schedule: Start times, ``(jobs, operations)`` integers.

    Returns:
        The makespan: the largest end of an operation.

    Raises:
        UsageError: A constraint is violated; the message names the first one found.
    """
    starts = _start_times(instance, schedule)
    times: list[list[int]] = instance.times.tolist()
    machines: list[list[int]] = instance.machines.tolist()
    on_machine: list[list[_Interval]] = [[] for _ in range(instance.num_machines)]
    makespan = 0
    for job, job_starts in enumerate(starts):
        free_at = 0
        for operation, start in enumerate(job_starts):
            if start < 0:
                raise UsageError(
                    f"{instance.name}: operation {operation} of job {job} starts at {start}; "
                    "a finished schedule starts every operation at 0 or later"
                )
            if start < free_at:
                raise UsageError(
                    f"{instance.name}: operation {operation} of job {job} starts at {start}, "
                    f"before operation {operation - 1} of the same job ends at {free_at}"
                )
            free_at = start + times[job][operation]
            on_machine[machines[job][operation]].append(_Interval(start, free_at, job, operation))
        makespan = max(makespan, free_at)
    for machine, intervals in enumerate(on_machine):
        _check_machine(instance.name, machine, intervals)
    return float(makespan)


def _start_times(instance: JobShopInstance, schedule: Schedule) -> list[list[int]]:
    starts = np.asarray(schedule.starts)
    shape = (instance.num_jobs, instance.num_operations)
    if starts.shape != shape:
        raise UsageError(
            f"{instance.name}: start times have shape {starts.shape}; expected (jobs, operations) = {shape}"
        )
    if starts.dtype.kind not in "iu":
        raise UsageError(f"{instance.name}: start times are of type {starts.dtype}; expected integers")
    listed: list[list[int]] = starts.tolist()
    return listed


def _check_machine(name: str, machine: int, intervals: list[_Interval]) -> None:
    # Sorted by start and then end, all pairs are disjoint exactly when all neighbours are.
    intervals = sorted(intervals)
    for first, second in pairwise(intervals):
        if second.start < first.end:
            raise UsageError(f"{name}: machine {machine} does {first} and {second} at the same time")
