"""A replay buffer that keeps the static part of observations once an episode.

stable-baselines3's `DictReplayBuffer` could hold the arrays, but it stores every observation whole and twice, and draws
from NumPy's global generator, so that no run could be repeated or resumed exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import BaseBuffer
from torch import Tensor

from agents.ppo.adapter import EPISODE
from agents.ppo.buffer import DecisionBatch
from envs.core.spec import GraphSpec, Observation


@dataclass(frozen=True)
class Transitions:
    """Decisions and what followed them.

    Attributes:
        observations: What was observed.
        following: What was observed next; arbitrary where the episode ended.
        actions: ``(decisions,)`` int64 actions taken.
        rewards: ``(decisions,)`` float32 rewards.
        ended: ``(decisions,)`` bool, whether the episode ended, other than by a limit on its length.
    """

    observations: DecisionBatch
    following: DecisionBatch
    actions: Tensor
    rewards: Tensor
    ended: Tensor


class GraphReplayBuffer(BaseBuffer):
    """A ring of the last steps of all lanes.

    Every lane has one place more for static arrays than the ring has steps. An episode takes at least one step, so by
    the time a place is used again the last decision of the episode it belonged to has left the ring. Places that were
    never used take no memory.

    Args:
        buffer_size: Decisions, over all lanes.
        observation_space: Space of the adapter's observations.
        action_space: Space of the actions.
        device: Device of the minibatches.
        n_envs: Number of lanes.
        optimize_memory_usage: What stable-baselines3 passes; memory is saved in any case.
        spec: The graph spec.
        seed: Seed of the drawing.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        *,
        spec: GraphSpec,
        seed: int = 0,
    ) -> None:
        """Allocates the buffer."""
        super().__init__(max(1, buffer_size // n_envs), observation_space, action_space, device, n_envs)
        self.spec = spec
        self.generator = np.random.default_rng(seed)
        self.reset()

    def reset(self) -> None:
        """Empties the buffer."""
        super().reset()
        steps, lanes = self.buffer_size, self.n_envs
        self.static = self._allocate(self.spec.static_keys, steps + 1)
        self.dynamic = self._allocate(self.spec.dynamic_keys, steps)
        self.following = self._allocate(self.spec.dynamic_keys, steps)
        self.place = np.zeros((steps, lanes), np.int64)
        self.actions = np.zeros((steps, lanes), np.int64)
        self.rewards = np.zeros((steps, lanes), np.float32)
        self.ended = np.zeros((steps, lanes), np.bool_)
        self.last_place = np.full(lanes, -1, np.int64)
        self.last_number = np.full(lanes, -1, np.int64)
        self.places_used = 0

    def add(
        self,
        obs: Observation,
        next_obs: Observation,
        action: NDArray[np.int64],
        reward: NDArray[np.float32],
        done: NDArray[np.bool_],
        infos: Sequence[Mapping[str, Any]],
    ) -> None:
        """Adds one step of every lane; ``next_obs`` of a lane that is done already belongs to its next episode."""
        self._store_new_episodes(obs)
        step = self.pos
        self.place[step] = self.last_place
        self.actions[step] = action.reshape(self.n_envs)
        self.rewards[step] = reward
        self.ended[step] = done
        for key, array in self.dynamic.items():
            array[step] = obs[key]
            self.following[key][step] = next_obs[key]
        for lane in np.flatnonzero(done).tolist():
            if infos[lane].get("TimeLimit.truncated", False):
                self.ended[step, lane] = False
                for key, array in self.following.items():
                    array[step, lane] = infos[lane]["terminal_observation"][key]
        self.pos += 1
        if self.pos == self.buffer_size:
            self.full, self.pos = True, 0

    def sample(self, batch_size: int, env: Any = None) -> Transitions:
        """Draws decisions uniformly, with replacement."""
        stored = self.size() * self.n_envs
        return self._get_samples(self.generator.integers(stored, size=batch_size))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns all that is stored, by name; `restore` takes it."""
        steps = self.size()
        kept = {name: getattr(self, name)[:steps] for name in ("place", "actions", "rewards", "ended")}
        kept |= {f"static.{key}": array[: self.places_used] for key, array in self.static.items()}
        kept |= {f"dynamic.{key}": array[:steps] for key, array in self.dynamic.items()}
        kept |= {f"following.{key}": array[:steps] for key, array in self.following.items()}
        numbers = np.array([self.pos, self.full, self.places_used], np.int64)
        return {**kept, "last_place": self.last_place, "last_number": self.last_number, "numbers": numbers}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes over what another buffer of the same size returned from `arrays`."""
        self.reset()
        pos, full, self.places_used = (int(number) for number in arrays["numbers"])
        self.pos, self.full = pos, bool(full)
        self.last_place, self.last_number = arrays["last_place"].copy(), arrays["last_number"].copy()
        targets = {name: getattr(self, name) for name in ("place", "actions", "rewards", "ended")}
        for group in ("static", "dynamic", "following"):
            targets |= {f"{group}.{key}": array for key, array in getattr(self, group).items()}
        for name, target in targets.items():
            target[: len(arrays[name])] = arrays[name]

    def _get_samples(self, batch_inds: NDArray[np.int64], env: Any = None) -> Transitions:  # type: ignore[override]
        step, lane = np.divmod(batch_inds, self.n_envs)
        episodes, episode = np.unique(self.place[step, lane] * self.n_envs + lane, return_inverse=True)
        places, lanes = np.divmod(episodes, self.n_envs)
        static = {key: self._tensor(array[places, lanes]) for key, array in self.static.items()}
        rows = self._tensor(episode)
        now, after = (
            DecisionBatch(
                static, {key: self._tensor(array[step, lane]) for key, array in arrays.items()}, rows, len(episodes)
            )
            for arrays in (self.dynamic, self.following)
        )
        actions, rewards, ended = (self._tensor(each[step, lane]) for each in (self.actions, self.rewards, self.ended))
        return Transitions(now, after, actions, rewards, ended)

    def _store_new_episodes(self, obs: Observation) -> None:
        numbers = obs[EPISODE][:, 0]
        lanes = np.flatnonzero(numbers != self.last_number)
        if not len(lanes):
            return
        self.last_number = numbers.copy()
        self.last_place[lanes] = (self.last_place[lanes] + 1) % (self.buffer_size + 1)
        self.places_used = max(self.places_used, int(self.last_place.max()) + 1)
        for key, array in self.static.items():
            array[self.last_place[lanes], lanes] = obs[key][lanes]

    def _allocate(self, keys: Sequence[str], steps: int) -> Observation:
        arrays = self.spec.arrays
        return {key: np.zeros((steps, self.n_envs, *arrays[key][0]), arrays[key][1]) for key in keys}

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
