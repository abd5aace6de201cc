"""The environments that reward every objective on its own, as MO-Gymnasium (Felten et al., 2023) has it.

The vector of rewards has one entry a criterion, minus scale times increase of the cost, so that larger is better, and
its product with the weights of the instance's preference is the scalar reward of the plain environment.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.problem import Problem
from envs.core.single import GraphEnv
from envs.core.spec import Observation
from envs.core.vector import GraphVectorEnv, Snapshot


class VectorRewardEnv(GraphEnv):
    """One episode at a time with a ``(criteria,)`` float32 reward; ``step`` is `GraphEnv`'s otherwise.

    A refused action costs the penalty in every entry.

    Attributes:
        reward_dim: Number of criteria.
        reward_space: Space of the rewards; without bounds, as instances have none.

    Args:
        problem: The problem's binding to the protocol; with several criteria.
        strict: Raise on a masked action instead of refusing it with a penalty.
        render_mode: "rgb_array", "ansi" or None.
    """

    def __init__(
        self, problem: Problem[Any, Any, Any], *, strict: bool = False, render_mode: str | None = None
    ) -> None:
        """Allocates the lane; the first `reset` draws its instance."""
        super().__init__(problem, strict=strict, render_mode=render_mode)
        self._scales = reward_scales(problem)
        self.reward_dim = len(self._scales)
        self.reward_space = spaces.Box(-np.inf, np.inf, (self.reward_dim,), np.float32)
        self._costs = np.zeros(self.reward_dim)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts a new episode; ``options={"instance": instance}`` runs a given instance."""
        observation, info = super().reset(seed=seed, options=options)
        self._costs = info["objectives"]
        return observation, info

    def step(  # type: ignore[override]  # gymnasium declares scalar rewards
        self, action: np.int64 | int
    ) -> tuple[Observation, NDArray[np.float32], bool, bool, dict[str, Any]]:
        """Takes one decision."""
        observation, _, terminated, truncated, info = super().step(action)
        rewards = self._scales * (self._costs - info["objectives"]) / info["reward_unit"]
        if info["invalid_action"]:
            rewards = rewards - self.problem.illegal_action_penalty
        self._costs = info["objectives"]
        return observation, rewards.astype(np.float32), terminated, truncated, info

    def restore(self, snapshot: Snapshot) -> Observation:
        """Returns to a snapshot and its observation."""
        observation = super().restore(snapshot)
        self._costs = self.problem.costs(self._lane.state)[0]
        return observation


class VectorRewardVectorEnv(GraphVectorEnv):
    """Many episodes side by side with ``(num_envs, criteria)`` rewards; everything else is `GraphVectorEnv`'s.

    Args:
        problem: The problem's binding to the protocol; with several criteria.
        num_envs: Number of lanes.
        arguments: Arguments of `GraphVectorEnv`.
    """

    def __init__(self, problem: Problem[Any, Any, Any], num_envs: int = 1, **arguments: Any) -> None:
        """Allocates all lanes; the first `reset` draws their instances."""
        super().__init__(problem, num_envs, **arguments)
        self._scales = reward_scales(problem)
        self.reward_dim = len(self._scales)
        self.reward_space = spaces.Box(-np.inf, np.inf, (self.reward_dim,), np.float32)
        self._costs = np.zeros((num_envs, self.reward_dim))

    def _rewards(self, invalid: NDArray[np.bool_]) -> NDArray[np.float64]:
        super()._rewards(invalid)
        before, self._costs = self._costs, self.problem.costs(self.state)
        rewards: NDArray[np.float64] = self._scales * (before - self._costs) / self._unit[:, None]
        rewards[invalid] -= self.problem.illegal_action_penalty
        return rewards

    def _refresh(self, lanes: NDArray[np.int64]) -> None:
        super()._refresh(lanes)
        self._costs = self.problem.costs(self.state)


def reward_scales(problem: Problem[Any, Any, Any]) -> NDArray[np.float64]:
    """Returns the ``(criteria,)`` scales of a problem.

    Raises:
        UsageError: The problem has a single objective.
    """
    if not problem.criteria:
        raise UsageError("the problem has a single objective; expected several, for a vector of rewards")
    return np.array([criterion.scale for criterion in problem.criteria])
