"""A training that stops goes on as if nothing had happened; its policy is an ordinary checkpoint."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from stable_baselines3.common.callbacks import BaseCallback

from agents.checkpoint import load_checkpoint
from agents.registry import AGENTS
from agents.run import TrainingRun, ValidationConfig
from agents.state import restore_state, save_state
from agents.training import train
from envs.core import UsageError


class Stop(BaseCallback):
    """Breaks off in the middle of an update."""

    def _on_step(self):
        if self.n_calls == 75:
            raise KeyboardInterrupt
        return True


@pytest.fixture
def run(small_sac):
    # A ring of 40 steps, which has turned when the run breaks off after 75.
    settings = small_sac.config(decisions=720, buffer=240, temperature_learning_rate=0.01, discount=0.9)
    validation = ValidationConfig({}, instances=4, every=5)
    return TrainingRun("dice", "dice", dict(small_sac.options), small_sac.model, settings, validation, save_every=3)


def state(folder):
    (last,) = (folder / "state").glob("step_*")
    return {path.name: path.read_bytes() for path in last.glob("*.safetensors")}


def test_a_stopped_run_ends_with_the_bytes_of_one_that_was_not(small_sac, run, tmp_path):
    train(small_sac.definition, run, tmp_path / "whole")
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train(small_sac.definition, run, stopped, callbacks=[Stop()])
    assert (stopped / "state" / "latest").read_text(encoding="utf-8") == f"step_{18 * 24:012d}"
    train(small_sac.definition, run, stopped)
    assert state(stopped) == state(tmp_path / "whole")
    one, other = (load_checkpoint(folder / "policy") for folder in (stopped, tmp_path / "whole"))
    assert one.training == other.training
    assert one.training["learner"] == "sac"
    assert one.training["sac"] == run.agent.to_mapping()


@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_damaged_replay_buffer_is_one_clear_sentence(small_sac, tmp_path, damage):
    learner, parts = small_sac.learner(), AGENTS["sac"].parts
    learner.learn(96)
    save_state(tmp_path, parts(learner), {}, {})
    (path,) = tmp_path.glob("step_*/replay.npz")
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(b"" if damage == "empty" else data[: len(data) // 2])
    with pytest.raises(UsageError, match=r"cannot be resumed: .*; remove the folder") as error:
        restore_state(tmp_path, parts(small_sac.learner()), {})
    assert "\n" not in str(error.value)


def test_a_save_of_another_learner_is_refused(small_sac, run, tmp_path):
    train(small_sac.definition, replace(run, agent=small_sac.config(decisions=120)), tmp_path)
    shutil.rmtree(tmp_path / "policy")
    with pytest.raises(UsageError, match=r"with another configuration: config\.sac\.decisions is 720; expected 120"):
        train(small_sac.definition, run, tmp_path)
    assert not (tmp_path / "policy").exists()
