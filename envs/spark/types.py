"""What an instance of stage scheduling on a cluster is, and what an execution of it looks like.

A cluster of identical cores serves the jobs of several users. A job is a directed acyclic graph of stages, a stage is a
set of tasks that may run side by side, and a task runs on one core without interruption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]


@dataclass(frozen=True)
class Stage:
    """A set of tasks that may run side by side.

    Attributes:
        durations: Seconds of each task on a core that just ran a task of the same stage; tasks start in this order.
        parents: Stages of the same job, counted from 0, that must be complete before; each below this stage's number.
        estimate: Slot time (core-seconds of all tasks) that schedulers believe in; None for the true one.
        first_wave: Factor, at least 1, on a task whose core comes from another stage of the same job.
        fresh: Factor, at least 1, on a task whose core comes from another job or ran nothing yet.
    """

    durations: tuple[float, ...]
    parents: tuple[int, ...] = ()
    estimate: float | None = None
    first_wave: float = 1.0
    fresh: float = 1.0

    @property
    def work(self) -> float:
        """Sum of the durations, in core-seconds."""
        return float(sum(self.durations))


@dataclass(frozen=True)
class Job:
    """A job of a user.

    Attributes:
        user: Name of the user.
        arrival: Seconds from the start of the instance; with ``after``, seconds from that job's completion.
        stages: Its stages.
        after: Number of the job whose completion triggers this one's submission, -1 for none.
    """

    user: str
    arrival: float
    stages: tuple[Stage, ...]
    after: int = -1

    @property
    def work(self) -> float:
        """Sum of all task durations, in core-seconds."""
        return sum(stage.work for stage in self.stages)


@dataclass(frozen=True, eq=False)
class SparkInstance:
    """Jobs of several users on a cluster.

    The arrays, made from the jobs, lay stages and tasks end to end: J jobs, S stages, T tasks, E edges, U users.

    Attributes:
        name: Name for reports.
        cores: Number R of cores.
        jobs: The jobs, numbered from 0; ``after`` names an earlier one.
        moving_delay: Seconds added to a task whose core comes from another job or ran nothing yet.
        users: ``(U,)`` names in the order of their first jobs.
        job_user: ``(J,)`` user of each job.
        stage_job: ``(S,)`` job of each stage.
        task_from: ``(S + 1,)`` first task of each stage.
        durations: ``(T,)`` seconds of each task.
        edges: ``(E, 2)`` parent and child stages, sorted.
        estimates: ``(S,)`` slot time that schedulers believe in.
    """

    name: str
    cores: int
    jobs: tuple[Job, ...]
    moving_delay: float = 0.0
    users: tuple[str, ...] = field(init=False)
    job_user: Indices = field(init=False, repr=False)
    stage_job: Indices = field(init=False, repr=False)
    task_from: Indices = field(init=False, repr=False)
    durations: Floats = field(init=False, repr=False)
    edges: Indices = field(init=False, repr=False)
    estimates: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Checks every value and lays out the arrays, which are read-only."""
        if self.cores < 1:
            raise UsageError(f"{self.name}: cores is {self.cores}; expected at least 1")
        if not self.jobs:
            raise UsageError(f"{self.name}: jobs is empty; expected at least one job")
        _check_number(self.name, "moving_delay", self.moving_delay, 0.0)
        for number, job in enumerate(self.jobs):
            _check_job(f"{self.name}, job {number}", number, job)
        users = tuple(dict.fromkeys(job.user for job in self.jobs))
        stages = self.stages
        first = np.cumsum([0, *(len(job.stages) for job in self.jobs)])
        edges = [
            (first[j] + parent, first[j] + k)
            for j, job in enumerate(self.jobs)
            for k, stage in enumerate(job.stages)
            for parent in stage.parents
        ]
        arrays: dict[str, NDArray[np.generic]] = {
            "job_user": np.array([users.index(job.user) for job in self.jobs], np.int32),
            "stage_job": np.repeat(np.arange(len(self.jobs)), np.diff(first)).astype(np.int32),
            "task_from": np.cumsum([0, *(len(stage.durations) for stage in stages)]).astype(np.int32),
            "durations": np.array([duration for stage in stages for duration in stage.durations], np.float64),
            "edges": np.array(sorted(edges), np.int32).reshape(-1, 2),
            "estimates": np.array([s.work if s.estimate is None else s.estimate for s in stages], np.float64),
        }
        for name, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "users", users)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages, job by job."""
        return tuple(stage for job in self.jobs for stage in job.stages)

    def __eq__(self, other: object) -> bool:
        """Compares the data; the names of instance and users are labels only."""
        if not isinstance(other, SparkInstance) or len(self.jobs) != len(other.jobs):
            return False
        mine, theirs = (
            [(job.arrival, job.after, [(s.parents, s.first_wave, s.fresh) for s in job.stages]) for job in each.jobs]
            for each in (self, other)
        )
        return (
            (self.cores, self.moving_delay, mine) == (other.cores, other.moving_delay, theirs)
            and np.array_equal(self.job_user, other.job_user)
            and np.array_equal(self.task_from, other.task_from)
            and np.array_equal(self.durations, other.durations)
            and np.array_equal(self.estimates, other.estimates)
        )

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash((self.cores, len(self.jobs), self.durations.tobytes()))


@dataclass(frozen=True, eq=False)
class Trace:
    """An execution.

    Attributes:
        starts: ``(T,)`` start of each task in seconds, -1 where it has not started.
        cores: ``(T,)`` core of each task, counted from 0, -1 where it has not started.
    """

    starts: Floats
    cores: NDArray[np.int64]

    def __eq__(self, other: object) -> bool:
        """Compares all starts and cores."""
        return (
            isinstance(other, Trace)
            and np.array_equal(self.starts, other.starts)
            and np.array_equal(self.cores, other.cores)
        )

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash((self.starts.tobytes(), self.cores.tobytes()))


def _check_number(where: str, what: str, value: float, least: float) -> None:
    if not (np.isfinite(value) and value >= least):
        raise UsageError(f"{where}: {what} is {value}; expected a finite number of at least {least:g}")


def _check_job(where: str, number: int, job: Job) -> None:
    _check_number(where, "arrival", job.arrival, 0.0)
    if not -1 <= job.after < number:
        raise UsageError(f"{where}: after is {job.after}; expected -1 or the number of an earlier job")
    if not job.stages:
        raise UsageError(f"{where}: stages is empty; expected at least one stage")
    for k, stage in enumerate(job.stages):
        _check_stage(f"{where}, stage {k}", k, stage)


def _check_stage(where: str, number: int, stage: Stage) -> None:
    if not stage.durations:
        raise UsageError(f"{where}: durations is empty; expected at least one task")
    shortest = min(stage.durations)
    if not (shortest > 0.0 and np.isfinite(max(stage.durations))):
        raise UsageError(f"{where}: durations has {shortest}; expected finite numbers above 0")
    if len(set(stage.parents)) != len(stage.parents) or not _all_below(stage.parents, number):
        raise UsageError(f"{where}: parents is {list(stage.parents)}; expected different numbers of earlier stages")
    _check_number(where, "first_wave", stage.first_wave, 1.0)
    _check_number(where, "fresh", stage.fresh, 1.0)
    if stage.estimate is not None and not (np.isfinite(stage.estimate) and stage.estimate > 0.0):
        raise UsageError(f"{where}: estimate is {stage.estimate}; expected a finite number above 0")


def _all_below(parents: Sequence[int], number: int) -> bool:
    return all(0 <= parent < number for parent in parents)
