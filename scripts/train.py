"""Trains a dispatcher.

    python scripts/train.py env=job_shop agent=ppo
    python scripts/train.py env=job_shop agent=sac
    python scripts/train.py experiment=job_shop_demo
    python scripts/train.py model=attention agent.settings.decisions=500000 tracker=wandb tracker.mode=online
    python scripts/train.py -m agent.settings.seed=0,1,2 launcher=joblib

The run's folder (runs/NAME) gets ``policy``, the best by validation, ``state``, from which the same command goes on
after an interruption, and the curves. All options and what they mean: conf/train.yaml and the groups it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from agents.registry import agent_named
from agents.run import TrainingRun, ValidationConfig
from agents.training import check_training, train
from envs.core import UsageError, problem
from envs.core.errors import exit_on_usage_error
from envs.core.settings import build_settings
from models.config import network_config
from scripts.hydra_command import run_command


def main() -> None:
    """Runs the command line."""
    run_command("train", _hydra_main, _check)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="train")
def _hydra_main(config: DictConfig) -> None:
    exit_on_usage_error(lambda: run(_settings(config, HydraConfig.get().runtime.output_dir)))


def run(settings: Mapping[str, Any]) -> None:
    """Trains as the settings of conf/train.yaml say."""
    training = training_run(settings)
    policy = train(
        problem(training.problem),
        training,
        Path(settings["output"]),
        tracker=settings["tracker"],
        progress_bar=bool(settings["progress_bar"]),
        device=str(settings["device"]),
    )
    print(f"best policy by validation: {policy}")


def training_run(settings: Mapping[str, Any]) -> TrainingRun:
    """Checks the settings and turns them into a run.

    Raises:
        UsageError: A name or value is not known.
    """
    env, agent = settings["env"], settings["agent"]
    learner = agent_named(str(agent["name"]))
    definition = problem(str(env["problem"]))
    validation = {"options": _fields(env, "validation_options"), **_fields(settings, "validation", "")}
    values = {
        "name": str(settings["name"]),
        "problem": definition.name,
        "options": _fields(env, "options"),
        "model": network_config(settings["model"]),
        "agent": learner.settings.from_mapping(agent["settings"]),
        "validation": build_settings(ValidationConfig, validation, "validation"),
        "save_every": settings["save_every"],
        "initial": settings["initial"],
    }
    return build_settings(TrainingRun, values, "")


def _check(config: DictConfig, sweeps: bool) -> None:
    """Finds what would go wrong in a run before hydra makes its folder."""
    if sweeps and config.output is not None:
        raise UsageError("output is one folder, but a sweep (-m) needs one a run; set hydra.sweep.dir instead")
    settings = _settings(config, None if sweeps else config.hydra.run.dir)
    training = training_run(settings)
    folder = settings["output"] and Path(settings["output"])
    check_training(
        problem(training.problem), training, folder, tracker=settings["tracker"], device=str(settings["device"])
    )


def _settings(config: DictConfig, output: str | None) -> dict[str, Any]:
    """Plain data, with the folder of the run in place of a null ``output``."""
    own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    settings = OmegaConf.to_container(own, resolve=True)
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()} | {"output": settings["output"] or output}


def _fields(settings: Mapping[str, Any], name: str, group: str = "env.") -> dict[str, Any]:
    values = settings[name]
    if not isinstance(values, Mapping):
        raise UsageError(f"{group}{name} is {values!r}; expected options by name")
    return dict(values)


if __name__ == "__main__":
    main()
