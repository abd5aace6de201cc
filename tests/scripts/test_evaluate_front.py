"""The front script, from the command line to the files."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from agents.evaluation.fronts import hypervolume
from agents.evaluation.rows import read_csv
from envs.core import problem
from scripts import evaluate_front

SMALL = ("benchmark=offload_published_validation", "instances_per_group=4", "resamples=50")
METHODS = 'methods=["rule:greedy","rule:all_cloud","solver:random_cloud;cloud_probability=0.1"]'


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["scripts/evaluate_front.py", *arguments])
    evaluate_front.main()


def test_one_command_gives_points_volumes_and_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files = ("csv_points=points.csv", "csv_hypervolume=volume.csv")
    run(monkeypatch, *SMALL, METHODS, "preferences=5", "output=out", *files)
    assert "hypervolume in 100 s x J" in capsys.readouterr().out
    points, volumes = read_csv("points.csv"), read_csv("volume.csv")
    assert len(points) == 3 * 5
    assert [row.method for row in volumes] == ["greedy", "all_cloud", "random_cloud"]
    definition = problem("offload")
    instances = definition.benchmarks["published_validation"]().instances[:4]
    for row in volumes:
        own = [point for point in points if point.method == row.method]
        costs = [[point.metrics["delay"], point.metrics["energy"]] for point in own]
        assert row.objective == pytest.approx(hypervolume(costs, (4000, 6)) / 100, rel=1e-6)
        assert row.metrics["low"] <= row.objective <= row.metrics["high"]
        assert (row.metrics["reference_delay"], row.metrics["reference_energy"]) == (4000, 6)
        assert (row.metrics["preferences"], row.metrics["instances"]) == (5, 4)
    assert volumes[0].metrics["ratio"] == 1.0
    picture = ElementTree.parse("out/front_published_validation.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    # The cloud alone: every cost follows from the instances; a preference changes nothing but the weighted cost.
    cloud = [point for point in points if point.method == "all_cloud"]
    energy = np.mean([(8e-9 * i.bits + 0.01 * i.bits / i.bits_per_second[i.user, 0]).sum() for i in instances])
    assert {round(point.metrics["energy"], 5) for point in cloud} == {round(float(energy), 5)}
    weights = [float(point.variant.rpartition("weights=")[2].split("/")[0]) for point in cloud]
    assert (weights[0], weights[-1]) == (0.3, 1.0)
    for weight, point in zip(weights, cloud, strict=True):
        expected = weight * 0.01 * point.metrics["delay"] + (1 - weight) * 50 * point.metrics["energy"]
        assert point.objective == pytest.approx(expected, rel=1e-4)


def test_a_second_run_does_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, *SMALL, "methods=[rule:greedy]", "preferences=3", "output=out")
    first = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.npz")}
    run(monkeypatch, *SMALL, "methods=[rule:greedy,rule:all_cloud]", "preferences=3", "output=out")
    second = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.npz")}
    assert len(second) == 2
    assert first.items() <= second.items()


def test_three_objectives_are_weighed_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = "preferences=[[0.5,0.3,0.2],[0.2,0.3,0.5]]"
    run(monkeypatch, "benchmark=offload_deadlines", "instances_per_group=3", "resamples=20", wanted, "output=out")
    row = read_csv("out/hypervolume.csv")[0]
    assert row.objective > 0
    assert row.metrics["reference_tardiness"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("benchmark=taillard", "methods=[rule:spt]"), "job_shop, which has one objective; expected several"),
        (("preferences=0",), "preferences is 0; expected at least 1"),
        (("preferences=[0.5]",), r"preferences is \[0.5\]; expected a number, or lists of weights"),
        (("preferences=[[0.5,0.6]]",), "preferences: preference is .* expected 2 weights"),
        (("baseline=heft",), "baseline is 'heft'; expected one of the methods greedy"),
        (("instances_per_group=0",), "instances_per_group is 0; expected at least 1"),
        (("groups=[edges_4]",), "groups names 'edges_4'; benchmark published has published"),
        (("confidence=2",), "confidence and resamples are 2.0 and 1000"),
        (("methods=[rule:heft]",), "offload has no rule 'heft'"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments, "output=out")
    error = capsys.readouterr().err.strip()
    assert caught.value.code == 2
    assert error.startswith("error: ")
    assert "\n" not in error
    assert re.search(message, error)
    assert not Path("out").exists()


def test_groups_are_systems_with_fronts_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = ("groups=[edges_1,edges_3]", "instances_per_group=2", "preferences=3", "resamples=20")
    run(monkeypatch, "benchmark=offload_generalisation", *chosen, "output=out")
    rows = read_csv("out/hypervolume.csv")
    assert [row.instance for row in rows] == ["edges_1", "edges_3"]
    assert rows[0].metrics["reference_energy"] < rows[1].metrics["reference_energy"]
    assert {path.name for path in Path("out").glob("*.svg")} == {"front_edges_1.svg", "front_edges_3.svg"}


def test_runs_of_another_setting_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, *SMALL, "preferences=3", "output=out")
    with pytest.raises(SystemExit):
        run(monkeypatch, *SMALL, "preferences=4", "output=out")
    assert "was made with other instances, preferences or seeds" in capsys.readouterr().err
