"""The command for engineers: instance file and ONNX file in, schedule out; mistakes are one line and leave no trace."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agents.onnx_dispatcher import OnnxDispatcher
from agents.rollout import roll_out
from envs.core import problem
from envs.job_shop.instance import read_instance
from envs.job_shop.types import Schedule
from envs.job_shop.verify import verify
from scripts import dispatch

ROOT = Path(__file__).parents[2]
SHOP = "3 3\n0 3 1 2 2 2\n0 2 2 1 1 4\n1 4 2 3 0 1\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("shop.txt").write_text(SHOP, encoding="utf-8")
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_writes_the_policy_s_schedule(folder, policy_files):
    command = [sys.executable, str(ROOT / "scripts" / "dispatch.py"), "shop.txt", str(policy_files.onnx)]
    outputs = ["--output", "out/schedule.json", "--csv", "out/schedule.csv", "--html", "out/gantt.html"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    result = subprocess.run([*command, *outputs], env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")

    definition, dispatcher = problem("job_shop"), OnnxDispatcher(policy_files.onnx)
    instance = read_instance(folder / "shop.txt")
    (outcome,) = roll_out(definition, dispatcher.options, [instance], dispatcher)
    with open("out/schedule.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    starts = np.full((3, 3), -1)
    for row in rows:
        starts[int(row["job"]), int(row["operation"])] = int(row["start"])
    np.testing.assert_array_equal(starts, outcome.solution.starts)
    data = json.loads(Path("out/schedule.json").read_text(encoding="utf-8"))
    assert data["makespan"] == verify(instance, Schedule(starts)) == outcome.objective
    assert [{key: str(value) for key, value in row.items()} for row in data["operations"]] == rows
    page = Path("out/gantt.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<svg" in page
    assert f"shop: makespan {outcome.objective:g}, verified; {outcome.decisions} decisions" in result.stdout


def test_sampling_keeps_the_best(folder, policy_files, capsys):
    arguments = ["shop.txt", str(policy_files.onnx), "--output", "schedule.json"]
    makespans = []
    for extra in ([], ["--samples", "64"], ["--samples", "64"], ["--samples", "64", "--temperature", "50"]):
        dispatch.main([*arguments, *extra])
        makespans.append(json.loads(Path("schedule.json").read_text(encoding="utf-8"))["makespan"])
    assert makespans[1] == makespans[2]
    assert makespans[3] == 12  # close to uniform draws: the optimum, by the longest job and its machine
    assert capsys.readouterr().out.count("verified") == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no numbers"),
        ("2 2\n0 3 1 2\n0 2\n", "shop.txt"),
        ("2 2\n0 3 5 2\n0 2 1 4\n", "machine"),
        ("2 2\n0 3 1 -2\n0 2 1 4\n", "negative"),
        ("2 2\n0 3 1 x\n0 2 1 4\n", "'x'"),
    ],
    ids=["empty", "ragged", "machine", "negative", "word"],
)
def test_a_malformed_instance_is_one_line(folder, policy_files, capsys, content, message):
    Path("shop.txt").write_text(content, encoding="utf-8")
    refused(folder, capsys, ["shop.txt", str(policy_files.onnx), "--output", "schedule.json"], message)


def test_files_that_are_no_policy_are_one_line(folder, policy_files, capsys):
    for policy, message in [
        ("shop.txt", "is not an ONNX file"),
        ("absent.onnx", "No such file"),
        (str(policy_files.checkpoint), "Is a directory"),
    ]:
        refused(folder, capsys, ["shop.txt", policy, "--output", "schedule.json"], message)


def test_a_policy_of_another_environment_is_one_line(folder, policy_files, capsys):
    import onnx

    model = onnx.load(policy_files.onnx)
    metadata = json.loads(model.metadata_props[0].value)
    other_features = json.loads(json.dumps(metadata).replace("waiting_time", "idle_time"))
    changes = [
        ({**metadata, "problem": "flow_shop"}, "there is no problem 'flow_shop'"),
        ({**metadata, "options": {"builder": "eager"}}, "builder is 'eager'"),
        (other_features, "trained on other observations"),
    ]
    for changed, message in changes:
        model.metadata_props[0].value = json.dumps(changed)
        Path("other.onnx").write_bytes(model.SerializeToString())
        refused(folder, capsys, ["shop.txt", "other.onnx", "--output", "schedule.json"], message)


def test_outputs_are_checked_before_anything_runs(folder, policy_files, capsys):
    arguments = ["shop.txt", str(policy_files.onnx), "--output"]
    refused(folder, capsys, [*arguments, str(folder)], "is a folder")
    refused(folder, capsys, [*arguments, "same", "--csv", "./same"], "named twice")


def test_the_command_itself_fails_with_one_line(folder, policy_files):
    Path("shop.txt").write_text("2 2\n0 3 1 2\n0 2\n", encoding="utf-8")
    command = [sys.executable, str(ROOT / "scripts" / "dispatch.py"), "shop.txt", str(policy_files.onnx)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    result = subprocess.run(
        [*command, "--output", "schedule.json"], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: shop.txt")
    assert result.stderr.count("\n") == 1
    assert names(folder) == ["shop.txt"]


def refused(folder, capsys, arguments, message):
    before = names(folder)
    with pytest.raises(SystemExit) as caught:
        dispatch.main(arguments)
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert names(folder) == before
