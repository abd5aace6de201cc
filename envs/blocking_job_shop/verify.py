"""The independent checker of executions of the blocking job shop: plain Python, no code shared with the dynamics.

Jobs, operations and machines are counted from 0 in its messages. Moments are sums of hundreds of numbers: they may
differ by a billionth of the execution's length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from envs.blocking_job_shop.types import BlockingJobShopInstance, Execution
from envs.core.errors import UsageError

_RELATIVE = 1e-9


class _Stay(NamedTuple):
    """A job's stay on a machine: it comes, is processed, and leaves."""

    start: float
    leave: float
    job: int
    operation: int

    def __str__(self) -> str:
        return f"operation {self.operation} of job {self.job} [{self.start:g}, {self.leave:g})"


def verify(instance: BlockingJobShopInstance, execution: Execution) -> float:
    """Checks a finished execution against the definition and recomputes its makespan.

    A job stays on a machine from the start of an operation to the start of its next one; no two stays on a machine
    overlap; every operation is processed for its time while its machine works; no job comes to a machine that is shut
    down; and without swap no jobs change places at one moment.

    Raises:
        UsageError: A constraint is violated; the message names the first one found.
    """
    shape = instance.machines.shape
    for name in ("starts", "ends"):
        array = np.asarray(getattr(execution, name))
        if array.shape != shape:
            raise UsageError(f"{instance.name}: {name} has shape {array.shape}; expected (jobs, operations) = {shape}")
        if not np.isfinite(array).all():
            raise UsageError(f"{instance.name}: the execution is not finished: some of {name} are missing")
    slack = _RELATIVE * max(float(np.max(execution.ends)), 1.0)
    shut = _shutdowns(instance, execution, slack)
    stays: list[list[_Stay]] = [[] for _ in range(instance.num_machines)]
    makespan = 0.0
    for job in range(shape[0]):
        free = 0.0
        for k in range(shape[1]):
            start, end = float(execution.starts[job, k]), float(execution.ends[job, k])
            leave = float(execution.starts[job, k + 1]) if k + 1 < shape[1] else end
            stay = _Stay(start, leave, job, k)
            if start < free - slack:
                raise UsageError(f"{instance.name}: {stay} starts before the operation before it ends at {free:g}")
            machine = int(instance.machines[job, k])
            _check_processing(instance, stay, end, machine, shut[machine], slack)
            stays[machine].append(stay)
            free = end
        makespan = max(makespan, free)
    _check_machines(instance, stays, slack)
    if not instance.swap:
        _check_order(instance, stays)
    return makespan


def _shutdowns(
    instance: BlockingJobShopInstance, execution: Execution, slack: float
) -> list[list[tuple[float, float]]]:
    """The times in which each machine is shut down, merged and in order."""
    columns = (execution.shut_machines.tolist(), execution.shut_at.tolist(), execution.opened_at.tolist())
    merged: list[list[tuple[float, float]]] = [[] for _ in range(instance.num_machines)]
    for machine, shut, opened in sorted(zip(*columns, strict=True), key=lambda row: row[:2]):
        if not instance.is_stochastic:
            raise UsageError(f"{instance.name}: machine {machine} is shut down at {shut:g}, but none of it ever is")
        if not 0 <= machine < instance.num_machines:
            raise UsageError(f"{instance.name}: machine {machine} is shut down; it has {instance.num_machines}")
        until = math.inf if math.isnan(opened) else opened
        if shut < -slack or until < shut:
            raise UsageError(f"{instance.name}: machine {machine} is shut down at {shut:g} and opened at {until:g}")
        if merged[machine] and shut <= merged[machine][-1][1]:
            first, last = merged[machine][-1]
            merged[machine][-1] = (first, max(last, until))
        else:
            merged[machine].append((shut, until))
    return merged


def _check_processing(
    instance: BlockingJobShopInstance,
    stay: _Stay,
    end: float,
    machine: int,
    shut: Sequence[tuple[float, float]],
    slack: float,
) -> None:
    """The machine works when the job comes, and then for the processing time until the end."""
    lost = 0.0
    for closed, opened in shut:
        if closed + slack < stay.start < opened - slack:
            raise UsageError(f"{instance.name}: {stay} starts while machine {machine} is shut down from {closed:g}")
        lost += max(min(opened, end) - max(closed, stay.start), 0.0)
    time = float(instance.times[stay.job, stay.operation])
    if abs(end - stay.start - lost - time) > slack:
        raise UsageError(
            f"{instance.name}: {stay} is processed for {end - stay.start - lost:g} on machine {machine}; "
            f"its processing time is {time:g}"
        )


def _check_machines(instance: BlockingJobShopInstance, stays: list[list[_Stay]], slack: float) -> None:
    for machine, on in enumerate(stays):
        # Sorted by start and then leave, all pairs are disjoint exactly when all neighbours are.
        for first, second in pairwise(sorted(on)):
            if second.start < first.leave - slack:
                raise UsageError(f"{instance.name}: machine {machine} holds {first} and {second} at the same time")


def _check_order(instance: BlockingJobShopInstance, stays: list[list[_Stay]]) -> None:
    """Without swap the moves of one moment can be made one after another: none waits for itself in a circle.

    A job comes to a machine after the job that stays there before has left, which is to come to its next machine. Of
    stays without any length at one moment, any may be the first.
    """
    before: dict[tuple[int, int], tuple[int, int]] = {}
    for on in stays:
        for first, second in pairwise(sorted(on)):
            if first.operation + 1 < instance.operations and first.start < second.leave:
                before[second.job, second.operation] = (first.job, first.operation + 1)
    checked: set[tuple[int, int]] = set()
    for first_move in before:
        move, path = first_move, []
        while move in before and move not in checked:
            checked.add(move)
            path.append(move)
            move = before[move]
        if move in path:
            jobs = ", ".join(str(job) for job in sorted({job for job, _ in path[path.index(move) :]}))
            raise UsageError(f"{instance.name}: jobs {jobs} change places at one moment, which needs the option swap")
