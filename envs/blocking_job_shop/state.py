"""The state of the blocking job shop, and how instances are drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

NOT_YET = -1.0


class BlockingState(NamedTuple):
    """State of L lanes with room for J jobs of K operations and M machines.

    Attributes:
        generator: ``(L,)`` generator word.
        key: ``(L,)`` what the episode's shutdowns are drawn from.
        label: ``(L,)`` number of a named instance, -1 for a drawn one.
        size: ``(L, 3)`` numbers of jobs, operations and machines.
        swap: ``(L,)`` whether jobs may change places.
        shutdown: ``(L,)`` probability of a shutdown during an operation.
        shutdown_rate: ``(L,)`` shutdowns per time unit.
        repair_time: ``(L,)`` mean time of a repair.
        machine: ``(L, J, K)`` machines of the operations.
        time: ``(L, J, K)`` processing times.
        rest: ``(L, J, K + 1)`` sum of the times of an operation and all after it.
        mean_time: ``(L,)`` mean processing time.
        clock: ``(L,)`` the time.
        waits: ``(L,)`` whether time is to pass.
        completed: ``(L,)`` number of processed operations.
        decisions: ``(L,)`` number of decisions.
        job_next: ``(L, J)`` operation whose machine the job has not come to; the number of operations after the last.
        job_on: ``(L, J)`` machine that the job holds, -1 for none.
        job_ready: ``(L, J)`` when the job's last operation was processed; 0 before the first.
        machine_job: ``(L, M)`` job on the machine, -1 for none.
        machine_done: ``(L, M)`` whether its operation is processed: the job blocks the machine.
        machine_left: ``(L, M)`` processing time left at ``machine_since``.
        machine_halt: ``(L, M)`` processing time until the shutdown during the operation; infinite for none.
        machine_since: ``(L, M)`` moment from which processing counts.
        machine_halted: ``(L, M)`` end of the shutdown during an operation, 0 for none.
        machine_change: ``(L, M)`` next moment at which a shutdown by the rate begins or ends; infinite for none.
        machine_changes: ``(L, M)`` number of those so far; odd while it is shut down.
        machine_up: ``(L, M)`` whether it is not shut down.
        machine_event: ``(L, M)`` when something happens on it next; infinite if nothing will.
        machine_load: ``(L, M)`` processing times of the operations that have not come to it.
        starts: ``(L, J, K)`` when jobs came to their machines, `NOT_YET` before.
        ends: ``(L, J, K)`` when operations were processed, likewise.
        halted_at: ``(L, J, K)`` beginning of the shutdown during the operation, likewise.
        resumed_at: ``(L, J, K)`` its end, drawn when it begins, likewise.
        estimate: ``(L,)`` lower bound on the makespan if no machine is shut down any more.
        unit: ``(L,)`` the first estimate.
        mask: ``(L, J)`` or ``(L, J + 1)`` legal actions: jobs, and waiting.
        room: ``(L, 4, max(J, M))`` room to work out circles and deadlocks in.
    """

    generator: NDArray[np.uint64]
    key: NDArray[np.uint64]
    label: Integers
    size: Integers
    swap: Flags
    shutdown: Floats
    shutdown_rate: Floats
    repair_time: Floats
    machine: Integers
    time: Floats
    rest: Floats
    mean_time: Floats
    clock: Floats
    waits: Flags
    completed: Integers
    decisions: Integers
    job_next: Integers
    job_on: Integers
    job_ready: Floats
    machine_job: Integers
    machine_done: Flags
    machine_left: Floats
    machine_halt: Floats
    machine_since: Floats
    machine_halted: Floats
    machine_change: Floats
    machine_changes: Integers
    machine_up: Flags
    machine_event: Floats
    machine_load: Floats
    starts: Floats
    ends: Floats
    halted_at: Floats
    resumed_at: Floats
    estimate: Floats
    unit: Floats
    mask: Flags
    room: Integers


class Draws(NamedTuple):
    """How instances are drawn.

    Attributes:
        time_low: Least processing time.
        time_high: Largest.
        operations: Operations of a job; 0 for as many as there are machines.
        swap: Whether jobs may change places.
        shutdown_low: Least probability of a shutdown during an operation.
        shutdown_high: Largest; an instance's own is uniform in between.
        shutdown_rate: Shutdowns per mean processing time.
        repair_time: Mean time of a repair in mean processing times.
    """

    time_low: int
    time_high: int
    operations: int
    swap: bool
    shutdown_low: float
    shutdown_high: float
    shutdown_rate: float
    repair_time: float


def allocate(lanes: int, jobs: int, operations: int, machines: int, wait: bool) -> BlockingState:
    """Returns the zeroed state of ``lanes`` lanes."""

    def integers(*shape: int) -> Integers:
        return np.zeros((lanes, *shape), np.int64)

    def floats(*shape: int) -> Floats:
        return np.zeros((lanes, *shape))

    def flags(*shape: int) -> Flags:
        return np.zeros((lanes, *shape), np.bool_)

    return BlockingState(
        generator=np.zeros(lanes, np.uint64),
        key=np.zeros(lanes, np.uint64),
        label=integers(),
        size=integers(3),
        swap=flags(),
        shutdown=floats(),
        shutdown_rate=floats(),
        repair_time=floats(),
        machine=integers(jobs, operations),
        time=floats(jobs, operations),
        rest=floats(jobs, operations + 1),
        mean_time=floats(),
        clock=floats(),
        waits=flags(),
        completed=integers(),
        decisions=integers(),
        job_next=integers(jobs),
        job_on=integers(jobs),
        job_ready=floats(jobs),
        machine_job=integers(machines),
        machine_done=flags(machines),
        machine_left=floats(machines),
        machine_halt=floats(machines),
        machine_since=floats(machines),
        machine_halted=floats(machines),
        machine_change=floats(machines),
        machine_changes=integers(machines),
        machine_up=flags(machines),
        machine_event=floats(machines),
        machine_load=floats(machines),
        starts=floats(jobs, operations),
        ends=floats(jobs, operations),
        halted_at=floats(jobs, operations),
        resumed_at=floats(jobs, operations),
        estimate=floats(),
        unit=floats(),
        mask=flags(jobs + wait),
        room=integers(4, max(jobs, machines)),
    )
