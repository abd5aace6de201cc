"""Metrics and exports by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest

from envs.soc_dag.export import trace_json, trace_rows
from envs.soc_dag.metrics import busy_times, metrics, utilisation
from envs.soc_dag.static.heft import heft
from envs.soc_dag.types import Arrivals, JobType, SocInstance, Trace, make_chip, static_trace

CHIP = make_chip("two", ("p", "q"), active_power=np.array([2.0, 1.0]), idle_power=np.array([0.5, 0.0]))
JOB = JobType("single", ("a",), [[4, 8]], [], [], [])
STREAM = SocInstance("stream", CHIP, (JOB,), Arrivals("open", window=20.0, warm_up=1.0), objective="mean_latency")
# The second job waits for its place; the last run goes on after the window; one run is lost.
TRACE = Trace(
    job_type=np.zeros(4, np.int64),
    arrived=np.array([0.0, 2.0, 3.0, 17.0]),
    admitted=np.array([0.0, 4.0, 8.0, 17.0]),
    completed=np.array([4.0, 8.0, 16.0, np.nan]),
    job=np.array([0, 1, 2, 3, 3]),
    task=np.zeros(5, np.int64),
    processor=np.array([0, 0, 1, 0, 1]),
    mapped=np.array([0.0, 4.0, 8.0, 17.0, 18.0]),
    start=np.array([0.0, 4.0, 8.0, 17.0, 18.0]),
    end=np.array([4.0, 8.0, 16.0, 18.0, 26.0]),
    lost=np.array([False, False, False, True, False]),
    until=20.0,
)


def test_streaming_metrics_by_hand():
    values = metrics(STREAM, TRACE)
    latencies = [6, 13]  # of the jobs admitted after the warm-up
    assert values["mean_latency"] == 9.5
    assert [values[f"p{p}_latency"] for p in (50, 95, 99)] == pytest.approx(np.percentile(latencies, [50, 95, 99]))
    assert (values["completed_jobs"], values["admitted_jobs"], values["blocked"]) == (3, 4, 2)
    assert busy_times(STREAM, TRACE).tolist() == [9, 10]  # within the window of 20
    assert utilisation(STREAM, TRACE).tolist() == [0.45, 0.5]
    assert values["utilisation"] == pytest.approx(0.475)
    energy = 2 * 9 + 0.5 * 11 + 1 * 10
    assert values["energy"] == pytest.approx(energy)
    assert values["energy_per_job"] == pytest.approx(energy / 3)
    assert values["energy_delay_product"] == pytest.approx(9.5 * energy / 3)
    assert values["cumulative_energy_delay_product"] == pytest.approx((4 + 6 + 13) * energy)
    assert "makespan" not in values


def test_nothing_completed():
    empty = Trace(
        *(np.zeros(0, np.int64), *[np.zeros(0)] * 3),
        *[np.zeros(0, np.int64)] * 3,
        *[np.zeros(0)] * 3,
        np.zeros(0, bool),
        20.0,
    )
    values = metrics(STREAM, empty)
    assert values["completed_jobs"] == values["utilisation"] == 0
    assert values["energy"] == 0.5 * 20
    assert np.isnan([values["mean_latency"], values["p99_latency"], values["energy_per_job"]]).all()


def test_blocked_tries_are_not_recorded():
    blocking = replace(STREAM, arrivals=Arrivals("blocking", window=20.0))
    assert np.isnan(metrics(blocking, TRACE)["blocked"])


def test_static_metrics_of_the_topcuoglu_graph(vector_instance):
    """CP_MIN is 1, 2, 9, 10 with 9 + 13 + 12 + 7 = 41; all tasks take 127 on P1, 130 on P2, 143 on P3."""
    instance = vector_instance("topcuoglu_10x3")
    values = metrics(instance, heft(instance))
    assert values["makespan"] == 80
    assert values["schedule_length_ratio"] == pytest.approx(80 / 41)
    assert values["speedup"] == pytest.approx(127 / 80)
    assert values["efficiency"] == pytest.approx(127 / 240)
    assert values["utilisation"] == pytest.approx((13 + 5 + 8 + 16 + 12 + 7 + 9 + 19 + 10 + 11) / 240)


def test_no_processor_runs_everything():
    job = JobType("apart", ("a", "b"), [[1, np.inf], [np.inf, 2]], [0], [1], [1])
    instance = SocInstance("apart", make_chip("two", ("p", "q")), (job,))
    values = metrics(instance, static_trace(instance, [np.array([0, 1])], [np.array([0.0, 2.0])]))
    assert values["schedule_length_ratio"] == pytest.approx(4 / 3)
    assert np.isnan(values["speedup"])
    assert np.isnan(values["efficiency"])


def test_rows_and_json():
    rows = trace_rows(STREAM, TRACE)
    assert [(row["processor_name"], row["job"], row["start"], row["lost"]) for row in rows] == [
        ("p", 0, 0.0, False),
        ("p", 1, 4.0, False),
        ("p", 3, 17.0, True),
        ("q", 2, 8.0, False),
        ("q", 3, 18.0, False),
    ]
    data = json.loads(json.dumps(trace_json(STREAM, TRACE), allow_nan=False))
    assert data["runs"] == rows
    assert [job["completed"] for job in data["jobs"]] == [4.0, 8.0, 16.0, None]
    assert data["metrics"]["mean_latency"] == 9.5
    assert (data["instance"], data["time_unit"]) == ("stream", "us")
