"""The export command, from its arguments to the file."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from agents.onnx_dispatcher import OnnxDispatcher
from scripts import export


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["scripts/export.py", *arguments])
    export.main()


@pytest.mark.slow
def test_a_checkpoint_becomes_a_file(policy_files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, f"checkpoint={policy_files.checkpoint}", "output=out/policy.onnx")
    assert "agrees with PyTorch on" in capsys.readouterr().out
    assert OnnxDispatcher("out/policy.onnx").name == "random_weights"
    assert [str(path) for path in Path().rglob("*") if path.is_file()] == ["out/policy.onnx"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "checkpoint is missing"),
        (["checkpoint=policy"], "output is missing"),
        (["checkpoint=absent", "output=policy.onnx"], "expected a checkpoint folder"),
        (["checkpoint=policy", "output=policy"], "output policy is a folder"),
        (["checkpoint=policy", "output=policy.onnx"], "trained on other observations"),
        (["checkpont=policy"], "checkpont"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(policy_files, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(policy_files.checkpoint, "policy")
    config = json.loads(Path("policy/config.json").read_text(encoding="utf-8"))
    config["interface"]["context"].pop()
    Path("policy/config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments)
    printed = capsys.readouterr().err
    assert caught.value.code == 2
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    assert message in printed
    assert sorted(str(path) for path in Path().rglob("*")) == [
        "policy",
        "policy/config.json",
        "policy/weights.safetensors",
    ]
