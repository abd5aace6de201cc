"""The state of all lanes of the stochastic job shop."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle

UNRELEASED, WAITING, RUNNING, DONE = 0, 1, 2, 3
MAKESPAN, FLOW_TIME, TARDINESS, WEIGHTED_TARDINESS = 0, 1, 2, 3
NOT_YET = -1.0
"""A time that nobody knows yet."""


class ShopState(NamedTuple):
    """State of all lanes; the leading axis of every array is the lane.

    Shapes: L lanes, J jobs, K operations of a job, M machines, A actions (J, and 1 more with the wait action). Rows
    beyond a lane's own size are undefined. Times are in the instance's time unit; "expected" means by the law's mean.

    Attributes:
        generator: ``(L,)`` generator words.
        key: ``(L,)`` key of the streams that the episode's randomness comes from.
        label: ``(L,)`` index of the instance's name, -1 for a random instance.
        size: ``(L, 3)`` number of jobs, of operations of a job, of machines.
        law: ``(L,)`` index into `envs.stochastic_job_shop.types.LAWS`.
        goal: ``(L,)`` index into `envs.stochastic_job_shop.types.OBJECTIVES`.
        sigma: ``(L,)`` parameter of the log-normal law.
        time_to_failure: ``(L,)`` its mean; 0 for none.
        repair_time: ``(L,)`` its mean.
        machine: ``(L, J, K)`` machine of each operation.
        time: ``(L, J, K, 3)`` least, most likely and greatest processing time.
        expected: ``(L, J, K)`` expected processing time.
        variation: ``(L, J, K)`` coefficient of variation of the processing time.
        starts: ``(L, J, K)`` start of each operation, `NOT_YET` before it.
        ends: ``(L, J, K)`` completion of each operation, `NOT_YET` before it.
        drawn: ``(L, J, K)`` processing time of completed operations, `NOT_YET` before.
        job_release: ``(L, J)`` release times.
        job_due: ``(L, J)`` due dates, infinite for none.
        job_weight: ``(L, J)`` weights.
        job_status: ``(L, J)`` unreleased, waiting, running or done.
        job_next: ``(L, J)`` index of the operation that waits or runs; the number of operations once done.
        job_machine: ``(L, J)`` machine of that operation, -1 once done.
        job_time: ``(L, J)`` expected time of that operation, 0 once done.
        job_ready: ``(L, J)`` when the job came to where it waits; its completion once done.
        job_work: ``(L, J)`` expected work of the whole job.
        job_remaining: ``(L, J)`` expected work of the operations that are not completed.
        machine_job: ``(L, M)`` job that is on the machine, -1 for none.
        machine_left: ``(L, M)`` processing time that the running operation still needs at ``machine_since``;
            `NOT_YET` until it is drawn. It is never observed.
        machine_expected: ``(L, M)`` expected processing time that it still needs at ``machine_since``.
        machine_since: ``(L, M)`` when processing began or was last resumed.
        machine_duration: ``(L, M)`` drawn processing time of the running operation. It is never observed.
        machine_up: ``(L, M)`` whether the machine works.
        machine_change: ``(L, M)`` when it fails or is repaired next, infinite if never. It is never observed.
        machine_changes: ``(L, M)`` number of failures and repairs so far.
        machine_load: ``(L, M)`` expected work of operations that have not started, of all jobs.
        machine_known_load: ``(L, M)`` likewise, of released jobs.
        machine_queue: ``(L, M)`` number of jobs that wait for the machine.
        machine_queue_work: ``(L, M)`` their expected time on it.
        clock: ``(L,)`` the time.
        waits: ``(L,)`` whether the last decision was to wait.
        decisions: ``(L,)`` number of decisions taken.
        completed: ``(L,)`` number of completed operations.
        incurred: ``(L,)`` what the objective is at least, from what has happened.
        estimate: ``(L,)`` estimated objective by expected times.
        unit: ``(L,)`` scale of the objective.
        mean_time: ``(L,)`` mean expected processing time (1 if all are zero).
        mask: ``(L, A)`` legal actions.
    """

    generator: NDArray[np.uint64]
    key: NDArray[np.uint64]
    label: NDArray[np.int64]
    size: NDArray[np.int64]
    law: NDArray[np.int64]
    goal: NDArray[np.int64]
    sigma: NDArray[np.float64]
    time_to_failure: NDArray[np.float64]
    repair_time: NDArray[np.float64]
    machine: NDArray[np.int32]
    time: NDArray[np.float64]
    expected: NDArray[np.float64]
    variation: NDArray[np.float64]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    drawn: NDArray[np.float64]
    job_release: NDArray[np.float64]
    job_due: NDArray[np.float64]
    job_weight: NDArray[np.float64]
    job_status: NDArray[np.int64]
    job_next: NDArray[np.int64]
    job_machine: NDArray[np.int64]
    job_time: NDArray[np.float64]
    job_ready: NDArray[np.float64]
    job_work: NDArray[np.float64]
    job_remaining: NDArray[np.float64]
    machine_job: NDArray[np.int64]
    machine_left: NDArray[np.float64]
    machine_expected: NDArray[np.float64]
    machine_since: NDArray[np.float64]
    machine_duration: NDArray[np.float64]
    machine_up: NDArray[np.bool_]
    machine_change: NDArray[np.float64]
    machine_changes: NDArray[np.int64]
    machine_load: NDArray[np.float64]
    machine_known_load: NDArray[np.float64]
    machine_queue: NDArray[np.int64]
    machine_queue_work: NDArray[np.float64]
    clock: NDArray[np.float64]
    waits: NDArray[np.bool_]
    decisions: NDArray[np.int64]
    completed: NDArray[np.int64]
    incurred: NDArray[np.float64]
    estimate: NDArray[np.float64]
    unit: NDArray[np.float64]
    mean_time: NDArray[np.float64]
    mask: NDArray[np.bool_]


_INTEGERS = {
    *("label", "size", "law", "goal", "job_status", "job_next", "job_machine"),
    *("machine_job", "machine_changes", "machine_queue", "decisions", "completed"),
}
_TRUTHS = {"machine_up", "waits", "mask"}
_OPERATIONS = {"machine", "expected", "variation", "starts", "ends", "drawn"}


def allocate(lanes: int, jobs: int, operations: int, machines: int, wait: bool) -> ShopState:
    """Returns the zeroed state of ``lanes`` lanes of at most the given size."""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_OPERATIONS, (jobs, operations))
    shapes |= {"size": (3,), "time": (jobs, operations, 3), "mask": (jobs + wait,)}
    values: dict[str, NDArray[Any]] = {}
    for name in ShopState._fields:
        kind: type[Any] = np.int64 if name in _INTEGERS else np.bool_ if name in _TRUTHS else np.float64
        if name in ("generator", "key"):
            kind = np.uint64
        shape = shapes.get(name)
        if shape is None:
            shape = (jobs,) if name.startswith("job_") else (machines,) if name.startswith("machine_") else ()
        values[name] = np.zeros((lanes, *shape), np.int32 if name == "machine" else kind)
    values["unit"][:] = 1.0
    values["mean_time"][:] = 1.0
    return ShopState(**values)


@njit(cache=True)
def state_handle(state: ShopState) -> Handle[ShopState]:
    """Returns a handle to the state."""
    return Handle(state)
