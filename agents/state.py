"""Everything an interrupted training needs to go on exactly: saved whole or not at all, without pickle."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy
from safetensors import torch as safetensors_torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from agents.interface import first_difference
from agents.ppo.adapter import GraphVecEnv
from envs.core import Snapshot, UsageError
from models.network import Network

_LATEST = "latest"
_NEXT_LATEST = ".latest.next"
_UNFINISHED = ".unfinished"
_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, BadZipFile)


_REPLAY = "replay.npz"


class Memory(Protocol):
    """What a learner has experienced and goes on learning from."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns all that is stored, by name."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes over what `arrays` returned."""


@dataclass(frozen=True)
class LearnerParts:
    """What of a learner has to be saved, whatever it learns by; names of modules and optimisers have no points.

    Attributes:
        learner: The algorithm.
        adapter: The environment it learns in.
        network: The network of its policy, which checkpoints hold.
        modules: Everything with weights, the policy's network among it, by name.
        optimisers: The optimisers, by name.
        sampler: Generator of the actions.
        shuffling: Generator of the minibatches.
        memory: What outlives an update besides weights; None if nothing does.
    """

    learner: BaseAlgorithm
    adapter: GraphVecEnv
    network: Network
    modules: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer]
    sampler: torch.Generator
    shuffling: np.random.Generator
    memory: Memory | None = None


def save_state(folder: Path, parts: LearnerParts, config: dict[str, Any], extra: dict[str, Any]) -> None:
    """Saves a learner between two updates under ``folder`` and then forgets the save before.

    The new save is complete before ``latest`` names it, and the old one is removed only then, so a kill at any moment
    leaves a save to go on from.

    Args:
        folder: Folder of the run's states.
        parts: Parts of the learner.
        config: What the training was configured with; `restore_state` insists on the same.
        extra: JSON-ready data of the caller, returned by `restore_state`.
    """
    temporary = folder / _UNFINISHED
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    learner = parts.learner
    safetensors_torch.save_file(_tensors(parts), temporary / "learner.safetensors")
    safetensors_numpy.save_file(_arrays(parts), temporary / "environment.safetensors")
    if parts.memory is not None:
        np.savez(temporary / _REPLAY, **cast(dict[str, Any], parts.memory.arrays()))
    data = {
        "config": config,
        "extra": extra,
        "num_timesteps": learner.num_timesteps,
        "n_updates": learner._n_updates,
        "shuffling": parts.shuffling.bit_generator.state,
        "episodes": list(learner.ep_info_buffer or ()),
    }
    (temporary / "training.json").write_text(json.dumps(data), encoding="utf-8")
    target = _unused(folder, f"step_{learner.num_timesteps:012d}")
    temporary.rename(target)
    (folder / _NEXT_LATEST).write_text(target.name, encoding="utf-8")
    (folder / _NEXT_LATEST).replace(folder / _LATEST)
    for old in folder.glob("step_*"):
        if old != target:
            shutil.rmtree(old)


def check_state(folder: Path, config: dict[str, Any]) -> None:
    """Checks that a training of this configuration may go on from the latest save under ``folder``, if there is one.

    Raises:
        UsageError: The save is unreadable or of a differently configured training.
    """
    if (folder / _LATEST).exists():
        _read_data(_latest(folder), config)


def restore_state(folder: Path, parts: LearnerParts, config: dict[str, Any]) -> dict[str, Any] | None:
    """Brings the parts of a freshly built learner to the latest save under ``folder``; None if there is none.

    Raises:
        UsageError: The save is unreadable or of a differently configured training.
    """
    if not (folder / _LATEST).exists():
        return None
    source = _latest(folder)
    data = _read_data(source, config)
    try:
        tensors = safetensors_torch.load_file(source / "learner.safetensors")
        arrays = safetensors_numpy.load_file(source / "environment.safetensors")
        if parts.memory is not None:
            with np.load(source / _REPLAY, allow_pickle=False) as memory:
                parts.memory.restore(memory)
        return _restore(parts, data, tensors, arrays)
    except _DAMAGE as error:
        raise UsageError(_unusable(source, error)) from None


def _restore(
    parts: LearnerParts,
    data: dict[str, Any],
    tensors: dict[str, torch.Tensor],
    arrays: dict[str, np.ndarray[Any, Any]],
) -> dict[str, Any]:
    learner = parts.learner
    _restore_tensors(parts, tensors)
    _restore_arrays(learner, parts.adapter, arrays)
    parts.shuffling.bit_generator.state = data["shuffling"]
    learner.num_timesteps = data["num_timesteps"]
    learner._n_updates = data["n_updates"]
    learner.ep_info_buffer = deque(data["episodes"], maxlen=learner._stats_window_size)
    learner.ep_success_buffer = deque(maxlen=learner._stats_window_size)
    return dict(data["extra"])


def _latest(folder: Path) -> Path:
    return folder / (folder / _LATEST).read_text(encoding="utf-8")


def _read_data(source: Path, config: dict[str, Any]) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads((source / "training.json").read_text(encoding="utf-8"))
        saved = data["config"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(_unusable(source, error)) from None
    difference = first_difference(saved, json.loads(json.dumps(config)), "config")
    if difference:
        raise UsageError(
            f"{source} cannot be resumed with another configuration: {difference}; "
            "choose another folder or remove this one"
        )
    return data


def _unusable(source: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())
    return f"{source} cannot be resumed: {type(error).__name__}: {reason}; remove the folder to start afresh"


def _unused(folder: Path, name: str) -> Path:
    """A path that does not exist yet: a save of the same step may be the one that ``latest`` names."""
    candidates = (folder / (f"{name}_{i}" if i else name) for i in itertools.count())
    return next(path for path in candidates if not path.exists())


def _tensors(parts: LearnerParts) -> dict[str, torch.Tensor]:
    weights = {
        f"{kind}.{name}": tensor.contiguous()
        for kind, module in parts.modules.items()
        for name, tensor in module.state_dict().items()
    }
    optimisers = {
        f"{kind}.{index}.{name}": tensor.contiguous()
        for kind, optimiser in parts.optimisers.items()
        for index, values in optimiser.state_dict()["state"].items()
        for name, tensor in values.items()
    }
    return {**weights, **optimisers, "sampler": parts.sampler.get_state()}


def _restore_tensors(parts: LearnerParts, tensors: dict[str, torch.Tensor]) -> None:
    parts.sampler.set_state(tensors.pop("sampler"))
    weights: dict[str, dict[str, torch.Tensor]] = {name: {} for name in parts.modules}
    states: dict[str, dict[int, dict[str, torch.Tensor]]] = {name: {} for name in parts.optimisers}
    for key, tensor in tensors.items():
        kind, rest = key.split(".", 1)
        if kind in weights:
            weights[kind][rest] = tensor
        else:
            index, name = rest.split(".", 1)
            states[kind].setdefault(int(index), {})[name] = tensor
    for name, module in parts.modules.items():
        module.load_state_dict(weights[name])
    for name, optimiser in parts.optimisers.items():
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": states[name], "param_groups": groups})


def _arrays(parts: LearnerParts) -> dict[str, np.ndarray[Any, Any]]:
    learner, adapter = parts.learner, parts.adapter
    snapshot = adapter.env.snapshot()
    state = {f"state.{i}": _plain(array) for i, array in enumerate(snapshot.state)}
    return {
        **state,
        "episode_steps": snapshot.episode_steps,
        "done": snapshot.done,
        "episodes": adapter.episodes,
        "returns": adapter.returns,
        "lengths": adapter.lengths,
        "episode_starts": np.asarray(learner._last_episode_starts, np.bool_),
    }


def _plain(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array as safetensors can hold it: structured ones as their bytes."""
    array = np.ascontiguousarray(array)
    return array.reshape(-1).view(np.uint8) if array.dtype.fields else array


def _restore_arrays(learner: BaseAlgorithm, adapter: GraphVecEnv, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    now = enumerate(adapter.env.state)
    state = tuple(arrays[f"state.{i}"].view(array.dtype).reshape(array.shape) for i, array in now)
    observation = adapter.env.restore(Snapshot(state, arrays["episode_steps"], arrays["done"]))
    adapter.episodes = arrays["episodes"]
    adapter.returns = arrays["returns"]
    adapter.lengths = arrays["lengths"]
    learner._last_obs = adapter.hand_over(observation)
    learner._last_episode_starts = arrays["episode_starts"]
