"""A rollout buffer that also keeps what the demonstrating rule says of every candidate."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from agents.ppo.buffer import GraphRolloutBuffer, GraphSamples
from envs.core.spec import Observation


@dataclass(frozen=True)
class DemonstrationSamples(GraphSamples):
    """One minibatch with demonstrations.

    Attributes:
        targets: ``(decisions, actions)`` probabilities to be learnt.
        regrets: ``(decisions, actions)`` what a candidate costs above the best one by the rule's account, in units of
            scaled reward; zeros where the rule only chooses.
    """

    targets: Tensor
    regrets: Tensor


class DemonstrationBuffer(GraphRolloutBuffer):
    """Stores what a rule says beside what happened; see `agents.ppo.buffer.GraphRolloutBuffer`."""

    def reset(self) -> None:
        """Empties the buffer."""
        super().reset()
        shape = (self.buffer_size, self.n_envs, self.mask_dims)
        self.targets = np.zeros(shape, np.float32)
        self.regrets = np.zeros(shape, np.float32)

    def demonstrate(self, targets: NDArray[np.float64], regrets: NDArray[np.float64]) -> None:
        """Takes what the rule says, ``(lanes, actions)`` each, of the step that is added next."""
        self.targets[self.pos] = targets
        self.regrets[self.pos] = regrets

    def _samples(self, static: Observation, step: NDArray[np.int64], lane: NDArray[np.int64]) -> DemonstrationSamples:
        samples = super()._samples(static, step, lane)
        own = {field.name: getattr(samples, field.name) for field in fields(GraphSamples)}
        return DemonstrationSamples(
            **own, targets=self._tensor(self.targets[step, lane]), regrets=self._tensor(self.regrets[step, lane])
        )
