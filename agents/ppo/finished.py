"""PPO whose critic learns only from episodes that ended, while its policy learns from every window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from agents.ppo.algorithm import GraphPPO
from agents.ppo.buffer import DecisionBatch, GraphRolloutBuffer
from agents.ppo.policy import GraphActorCriticPolicy

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Piece:
    """Consecutive decisions of one episode.

    Attributes:
        static: Static arrays of the episode.
        dynamic: Dynamic arrays of the free decisions, ``(free decisions, ...)``.
        free: ``(decisions,)`` whether there was more than one legal action.
        rewards: ``(decisions,)``.
        exponents: ``(decisions,)`` how often the discount applies over each.
    """

    static: Arrays
    dynamic: Arrays
    free: NDArray[np.bool_]
    rewards: NDArray[np.float32]
    exponents: NDArray[np.float32]

    def followed_by(self, other: Piece) -> Piece:
        """Joins two pieces of one episode."""
        return Piece(
            self.static,
            {key: np.concatenate([array, other.dynamic[key]]) for key, array in self.dynamic.items()},
            np.concatenate([self.free, other.free]),
            np.concatenate([self.rewards, other.rewards]),
            np.concatenate([self.exponents, other.exponents]),
        )

    def returns(self, discount: float) -> NDArray[np.float32]:
        """Returns what was earned from each free decision on, if the episode ends with this piece."""
        earned = np.zeros(len(self.rewards))
        following = 0.0
        for step in reversed(range(len(earned))):
            following = self.rewards[step] + discount ** self.exponents[step] * following
            earned[step] = following
        return earned[self.free].astype(np.float32)


class FinishedEpisodes:
    """Carries episodes over from window to window until they end, and then knows the returns of their decisions.

    Forced decisions count in the returns, but are not learnt from. An unfinished episode holds the observations of all
    its free decisions so far.
    """

    def __init__(self) -> None:
        """Starts without episodes."""
        self._open: dict[int, Piece] = {}
        self._finished: list[Piece] = []

    def take(self, buffer: GraphRolloutBuffer, dones: NDArray[np.bool_]) -> None:
        """Takes over a window.

        Args:
            buffer: A full buffer.
            dones: ``(lanes,)`` whether the last step ended an episode.
        """
        for lane in range(buffer.n_envs):
            starts = np.flatnonzero(buffer.episode_starts[:, lane])
            bounds = np.unique([0, *starts, buffer.buffer_size])
            for first, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
                piece = _cut(buffer, lane, slice(first, end))
                before = self._open.pop(lane, None)
                whole = piece if before is None else before.followed_by(piece)
                if end < buffer.buffer_size or dones[lane]:
                    self._finished.append(whole)
                else:
                    self._open[lane] = whole

    def batches(self, buffer: GraphRolloutBuffer, size: int, discount: float) -> Iterator[tuple[DecisionBatch, Tensor]]:
        """Yields the free decisions of the episodes that ended and their returns, in minibatches of about ``size``.

        Args:
            buffer: Lends its generator for the order of the episodes, and names the device.
            size: Decisions in a minibatch.
            discount: The discount factor.
        """
        episodes = [episode for episode in self._finished if episode.free.any()]
        if not episodes:
            return
        episodes = [episodes[i] for i in buffer.generator.permutation(len(episodes))]
        static = {key: np.stack([each.static[key] for each in episodes]) for key in episodes[0].static}
        dynamic = {key: np.concatenate([each.dynamic[key] for each in episodes]) for key in episodes[0].dynamic}
        earned = np.concatenate([each.returns(discount) for each in episodes])
        owner = np.repeat(np.arange(len(episodes)), [each.free.sum() for each in episodes])

        def tensor(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(buffer.device)

        for rows in np.array_split(np.arange(len(owner)), max(1, round(len(owner) / size))):
            kept, row = np.unique(owner[rows], return_inverse=True)
            observations = DecisionBatch(
                {key: tensor(array[kept]) for key, array in static.items()},
                {key: tensor(array[rows]) for key, array in dynamic.items()},
                tensor(row),
                len(kept),
            )
            yield observations, tensor(earned[rows])

    def forget_finished(self) -> int:
        """Drops the episodes that ended; returns how many there were."""
        count = len(self._finished)
        self._finished = []
        return count

    def arrays(self) -> Arrays:
        """Returns what is carried over to the next window, by lane and name; finished episodes are not among it."""
        named: Arrays = {}
        for lane, piece in self._open.items():
            named |= {f"{lane}.{name}": getattr(piece, name) for name in ("free", "rewards", "exponents")}
            named |= {f"{lane}.static.{key}": array for key, array in piece.static.items()}
            named |= {f"{lane}.dynamic.{key}": array for key, array in piece.dynamic.items()}
        return named

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes over what `arrays` returned."""
        lanes = {int(key.split(".")[0]) for key in arrays}

        def part(prefix: str) -> Arrays:
            return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}

        self._open = {
            lane: Piece(
                part(f"{lane}.static."),
                part(f"{lane}.dynamic."),
                arrays[f"{lane}.free"],
                arrays[f"{lane}.rewards"],
                arrays[f"{lane}.exponents"],
            )
            for lane in sorted(lanes)
        }
        self._finished = []


class FinishedCriticPPO(GraphPPO):
    """Updates the policy on every window and the critic on the true returns of the episodes that ended in it.

    This is the dual update of Truncated PPO (arXiv 2506.15050). Where no episode ended, the critic stays as it is.

    Attributes:
        episodes: The episodes under way.
        value_weight: Weight of the value loss.
        discount: Discount factor of the returns.
    """

    def __init__(self, policy: Any, env: Any, *, value_weight: float, discount: float, **named: Any) -> None:
        """Takes the arguments of `GraphPPO` besides its own."""
        self.episodes = FinishedEpisodes()
        self.value_weight = value_weight
        self.discount = discount
        super().__init__(policy, env, **{**named, "vf_coef": 0.0})

    def train(self) -> None:
        """Updates the policy and then, from what has ended, the critic."""
        buffer = cast(GraphRolloutBuffer, self.rollout_buffer)
        self.episodes.take(buffer, np.asarray(self._last_episode_starts, np.bool_))
        super().train()
        losses = [loss for _ in range(self.n_epochs) for loss in self._critic_epoch()]
        self.logger.record("train/finished_episodes", self.episodes.forget_finished())
        if losses:
            self.logger.record("train/value_loss", float(np.mean(losses)))

    def _critic_epoch(self) -> Iterator[float]:
        policy, buffer = cast(GraphActorCriticPolicy, self.policy), cast(GraphRolloutBuffer, self.rollout_buffer)
        size = self.batch_size or buffer.buffer_size * buffer.n_envs
        for observations, earned in self.episodes.batches(buffer, size, self.discount):
            loss = functional.mse_loss(policy.predict_values(observations).flatten(), earned)
            policy.optimizer.zero_grad()
            (self.value_weight * loss).backward()  # type: ignore[no-untyped-call]
            policy.optimizer.step()
            yield loss.item()


def _cut(buffer: GraphRolloutBuffer, lane: int, steps: slice) -> Piece:
    """Copies consecutive steps of one episode out of a buffer."""
    free = buffer.action_masks[steps, lane].sum(axis=1) > 1
    row = int(buffer.episode_row[steps.start, lane])
    return Piece(
        {key: store[row] for key, store in buffer.static.items()},
        {key: array[steps, lane][free] for key, array in buffer.dynamic.items()},
        free,
        buffer.rewards[steps, lane].copy(),
        buffer.exponents[steps, lane].copy(),
    )
