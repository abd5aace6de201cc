"""PPO with a second critic, of the states after decisions and before what is drawn follows on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from agents.encoding import evaluate
from agents.gradients import GradientClipper
from agents.ppo.adapter import GraphVecEnv
from agents.ppo.algorithm import GraphPPO
from agents.ppo.buffer import DecisionBatch, GraphRolloutBuffer
from agents.ppo.policy import GraphActorCriticPolicy
from envs.core.spec import Observation
from models.build import make_network
from models.network import Network

_OTHER_WEIGHTS = 7919
"""Added to the seed of the policy's weights, so that both critics do not begin alike."""


class PostDecisionBuffer(GraphRolloutBuffer):
    """Keeps the post-decision states of all steps too.

    Args:
        adapter: Shows the states; made with ``post_decision=True``.
        sizes: Arguments of `GraphRolloutBuffer`.
        named: Likewise, by name.
    """

    def __init__(self, *sizes: Any, adapter: GraphVecEnv, **named: Any) -> None:
        """Allocates the buffer."""
        self.adapter = adapter
        super().__init__(*sizes, **named)

    def reset(self) -> None:
        """Empties the buffer."""
        super().reset()
        self.between: Observation = {key: np.zeros_like(array) for key, array in self.dynamic.items()}
        self.earned = np.zeros_like(self.rewards)

    def add(self, *transition: Any, **named: Any) -> None:
        """Adds one step of every lane, with the post-decision states that the adapter has seen in it."""
        assert self.adapter.between is not None
        observation, earned = self.adapter.between
        for key, array in self.between.items():
            array[self.pos] = observation[key]
        self.earned[self.pos] = earned
        super().add(*transition, **named)

    def between_batches(self, size: int, *, shuffle: bool) -> Iterator[tuple[DecisionBatch, Any]]:
        """Yields the post-decision states of all steps in minibatches of about ``size``, whole lanes one by one.

        Args:
            size: Decisions in a minibatch.
            shuffle: Take the lanes in random order.

        Yields:
            The observations, and the index of their steps and lanes.
        """
        lanes = self.generator.permutation(self.n_envs) if shuffle else np.arange(self.n_envs)
        lane = np.repeat(lanes, self.buffer_size)
        step = np.tile(np.arange(self.buffer_size), self.n_envs)
        static = {key: np.stack(arrays) for key, arrays in self.static.items()}
        for piece in np.array_split(np.arange(len(lane)), max(1, round(len(lane) / size))):
            index = step[piece], lane[piece]
            yield self._observations(static, self.between, *index), index


class PostDecisionPPO(GraphPPO):
    """Post-Decision PPO (Felizardo et al., arXiv 2504.05150) with generalised advantages in the place of returns.

    The first critic estimates the return from the state that a decision is taken in, the second one from the state that
    the decision alone leads to. Each has weights of its own, the second also an optimiser.

    Attributes:
        second: The second critic; only its value is used.
        second_optimiser: Its optimiser.

    Args:
        policy: Class of the policy.
        env: The adapter.
        combination: "largest" or "expected", see `agents.ppo.config.PPOConfig.post_decision`.
        named: Further arguments of `GraphPPO`.
    """

    def __init__(self, policy: Any, env: Any, *, combination: str, **named: Any) -> None:
        """Builds both critics."""
        self.combination = combination
        super().__init__(policy, env, **named)

    def train(self) -> None:
        """Combines what both critics say into advantages, updates the policy and the first, then the second critic."""
        buffer = cast(PostDecisionBuffer, self.rollout_buffer)
        target = buffer.returns - buffer.earned
        values = self._second_values(buffer)
        if self.combination == "largest":
            buffer.advantages = np.maximum(buffer.returns - buffer.values, target - values)
        else:
            buffer.advantages = buffer.earned + values - buffer.values
        super().train()
        for group in self.second_optimiser.param_groups:
            group["lr"] = self.policy.optimizer.param_groups[0]["lr"]
        losses = [loss for _ in range(self.n_epochs) for loss in self._second_epoch(buffer, target)]
        self.logger.record("train/second_value_loss", float(np.mean(losses)))
        self._second_clipper.record(self.logger, "second_gradient")

    def _setup_model(self) -> None:
        super()._setup_model()
        policy = cast(GraphActorCriticPolicy, self.policy)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(policy.seed + _OTHER_WEIGHTS)
            self.second: Network = make_network(policy.spec, policy.model).to(self.device)
        self.second_optimiser = torch.optim.Adam(self.second.parameters(), lr=self.lr_schedule(1))
        self._second_clipper = GradientClipper(self.second_optimiser, self._limit)

    @torch.no_grad()
    def _second_values(self, buffer: PostDecisionBuffer) -> NDArray[np.float32]:
        values = np.zeros_like(buffer.values)
        for observations, index in buffer.between_batches(self._size(buffer), shuffle=False):
            values[index] = self._value(observations).cpu().numpy()
        return values

    def _second_epoch(self, buffer: PostDecisionBuffer, target: NDArray[np.float32]) -> Iterator[float]:
        for observations, index in buffer.between_batches(self._size(buffer), shuffle=True):
            wanted = torch.from_numpy(np.ascontiguousarray(target[index])).to(self.device)
            loss = functional.mse_loss(self._value(observations), wanted)
            self.second_optimiser.zero_grad()
            (self.vf_coef * loss).backward()  # type: ignore[no-untyped-call]
            self.second_optimiser.step()
            yield loss.item()

    def _value(self, observations: DecisionBatch) -> Tensor:
        spec = cast(GraphActorCriticPolicy, self.policy).spec
        return evaluate(self.second, spec, observations)[1]

    def _size(self, buffer: PostDecisionBuffer) -> int:
        return self.batch_size or buffer.buffer_size * buffer.n_envs
