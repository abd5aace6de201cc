"""Where training curves go besides the terminal: CSV always, TensorBoard, Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger, make_output_format

from envs.core import UsageError

TRACKERS = ("none", "tensorboard", "wandb")
WANDB_MODES = ("offline", "online", "disabled")


class WandbWriter(KVWriter):
    """Sends the learner's figures to Weights & Biases.

    Args:
        folder: Folder of the run; offline data lands in its ``wandb`` folder.
        config: What the run was configured with.
        project: Project name.
        mode: "offline" (upload later with ``wandb sync``), "online" or "disabled"; the environment variable
            ``WANDB_MODE`` overrides it.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], project: str, mode: str) -> None:
        """Starts the run."""
        import wandb

        mode = os.environ.get("WANDB_MODE") or mode
        self._run = wandb.init(project=project, dir=str(folder), config=dict(config), mode=mode)  # type: ignore[arg-type]

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Logs every number."""
        numbers = {key: value for key, value in key_values.items() if isinstance(value, int | float | np.number)}
        self._run.log(numbers, step=step)

    def close(self) -> None:
        """Finishes the run."""
        self._run.finish()


def check_tracker(tracker: Mapping[str, Any]) -> None:
    """Checks a tracker's settings before anything is written.

    Raises:
        UsageError: The tracker does not exist, lacks a setting or has an unknown one.
    """
    name = tracker.get("name", "none")
    if name not in TRACKERS:
        raise UsageError(f"tracker.name is {name!r}; expected one of {', '.join(TRACKERS)}")
    needed = ("project", "mode") if name == "wandb" else ()
    for key in tracker:
        if key not in ("name", *needed):
            raise UsageError(f"tracker has no field {key!r}; {name} has {', '.join(('name', *needed))}")
    for key in needed:
        if key not in tracker:
            raise UsageError(f"tracker lacks the field {key!r}; {name} needs {' and '.join(needed)}")
    if name == "wandb":
        for where, mode in (("tracker.mode", tracker["mode"]), ("WANDB_MODE", os.environ.get("WANDB_MODE"))):
            if mode and mode not in WANDB_MODES:
                raise UsageError(f"{where} is {mode!r}; expected one of {', '.join(WANDB_MODES)}")


def make_logger(folder: Path, tracker: Mapping[str, Any], config: Mapping[str, Any], suffix: str = "") -> Logger:
    """Builds a logger for one run.

    Args:
        folder: Folder of the run.
        tracker: ``name`` ("none", "tensorboard" or "wandb"); for wandb also ``project`` and ``mode``.
        config: What the run was configured with.
        suffix: Added to the CSV's name, so that a resumed run does not overwrite what came before.

    Raises:
        UsageError: The tracker does not exist.
    """
    check_tracker(tracker)
    folder.mkdir(parents=True, exist_ok=True)
    name = tracker.get("name", "none")
    formats = [make_output_format("csv", str(folder), suffix)]
    if name == "tensorboard":
        formats.append(make_output_format("tensorboard", str(folder / "tensorboard")))
    if name == "wandb":
        formats.append(WandbWriter(folder, config, str(tracker["project"]), str(tracker["mode"])))
    return Logger(str(folder), formats)
