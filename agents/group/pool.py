"""The instances of an iteration: new ones, or those of a pool, of which is remembered how they went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.group.budget import binary_budget, variance_budget
from agents.group.config import GroupConfig

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Pool:
    """Instances that come again and again, every one once before any comes twice.

    Attributes:
        instances: The instances.
        visits: ``(instances,)`` how often each was trained on.
        success: ``(instances,)`` remembered rates of success.
        variance: ``(instances,)`` remembered variances of the objective in squared units of reward.
        room: ``(instances,)`` remembered distances of the mean objective to the bound, from 0 to 1.
        incumbent: ``(instances,)`` least objective so far.

    Args:
        instances: The instances.
        config: The settings.
    """

    def __init__(self, instances: Sequence[Any], config: GroupConfig) -> None:
        """Remembers nothing yet."""
        self.instances = list(instances)
        self.config = config
        count = len(self.instances)
        self.visits = np.zeros(count, np.int64)
        self.success = np.zeros(count)
        self.variance = np.zeros(count)
        self.room = np.ones(count)
        self.incumbent = np.full(count, np.inf)
        self._waiting = np.zeros(0, np.int64)

    def next(self, count: int, rng: np.random.Generator) -> Integers:
        """Returns the numbers of the next ``count`` instances, all different."""
        while len(self._waiting) < count:
            fresh = rng.permutation(len(self.instances))
            late = np.isin(fresh, self._waiting)
            self._waiting = np.concatenate([self._waiting, fresh[~late], fresh[late]])
        chosen, self._waiting = self._waiting[:count], self._waiting[count:]
        return chosen

    def budget(self, chosen: Integers) -> Integers:
        """Returns how many solutions each of the chosen instances gets; new ones get the mean."""
        config = self.config
        counts = np.full(len(chosen), config.rollouts, np.int64)
        known = self.visits[chosen] > 0
        if config.budget == "uniform" or not known.any():
            return counts
        old = chosen[known]
        limits = (config.rollouts * len(old), config.budget_low, config.budget_high)
        if config.budget == "binary":
            counts[known] = binary_budget(self.success[old], *limits)
        else:
            counts[known] = variance_budget(self.variance[old], self.room[old], *limits)
        return counts

    def remember(self, number: int, objective: Floats, first: float, unit: float, improves: bool) -> None:
        """Takes note of a visit.

        Args:
            number: Number of the instance.
            objective: Objectives of its sampled solutions.
            first: Objective at the start: a bound, unless the problem improves a solution.
            unit: Unit of reward.
            improves: Whether it does.
        """
        goal = first if self.config.success == "bound" else self.incumbent[number]
        reached = objective <= goal + self.config.margin * abs(goal) if np.isfinite(goal) else objective < np.inf
        success = float(np.mean(reached)) if np.isfinite(goal) else 0.5
        mean = float(objective.mean())
        room = 1.0 if improves or mean <= 0 else float(np.clip((mean - first) / mean, 0.0, 1.0))
        share = self.config.forgetting if self.visits[number] else 1.0
        for memory, value in ((self.success, success), (self.variance, float(np.var(objective / unit)))):
            memory[number] += share * (value - memory[number])
        self.room[number] += share * (room - self.room[number])
        self.incumbent[number] = min(self.incumbent[number], float(objective.min()))
        self.visits[number] += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns all that is remembered, by name."""
        names = ("visits", "success", "variance", "room", "incumbent")
        return {**{name: getattr(self, name) for name in names}, "waiting": self._waiting}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes over what `arrays` returned."""
        for name in ("visits", "success", "variance", "room", "incumbent"):
            if arrays[name].shape != getattr(self, name).shape:
                raise ValueError(f"{name} is for {len(arrays[name])} instances; expected {len(self.instances)}")
            setattr(self, name, np.array(arrays[name]))
        self._waiting = np.array(arrays["waiting"])
