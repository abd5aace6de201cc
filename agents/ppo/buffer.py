"""A rollout buffer that keeps the static part of observations once an episode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from torch import Tensor

from agents.ppo.adapter import EPISODE, GraphVecEnv
from envs.core import UsageError
from envs.core.spec import GraphSpec, Observation


@dataclass(frozen=True)
class DecisionBatch:
    """Observations of several decisions whose static parts are stored once an episode.

    Attributes:
        static: Static arrays with a leading episode axis.
        dynamic: Dynamic arrays with a leading decision axis.
        episode: ``(decisions,)`` int64 row of each decision's episode.
        episodes: Number of episodes.
    """

    static: dict[str, Tensor]
    dynamic: dict[str, Tensor]
    episode: Tensor
    episodes: int


@dataclass(frozen=True)
class GraphSamples:
    """One minibatch, with the field names that `MaskablePPO.train` reads."""

    observations: DecisionBatch
    actions: Tensor
    old_values: Tensor
    old_log_prob: Tensor
    advantages: Tensor
    returns: Tensor
    action_masks: Tensor


class ClockDiscount:
    """Discounting by simulated time: a step counts as often as ``discount_time`` fits into the time that it takes.

    A reward is paid when its decision is taken; what follows is discounted by the time until then. So decisions of one
    instant share the return of that instant, and with one decision every ``discount_time`` all is as usual.

    The learner must add the value of a truncated episode's last state to its last reward undiscounted (``gamma=1``),
    because only here it is known how far away that state is.

    Args:
        adapter: Knows the time and the rewards of the step that was taken last.
        discount: Discount factor.
        discount_time: Time over which it applies once.
    """

    def __init__(self, adapter: GraphVecEnv, discount: float, discount_time: float) -> None:
        """Keeps the arguments."""
        self.adapter = adapter
        self.discount = discount
        self.discount_time = discount_time

    def __reduce__(self) -> str:
        """Refuses to be pickled: a copy would tell the time of an environment that stands still."""
        raise UsageError(
            "a learner that gives credit by the clock cannot be saved by stable-baselines3; the training state can"
        )

    def exponents(self) -> NDArray[np.float64]:
        """Returns how often the discount applies over the last step, ``(lanes,)``."""
        return self.adapter.elapsed / self.discount_time

    def bootstrapped(self, rewards: NDArray[np.float32]) -> NDArray[np.float32]:
        """Discounts what the learner added to the rewards of the last step for truncated episodes."""
        paid = self.adapter.rewards
        return np.asarray(paid + self.discount ** self.exponents() * (rewards - paid), np.float32)


class GraphRolloutBuffer(MaskableDictRolloutBuffer):
    """Stores dynamic arrays step by step and static arrays once an episode.

    Minibatches are made of whole lanes in random order, so that few episodes need encoding for each. Decisions with
    a single legal action have no gradient and are left out (they still count in the advantages of the others).

    Args:
        buffer_size: Steps a lane.
        observation_space: Space of the adapter's observations.
        action_space: Space of the actions.
        device: Device of the minibatches.
        gae_lambda: Lambda of generalised advantage estimation.
        gamma: Discount.
        n_envs: Number of lanes.
        spec: The graph spec.
        seed: Seed of the shuffling.
        clock: The environment whose simulated time discounts, see `ClockDiscount`; None to discount by decisions.
        bootstrap: What is expected after a window that cuts an episode: "next", the estimated return of the state that
            follows, "egae", that of the last state in the window, or "none", nothing.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        device: torch.device | str = "auto",
        gae_lambda: float = 1.0,
        gamma: float = 1.0,
        n_envs: int = 1,
        *,
        spec: GraphSpec,
        seed: int = 0,
        clock: ClockDiscount | None = None,
        bootstrap: str = "next",
    ) -> None:
        """Allocates the buffer."""
        self.spec = spec
        self.clock = clock
        self.bootstrap = bootstrap
        self.generator = np.random.default_rng(seed)
        super().__init__(buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs)

    def reset(self) -> None:
        """Empties the buffer."""
        steps, lanes = self.buffer_size, self.n_envs
        self.mask_dims = self.spec.num_actions
        arrays = self.spec.arrays
        self.dynamic: Observation = {
            key: np.zeros((steps, lanes, *arrays[key][0]), arrays[key][1]) for key in self.spec.dynamic_keys
        }
        self.static: dict[str, list[NDArray[Any]]] = {key: [] for key in self.spec.static_keys}
        self.episode_row = np.zeros((steps, lanes), np.int64)
        self.episodes_stored = 0
        self.last_number = np.full(lanes, -1, np.int64)
        self.action_masks = np.zeros((steps, lanes, self.mask_dims), np.bool_)
        self.actions = np.zeros((steps, lanes, self.action_dim), np.int64)
        for name in ("rewards", "returns", "episode_starts", "values", "log_probs", "advantages"):
            setattr(self, name, np.zeros((steps, lanes), np.float32))
        self.exponents = np.ones((steps, lanes), np.float32)
        self.observations = {}
        self.pos, self.full, self.generator_ready = 0, False, False

    def add(  # type: ignore[override]
        self,
        obs: Observation,
        action: NDArray[np.int64],
        reward: NDArray[np.float32],
        episode_start: NDArray[np.bool_],
        value: Tensor,
        log_prob: Tensor,
        action_masks: NDArray[np.bool_] | None = None,
    ) -> None:
        """Adds one step of every lane."""
        numbers = obs[EPISODE][:, 0]
        self._store_new_episodes(obs, np.flatnonzero(numbers != self.last_number))
        self.last_number = numbers.copy()
        step = self.pos
        self.episode_row[step] = self._row_of_lane
        for key, array in self.dynamic.items():
            array[step] = obs[key]
        if action_masks is not None:
            self.action_masks[step] = action_masks
        self.actions[step] = action.reshape(self.n_envs, self.action_dim)
        self.rewards[step] = reward
        if self.clock is not None:
            self.exponents[step] = self.clock.exponents()
            self.rewards[step] = self.clock.bootstrapped(reward)
        self.episode_starts[step] = episode_start
        self.values[step] = value.clone().cpu().numpy().flatten()
        self.log_probs[step] = log_prob.clone().cpu().numpy()
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def compute_returns_and_advantage(self, last_values: Tensor, dones: NDArray[np.bool_]) -> None:
        """Computes generalised advantages (Schulman et al. 2016) and returns, with a discount of its own each step.

        Args:
            last_values: ``(lanes,)`` estimated returns after the last step.
            dones: ``(lanes,)`` whether the last step ended an episode.
        """
        if self.bootstrap != "next":
            last_values = torch.from_numpy(self.values[-1] * (self.bootstrap == "egae"))
        if self.clock is None:
            super().compute_returns_and_advantage(last_values, dones)
            return
        discounts = self.clock.discount**self.exponents
        decays = discounts * self.gae_lambda**self.exponents
        goes_on = 1.0 - np.concatenate([self.episode_starts[1:], np.asarray(dones, np.float32)[None]])
        following = np.concatenate([self.values[1:], last_values.cpu().numpy().reshape(1, -1)])
        surprises = self.rewards + discounts * following * goes_on - self.values
        advantage = np.zeros(self.n_envs, np.float32)
        for step in reversed(range(self.buffer_size)):
            advantage = surprises[step] + decays[step] * goes_on[step] * advantage
            self.advantages[step] = advantage
        self.returns = self.advantages + self.values

    def get(self, batch_size: int | None = None) -> Iterator[GraphSamples]:  # type: ignore[override]
        """Yields minibatches of about ``batch_size`` decisions: lanes in random order, without forced decisions.

        None has a single decision: advantages are divided by their standard deviation.
        """
        lanes = self.generator.permutation(self.n_envs)
        lane = np.repeat(lanes, self.buffer_size)
        step = np.tile(np.arange(self.buffer_size), self.n_envs)
        free = self.action_masks.sum(axis=2)[step, lane] > 1
        if free.sum() > 1:
            lane, step = lane[free], step[free]
        static = {key: np.stack(arrays) for key, arrays in self.static.items()}
        size = batch_size or len(lane)
        pieces = max(1, min(round(len(lane) / size), len(lane) // 2))
        for piece in np.array_split(np.arange(len(lane)), pieces):
            yield self._samples(static, step[piece], lane[piece])

    def _store_new_episodes(self, obs: Observation, lanes: NDArray[np.int64]) -> None:
        if self.pos == 0:
            self._row_of_lane = np.zeros(self.n_envs, np.int64)
        for key, store in self.static.items():
            store.extend(obs[key][lane].copy() for lane in lanes)
        self._row_of_lane[lanes] = self.episodes_stored + np.arange(len(lanes))
        self.episodes_stored += len(lanes)

    def _observations(
        self, static: Observation, dynamic: Observation, step: NDArray[np.int64], lane: NDArray[np.int64]
    ) -> DecisionBatch:
        rows, episode = np.unique(self.episode_row[step, lane], return_inverse=True)
        return DecisionBatch(
            {key: self._tensor(array[rows]) for key, array in static.items()},
            {key: self._tensor(array[step, lane]) for key, array in dynamic.items()},
            self._tensor(episode),
            len(rows),
        )

    def _samples(self, static: Observation, step: NDArray[np.int64], lane: NDArray[np.int64]) -> GraphSamples:
        observations = self._observations(static, self.dynamic, step, lane)
        flat = {
            name: self._tensor(getattr(self, name)[step, lane])
            for name in ("actions", "values", "log_probs", "advantages", "returns", "action_masks")
        }
        return GraphSamples(
            observations,
            flat["actions"],
            flat["values"],
            flat["log_probs"],
            flat["advantages"],
            flat["returns"],
            flat["action_masks"],
        )

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
