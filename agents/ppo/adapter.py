"""The native vector environment as a stable-baselines3 `VecEnv`, without subprocesses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from envs.core import GraphVectorEnv, Observation, UsageError
from envs.core.spec import ACTION_MASK

EPISODE = "episode"
"""Observation key that numbers episodes: two observations with one number share their static arrays."""


class GraphVecEnv(VecEnv):
    """Shows a `GraphVectorEnv` to stable-baselines3.

    Observations get one more array, ``episode``, which lets policies encode the static part once an episode.
    Finished lanes report ``episode`` (return ``r``, length ``l``), ``objective`` and ``terminal_observation``.

    Attributes:
        elapsed: ``(num_envs,)`` simulated time of the last step, up to the end of an episode that it ended; 0 where
            no time passes.
        rewards: ``(num_envs,)`` rewards of the last step.

    Args:
        env: A vector environment made with ``copy=False`` and same-step autoreset.
        reward_scale: Factor on every reward; brings returns to the order of 1.
    """

    def __init__(self, env: GraphVectorEnv, reward_scale: float = 1.0) -> None:
        """Wraps ``env``; the first `reset` starts its episodes."""
        self.env = env
        self.reward_scale = reward_scale
        spec = env.problem.spec
        self._static_keys = spec.static_keys
        self._dynamic_keys = spec.dynamic_keys
        numbers = spaces.Box(0, np.iinfo(np.int64).max, (1,), np.int64)
        space = spaces.Dict({**spec.observation_space().spaces, EPISODE: numbers})
        super().__init__(env.num_envs, space, env.single_action_space)
        self.episodes = np.zeros((env.num_envs, 1), np.int64)
        self.returns = np.zeros(env.num_envs)
        self.lengths = np.zeros(env.num_envs, np.int64)
        self._static: Observation = {}
        self._mask = np.zeros((env.num_envs, spec.num_actions), np.bool_)
        self._actions = np.zeros(env.num_envs, np.int64)
        self.elapsed = np.zeros(env.num_envs)
        self.rewards = np.zeros(env.num_envs, np.float32)

    def reset(self) -> Observation:
        """Starts new episodes in all lanes, with the seeds given to `seed`."""
        seeds = None if any(seed is None for seed in self._seeds) else self._seeds
        observation, _ = self.env.reset(seed=seeds)
        self._reset_seeds()
        self.returns[:] = 0
        self.lengths[:] = 0
        self.episodes = self._next_numbers(np.ones(self.num_envs, np.bool_))
        return self.hand_over(observation, fresh_static=True)

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Keeps the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observation, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Steps all lanes."""
        before = self.env.problem.clock(self.env.state)
        observation, rewards, terminated, truncated, info = self.env.step(self._actions)
        if before is not None:
            self.elapsed = info.get("final_info", info)["clock"] - before
        rewards = rewards * self.reward_scale
        self.returns += rewards
        self.lengths += 1
        dones = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        any_done = bool(dones.any())
        if any_done:
            for lane in np.flatnonzero(dones):
                infos[lane] = self._final(int(lane), bool(truncated[lane]), info)
            self.returns[dones] = 0
            self.lengths[dones] = 0
            self.episodes = self._next_numbers(dones)
        self.rewards = rewards.astype(np.float32)
        return self.hand_over(observation, fresh_static=any_done), self.rewards.copy(), dones, infos

    def hand_over(self, observation: Observation, *, fresh_static: bool) -> Observation:
        """Copies what the next step overwrites; static arrays are copied only when an episode began."""
        if fresh_static:
            self._static = {key: observation[key].copy() for key in self._static_keys}
        result = {key: observation[key].copy() for key in self._dynamic_keys}
        self._mask = result[ACTION_MASK]
        return {**self._static, **result, EPISODE: self.episodes}

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Calls a method once a lane; only ``action_masks`` is per lane here."""
        if method_name != "action_masks" or method_args or method_kwargs:
            raise UsageError(f"env_method({method_name!r}) is not offered; only 'action_masks' is")
        return [self._mask[lane] for lane in self._get_indices(indices)]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Returns an attribute of the vector environment, once a lane."""
        value = getattr(self.env, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuses: lanes share one environment."""
        raise UsageError(f"attribute {attr_name!r} cannot be set by lane: lanes share one environment")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Returns whether lanes report what the wrapper would: episodes are reported as by a `Monitor`."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]

    def close(self) -> None:
        """Closes the vector environment."""
        self.env.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Returns the picture of every lane."""
        frames = self.env.render()
        return [None] * self.num_envs if frames is None else list(frames)

    def _next_numbers(self, lanes: NDArray[np.bool_]) -> NDArray[np.int64]:
        numbers = self.episodes.copy()
        numbers[lanes, 0] = self.episodes.max() + 1 + np.arange(int(lanes.sum()))
        return numbers

    def _final(self, lane: int, truncated: bool, info: dict[str, Any]) -> dict[str, Any]:
        return {
            "episode": {"r": float(self.returns[lane]), "l": int(self.lengths[lane])},
            "objective": float(info["final_info"]["objective"][lane]),
            "terminal_observation": {**info["final_obs"][lane], EPISODE: self.episodes[lane]},
            "TimeLimit.truncated": truncated,
        }
