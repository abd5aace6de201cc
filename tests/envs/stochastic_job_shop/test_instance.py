"""Files of instances, generators and benchmarks, and the plans by expected times."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from envs.core import UsageError
from envs.stochastic_job_shop import PROBLEM
from envs.stochastic_job_shop.benchmarks import BENCHMARKS
from envs.stochastic_job_shop.instance import parse_text, read_instance, write_instance

TEXT = """2 2
0 3 1 2
1 4 0 5
law triangular
least 1 1 2
greatest 0 9 9
greatest 1 9 9
releases 0 2.5
due_dates 10 inf
weights 1 2
breakdowns 100 10
objective weighted_tardiness
"""


def test_text_holds_everything():
    instance = parse_text(TEXT, "text", "text")
    assert instance.machines.tolist() == [[0, 1], [1, 0]]
    assert instance.times.tolist() == [[[3, 3, 9], [2, 2, 9]], [[1, 4, 9], [2, 5, 9]]]
    assert instance.due_dates.tolist() == [10.0, np.inf]
    assert (instance.law, instance.time_to_failure, instance.repair_time) == ("triangular", 100.0, 10.0)
    assert instance.objective == "weighted_tardiness"


def test_json_is_read_as_written(tmp_path):
    instance = parse_text(TEXT, "text", "text")
    write_instance(instance, tmp_path / "a.json")
    assert read_instance(tmp_path / "a.json") == instance


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weights 1 2", "weights 1", "weights has shape"),
        ("law triangular", "law normal", "expected one of deterministic"),
        ("greatest 1 9 9", "greatest 7 9 9", "expected a job of 0 to 1"),
        ("greatest 1 9 9", "greatest 1 1 9", "order least, most likely, greatest"),
        ("objective weighted_tardiness", "objective cost", "expected one of makespan"),
        ("0 2.5", "0 x", "expected numbers"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, message):
    path = tmp_path / "a.txt"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(UsageError, match=message):
        read_instance(path)


def test_benchmarks_are_what_they_say():
    triangular = BENCHMARKS["taillard_triangular"]()
    assert [len(triangular.instances), triangular.groups["ta11"], triangular.groups["ta30"]] == [20, "20x15", "20x20"]
    spread = np.stack([one.times[:5, :5] for one in triangular.instances])
    assert (spread[..., 2] - spread[..., 1]).max() <= 199
    assert (spread[..., 1] - spread[..., 0]).max() <= 9
    test, validation = BENCHMARKS["dynamic_tardiness"](), BENCHMARKS["dynamic_tardiness_validation"]()
    assert not {one.releases.tobytes() for one in test.instances} & {
        one.releases.tobytes() for one in validation.instances
    }
    gaps = np.concatenate([np.diff(one.releases) / one.expected.mean() for one in test.instances])
    assert 1 / gaps.mean() == pytest.approx(0.9, rel=0.1)
    assert BENCHMARKS["dynamic_tardiness"]().instances == test.instances


def test_plan_is_optimal_without_noise_and_runs_with_it():
    pytest.importorskip("ortools")
    text = files("envs.job_shop").joinpath("data", "ft06.txt").read_text(encoding="utf-8")
    ft06 = parse_text(text, "ft06", "ft06")
    result = PROBLEM.solvers["cp_sat"](time_limit=20.0, workers=1)(ft06)
    assert (result.objective, result.bound, result.status) == (55.0, 55.0, "optimal")
    assert PROBLEM.verify(ft06, result.solution) == 55.0
    noisy = replace(ft06, law="lognormal", sigma=0.3, releases=np.arange(6.0))
    for name in ("cp_sat", "cp_sat_reactive"):
        result = PROBLEM.solvers[name](time_limit=0.2, workers=1)(noisy, seed=3)
        assert PROBLEM.verify(noisy, result.solution) == pytest.approx(result.objective)
        assert (result.bound, result.status) == (None, "heuristic")
