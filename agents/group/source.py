"""Where the groups of an iteration begin: their instances, sorted by size, and the states of their lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.group.config import GroupConfig
from agents.group.experts import Beginnings, Demonstrations, Experts, demonstrate, make_experts
from agents.group.lanes import State, rows_of
from agents.group.pool import Pool
from agents.group.rollouts import Start
from agents.rollout import group_by_size
from envs.core import GraphVectorEnv, Problem, ProblemDefinition

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """The groups of one iteration.

    Attributes:
        starts: Where their lanes begin, one for each size.
        numbers: ``(groups,)`` number of the instance in the pool, -1 for one that comes once.
        proposed: Experts' solutions before the check.
        dropped: Those that did not pass it.
        expert_seconds: Time that experts took.
    """

    starts: list[Start]
    numbers: Integers
    proposed: int
    dropped: int
    expert_seconds: float


class GroupSource:
    """Draws the instances of every iteration, or takes them from the pool, and lays out their lanes.

    Args:
        definition: The problem.
        options: Options of its environment.
        env: Its lanes draw the instances, one each.
        config: The settings.
    """

    def __init__(
        self, definition: ProblemDefinition, options: Mapping[str, Any], env: GraphVectorEnv, config: GroupConfig
    ) -> None:
        """Fills the pool."""
        self._definition = definition
        self._options = dict(options)
        self._env = env
        self._config = config
        self._experts: Experts | None
        self._experts, brought = make_experts(definition, options, config.experts, config.expert_options)
        if not brought and config.pool:
            drawing = GraphVectorEnv(definition.bind(options), config.pool)
            drawing.reset(seed=[(config.seed << 32) + 1 + lane for lane in range(config.pool)])
            brought = [drawing.instance(lane) for lane in range(config.pool)]
        self.pool = Pool(brought, config) if brought else None
        self._bindings: dict[str, Problem[Any, Any, Any]] = {}

    def next(self, rng: np.random.Generator) -> Groups:
        """Returns the groups of the next iteration.

        Args:
            rng: Generator of the order of the pool and of the environment's own draws.
        """
        config = self._config
        if self.pool is None:
            instances = [self._env.instance(lane) for lane in range(config.instances)]
            numbers = np.full(len(instances), -1)
            counts = np.full(len(instances), config.rollouts)
        else:
            numbers = self.pool.next(min(config.instances, len(self.pool.instances)), rng)
            instances = [self.pool.instances[number] for number in numbers]
            counts = self.pool.budget(numbers)
        starts, proposed, dropped, seconds = [], 0, 0, 0.0
        sizes = group_by_size(self._definition, instances)
        merged = len(sizes) > config.size_classes
        for members in [np.arange(len(instances))] if merged else map(np.array, sizes):
            chosen = [instances[i] for i in members]
            own_draws = config.draws == "own" and config.replacement  # a beam is one of decisions, not of luck
            alone = own_draws and any(map(self._definition.stochastic, chosen))
            problem = self._bind(chosen, merged, alone)
            state, row = self._states(problem, chosen, members, counts[members], rng, alone)
            groups = np.repeat(members, counts[members])
            shown = None
            if self._experts is not None:
                first = np.unique(groups, return_index=True)[1]
                beginnings = Beginnings(problem, rows_of(state, row[first]), chosen, numbers[members])
                shown = demonstrate(self._definition, self._experts, beginnings)
                proposed += shown.proposed
                dropped += shown.proposed - int(shown.held.sum())
                seconds += shown.seconds
            starts.append(_start(problem, state, row, groups, shown, config.greedy))
        if self.pool is None:
            self._env.reset()
        return Groups(starts, numbers, proposed, dropped, seconds)

    def _bind(self, instances: Sequence[Any], merged: bool, alone: bool) -> Problem[Any, Any, Any]:
        """The problem at the capacity of some instances, the environment's own where that is the same.

        Bindings may keep every instance that was loaded into them, so new instances are loaded into new ones.
        """
        own = self._env.problem
        fit = {} if merged and self.pool is None else self._definition.fit(instances)
        key = repr(sorted(fit.items()))
        if key not in self._bindings or (alone and self.pool is None):
            others = {name: value for name, value in self._options.items() if name != "instances"}
            bound = self._definition.bind({**others, **fit} if fit else self._options)
            if self.pool is None and (alone or bound.spec.capacities != own.spec.capacities):
                return bound
            self._bindings[key] = own if self.pool is None else bound
        return self._bindings[key]

    def _states(
        self,
        problem: Problem[Any, Any, Any],
        instances: Sequence[Any],
        members: Integers,
        counts: Integers,
        rng: np.random.Generator,
        alone: bool,
    ) -> tuple[State, Integers]:
        """States at the start and the row of every lane: one a group, or one a lane where each has its own draws."""
        if alone:
            each = [instance for instance, count in zip(instances, counts, strict=True) for _ in range(count)]
            return _loaded(problem, each, rng), np.arange(len(each))
        own = problem is self._env.problem
        state = rows_of(self._env.state, members) if own else _loaded(problem, instances, rng)
        return state, np.repeat(np.arange(len(instances)), counts)


def _loaded(problem: Problem[Any, Any, Any], instances: Sequence[Any], rng: np.random.Generator) -> State:
    state = problem.allocate(len(instances))
    state.generator[...] = rng.integers(0, 2**64, len(instances), dtype=np.uint64)
    for lane, instance in enumerate(instances):
        problem.load(state, lane, instance)
    return tuple(state)


def _start(
    problem: Problem[Any, Any, Any],
    state: State,
    row: Integers,
    groups: Integers,
    shown: Demonstrations | None,
    greedy: bool,
) -> Start:
    """Lays out the lanes of the groups, and behind them those of the experts."""
    first = np.unique(groups, return_index=True)[1]
    marked = np.zeros(len(groups), np.bool_)
    marked[first] = greedy
    if shown is None:
        return Start(problem, state, row, groups, np.full((len(groups), 0), -1), marked)
    lanes = first[shown.held]
    steps = shown.choices.shape[1]
    return Start(
        problem,
        state,
        np.concatenate([row, row[lanes]]),
        np.concatenate([groups, groups[lanes]]),
        np.concatenate([np.full((len(groups), steps), -1), shown.choices[shown.held]]),
        np.concatenate([marked, np.zeros(len(lanes), np.bool_)]),
    )
