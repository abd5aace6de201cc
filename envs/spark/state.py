"""The state of running episodes: what the compiled rules of `envs.spark` read and write.

Axes: L lanes, U users, J jobs, S stages, T tasks, E edges, R cores, A actions. A row of the observation's stage nodes
is a *visible* stage: unfinished, of a job that has been submitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Capacity(NamedTuple):
    """Lengths of the padded axes."""

    users: int
    jobs: int
    stages: int
    tasks: int
    edges: int
    cores: int


class SparkState(NamedTuple):
    """Arrays by lane; see the module for the axes. Times in seconds, work in core-seconds.

    Attributes:
        generator: (L,) generator word.
        label: (L,) number of a named instance, -1 for a drawn one.
        size: (L, 6) users, jobs, stages, tasks, edges, cores.
        job_user, job_arrival, job_after: (L, J) as in the instance.
        stage_job, estimate, first_wave, fresh: (L, S) as in the instance.
        task_from: (L, S + 1) first task of each stage.
        duration: (L, T) as in the instance.
        edge: (L, E, 2) as in the instance.
        moving_delay: (L,) as in the instance.
        longest: (L, T) longest duration of this and the following tasks of the stage.
        tail: (L, S) longest path of longest tasks after the stage.
        job_estimate: (L, J) estimated slot time of the whole job.
        job_work: (L, J) true slot time of the whole job.
        ideal: (L, J) lower bound on the response time: the longest path, or the work over all cores.
        unit: (L,) time that features and rewards are measured in: the mean of ``ideal``.
        clock: (L,) simulated time.
        done: (L,) the episode is over.
        started: (L,) tasks started.
        submit: (L, J) time of submission, inf while it is not known.
        submitted: (L, J) the job is in the system or was.
        completion: (L, J) end of the job, -1 before.
        job_stages_left: (L, J) unfinished stages.
        job_running, user_running, stage_running: (L, J), (L, U), (L, S) running tasks.
        job_limit: (L, J) cores that the job may use by the last decision about it.
        work_left: (L, J) true slot time of the tasks that have not started.
        estimate_left: (L, J) estimated slot time of the tasks that have not started.
        missing: (L, S) parents that are not complete.
        next_task: (L, S) next task to start.
        tasks_left: (L, S) tasks that are not complete.
        stage_end: (L, S) latest end of a started task.
        core_end: (L, R) end of the running task.
        core_stage: (L, R) stage of the running task, -1 for a free core.
        core_last: (L, R) stage of the last task, -1 before the first.
        start: (L, T) start of each task, -1 before.
        core: (L, T) core of each task, -1 before.
        visible: (L, S) stage of every row of the stage nodes.
        visible_count: (L,) number of them.
        chosen: (L,) stage whose parallelism is asked for, -1 if a stage is.
        job_bound: (L, J) lower bound on the response time; the response time once complete.
        cfq_time: (L,) virtual time of the single-level fair queue, in core-seconds.
        cfq_active: (L, S) the stage is in it.
        cfq_deadline: (L, S) its virtual deadline.
        uwfq_time: (L,) global virtual time V of the two-level fair queue, in core-seconds.
        uwfq_active: (L, U) the user is in it.
        user_time: (L, U) virtual time v of the user.
        user_start: (L, U) global start G of the user.
        user_end: (L, U) global deadline E of the user's last job.
        uwfq_job: (L, J) the job is in it.
        uwfq_size: (L, J) slot time that the job entered with.
        user_deadline: (L, J) deadline d in its user's virtual time.
        job_deadline: (L, J) global deadline D, inf before.
        mask: (L, A) legal actions.
    """

    generator: NDArray[np.uint64]
    label: Integers
    size: Integers
    job_user: Integers
    job_arrival: Floats
    job_after: Integers
    stage_job: Integers
    estimate: Floats
    first_wave: Floats
    fresh: Floats
    task_from: Integers
    duration: Floats
    edge: Integers
    moving_delay: Floats
    longest: Floats
    tail: Floats
    job_estimate: Floats
    job_work: Floats
    ideal: Floats
    unit: Floats
    clock: Floats
    done: Flags
    started: Integers
    submit: Floats
    submitted: Flags
    completion: Floats
    job_stages_left: Integers
    job_running: Integers
    user_running: Integers
    stage_running: Integers
    job_limit: Integers
    work_left: Floats
    estimate_left: Floats
    missing: Integers
    next_task: Integers
    tasks_left: Integers
    stage_end: Floats
    core_end: Floats
    core_stage: Integers
    core_last: Integers
    start: Floats
    core: Integers
    visible: Integers
    visible_count: Integers
    chosen: Integers
    job_bound: Floats
    cfq_time: Floats
    cfq_active: Flags
    cfq_deadline: Floats
    uwfq_time: Floats
    uwfq_active: Flags
    user_time: Floats
    user_start: Floats
    user_end: Floats
    uwfq_job: Flags
    uwfq_size: Floats
    user_deadline: Floats
    job_deadline: Floats
    mask: Flags


def allocate(lanes: int, capacity: Capacity, levels: int) -> SparkState:
    """Returns the zeroed state of ``lanes`` lanes, all finished; ``levels`` is 0 without parallelism decisions."""
    users, jobs, stages, tasks, edges, cores = capacity

    def real(*shape: int) -> Floats:
        return np.zeros((lanes, *shape))

    def flag(*shape: int) -> Flags:
        return np.zeros((lanes, *shape), np.bool_)

    def whole(*shape: int) -> Integers:
        return np.zeros((lanes, *shape), np.int64)

    return SparkState(
        generator=np.zeros(lanes, np.uint64),
        label=whole() - 1,
        size=whole(6),
        job_user=whole(jobs),
        job_arrival=real(jobs),
        job_after=whole(jobs),
        stage_job=whole(stages),
        estimate=real(stages),
        first_wave=real(stages),
        fresh=real(stages),
        task_from=whole(stages + 1),
        duration=real(tasks),
        edge=whole(edges, 2),
        moving_delay=real(),
        longest=real(tasks),
        tail=real(stages),
        job_estimate=real(jobs),
        job_work=real(jobs),
        ideal=real(jobs),
        unit=real() + 1.0,
        clock=real(),
        done=~flag(),
        started=whole(),
        submit=real(jobs),
        submitted=flag(jobs),
        completion=real(jobs),
        job_stages_left=whole(jobs),
        job_running=whole(jobs),
        user_running=whole(users),
        stage_running=whole(stages),
        job_limit=whole(jobs),
        work_left=real(jobs),
        estimate_left=real(jobs),
        missing=whole(stages),
        next_task=whole(stages),
        tasks_left=whole(stages),
        stage_end=real(stages),
        core_end=real(cores),
        core_stage=whole(cores),
        core_last=whole(cores),
        start=real(tasks),
        core=whole(tasks),
        visible=whole(stages),
        visible_count=whole(),
        chosen=whole() - 1,
        job_bound=real(jobs),
        cfq_time=real(),
        cfq_active=flag(stages),
        cfq_deadline=real(stages),
        uwfq_time=real(),
        uwfq_active=flag(users),
        user_time=real(users),
        user_start=real(users),
        user_end=real(users),
        uwfq_job=flag(jobs),
        uwfq_size=real(jobs),
        user_deadline=real(jobs),
        job_deadline=real(jobs),
        mask=flag(stages + levels),
    )


_CLEARED: Mapping[str, float] = MappingProxyType(
    {"chosen": -1, "completion": -1.0, "core_stage": -1, "core_last": -1, "start": -1.0, "core": -1}
    | dict.fromkeys(("submit", "core_end", "cfq_deadline", "user_deadline", "job_deadline"), np.inf)
    | dict.fromkeys(("clock", "done", "started", "visible_count", "submitted", "job_stages_left"), 0)
    | dict.fromkeys(("job_running", "user_running", "stage_running", "job_limit", "missing", "stage_end"), 0)
    | dict.fromkeys(("tail", "job_estimate", "job_work", "ideal"), 0)
    | dict.fromkeys(("cfq_time", "cfq_active", "uwfq_time", "uwfq_active", "user_time", "user_start"), 0)
    | dict.fromkeys(("user_end", "uwfq_job", "uwfq_size"), 0)
)
"""What an episode starts with, by field; the other fields follow from the instance."""


def clear(state: SparkState, lane: int) -> None:
    """Puts a lane back to time 0, with nothing submitted and both fair queues empty."""
    for name, value in _CLEARED.items():
        getattr(state, name)[lane] = value
