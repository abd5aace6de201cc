"""The native vector environment as a stable-baselines3 `VecEnv`, without subprocesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
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

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class GraphVecEnv(VecEnv):
    """Shows a `GraphVectorEnv` to stable-baselines3.

    Observations get one more array, ``episode``, which lets policies encode the static part once an episode.
    Finished lanes report ``episode`` (return ``r``, length ``l``), ``objective`` and ``terminal_observation``; the
    ``info`` of the others is empty, and one and the same read-only mapping.

    Observations are the environment's own arrays. They outlive one more step, as learners need that store them with
    the outcome of the action; whatever keeps them for longer copies them.

    Attributes:
        elapsed: ``(num_envs,)`` simulated time of the last step, up to the end of an episode that it ended; 0 where
            no time passes.
        rewards: ``(num_envs,)`` rewards of the last step.
        between: Observations of the last step's post-decision states and the rewards up to there; None unless
            ``post_decision``.

    Args:
        env: A vector environment made with ``copy=False``, ``double_buffer=True`` and same-step autoreset.
        reward_scale: Factor on every reward; brings returns to the order of 1.
        post_decision: Look at the state after every decision, before time passes.
    """

    def __init__(self, env: GraphVectorEnv, reward_scale: float = 1.0, *, post_decision: bool = False) -> None:
        """Wraps ``env``; the first `reset` starts its episodes.

        Raises:
            UsageError: ``env`` would overwrite an observation in the step after it.
        """
        if not env.observations_outlive_a_step:
            raise UsageError("env overwrites its observations; expected one made with copy=True or double_buffer=True")
        self.env = env
        self.reward_scale = reward_scale
        self.between: tuple[Observation, NDArray[np.float32]] | None = None
        self._post_decision = post_decision
        spec = env.problem.spec
        numbers = spaces.Box(0, np.iinfo(np.int64).max, (1,), np.int64)
        space = spaces.Dict({**spec.observation_space().spaces, EPISODE: numbers})
        super().__init__(env.num_envs, space, env.single_action_space)
        self.episodes = np.zeros((env.num_envs, 1), np.int64)
        self.returns = np.zeros(env.num_envs)
        self.lengths = np.zeros(env.num_envs, np.int64)
        self._mask = np.zeros((env.num_envs, spec.num_actions), np.bool_)
        self._mask_rows: dict[int, list[NDArray[np.bool_]]] = {}
        self._actions = np.zeros(env.num_envs, np.int64)
        self.elapsed = np.zeros(env.num_envs)
        self.rewards = np.zeros(env.num_envs, np.float32)

    @property
    def episodes(self) -> NDArray[np.int64]:
        """``(num_envs, 1)`` number of each lane's episode; the next ones go on from the largest."""
        return self._episodes

    @episodes.setter
    def episodes(self, numbers: NDArray[np.int64]) -> None:
        self._episodes = numbers
        self._last_number = int(numbers.max())

    def reset(self) -> Observation:
        """Starts new episodes in all lanes, with the seeds given to `seed`."""
        seeds = None if any(seed is None for seed in self._seeds) else self._seeds
        observation, _ = self.env.reset(seed=seeds)
        self._reset_seeds()
        self.returns[:] = 0
        self.lengths[:] = 0
        self._number_anew(np.arange(self.num_envs))
        return self.hand_over(observation)

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Keeps the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observation, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Steps all lanes."""
        before = self.env.problem.clock(self.env.state)
        if self._post_decision:
            seen, earned = self.env.post_decision(self._actions)
            self.between = seen, (earned * self.reward_scale).astype(np.float32)
        observation, rewards, terminated, truncated, info = self.env.step(self._actions)
        if before is not None:
            self.elapsed = info.get("final_info", info)["clock"] - before
        rewards *= self.reward_scale
        self.returns += rewards
        self.lengths += 1
        dones = terminated | truncated
        infos: list[Any] = [_NOTHING] * self.num_envs
        if "final_obs" in info:
            self._finish(np.flatnonzero(dones), truncated, info, infos)
        self.rewards = rewards.astype(np.float32)
        return self.hand_over(observation), self.rewards.copy(), dones, infos

    def hand_over(self, observation: Observation) -> Observation:
        """Returns the environment's observation with the numbers of the episodes."""
        self._mask = observation[ACTION_MASK]
        return {**observation, EPISODE: self._episodes}

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Calls a method once a lane; only ``action_masks`` is per lane here."""
        if method_name != "action_masks" or method_args or method_kwargs:
            raise UsageError(f"env_method({method_name!r}) is not offered; only 'action_masks' is")
        rows = self._rows_of_mask()
        return [*rows] if indices is None else [rows[lane] for lane in self._get_indices(indices)]

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

    def _number_anew(self, lanes: NDArray[np.int64]) -> None:
        """Gives the new episodes of the lanes the next numbers, in a new array: the old one is part of observations."""
        self._episodes = self._episodes.copy()
        self._episodes[lanes, 0] = np.arange(self._last_number + 1, self._last_number + 1 + len(lanes))
        self._last_number += len(lanes)

    def _rows_of_mask(self) -> list[NDArray[np.bool_]]:
        """The mask, a view a lane; views of the environment's own few arrays are made once."""
        key = id(self._mask)  # taken by no other array as long as its views are here
        if key not in self._mask_rows:
            if len(self._mask_rows) == 2:
                self._mask_rows.clear()
            self._mask_rows[key] = list(self._mask)
        return self._mask_rows[key]

    def _finish(
        self, lanes: NDArray[np.int64], truncated: NDArray[np.bool_], info: dict[str, Any], infos: list[Any]
    ) -> None:
        """Reports the episodes that ended and begins to count the next ones."""
        returns, lengths = self.returns[lanes].tolist(), self.lengths[lanes].tolist()
        objectives, observations = info["final_info"]["objective"], info["final_obs"]
        for row, lane in enumerate(lanes.tolist()):
            infos[lane] = {
                "episode": {"r": returns[row], "l": lengths[row]},
                "objective": float(objectives[lane]),
                "terminal_observation": {**observations[lane], EPISODE: self._episodes[lane]},
                "TimeLimit.truncated": bool(truncated[lane]),
            }
        self.returns[lanes] = 0
        self.lengths[lanes] = 0
        self._number_anew(lanes)
