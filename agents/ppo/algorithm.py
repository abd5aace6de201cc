"""The learner of sb3-contrib with the norms of its gradients in the log."""

from __future__ import annotations

import math
from typing import Any

from sb3_contrib import MaskablePPO

from agents.gradients import GradientClipper


class GraphPPO(MaskablePPO):
    """Maskable PPO that logs the norms of its gradients before it clips them.

    Attributes:
        clipper: Clips in the place of sb3-contrib, which does not tell what it clipped.

    Args:
        policy: Class of the policy.
        env: The environment.
        max_grad_norm: Gradients are scaled down to this norm.
        named: Further arguments of `MaskablePPO`.
    """

    def __init__(self, policy: Any, env: Any, *, max_grad_norm: float = 0.5, **named: Any) -> None:
        """Builds the learner."""
        self._limit = max_grad_norm
        super().__init__(policy, env, max_grad_norm=math.inf, **named)

    def train(self) -> None:
        """Updates the policy with what was collected."""
        super().train()
        self.clipper.record(self.logger)

    def _setup_model(self) -> None:
        super()._setup_model()
        self.clipper = GradientClipper(self.policy.optimizer, self._limit)
