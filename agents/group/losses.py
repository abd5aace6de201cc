"""What is minimised, for decisions that carry a coefficient and a weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.group.selection import evenly_spaced

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lesson:
    """What is to be learnt of some decisions, ``(decisions,)`` each.

    Attributes:
        action: The action taken.
        advantage: Coefficient of the solution that it belongs to.
        old: Log probability of the action by the policy that collected.
        weight: How much the decision counts.
        target: What the value head is to say: the scaled return from here on.
    """

    action: Tensor
    advantage: Tensor
    old: Tensor
    weight: Tensor
    target: Tensor


def policy_loss(chosen: Tensor, lesson: Lesson, clip: float | None) -> Tensor:
    """Weighted sum of the policy's losses.

    Args:
        chosen: ``(decisions,)`` log probabilities of the actions.
        lesson: What is to be learnt.
        clip: Clipping range of the probability ratio (Schulman et al. 2017); None for plain log probabilities, which is
            REINFORCE, and cross-entropy where all coefficients are 1.
    """
    if clip is None:
        return -(lesson.weight * lesson.advantage * chosen).sum()
    ratio = torch.exp(chosen - lesson.old)
    limited = ratio.clamp(1.0 - clip, 1.0 + clip)
    return -(lesson.weight * torch.minimum(ratio * lesson.advantage, limited * lesson.advantage)).sum()


def preference_coefficients(mean_log_probability: Floats, objective: Floats, compared: int) -> Floats:
    """Coefficients of the mean log probabilities of one group's solutions in BOPO's loss (arXiv 2503.07580).

    The loss is the mean over pairs of -log sigmoid(s (m_best - m_other)), where the scale s is the other's objective
    over the best one's and m is a mean log probability. Its derivatives by all m, with the sign turned, are what
    REINFORCE takes for advantages, so one step with ``weighting`` "episode" is a step on that loss.

    Args:
        mean_log_probability: ``(solutions,)`` mean over the decisions of each solution.
        objective: ``(solutions,)``.
        compared: Solutions that are looked at, evenly spaced by objective; the best is paired with the others.
    """
    chosen = evenly_spaced(objective, compared)
    best, others = chosen[0], chosen[1:]
    others = others[objective[others] > objective[best]]
    coefficients = np.zeros(len(objective))
    if not len(others):
        return coefficients
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(objective[best] > 0, objective[others] / objective[best], 1.0)
    margin = scale * (mean_log_probability[best] - mean_log_probability[others])
    slope = scale / (1.0 + np.exp(np.clip(margin, -500.0, 500.0))) / len(others)
    coefficients[others] = -slope
    coefficients[best] = slope.sum()
    return coefficients
