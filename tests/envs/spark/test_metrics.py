"""Metrics, worked out by hand."""

import numpy as np
import pytest

from envs.core import UsageError
from envs.spark.export import trace_json, trace_rows
from envs.spark.metrics import (
    JobTimes,
    fairness,
    ideal_responses,
    job_times,
    measures,
    slice_response,
    slowdown,
    task_ends,
    user_response,
    worst_response,
)
from envs.spark.reference import ujf_trace
from envs.spark.types import Job, SparkInstance, Stage, Trace

TIMES = JobTimes(np.zeros(20), np.arange(1.0, 21.0))


def test_slices_of_twenty_jobs():
    assert slice_response(TIMES, 0.0, 0.8) == 8.5
    assert slice_response(TIMES, 0.8, 0.95) == 18.0
    assert slice_response(TIMES, 0.95, 1.0) == 20.0
    assert worst_response(TIMES) == 19.5
    assert slice_response(JobTimes(np.zeros(1), np.ones(1)), 0.0, 0.8) == 1.0


def test_fairness_against_another_run():
    """Ends 1, 4, 9, 6 against 2, 4, 6, 5, responses 2, 4, 3, 4: ratios -0.5, 0, 1, 0.25."""
    submission = np.array([0.0, 0.0, 3.0, 1.0])
    mine = JobTimes(submission, np.array([1.0, 4.0, 9.0, 6.0]))
    reference = JobTimes(submission, np.array([2.0, 4.0, 6.0, 5.0]))
    found = fairness(mine, reference)
    assert (found.dvr, found.dsr, found.violations, found.gains) == (0.625, -0.5, 2, 1)
    same = fairness(mine, mine)
    assert (same.dvr, same.dsr, same.violations, same.gains) == (0.0, 0.0, 0, 0)


def test_slowdown():
    assert slowdown(JobTimes(np.zeros(2), np.array([2.0, 6.0])), np.array([1.0, 4.0])) == 1.75


STAGES = (Stage((2.0, 1.0)), Stage((1.0,), (0,), None, 1.5, 3.0))
INSTANCE = SparkInstance("small", 2, (Job("a", 1.0, STAGES), Job("b", 0.5, (Stage((1.0,)),), 0)), 0.25)
TRACE = Trace(np.array([1.0, 1.0, 3.25, 5.25]), np.array([0, 1, 0, 1]))


def test_times_follow_from_starts_and_cores():
    assert task_ends(INSTANCE, TRACE).tolist() == [3.25, 2.25, 4.75, 6.5]
    times = job_times(INSTANCE, TRACE)
    assert times.submission.tolist() == [1.0, 5.25]
    assert times.response.tolist() == [3.75, 1.25]
    assert user_response(INSTANCE, times, lambda user: user == "b") == 1.25
    assert np.isnan(user_response(INSTANCE, times, lambda user: user == "c"))


def test_measures_of_result_rows(cluster):
    """Users a and b, one task each on one core: FIFO runs a (3 s) first, as does UJF."""
    instance = SparkInstance("two", 1, (cluster.one_stage("a", 0.0, 3.0), cluster.one_stage("b", 0.0, 1.0)))
    found = measures(instance, Trace(np.array([1.0, 0.0]), np.array([0, 0])))
    assert found["light_users_response"] == 1.0
    assert found["slowdown"] == (4.0 / 3.0 + 1.0) / 2.0
    assert (found["dvr"], found["violations"]) == (pytest.approx(1.0 / 3.0), 1.0)
    assert (found["dsr"], found["gains"]) == (-0.75, 1.0)
    assert ujf_trace(instance).starts.tolist() == [0.0, 3.0]


def test_ideal_responses_are_the_longest_path_or_the_work_over_all_cores():
    assert ideal_responses(INSTANCE).tolist() == [3.0, 1.0]
    wide = SparkInstance("wide", 2, (Job("a", 0.0, (Stage((1.0,) * 7),)),))
    assert ideal_responses(wide).tolist() == [3.5]


def test_unfinished_executions_have_no_job_times():
    unfinished = Trace(np.array([1.0, 1.0, -1.0, -1.0]), np.array([0, 1, -1, -1]))
    assert task_ends(INSTANCE, unfinished).tolist() == [3.25, 2.25, -1.0, -1.0]
    assert len(trace_rows(INSTANCE, unfinished)) == 2
    with pytest.raises(UsageError, match="2 tasks have not started"):
        job_times(INSTANCE, unfinished)


def test_export():
    data = trace_json(INSTANCE, TRACE)
    assert data["mean_response"] == 2.5
    assert data["jobs"][1] == {"user": "b", "submission": 5.25, "completion": 6.5}
    assert data["tasks"][1] == {
        "user": "a", "job": 0, "stage": 1, "task": 0, "core": 0, "start": 3.25, "end": 4.75,
    }  # fmt: skip
