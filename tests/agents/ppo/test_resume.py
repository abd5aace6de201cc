"""A training that is killed goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agents.checkpoint import load_checkpoint
from agents.ppo.learner import parts
from agents.run import TrainingRun, ValidationConfig
from agents.state import check_state, restore_state, save_state
from agents.training import train
from envs.core import UsageError

ROOT = Path(__file__).parents[3]
KILL_AFTER = 83
"""Steps of all lanes in the killed process: in the sixth rollout of 16 steps, after two saves."""

KILLED = """
import json, os, signal, sys
from pathlib import Path
from stable_baselines3.common.callbacks import BaseCallback
from agents.ppo.config import PPOConfig
from agents.run import TrainingRun, ValidationConfig
from agents.training import train
from envs.core import problem
from models.config import ModelConfig

class Kill(BaseCallback):
    def _on_step(self):
        if self.n_calls == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return True

values = json.loads(sys.argv[1])
run = TrainingRun(**{
    **{key: value for key, value in values.items() if key != "ppo"},
    "model": ModelConfig(**values["model"]),
    "agent": PPOConfig(**values["ppo"]),
    "validation": ValidationConfig(**values["validation"]),
})
train(problem(run.problem), run, Path(sys.argv[3]), callbacks=[Kill()])
"""


@pytest.fixture
def run(small):
    return TrainingRun(
        "killed",
        "job_shop",
        {"builder": "non_delay", "wait": True, "sizes": [[3, 2], [2, 3]]},
        small.model(),
        small.config(decisions=9 * 96, learning_rate=0.01),
        ValidationConfig({"sizes": [[4, 3]]}, instances=6, every=2),
        save_every=2,
    )


def result(folder):
    checkpoint = load_checkpoint(folder / "policy")
    kept = {key: value for key, value in checkpoint.training.items() if key not in ("git_revision", "versions")}
    weights = {name: tensor.numpy().tobytes() for name, tensor in checkpoint.weights.items()}
    (last,) = (folder / "state").glob("step_*")
    state = {path.name: path.read_bytes() for path in last.glob("*.safetensors")}
    return kept, weights, state


def test_a_killed_run_ends_with_the_bytes_of_one_that_was_not(small, run, tmp_path):
    train(small.definition, run, tmp_path / "whole")
    values = json.dumps(run.to_mapping())
    killed = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, values, str(KILL_AFTER), str(killed)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    latest = (killed / "state" / "latest").read_text(encoding="utf-8")
    assert latest == f"step_{4 * 96:012d}"
    torn = killed / "state" / ".unfinished"
    torn.mkdir()
    (torn / "learner.safetensors").write_bytes(b"half a fi")
    train(small.definition, run, killed)
    assert result(killed) == result(tmp_path / "whole")
    assert sorted(path.name for path in killed.glob("progress_*.csv")) == ["progress_0.csv", "progress_384.csv"]


def test_a_finished_run_is_left_alone(small, run, tmp_path):
    run = replace(run, agent=replace(run.agent, decisions=96))
    train(small.definition, run, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".csv"}
    train(small.definition, run, tmp_path)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".csv"}
    assert after == before


@pytest.fixture(scope="module")
def saved_once(small, tmp_path_factory):
    learner = small.learner()
    learner.learn(100)
    folder = tmp_path_factory.mktemp("saved") / "state"
    save_state(folder, parts(learner), {"name": "a", "lanes": 6}, {"updates": 1, "best": 2.5})
    return learner, folder


@pytest.fixture
def saved(saved_once, tmp_path):
    learner, folder = saved_once
    return learner, Path(shutil.copytree(folder, tmp_path / "state"))


def test_another_configuration_is_refused(small, saved):
    _, folder = saved
    for refuse in (
        lambda: restore_state(folder, parts(small.learner()), {"name": "a", "lanes": 7}),
        lambda: check_state(folder, {"name": "a", "lanes": 7}),
    ):
        with pytest.raises(UsageError, match=r"with another configuration: config.lanes is 7; expected 6; choose"):
            refuse()
    with pytest.raises(UsageError, match=r"config.seed is only on one side"):
        check_state(folder, {"name": "a", "lanes": 6, "seed": 1})


def test_without_a_save_there_is_nothing_to_resume(small, tmp_path):
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / "step_000000000096").mkdir()  # complete, but killed before it was named
    assert restore_state(tmp_path, parts(small.learner()), {}) is None


@pytest.mark.parametrize("file", ["training.json", "learner.safetensors", "environment.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other"])
def test_a_damaged_save_is_one_clear_sentence(small, saved, file, damage):
    _, folder = saved
    (path,) = folder.glob(f"step_*/{file}")
    if damage == "missing":
        path.unlink()
    elif damage == "other":
        path.write_text("{}" if file.endswith("json") else "\x08" + "\x00" * 7 + "{}      ", encoding="utf-8")
    else:
        path.write_bytes(b"" if damage == "empty" else path.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"step_000000000192 cannot be resumed: .*; remove the folder") as e:
        restore_state(folder, parts(small.learner()), {"name": "a", "lanes": 6})
    assert "\n" not in str(e.value)


def test_a_save_killed_at_any_moment_leaves_the_old_one_or_the_new(
    small, saved, tmp_path, monkeypatch, killed_at_every_moment
):
    learner, folder = saved
    config = {"name": "a", "lanes": 6}
    other = small.learner()
    pristine = tmp_path / "pristine"
    shutil.copytree(folder, pristine)
    for steps, name in ((0, "the same step"), (96, "a later step")):
        seen = []
        monkeypatch.setattr(learner, "num_timesteps", learner.num_timesteps + steps)

        def again():
            shutil.rmtree(folder)
            shutil.copytree(pristine, folder)

        def save():
            save_state(folder, parts(learner), config, {"updates": 2, "best": 1.5})

        for _ in killed_at_every_moment(again, save):
            extra = restore_state(folder, parts(other), config)
            seen.append(extra["updates"])
            save_state(folder, parts(learner), config, {"updates": 3, "best": 1.0})
            assert restore_state(folder, parts(other), config)["updates"] == 3
            assert len(list(folder.iterdir())) == 2
        assert seen == sorted(seen), name
        assert set(seen) == {1, 2}, name
