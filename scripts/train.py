"""Trains a dispatcher.

    python scripts/train.py env=job_shop agent=ppo
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

from agents.ppo.config import PPOConfig
from agents.ppo.training import TrainingRun, ValidationConfig, train
from envs.core import UsageError, problem
from envs.core.errors import exit_on_usage_error
from models.config import ModelConfig
from scripts.hydra_command import run_command

LEARNERS = {"ppo": (PPOConfig, train)}


def main() -> None:
    """Runs the command line."""
    run_command("train", _hydra_main)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="train")
def _hydra_main(config: DictConfig) -> None:
    settings = OmegaConf.to_container(config, resolve=True)
    assert isinstance(settings, dict)
    settings["output"] = settings["output"] or HydraConfig.get().runtime.output_dir
    exit_on_usage_error(lambda: run({str(key): value for key, value in settings.items()}))


def run(settings: Mapping[str, Any]) -> None:
    """Trains as the settings of conf/train.yaml say."""
    training = training_run(settings)
    folder = Path(settings["output"])
    policy = LEARNERS[settings["agent"]["name"]][1](
        problem(training.problem),
        training,
        folder,
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
    if agent["name"] not in LEARNERS:
        raise UsageError(f"agent.name is {agent['name']!r}; expected one of {', '.join(LEARNERS)}")
    definition = problem(str(env["problem"]))
    options = dict(env["options"])
    validation = ValidationConfig(dict(env["validation_options"]), **settings["validation"])
    definition.configure(options)
    definition.configure({**options, **validation.options})
    config = LEARNERS[agent["name"]][0].from_mapping(agent["settings"])
    return TrainingRun(
        str(settings["name"]),
        definition.name,
        options,
        ModelConfig.from_mapping(settings["model"]),
        config,
        validation,
        int(settings["save_every"]),
    )


if __name__ == "__main__":
    main()
