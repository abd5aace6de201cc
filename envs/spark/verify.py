"""The independent checker of executions.

It shares no code with the dynamics and works on the jobs as the user gave them, in plain Python.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.core.errors import UsageError
from envs.spark.types import SparkInstance, Trace


class _Task(NamedTuple):
    """One task; the field order makes sorting go by start."""

    start: float
    job: int
    stage: int
    number: int


def verify(instance: SparkInstance, trace: Trace) -> float:
    """Checks a complete execution against the definition and recomputes the mean response time.

    Every task starts once, on one of the cores, no earlier than the submission of its job and the end of all tasks of
    the parents of its stage; a core runs one task at a time. How long a task takes follows from what its core ran
    before. A job is submitted at its arrival, or so long after the completion of the job that it waits for.

    Args:
        instance: The instance.
        trace: Start and core of each task.

    Returns:
        The mean of completion minus submission over all jobs, in seconds.

    Raises:
        UsageError: A constraint is violated; the message names the first one found.
    """
    name = instance.name
    starts, cores = np.asarray(trace.starts), np.asarray(trace.cores)
    count = sum(len(stage.durations) for job in instance.jobs for stage in job.stages)
    if starts.shape != (count,) or cores.shape != (count,):
        raise UsageError(f"{name}: starts and cores have shapes {starts.shape} and {cores.shape}; expected ({count},)")
    ends = _ends(instance, starts.tolist(), cores.tolist())
    return _mean_response(instance, starts.tolist(), ends)


def _tasks(instance: SparkInstance) -> list[tuple[int, int, int]]:
    """Job, stage within the job and number within the stage of every task."""
    return [
        (j, k, n)
        for j, job in enumerate(instance.jobs)
        for k, stage in enumerate(job.stages)
        for n in range(len(stage.durations))
    ]


def _ends(instance: SparkInstance, starts: list[float], cores: list[int]) -> list[float]:
    """Follows every core through its tasks; returns the end of every task."""
    places = _tasks(instance)
    on_core: dict[int, list[tuple[float, int]]] = {}
    for task, (start, core) in enumerate(zip(starts, cores, strict=True)):
        if not (0.0 <= start < float("inf")):
            raise UsageError(f"{instance.name}: {_told(places[task])} starts at {start}; expected a time of at least 0")
        if not 0 <= core < instance.cores:
            raise UsageError(
                f"{instance.name}: {_told(places[task])} is on core {core}; expected 0 to {instance.cores - 1}"
            )
        on_core.setdefault(core, []).append((start, task))
    ends = [0.0] * len(places)
    for core, tasks in on_core.items():
        before: tuple[int, int] | None = None
        free_at = 0.0
        for start, task in sorted(tasks):
            if start < free_at:
                raise UsageError(
                    f"{instance.name}: {_told(places[task])} starts at {start} on core {core}, busy until {free_at}"
                )
            job, stage, number = places[task]
            ends[task] = free_at = start + _time(instance, job, stage, number, before)
            before = (job, stage)
    return ends


def _time(instance: SparkInstance, job: int, stage: int, number: int, before: tuple[int, int] | None) -> float:
    described = instance.jobs[job].stages[stage]
    duration = described.durations[number]
    if before == (job, stage):
        return duration
    if before is not None and before[0] == job:
        return duration * described.first_wave
    return duration * described.fresh + instance.moving_delay


def _mean_response(instance: SparkInstance, starts: list[float], ends: list[float]) -> float:
    completions: list[float] = []
    total, task = 0.0, 0
    for j, job in enumerate(instance.jobs):
        submission = job.arrival if job.after < 0 else completions[job.after] + job.arrival
        stage_ends: list[float] = []
        for k, stage in enumerate(job.stages):
            ready = max([submission, *(stage_ends[parent] for parent in stage.parents)])
            own = range(task, task + len(stage.durations))
            for number, t in enumerate(own):
                if starts[t] < ready:
                    raise UsageError(
                        f"{instance.name}: {_told((j, k, number))} starts at {starts[t]}; its stage is ready at {ready}"
                    )
            stage_ends.append(max(ends[t] for t in own))
            task = own.stop
        completions.append(max(stage_ends))
        total += completions[-1] - submission
    return total / len(instance.jobs)


def _told(place: tuple[int, int, int]) -> str:
    return f"task {place[2]} of stage {place[1]} of job {place[0]}"
