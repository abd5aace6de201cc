"""Trained policies on disk: weights as safetensors, everything else as JSON; loading never runs code from a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from torch import Tensor

from agents.interface import first_difference
from agents.policy_dispatcher import PolicyDispatcher
from envs.core import GraphSpec, ProblemDefinition, UsageError
from models.build import make_network
from models.config import NetworkConfig, network_config
from models.network import Network

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"
_NEXT_WEIGHTS = ".weights.safetensors.next"
_NEXT_CONFIG = ".config.json.next"
_FORMAT = 1


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
    model: NetworkConfig
    interface: dict[str, Any]
    training: dict[str, Any]
    weights: dict[str, Tensor]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint folder, or replaces the one that is there.

    A kill at any moment leaves either the old checkpoint or the new one, never files of both: the config names the
    digest of its weights, and the next config lies ready before the weights are replaced.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.weights.items()}
    weights = safetensors_torch.save(tensors)
    config = {
        "format": _FORMAT,
        "problem": checkpoint.problem,
        "options": checkpoint.options,
        "model": checkpoint.model.to_mapping(),
        "interface": checkpoint.interface,
        "training": checkpoint.training,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    path.mkdir(parents=True, exist_ok=True)
    (path / _NEXT_WEIGHTS).write_bytes(weights)
    (path / _NEXT_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (path / _NEXT_WEIGHTS).replace(path / WEIGHTS)
    (path / _NEXT_CONFIG).replace(path / CONFIG)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a checkpoint folder.

    Raises:
        UsageError: A file is missing or malformed, or the two do not belong together.
    """
    folder = Path(path)
    try:
        data = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise UsageError(f"{folder / WEIGHTS} cannot be read: {error.strerror}; expected a checkpoint folder") from None
    config = _read_config(folder, hashlib.sha256(data).hexdigest())
    try:
        weights = safetensors_torch.load(data)
    except SafetensorError as error:
        raise UsageError(f"{folder / WEIGHTS} cannot be read as safetensors: {error}") from None
    try:
        model = network_config(config["model"])
    except UsageError as error:
        raise UsageError(f"{folder / CONFIG}: {error}") from None
    return Checkpoint(
        problem=config["problem"],
        options=config["options"],
        model=model,
        interface=config["interface"],
        training=config["training"],
        weights=weights,
    )


def build_network(checkpoint: Checkpoint, spec: GraphSpec, source: str) -> Network:
    """Builds the checkpoint's network for an environment.

    Raises:
        UsageError: The environment's observations are not the ones that the policy was trained on.
    """
    difference = first_difference(checkpoint.interface, spec.to_metadata())
    if difference:
        raise UsageError(f"{source} was trained on other observations than this environment's: {difference}")
    network = make_network(spec, checkpoint.model)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in checkpoint.weights.items()}
    difference = first_difference(shapes, given, "weights")
    if difference:
        raise UsageError(f"{source}: the weights do not fit the network its config describes: {difference}")
    network.load_state_dict(checkpoint.weights)
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


def _read_config(folder: Path, digest: str) -> dict[str, Any]:
    """Reads the config that belongs to the weights: after a kill in the middle of a save it may be the next one."""
    path = folder / (_NEXT_CONFIG if _describes(folder / _NEXT_CONFIG, digest) else CONFIG)
    config = _parse_config(path)
    if config.get("weights_sha256", digest) != digest:
        raise UsageError(f"{folder / WEIGHTS} is not the file that {path} was written with: its SHA-256 is {digest}")
    return config


def _describes(path: Path, digest: str) -> bool:
    """Whether a file is the complete config of the weights with this digest."""
    try:
        return bool(_parse_config(path)["weights_sha256"] == digest)
    except (UsageError, KeyError):
        return False


def _parse_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; expected a checkpoint folder") from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}") from None
    if not isinstance(config, dict) or config.get("format") != _FORMAT:
        raise UsageError(f"{path} is not a checkpoint's config of format {_FORMAT}")
    for name, kind in _FIELDS.items():
        if name not in config:
            raise UsageError(f"{path} lacks the field {name!r}; expected a checkpoint's config")
        if not isinstance(config[name], kind):
            expected = "text" if kind is str else "an object"
            raise UsageError(f"{path} has {config[name]!r} in the field {name!r}; expected {expected}")
    return config


_FIELDS: dict[str, type] = {"problem": str, "options": dict, "model": dict, "interface": dict, "training": dict}
