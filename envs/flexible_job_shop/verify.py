"""The independent checker of flexible job shop schedules: plain Python integers, no code shared with the dynamics."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from envs.core.errors import UsageError
from envs.flexible_job_shop.types import FlexibleJobShopInstance, Schedule


def verify(instance: FlexibleJobShopInstance, schedule: Schedule) -> float:
    """Checks a schedule against the definition and recomputes its makespan.

    Every operation runs once, on a machine that can do it, after the one before it of its job; between two operations
    on a machine there is room for the set-up from the one job to the other.

    Raises:
        UsageError: It is not valid; the message names job, operation and machine.
    """
    machines, starts = np.asarray(schedule.machines), np.asarray(schedule.starts)
    shape = instance.times.shape[:2]
    for name, array in (("machines", machines), ("starts", starts)):
        if array.shape != shape or array.dtype.kind not in "iu":
            raise UsageError(f"{instance.name}: {name} has shape {array.shape}; expected integers of shape {shape}")
    makespan = 0
    on: dict[int, list[tuple[int, int, int, int]]] = {}
    for job, count in enumerate(instance.operations.tolist()):
        free = 0
        for k in range(count):
            machine, start = int(machines[job, k]), int(starts[job, k])
            told = f"{instance.name}: operation {k} of job {job}"
            if not 0 <= machine < instance.machines or start < 0:
                raise UsageError(f"{told} is not scheduled: machine {machine}, start {start}")
            time = int(instance.times[job, k, machine])
            if time < 0:
                raise UsageError(f"{told} cannot be done on machine {machine}")
            if start < free:
                raise UsageError(f"{told} starts at {start}, before the end of the one before it, {free}")
            free = start + time
            on.setdefault(machine, []).append((start, free, job, k))
        makespan = max(makespan, free)
    for machine, runs in on.items():
        runs.sort()
        for (_, end, job, k), (start, _, next_job, next_k) in pairwise(runs):
            setup = int(instance.setups[machine, job, next_job]) if job != next_job else 0
            if start < end + setup:
                raise UsageError(
                    f"{instance.name}: machine {machine} starts operation {next_k} of job {next_job} at {start}; "
                    f"operation {k} of job {job} ends at {end}, and the set-up takes {setup}"
                )
    return float(makespan)
