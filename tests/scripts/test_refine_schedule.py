"""From the log of a training to the schedule of the next one."""

from __future__ import annotations

import json
import re

import pytest

from agents.ppo.config import PPOConfig
from agents.run import TrainingRun, ValidationConfig
from agents.schedule import refine
from agents.training import train
from envs.core import problem
from models.config import ModelConfig
from scripts import refine_schedule

HEADER = "time/total_timesteps,train/gradient_l1,train/gradient_l2,train/gradient_clipped_share\n"


@pytest.fixture
def log(tmp_path):
    """A run of four updates that was interrupted after the second and did the third twice."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "progress_0.csv").write_text(HEADER + "10,,,\n20,1.0,3.0,0.2\n30,9.0,9.0,0.2\n", encoding="utf-8")
    (folder / "progress_20.csv").write_text(HEADER + "30,2.0,2.0,0.9\n40,4.0,1.0,0.9\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(("norm", "norms", "power"), [("l1", [1.0, 2.0, 4.0], 1.0), ("l2", [3.0, 2.0, 1.0], 2.0)])
def test_a_resumed_log_counts_every_update_once(log, tmp_path, capsys, norm, norms, power):
    output = tmp_path / "made" / "schedule.json"
    refine_schedule.main([str(log), "--output", str(output), "--norm", norm])
    written = json.loads(output.read_text(encoding="utf-8"))
    assert written["factors"] == pytest.approx(refine(norms, power), abs=1e-6)
    assert (written["norm"], written["updates"]) == (norm, 3)
    told = capsys.readouterr()
    assert "3 updates" in told.out
    assert "67 % of the gradients were clipped" in told.err


def test_a_training_can_be_refined_and_trained_again(tmp_path):
    agent = {"decisions": 600, "lanes": 4, "steps": 16, "minibatch": 32, "epochs": 1, "threads": 1}
    options, model = {"sizes": [[3, 3]]}, ModelConfig(hidden=8, heads=2)

    def trained(name, **settings):
        run = TrainingRun(name, "job_shop", options, model, PPOConfig(**agent, **settings), ValidationConfig({}, 2, 0))
        train(problem("job_shop"), run, tmp_path / name)
        return refine_schedule.read_log(tmp_path / name)

    rows = trained("first")
    refine_schedule.main([str(tmp_path / "first"), "--output", str(tmp_path / "schedule.json")])
    factors = json.loads((tmp_path / "schedule.json").read_text(encoding="utf-8"))["factors"]
    again = trained("second", schedule=str(tmp_path / "schedule.json"))
    rates = [float(row["train/learning_rate"]) for row in again if row.get("train/learning_rate")]
    assert len(factors) in (len(rows) - 1, len(rows))
    assert max(rates) <= PPOConfig().learning_rate
    assert len(set(rates)) > 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--output", "s.json"], r"nowhere has no progress_\*\.csv; expected the folder of a training"),
        (["{log}", "--output", "s.csv"], r"--output is s\.csv; expected a name that ends in \.json"),
        (["{short}", "--output", "s.json"], r"logs 1 values of train/gradient_l1; expected at least 2"),
    ],
)
def test_mistakes_are_one_sentence(log, tmp_path, capsys, monkeypatch, arguments, message):
    short = tmp_path / "short"
    short.mkdir()
    (short / "progress_0.csv").write_text(HEADER + "10,1.0,1.0,0.0\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        refine_schedule.main([argument.format(log=log, short=short) for argument in arguments])
    assert stopped.value.code not in (0, None)
    told = capsys.readouterr().err
    assert re.search(message, told)
    assert not (tmp_path / "s.json").exists()
