"""What an execution is judged by: response times, slowdowns, and fairness against another execution.

The fairness measures are those of Kazemaks et al., "User Weighted Fair Queueing", arXiv 2510.15485: with UJF (fair
shares between users and between the jobs of a user) as what users expect, a job's ratio is (its end - its end under
UJF) / (its response time under UJF). DVR is the mean of the positive ratios (violations), DSR of the negative ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from envs.core.errors import UsageError
from envs.spark.reference import ujf_trace
from envs.spark.types import Floats, SparkInstance, Trace


class JobTimes(NamedTuple):
    """Times of all jobs in seconds, ``(J,)`` each.

    Attributes:
        submission: When the job was submitted.
        completion: When its last task ended.
    """

    submission: Floats
    completion: Floats

    @property
    def response(self) -> Floats:
        """Completion minus submission."""
        return self.completion - self.submission


@dataclass(frozen=True)
class Fairness:
    """Deadlines against a reference execution.

    Attributes:
        dvr: Mean ratio of the jobs that end later than in the reference, 0 if there are none.
        dsr: Mean ratio of the jobs that end earlier (negative), 0 if there are none.
        violations: Number of jobs that end later.
        gains: Number of jobs that end earlier.
    """

    dvr: float
    dsr: float
    violations: int
    gains: int


def measures(instance: SparkInstance, trace: Trace) -> dict[str, float]:
    """Returns what result rows hold beside the mean response time; fairness is against UJF on the same instance.

    ``light_users_response`` is the mean response time of the users with at most the average user's work, and
    ``slowdown`` the mean of the response times over their lower bounds (longest path, or work over all cores).
    """
    times = job_times(instance, trace)
    fair = fairness(times, job_times(instance, ujf_trace(instance)))
    return {
        "response_0_80": slice_response(times, 0.0, 0.8),
        "response_80_95": slice_response(times, 0.8, 0.95),
        "response_95_100": slice_response(times, 0.95, 1.0),
        "response_worst_10": worst_response(times),
        "light_users_response": user_response(instance, times, light_users(instance).__contains__),
        "slowdown": slowdown(times, ideal_responses(instance)),
        "dvr": fair.dvr,
        "dsr": fair.dsr,
        "violations": float(fair.violations),
        "gains": float(fair.gains),
    }


def light_users(instance: SparkInstance) -> frozenset[str]:
    """Users whose jobs' work is at most the average user's, within rounding."""
    work = {user: sum(job.work for job in instance.jobs if job.user == user) for user in instance.users}
    limit = (1.0 + 1e-9) * sum(work.values()) / len(work)
    return frozenset(user for user, own in work.items() if own <= limit)


def ideal_responses(instance: SparkInstance) -> Floats:
    """Returns ``(J,)`` lower bounds on the response times: the longest path, or the work over all cores."""
    bounds = []
    for job in instance.jobs:
        ends: list[float] = []
        for stage in job.stages:
            ends.append(max((ends[parent] for parent in stage.parents), default=0.0) + max(stage.durations))
        bounds.append(max(*ends, job.work / instance.cores))
    return np.array(bounds)


def task_ends(instance: SparkInstance, trace: Trace) -> Floats:
    """Returns ``(T,)`` ends of the tasks in seconds, -1 where a task has not started."""
    stage = np.repeat(np.arange(len(instance.stage_job)), np.diff(instance.task_from))
    job = instance.stage_job[stage]
    started = np.flatnonzero(trace.starts >= 0.0)
    order = started[np.lexsort((trace.starts[started], trace.cores[started]))]
    before = np.concatenate([[-1], order[:-1]])
    same_core = np.concatenate([[False], trace.cores[order[1:]] == trace.cores[order[:-1]]])
    same_stage = same_core & (stage[before] == stage[order])
    same_job = same_core & (job[before] == job[order])
    first_wave = np.array([s.first_wave for s in instance.stages])[stage[order]]
    fresh = np.array([s.fresh for s in instance.stages])[stage[order]]
    plain = instance.durations[order]
    taken = np.where(same_job, plain * first_wave, plain * fresh + instance.moving_delay)
    ends = np.full(len(trace.starts), -1.0)
    ends[order] = trace.starts[order] + np.where(same_stage, plain, taken)
    return ends


def job_times(instance: SparkInstance, trace: Trace) -> JobTimes:
    """Returns submission and completion of every job of a finished execution.

    Raises:
        UsageError: Some task has not started.
    """
    if (trace.starts < 0.0).any():
        raise UsageError(f"{instance.name}: {int((trace.starts < 0).sum())} tasks have not started; expected none")
    stage_end = np.maximum.reduceat(task_ends(instance, trace), instance.task_from[:-1])
    completion = np.full(len(instance.jobs), -1.0)
    np.maximum.at(completion, instance.stage_job, stage_end)
    submission = np.array(
        [job.arrival if job.after < 0 else completion[job.after] + job.arrival for job in instance.jobs]
    )
    return JobTimes(submission, completion)


def mean_response(times: JobTimes) -> float:
    """Mean response time in seconds."""
    return float(times.response.mean())


def slice_response(times: JobTimes, low: float, high: float) -> float:
    """Mean response time of the jobs between two ranks, as shares of all jobs sorted by response time.

    The published slices are 0 to 0.8, 0.8 to 0.95 and 0.95 to 1. A slice holds at least the job at its lower end.
    """
    response = np.sort(times.response)
    begin, end = (int(len(response) * share + 1e-9) for share in (low, high))
    return float(response[begin : max(end, begin + 1)].mean())


def worst_response(times: JobTimes, share: float = 0.1) -> float:
    """Mean response time of the ``share`` of jobs that took longest, at least one."""
    response = np.sort(times.response)
    return float(response[-max(1, round(share * len(response))) :].mean())


def user_response(instance: SparkInstance, times: JobTimes, chosen: Callable[[str], bool]) -> float:
    """Mean response time of the jobs whose user is ``chosen``; nan if there are none."""
    mine = np.array([chosen(job.user) for job in instance.jobs])
    return float(times.response[mine].mean()) if mine.any() else float("nan")


def slowdown(times: JobTimes, isolated: Floats) -> float:
    """Mean proportional slowdown: response time over ``(J,)`` response times in isolation."""
    return float((times.response / isolated).mean())


def fairness(times: JobTimes, reference: JobTimes, tolerance: float = 1e-9) -> Fairness:
    """Compares an execution with a reference one of the same instance, usually UJF's.

    Args:
        times: The execution that is judged.
        reference: What users expect.
        tolerance: Seconds by which an end may differ and still count as equal.
    """
    late = times.completion - reference.completion
    ratio = late / reference.response
    violated, gained = ratio[late > tolerance], ratio[late < -tolerance]
    return Fairness(
        float(violated.mean()) if len(violated) else 0.0,
        float(gained.mean()) if len(gained) else 0.0,
        len(violated),
        len(gained),
    )
