"""The Gymnasium environment of one lane."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from envs.core.problem import Problem
from envs.core.spec import Observation
from envs.core.vector import GraphVectorEnv, Snapshot


class GraphEnv(gymnasium.Env[Observation, np.int64]):
    """Runs one episode at a time; the same rules, seeds and bytes as one lane of `GraphVectorEnv`.

    Args:
        problem: The problem's binding to the protocol.
        strict: Raise on a masked action instead of refusing it with a penalty.
        render_mode: "rgb_array", "ansi" or None.
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012 - declared so by gymnasium.Env

    def __init__(
        self, problem: Problem[Any, Any, Any], *, strict: bool = False, render_mode: str | None = None
    ) -> None:
        """Allocates the lane; the first `reset` draws its instance."""
        self._lane = GraphVectorEnv(
            problem, 1, strict=strict, autoreset_mode=AutoresetMode.DISABLED, render_mode=render_mode
        )
        self.problem = problem
        self.render_mode = render_mode
        self.observation_space = self._lane.single_observation_space
        self.action_space = self._lane.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts a new episode; ``options={"instance": instance}`` runs a given instance."""
        super().reset(seed=seed)
        instance = (options or {}).get("instance")
        observation, info = self._lane.reset(seed=seed, options=None if instance is None else {"instances": [instance]})
        return _only_lane(observation), _only_lane_info(info)

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Takes one decision."""
        observation, reward, terminated, truncated, info = self._lane.step(np.array([action], np.int64))
        return (
            _only_lane(observation),
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            _only_lane_info(info),
        )

    def action_masks(self) -> NDArray[np.bool_]:
        """Returns the ``(actions,)`` mask of the current decision (the name that sb3-contrib asks for)."""
        masks: NDArray[np.bool_] = self._lane.action_masks()[0]
        return masks

    def snapshot(self) -> Snapshot:
        """Copies everything the future depends on."""
        return self._lane.snapshot()

    def restore(self, snapshot: Snapshot) -> Observation:
        """Returns to a snapshot and its observation."""
        return _only_lane(self._lane.restore(snapshot))

    def instance(self) -> Any:
        """Returns the instance of the current episode."""
        return self._lane.instance(0)

    def solution(self) -> Any:
        """Returns the solution built so far."""
        return self._lane.solution(0)

    def render(self) -> Any:
        """Draws the episode in the render mode given at construction."""
        frames = self._lane.render()
        return None if frames is None else frames[0]


def _only_lane(observation: Observation) -> Observation:
    return {key: array[0] for key, array in observation.items()}


def _only_lane_info(info: dict[str, Any]) -> dict[str, Any]:
    first = {key: array[0] for key, array in info.items() if not key.startswith("_")}
    return {key: value.copy() if value.ndim else value.item() for key, value in first.items()}
