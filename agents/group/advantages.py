"""From the objectives of a group's solutions to their advantages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.group.config import GroupConfig

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]
_TINY = 1e-8


def group_means(values: Floats, group: Integers, among: Flags) -> Floats:
    """Mean of the group over the lanes marked in ``among``, for every lane; 0 where there are none."""
    groups = int(group.max()) + 1
    sums = np.bincount(group, np.where(among, values, 0.0), groups)
    counts = np.bincount(group, among.astype(np.float64), groups)
    means: Floats = (sums / np.maximum(counts, 1.0))[group]
    return means


def group_spreads(values: Floats, group: Integers, among: Flags) -> Floats:
    """Standard deviation (of the population) of the group over the lanes in ``among``, for every lane."""
    deviations = np.where(among, values - group_means(values, group, among), 0.0)
    return np.sqrt(group_means(deviations**2, group, among))


def relative(rewards: Floats, group: Integers, among: Flags, kind: str) -> Floats:
    """Advantages of lanes within their groups.

    Args:
        rewards: ``(lanes,)``, larger is better.
        group: ``(lanes,)`` number of the group.
        among: ``(lanes,)`` lanes that the statistics are taken over.
        kind: "mean", "normalised" or "leave_one_out".

    Returns:
        ``(lanes,)``; 0 where all of a group are alike.
    """
    centred = rewards - group_means(rewards, group, among)
    if kind == "mean":
        return centred
    if kind == "normalised":
        spread = group_spreads(rewards, group, among)
        return np.where(spread > _TINY, centred / np.maximum(spread, _TINY), 0.0)
    count = np.bincount(group, among.astype(np.float64))[group]
    return np.where(among, centred * count / np.maximum(count - 1.0, 1.0), centred)


def qualities(objective: Floats, unit: Floats, group: Integers, expert: Flags) -> Floats:
    """Quality of every lane beside its group's expert: the expert's objective over the lane's own.

    1 is as good as the expert. Where an objective is not positive, so that a ratio means nothing, one minus the
    difference in units of reward, at least 0.
    """
    best = np.full(int(group.max()) + 1, np.inf)
    np.minimum.at(best, group[expert], objective[expert])
    reference = best[group]
    known = np.isfinite(reference)
    reference = np.where(known, reference, objective)
    positive = np.ones(len(best), np.bool_)
    np.logical_and.at(positive, group, (objective > 0) & (reference > 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = reference / objective
    difference = np.maximum(1.0 - (objective - reference) / unit, 0.0)
    return np.where(positive[group], ratio, difference)


def bent(quality: Floats, threshold: float, compress: float, expand: float) -> Floats:
    """The non-linear shaping of TempSamp-R1 (arXiv 2509.18056, eq. 5): flat above the threshold, steep below.

    Args:
        quality: Qualities, about 0 to 1.
        threshold: Where it bends.
        compress: Factor on the logarithm above.
        expand: Rate of the exponential below.
    """
    above = threshold + compress * np.log1p(np.maximum(quality - threshold, 0.0))
    below = threshold - np.expm1(expand * np.maximum(threshold - quality, 0.0)) / np.expm1(expand)
    return np.where(quality >= threshold, above, below)


def advantages(
    config: GroupConfig, objective: Floats, unit: Floats, group: Integers, expert: Flags, present: Flags
) -> Floats:
    """Advantages of all lanes.

    Args:
        config: The settings.
        objective: ``(lanes,)`` objectives of the solutions.
        unit: ``(lanes,)`` units of reward.
        group: ``(lanes,)`` number of the group.
        expert: ``(lanes,)`` lanes of experts.
        present: ``(lanes,)`` lanes that hold a solution.
    """
    rewards = -config.reward_scale * objective / unit
    helped = np.zeros(int(group.max()) + 1, np.bool_)
    helped[group[expert & present]] = True
    if config.shaping == "anchor":
        result = relative(rewards, group, present & ~expert, config.advantage)
        best = np.zeros(len(helped))
        np.maximum.at(best, group, np.where(present & ~expert, result, 0.0))
        result = np.where(expert, config.anchor * best[group], result)
    elif config.shaping == "joint" or not helped.any():
        result = relative(rewards, group, present, config.advantage)
    else:
        quality = qualities(objective, unit, group, expert & present)
        if config.shaping == "downscale":
            quality = np.where(expert, np.minimum(quality, config.cap), quality)
        else:
            quality = bent(quality, config.threshold, config.compress, config.expand)
        shaped = np.where(helped[group], config.reward_scale * quality, rewards)
        result = relative(shaped, group, present, config.advantage)
    return np.where(present, result, 0.0)
