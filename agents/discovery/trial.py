"""How good formulas are: the mean objective over drawn instances, many formulas side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from agents.discovery.features import readers
from agents.discovery.rule import Formulas
from agents.dispatcher import RuleDispatcher, least_legal
from agents.rollout import group_by_size, roll_out
from envs.core import GraphVectorEnv, Observation, ProblemDefinition
from envs.core.spec import ACTION_MASK

MAX_LANES = 512

_PROBES = 200
"""Observations by which formulas that decide alike are told."""


def scales_of(
    definition: ProblemDefinition, options: Mapping[str, Any], instances: Sequence[Any], measure: str, seed: int
) -> list[float]:
    """Returns what objectives of the instances are divided by, see `agents.discovery.config.DiscoveryConfig.measure`.

    Of the least objectives of the rules none counts for less than a fiftieth of their mean, so that those of (nearly)
    zero do not decide alone.
    """
    if measure == "unit":
        env = GraphVectorEnv(definition.bind({**options, **definition.fit(instances)}), len(instances))
        _, info = env.reset(seed=seed, options={"instances": list(instances)})
        units: list[float] = info["reward_unit"].tolist()
        return units
    least = np.full(len(instances), np.inf)
    for rule in definition.rules.values():
        outcomes = roll_out(definition, options, instances, RuleDispatcher(rule), seed=seed)
        least = np.minimum(least, [outcome.objective for outcome in outcomes])
    floored: list[float] = np.maximum(least, max(0.02 * float(least.mean()), 1e-9)).tolist()
    return floored


class Trial:
    """Runs formulas on fixed instances.

    Args:
        definition: The problem.
        options: Options of the environment.
        instances: The instances.
        scales: What their objectives are divided by.
        seed: Seed of what the environment draws, the same for every formula.
    """

    def __init__(
        self,
        definition: ProblemDefinition,
        options: Mapping[str, Any],
        instances: Sequence[Any],
        scales: Sequence[float],
        seed: int,
    ) -> None:
        """Groups the instances by size."""
        self._definition, self._options, self._seed = definition, dict(options), seed
        groups = group_by_size(definition, instances)
        self._groups = [[instances[i] for i in group] for group in groups]
        self._scales = [np.array([scales[i] for i in group]) for group in groups]
        self._envs: dict[tuple[int, int], GraphVectorEnv] = {}
        self._probes: list[Observation] = []

    def costs(self, rules: Sequence[Formulas]) -> NDArray[np.float64]:
        """Returns the mean objective over its scale, one a rule."""
        sums, count = np.zeros(len(rules)), 0
        for number, group in enumerate(self._groups):
            at_once = max(1, MAX_LANES // len(group))
            for start in range(0, len(rules), at_once):
                chosen = rules[start : start + at_once]
                sums[start : start + at_once] += self._run(number, chosen).sum(axis=1)
            count += len(group)
        return sums / count

    def signature(self, rule: Formulas) -> bytes:
        """Returns what the rule decides on observations of random episodes: two with the same decide alike there."""
        if not self._probes:
            self._probes = self._collect()
        spec = self._env(0, 1).problem.spec
        known = readers(spec)
        actions = [
            least_legal(rule.priorities(spec, known, observation), observation[ACTION_MASK])
            for observation in self._probes
        ]
        return np.concatenate(actions).astype(np.int32).tobytes()

    def _env(self, number: int, copies: int) -> GraphVectorEnv:
        if (number, copies) not in self._envs:
            group = self._groups[number]
            problem = self._definition.bind({**self._options, **self._definition.fit(group)})
            self._envs[number, copies] = GraphVectorEnv(
                problem, copies * len(group), copy=False, skip_forced=True, autoreset_mode=AutoresetMode.DISABLED
            )
        return self._envs[number, copies]

    def _run(self, number: int, rules: Sequence[Formulas]) -> NDArray[np.float64]:
        """Objectives over their scales, ``(rules, instances)``."""
        group = self._groups[number]
        env = self._env(number, len(rules))
        spec, lanes = env.problem.spec, len(group)
        known = readers(spec)
        observation, _ = env.reset(seed=[self._seed] * env.num_envs, options={"instances": group * len(rules)})
        running = np.ones(env.num_envs, np.bool_)
        while running.any():
            priorities = []
            for k, rule in enumerate(rules):
                own = {key: array[k * lanes : (k + 1) * lanes] for key, array in observation.items()}
                priorities.append(rule.priorities(spec, known, own))
            actions = least_legal(np.concatenate(priorities), observation[ACTION_MASK])
            observation, _, terminated, _, info = env.step(actions)
            running &= ~terminated
        scaled: NDArray[np.float64] = np.asarray(info["objective"]).reshape(len(rules), lanes) / self._scales[number]
        return scaled

    def _collect(self) -> list[Observation]:
        """Observations along random episodes, from the first group."""
        env, rng = self._env(0, 1), np.random.default_rng(self._seed)
        observation, _ = env.reset(seed=[self._seed] * env.num_envs, options={"instances": self._groups[0]})
        running = np.ones(env.num_envs, np.bool_)
        seen: list[Observation] = []
        while running.any():
            mask = observation[ACTION_MASK]
            seen.append({key: array[running].copy() for key, array in observation.items()})
            observation, _, terminated, _, _ = env.step(least_legal(rng.random(mask.shape), mask))
            running &= ~terminated
        joined = {key: np.concatenate([each[key] for each in seen]) for key in seen[0]}
        several = np.flatnonzero(joined[ACTION_MASK].sum(axis=1) > 1)
        chosen = rng.choice(several, min(_PROBES, len(several)), replace=False)
        return [{key: array[chosen] for key, array in joined.items()}]
