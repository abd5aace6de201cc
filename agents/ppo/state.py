"""Everything an interrupted training needs to go on exactly: saved whole or not at all, without pickle."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import deque
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy
from safetensors import torch as safetensors_torch
from sb3_contrib import MaskablePPO

from agents.interface import first_difference
from agents.ppo.adapter import GraphVecEnv
from agents.ppo.buffer import GraphRolloutBuffer
from agents.ppo.policy import GraphActorCriticPolicy
from envs.core import Snapshot, UsageError

_LATEST = "latest"
_NEXT_LATEST = ".latest.next"
_UNFINISHED = ".unfinished"


def save_state(folder: Path, learner: MaskablePPO, config: dict[str, Any], extra: dict[str, Any]) -> None:
    """Saves a learner between two updates under ``folder`` and then forgets the save before.

    The new save is complete before ``latest`` names it, and the old one is removed only then, so a kill at any moment
    leaves a save to go on from.

    Args:
        folder: Folder of the run's states.
        learner: The learner, built by `make_learner`.
        config: What the training was configured with; `restore_state` insists on the same.
        extra: JSON-ready data of the caller, returned by `restore_state`.
    """
    temporary = folder / _UNFINISHED
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    policy, adapter, buffer = _parts(learner)
    safetensors_torch.save_file(_tensors(policy), temporary / "learner.safetensors")
    safetensors_numpy.save_file(_arrays(learner, adapter), temporary / "environment.safetensors")
    data = {
        "config": config,
        "extra": extra,
        "num_timesteps": learner.num_timesteps,
        "n_updates": learner._n_updates,
        "shuffling": buffer.generator.bit_generator.state,
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


def restore_state(folder: Path, learner: MaskablePPO, config: dict[str, Any]) -> dict[str, Any] | None:
    """Brings a freshly built learner to the latest save under ``folder``; None if there is none.

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
        return _restore(learner, data, tensors, arrays)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise UsageError(_unusable(source, error)) from None


def _restore(
    learner: MaskablePPO,
    data: dict[str, Any],
    tensors: dict[str, torch.Tensor],
    arrays: dict[str, np.ndarray[Any, Any]],
) -> dict[str, Any]:
    policy, adapter, buffer = _parts(learner)
    _restore_tensors(policy, tensors)
    _restore_arrays(learner, adapter, arrays)
    buffer.generator.bit_generator.state = data["shuffling"]
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


def _parts(learner: MaskablePPO) -> tuple[GraphActorCriticPolicy, GraphVecEnv, GraphRolloutBuffer]:
    return (
        cast(GraphActorCriticPolicy, learner.policy),
        cast(GraphVecEnv, learner.env),
        cast(GraphRolloutBuffer, learner.rollout_buffer),
    )


def _tensors(policy: GraphActorCriticPolicy) -> dict[str, torch.Tensor]:
    weights = {f"weights.{name}": tensor.contiguous() for name, tensor in policy.network.state_dict().items()}
    optimiser = {
        f"optimiser.{index}.{name}": tensor.contiguous()
        for index, values in policy.optimizer.state_dict()["state"].items()
        for name, tensor in values.items()
    }
    return {**weights, **optimiser, "sampler": policy.sampler.get_state()}


def _restore_tensors(policy: GraphActorCriticPolicy, tensors: dict[str, torch.Tensor]) -> None:
    policy.sampler.set_state(tensors.pop("sampler"))
    weights: dict[str, torch.Tensor] = {}
    optimiser: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        kind, rest = key.split(".", 1)
        if kind == "weights":
            weights[rest] = tensor
        else:
            index, name = rest.split(".", 1)
            optimiser.setdefault(int(index), {})[name] = tensor
    policy.network.load_state_dict(weights)
    groups = policy.optimizer.state_dict()["param_groups"]
    policy.optimizer.load_state_dict({"state": optimiser, "param_groups": groups})


def _arrays(learner: MaskablePPO, adapter: GraphVecEnv) -> dict[str, np.ndarray[Any, Any]]:
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


def _restore_arrays(learner: MaskablePPO, adapter: GraphVecEnv, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    now = enumerate(adapter.env.state)
    state = tuple(arrays[f"state.{i}"].view(array.dtype).reshape(array.shape) for i, array in now)
    observation = adapter.env.restore(Snapshot(state, arrays["episode_steps"], arrays["done"]))
    adapter.episodes = arrays["episodes"]
    adapter.returns = arrays["returns"]
    adapter.lengths = arrays["lengths"]
    learner._last_obs = adapter.hand_over(observation)
    learner._last_episode_starts = arrays["episode_starts"]
