"""Trained policies on disk: weights as safetensors, everything else as JSON; loading never runs code from a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from agents.interface import first_difference
from agents.policy_dispatcher import PolicyDispatcher
from envs.core import GraphSpec, ProblemDefinition, UsageError
from envs.core.files import atomic_path, write_text
from models.config import ModelConfig
from models.network import PolicyNetwork

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"


@dataclass(frozen=True)
class Checkpoint:
    """A policy and what is needed to run it.

    Attributes:
        problem: Name of the problem it was trained on.
        options: Environment options that it was trained with and that it must be run with (the builder, ...).
        model: The network's shape.
        interface: The spec without capacities (`GraphSpec.to_metadata`).
        training: How it was trained: configuration, decisions, seeds, revision.
        weights: The network's parameters by name.
    """

    problem: str
    options: dict[str, Any]
    model: ModelConfig
    interface: dict[str, Any]
    training: dict[str, Any]
    weights: dict[str, Tensor]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint folder; each file is written whole or not at all, the weights first."""
    with atomic_path(path / WEIGHTS) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.weights.items()}, temporary)
    config = {
        "format": 1,
        "problem": checkpoint.problem,
        "options": checkpoint.options,
        "model": checkpoint.model.to_mapping(),
        "interface": checkpoint.interface,
        "training": checkpoint.training,
    }
    write_text(path / CONFIG, json.dumps(config, indent=2) + "\n")


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a checkpoint folder.

    Raises:
        UsageError: A file is missing or malformed.
    """
    folder = Path(path)
    config = _read_config(folder / CONFIG)
    try:
        weights = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{folder / WEIGHTS} cannot be read as safetensors: {error}") from None
    return Checkpoint(
        problem=str(config["problem"]),
        options=dict(config["options"]),
        model=ModelConfig.from_mapping(config["model"]),
        interface=dict(config["interface"]),
        training=dict(config["training"]),
        weights=weights,
    )


def build_network(checkpoint: Checkpoint, spec: GraphSpec, source: str) -> PolicyNetwork:
    """Builds the checkpoint's network for an environment.

    Raises:
        UsageError: The environment's observations are not the ones that the policy was trained on.
    """
    difference = first_difference(checkpoint.interface, spec.to_metadata())
    if difference:
        raise UsageError(f"{source} was trained on other observations than this environment's: {difference}")
    network = PolicyNetwork(spec, checkpoint.model)
    try:
        network.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{source}: the weights do not fit the network its config describes: {reason}") from None
    return network.eval()


def load_dispatcher(path: str | Path, definition: ProblemDefinition) -> PolicyDispatcher:
    """Loads a checkpoint folder as a greedy dispatcher for a problem.

    Raises:
        UsageError: The folder is unreadable or holds a policy of another problem.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.problem != definition.name:
        raise UsageError(f"{path} holds a policy for {checkpoint.problem!r}; expected one for {definition.name!r}")
    spec = definition.bind(checkpoint.options).spec
    network = build_network(checkpoint, spec, str(path))
    return PolicyDispatcher(network, name=str(checkpoint.training.get("name", "policy")), options=checkpoint.options)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; expected a checkpoint folder") from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}") from None
    needed = ("problem", "options", "model", "interface", "training")
    missing = [key for key in needed if not isinstance(config, dict) or key not in config]
    if missing:
        raise UsageError(f"{path} lacks the field {missing[0]!r}; expected a checkpoint's config")
    return dict(config)
