"""Dispatchers: whatever decides, event by event, what runs next, and the adapters of the classical rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from envs.core import GraphVectorEnv, Observation, Rule, UsageError
from envs.core.spec import ACTION_MASK


class Dispatcher(Protocol):
    """Decides in every lane of a vector environment at once."""

    @property
    def name(self) -> str:
        """Name that reports use."""
        ...

    def reset(self, env: GraphVectorEnv, observation: Observation) -> None:
        """Tells the dispatcher that new episodes began in all lanes; whatever it cached is stale."""
        ...

    def decide(self, env: GraphVectorEnv, observation: Observation) -> NDArray[np.int64]:
        """Returns one action a lane, ``(num_envs,)``; entries of finished lanes are ignored."""
        ...


Seeds = int | Sequence[int]
"""Seed of draws for all lanes together, or one seed a lane: then no lane's draws depend on its neighbours."""


class LaneDraws:
    """Random numbers for all lanes, from one generator or from one a lane.

    Args:
        seed: Seed of the one generator, or the seeds of the lanes' own.
    """

    def __init__(self, seed: Seeds) -> None:
        """Prepares the generators."""
        self._alone = isinstance(seed, int)
        self._generators = [np.random.default_rng(one) for one in ([seed] if isinstance(seed, int) else seed)]

    def uniform(self, lanes: int, count: int) -> NDArray[np.float64]:
        """Returns ``(lanes, count)`` numbers, uniform on [0, 1)."""
        if self._alone:
            return self._generators[0].random((lanes, count))
        return np.stack([generator.random(count) for generator in self._of(lanes)])

    def normal(self, lanes: int, count: int) -> NDArray[np.float64]:
        """Returns ``(lanes, count)`` standard normal numbers."""
        if self._alone:
            return self._generators[0].standard_normal((lanes, count))
        return np.stack([generator.standard_normal(count) for generator in self._of(lanes)])

    def _of(self, lanes: int) -> list[np.random.Generator]:
        if len(self._generators) != lanes:
            raise UsageError(f"there are {len(self._generators)} seeds for {lanes} lanes; expected one a lane")
        return self._generators


class RuleDispatcher:
    """Follows a dispatching rule: the legal candidate of least priority, ties to the smaller action index.

    With noise, every priority is multiplied by ``exp(noise * z)``, ``z`` standard normal and drawn afresh for each
    candidate of each decision, so that repeated episodes give different schedules close to the rule's own. A priority
    of zero is beyond the reach of the noise.

    Args:
        rule: The rule.
        noise: Standard deviation of the logarithm of the factor; 0 for the plain rule.
        seed: Seed of the noise, or one seed a lane.
    """

    def __init__(self, rule: Rule, noise: float = 0.0, seed: Seeds = 0) -> None:
        """Prepares the generator of the noise."""
        if not (np.isfinite(noise) and noise >= 0.0):
            raise UsageError(f"noise of rule {rule.name} is {noise}; expected a finite number of at least 0")
        self.name = rule.name
        self._rule = rule
        self._noise = noise
        self._draws = LaneDraws(seed)

    def reset(self, env: GraphVectorEnv, observation: Observation) -> None:
        """Has nothing to forget."""

    def decide(self, env: GraphVectorEnv, observation: Observation) -> NDArray[np.int64]:
        """Returns the action of least (noisy) priority in every lane."""
        priority = self._rule.priority(env.state)
        if self._noise > 0.0:
            priority = priority * np.exp(self._noise * self._draws.normal(*priority.shape))
        return least_legal(priority, observation[ACTION_MASK])


class RandomDispatcher:
    """Picks uniformly among the legal candidates.

    Args:
        seed: Seed of the choice, or one seed a lane.
    """

    name = "random"

    def __init__(self, seed: Seeds = 0) -> None:
        """Prepares the generators."""
        self._draws = LaneDraws(seed)

    def reset(self, env: GraphVectorEnv, observation: Observation) -> None:
        """Has nothing to forget."""

    def decide(self, env: GraphVectorEnv, observation: Observation) -> NDArray[np.int64]:
        """Returns a random legal action in every lane."""
        mask = observation[ACTION_MASK]
        return least_legal(self._draws.uniform(*mask.shape), mask)


def least_legal(priority: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Index of the least priority among the legal actions of each lane; an infinite one still beats an illegal one."""
    bounded = np.minimum(priority, np.finfo(np.float64).max)
    return np.asarray(np.where(mask, bounded, np.inf).argmin(axis=1), np.int64)
