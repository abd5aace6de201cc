"""Clipping of gradients, and the norms that they had before."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from torch import Tensor


class GradientClipper:
    """Scales the gradient down to a norm before every step of an optimiser, and keeps what the norms were.

    Args:
        optimiser: The optimiser, whose steps are met from now on.
        limit: Largest L2 norm.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, limit: float) -> None:
        """Starts with the next step."""
        self.limit = limit
        self._norms: list[tuple[Tensor, Tensor]] = []
        optimiser.register_step_pre_hook(self._clip)

    def record(self, logger: Logger, name: str = "gradient") -> None:
        """Logs the mean L1 and L2 norms since the last call and the share of steps whose gradient was scaled down."""
        if not self._norms:
            return
        l1, l2 = np.array([[float(norm) for norm in pair] for pair in self._norms]).T
        self._norms = []
        logger.record(f"train/{name}_l1", float(l1.mean()))
        logger.record(f"train/{name}_l2", float(l2.mean()))
        logger.record(f"train/{name}_clipped_share", float((l2 > self.limit).mean()))

    def _clip(self, optimiser: torch.optim.Optimizer, arguments: Any, named: Any) -> None:
        parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        l1 = torch.stack([p.grad.abs().sum() for p in parameters]).sum()
        self._norms.append((l1, torch.nn.utils.clip_grad_norm_(parameters, self.limit)))
