"""From the rollouts of an iteration to what is learnt from them: advantages, selection, weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.group.advantages import advantages, group_spreads
from agents.group.config import GroupConfig
from agents.group.losses import preference_coefficients
from agents.group.rollouts import Rollouts
from agents.group.selection import best_of_groups, most_different, most_important, share_of

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """What of the rollouts of one size is learnt.

    Attributes:
        rollouts: The rollouts.
        advantage: ``(lanes,)`` coefficients.
        keep: ``(lanes, steps)`` decisions that are learnt from.
        weight: ``(lanes,)`` how much each of a lane's decisions counts.
    """

    rollouts: Rollouts
    advantage: Floats
    keep: Flags
    weight: Floats


class Batch:
    """The lanes of all sizes laid end to end.

    Attributes:
        group: ``(lanes,)`` number of the group.
        objective: ``(lanes,)`` objectives of the solutions.
        unit: ``(lanes,)`` units of reward.
        first: ``(lanes,)`` objectives as they stood at the start.
        expert: ``(lanes,)`` lanes of experts.
        present: ``(lanes,)`` lanes that hold a solution.
        lengths: ``(lanes,)`` decisions.
    """

    def __init__(self, rollouts: Sequence[Rollouts]) -> None:
        """Lays them out."""
        self.rollouts = list(rollouts)
        self.group = np.concatenate([each.start.group for each in rollouts])
        self.objective = np.concatenate([each.objective for each in rollouts])
        self.unit = np.concatenate([each.unit for each in rollouts])
        self.first = np.concatenate([each.first for each in rollouts])
        self.expert = np.concatenate([each.expert for each in rollouts])
        self.lengths = np.concatenate([each.lengths for each in rollouts])
        self.present = self.lengths > 0

    def split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Cuts an array over all lanes into those of the sizes."""
        ends = np.cumsum([len(each.lengths) for each in self.rollouts])
        return np.split(values, ends[:-1])


def plan(config: GroupConfig, batch: Batch, remaining: float, rng: np.random.Generator) -> list[Plan]:
    """Decides what is learnt when a share ``remaining`` of the training is still to come."""
    if config.selection == "pairs":
        coefficient = _preferences(config, batch)
    elif config.update == "cross_entropy":
        coefficient = np.ones(len(batch.group))
    else:
        coefficient = advantages(config, batch.objective, batch.unit, batch.group, batch.expert, batch.present)
    chosen = _solutions(config, batch, coefficient, remaining, rng)
    free = [_choices(each) for each in batch.rollouts]
    keep = [mask & kept[:, None] for mask, kept in zip(free, batch.split(chosen), strict=True)]
    if config.selection in ("max_variance", "random"):
        share = config.shares_at(remaining)[1]
        if config.selection == "random":
            scores = [rng.random(mask.shape) for mask in keep]
        else:
            pieces = zip(batch.split(coefficient), batch.rollouts, strict=True)
            scores = [np.abs(piece)[:, None] * each.entropies.astype(np.float64) for piece, each in pieces]
        keep = most_important(scores, keep, share)
    trained = np.concatenate([mask.sum(axis=1) for mask in keep])
    weight = np.ones(len(trained))
    if config.weighting == "episode" and trained.any():
        weight = trained[trained > 0].mean() / np.maximum(trained, 1)
    return [
        Plan(*parts) for parts in zip(batch.rollouts, batch.split(coefficient), keep, batch.split(weight), strict=True)
    ]


def silent_groups(batch: Batch) -> float:
    """Share of the groups whose solutions are all worth the same, so that they say nothing."""
    spread = group_spreads(batch.objective / batch.unit, batch.group, batch.present)
    return 1.0 - len(np.unique(batch.group[spread > 1e-8])) / len(np.unique(batch.group))


def _solutions(
    config: GroupConfig, batch: Batch, coefficient: Floats, remaining: float, rng: np.random.Generator
) -> Flags:
    """Marks the lanes that are learnt from."""
    if config.selection == "best":
        return best_of_groups(batch.objective, batch.group, batch.present)
    if config.selection not in ("max_variance", "random"):
        return np.asarray(batch.present & (coefficient != 0), np.bool_)
    lanes = np.flatnonzero(batch.present)
    count = share_of(len(lanes), config.shares_at(remaining)[0])
    if config.selection == "random":
        chosen = rng.choice(len(lanes), count, replace=False)
    else:
        chosen = most_different(coefficient[lanes], count)
    marked = np.zeros(len(batch.group), np.bool_)
    marked[lanes[chosen]] = True
    return marked


def _choices(each: Rollouts) -> Flags:
    """Marks the decisions, ``(lanes, steps)``, in which there was a choice."""
    return np.asarray(each.free & (np.arange(each.free.shape[1]) < each.lengths[:, None]), np.bool_)


def _preferences(config: GroupConfig, batch: Batch) -> Floats:
    free = [_choices(each) for each in batch.rollouts]
    pairs = list(zip(batch.rollouts, free, strict=True))
    sums = np.concatenate([np.where(mask, each.log_probabilities, 0.0).sum(axis=1) for each, mask in pairs])
    means = sums / np.maximum(np.concatenate([mask.sum(axis=1) for mask in free]), 1)
    coefficient = np.zeros(len(batch.group))
    for number in np.unique(batch.group):
        members = np.flatnonzero((batch.group == number) & batch.present)
        coefficient[members] = preference_coefficients(means[members], batch.objective[members], config.compared)
    return coefficient
