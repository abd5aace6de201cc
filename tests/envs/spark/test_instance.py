"""Instances: checks, files, generators and partitioning."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from envs.core import UsageError
from envs.spark.generators import LOOP20, LOOP100, LOOP1000, WORKLOADS, WorkloadSize, tpch_like
from envs.spark.instance import read_instance, to_json, write_instance
from envs.spark.partition import partition
from envs.spark.types import Job, SparkInstance, Stage


@pytest.mark.parametrize("name", WORKLOADS)
def test_files_keep_instances(name, tmp_path):
    instance = WORKLOADS[name](3, WorkloadSize(jobs=4, tasks_per_job=20.0))
    write_instance(instance, tmp_path / "file.json")
    again = read_instance(tmp_path / "file.json")
    assert again == instance
    assert hash(again) == hash(instance)
    assert (again.name, again.users) == (instance.name, instance.users)
    assert again != WORKLOADS["tpch_like"](4, WorkloadSize(jobs=4, tasks_per_job=20.0))


def good():
    stages = [{"durations": [1.0, 2.0]}, {"durations": [1.0], "parents": [0], "fresh": 2.0}]
    return {"name": "x", "cores": 2, "jobs": [{"user": "a", "arrival": 0.0, "stages": stages}]}


def broken(**changes):
    data = good()
    for path, value in changes.items():
        *way, last = path.split("__")
        target = data
        for key in way:
            target = target[int(key[1:])] if key.startswith("n") and key[1:].isdigit() else target[key]
        target[last] = value
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (broken(cores=0), r"cores is 0; expected at least 1"),
        (broken(cores="two"), r"\.cores is 'two'; expected a whole number"),
        (broken(jobs=[]), r"jobs is empty"),
        (broken(jobs__n0__arrival=-1.0), r"job 0: arrival is -1.0"),
        (broken(jobs__n0__after=0), r"job 0: after is 0"),
        (broken(jobs__n0__colour="red"), r"jobs\[0\] has the unknown field 'colour'"),
        (broken(jobs__n0__stages__n0__durations=[1.0, "x"]), r"stages\[0\]\.durations\[1\] is 'x'; expected a number"),
        (broken(jobs__n0__stages__n0__durations=[0.0]), r"job 0, stage 0: durations has 0.0"),
        (broken(jobs__n0__stages__n1__parents=[1]), r"job 0, stage 1: parents is \[1\]"),
        (broken(jobs__n0__stages__n1__fresh=0.5), r"job 0, stage 1: fresh is 0.5"),
        (broken(jobs__n0__stages__n1__estimate=0.0), r"estimate is 0.0"),
        ({"name": "x"}, r"lacks the field 'jobs'"),
        (3, r"expected an object with fields"),
    ],
)
def test_mistakes_in_files_are_named(data, message, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match=message) as caught:
        read_instance(path)
    assert str(path) in str(caught.value)


def test_files_that_are_no_instances(tmp_path):
    with pytest.raises(UsageError, match="cannot read the instance file"):
        read_instance(tmp_path / "missing.json")
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(UsageError, match=r"expected JSON; line 1"):
        read_instance(tmp_path / "text.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="binary data"):
        read_instance(tmp_path / "binary.json")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="column 'workflow_id' is missing"):
        read_instance(tmp_path / "table.csv")


def test_task_tables_group_workflows(tmp_path):
    """Two tasks of one workflow are two stages; core-milliseconds are spread over 32 equal tasks."""
    lines = ["workflow_id,ts_submit_seconds,user_id,resource_run_time", "7,105.5,-3,64000", "7,105.5,-3,32000"]
    (tmp_path / "table.csv").write_text("\n".join([*lines, "9,101.0,5,3200"]))
    instance = read_instance(tmp_path / "table.csv")
    assert [(job.user, job.arrival) for job in instance.jobs] == [("5", 0.0), ("-3", 4.5)]
    assert [len(job.stages) for job in instance.jobs] == [1, 2]
    assert instance.jobs[1].stages[0].durations == (2.0,) * 32
    assert instance.cores == 32


@pytest.mark.parametrize(("kind", "jobs", "tasks"), [("hetero", 125, 824), ("homo", 133, 6418)])
def test_published_excerpts(kind, jobs, tasks):
    path = Path(os.environ.get("DISPATCHLAB_DATA", ""), "soc/uwfq/results/google_benchmark_500s")
    path = path / f"macro_benchmarks_{kind}.csv"
    if not path.is_file():
        pytest.skip(f"DISPATCHLAB_DATA names no folder with {path.name}")
    instance = read_instance(path)
    assert (len(instance.jobs), len(instance.stages)) == (jobs, tasks)


def test_partitioning_cuts_stages_into_equal_tasks():
    """floor(L / ATR) tasks of the same work; the estimate decides how many."""
    stages = (Stage((3.0, 0.2)), Stage((0.3,), (0,)), Stage((4.0,), (1,), 2.2))
    cut = partition(SparkInstance("x", 2, (Job("a", 0.0, stages),)), 0.5)
    assert cut.name == "x_p"
    assert [len(stage.durations) for stage in cut.stages] == [6, 1, 4]
    assert cut.stages[0].durations[0] == pytest.approx(3.2 / 6)
    assert cut.stages[2].durations == (1.0,) * 4
    assert cut.estimates.tolist() == [3.2, 0.3, 2.2]
    with pytest.raises(UsageError, match="atr is 0"):
        partition(cut, 0.0)


def test_loops_have_the_published_isolated_runtimes():
    """2.206, 10.864 and 0.852 s on 32 cores."""
    assert LOOP100.isolated == pytest.approx(2.206, rel=0.02)
    assert LOOP1000.isolated == pytest.approx(10.864, rel=0.02)
    assert LOOP20.isolated == pytest.approx(0.852, rel=0.02)


def test_published_workloads_have_the_published_jobs():
    made = {name: WORKLOADS[name](0, WorkloadSize()) for name in ("power_small", "large_small", "large", "super_small")}
    counted = {
        name: {user: sum(job.user == user for job in instance.jobs) for user in instance.users}
        for name, instance in made.items()
    }
    assert counted["power_small"] == {"power1": 80, "power2": 80, "small3": 12, "small4": 12}
    assert counted["large_small"] == {"large1": 4, "large2": 4, "small3": 6, "small4": 6}
    assert set(counted["large"].values()) == {4}
    assert set(counted["super_small"].values()) == {30}
    first = made["large"].jobs[:8]
    assert [job.after for job in first] == [-1, -1, -1, -1, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "jobs", "users", "load"), [("homo_like", 97, 22, 0.99), ("hetero_like", 125, 27, 0.62)]
)
def test_mixes_have_the_statistics_of_the_excerpts(name, jobs, users, load):
    instance = WORKLOADS[name](5, WorkloadSize())
    horizon = 454.0 if name == "homo_like" else 483.0
    assert (len(instance.jobs), len(instance.users)) == (jobs, users)
    assert instance.durations.sum() == pytest.approx(load * 32 * horizon)


def test_queries_have_the_statistics_of_the_traces():
    """2 to 18 stages, 9.2 on average with 8.5 edges; mean serial work between 203 s (2 GB) and 2209 s (100 GB)."""
    instance = tpch_like(0, WorkloadSize(jobs=2000, tasks_per_job=900.0))
    stages = np.array([len(job.stages) for job in instance.jobs])
    edges = np.array([sum(len(stage.parents) for stage in job.stages) for job in instance.jobs])
    tasks = np.array([sum(len(stage.durations) for stage in job.stages) for job in instance.jobs])
    assert (stages.min() >= 2, stages.max() <= 18) == (True, True)
    assert stages.mean() == pytest.approx(9.2, abs=0.2)
    assert edges.mean() == pytest.approx(8.5, abs=0.2)
    assert tasks.mean() == pytest.approx(900.0, rel=0.02)
    assert 203.0 < np.mean([job.work for job in instance.jobs]) < 2209.0


def test_json_leaves_out_defaults():
    data = to_json(SparkInstance("x", 1, (Job("a", 0.0, (Stage((1.0,)),)),)))
    assert data == {
        "name": "x",
        "cores": 1,
        "moving_delay": 0.0,
        "jobs": [{"user": "a", "arrival": 0.0, "stages": [{"durations": [1.0]}]}],
    }
