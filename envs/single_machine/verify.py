"""The independent checker: plain Python integers, no code shared with the dynamics."""

from __future__ import annotations

import numpy as np

from envs.core.errors import UsageError
from envs.single_machine.types import JobOrder, SingleMachineInstance


def verify(instance: SingleMachineInstance, order: JobOrder) -> float:
    """Checks that an order has every job once, and recomputes its total weighted tardiness.

    Raises:
        UsageError: It has not.
    """
    given = np.asarray(order.jobs)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise UsageError(f"{instance.name}: the order is no row of integers: shape {given.shape}, type {given.dtype}")
    jobs: list[int] = given.tolist()
    if len(jobs) != instance.jobs:
        raise UsageError(f"{instance.name}: the order has {len(jobs)} jobs; expected {instance.jobs}")
    missing = sorted(set(range(instance.jobs)) - set(jobs))
    if missing:
        raise UsageError(f"{instance.name}: the order lacks job {missing[0]}")
    return float(sum(cost for *_, cost in timetable(instance, order)))


def timetable(instance: SingleMachineInstance, order: JobOrder) -> list[tuple[int, int, int, int]]:
    """Returns job, start, end and weighted tardiness of every job in an order, which need not be whole."""
    rows, now = [], 0
    for job in np.asarray(order.jobs).tolist():
        start = max(now, int(instance.release[job]))
        now = start + int(instance.time[job])
        late = now - int(instance.due[job])
        rows.append((job, start, now, int(instance.weight[job]) * late if late > 0 else 0))
    return rows
