"""Runs dispatchers over instances; no solution leaves this module unverified."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from agents.dispatcher import Dispatcher, Seeds
from envs.core import GraphVectorEnv, ProblemDefinition, UsageError

MAX_LANES = 128
"""Lanes that run side by side unless the caller says otherwise; bounds the memory of an evaluation."""


class VerificationError(RuntimeError):
    """A solution is invalid, or its objective is not what was claimed: a fault of the program, never of its user."""


@dataclass(frozen=True)
class Outcome:
    """What a dispatcher made of one instance.

    Attributes:
        instance: The instance.
        solution: The verified solution, the best one if several were sampled.
        objective: Its objective, as recomputed by the independent verifier.
        decisions: Decisions asked of the dispatcher, summed over all samples; after the first of an episode, those
            with a single legal action are left to the environment.
        wall_seconds: Time for observing, deciding and stepping. Where several episodes ran side by side, the
            episode's share of it by its number of decisions.
        seed: Seed of the run.
    """

    instance: Any
    solution: Any
    objective: float
    decisions: int
    wall_seconds: float
    seed: int = 0

    @property
    def ms_per_decision(self) -> float:
        """Mean milliseconds a decision, the environment's step included."""
        return 1000.0 * self.wall_seconds / self.decisions


def roll_out(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    instances: Sequence[Any],
    dispatcher: Dispatcher,
    *,
    seed: Seeds = 0,
    max_lanes: int = MAX_LANES,
    skip_forced: bool = True,
) -> list[Outcome]:
    """Runs every instance once, instances of one size side by side, and returns the outcomes in the given order.

    The environment's own draws (arrivals, noise) depend on the seed alone, so that all dispatchers meet the same.

    Args:
        definition: The problem.
        options: Options of the environment; capacities are added to fit the instances.
        instances: What to run.
        dispatcher: What decides.
        seed: Seed of the lanes' own generators, the same for every lane or one for each of ``instances``; an outcome
            does not depend on which other instances ran beside it.
        max_lanes: Most instances to run side by side.
        skip_forced: Leave decisions with a single legal action to the environment.
    """
    seeds = [seed] * len(instances) if isinstance(seed, int) else list(seed)
    if len(seeds) != len(instances):
        raise UsageError(f"seed has {len(seeds)} entries for {len(instances)} instances; expected one for each")
    outcomes: dict[int, Outcome] = {}
    for group in group_by_size(definition, instances):
        for start in range(0, len(group), max_lanes):
            indices = group[start : start + max_lanes]
            chosen = [instances[i] for i in indices]
            env = _environment(definition, options, chosen, skip_forced)
            run = _run(env, chosen, dispatcher, [_lane_seed(seeds[i], 0) for i in indices])
            for lane, i in enumerate(indices):
                outcomes[i] = _outcome(definition, env, lane, instances[i], run, seeds[i])
    return [outcomes[i] for i in range(len(instances))]


def best_of(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    instance: Any,
    dispatcher: Dispatcher,
    samples: int,
    *,
    seed: int = 0,
    max_lanes: int = MAX_LANES,
    time_limit: float = math.inf,
) -> Outcome:
    """Runs one instance ``samples`` times with a dispatcher that draws, and returns the best outcome.

    Args:
        definition: The problem.
        options: Options of the environment; capacities are added to fit the instance.
        instance: What to run.
        dispatcher: What decides; its draws must differ from lane to lane.
        samples: Number of episodes.
        seed: Seed of the lanes' own generators, which differ from lane to lane.
        max_lanes: Most episodes to run side by side.
        time_limit: Seconds after which no further episodes are begun; those that run side by side come to their ends.

    Raises:
        UsageError: The environment draws at random on this instance: the best of several episodes would be the one with
            the luckiest draws.
    """
    if samples < 1:
        raise UsageError(f"samples is {samples}; expected at least 1")
    check_samples(definition, instance, samples)
    best: Outcome | None = None
    decisions, wall_seconds = 0, 0.0
    for start in range(0, samples, max_lanes):
        copies = [instance] * min(max_lanes, samples - start)
        env = _environment(definition, options, copies)
        run = _run(env, copies, dispatcher, [_lane_seed(seed, start + lane) for lane in range(len(copies))])
        decisions += int(run.decisions.sum())
        wall_seconds += run.wall_seconds
        lane = int(run.objectives.argmin())
        if best is None or run.objectives[lane] < best.objective:
            best = _outcome(definition, env, lane, instance, run, seed)
        if wall_seconds >= time_limit:
            break
    assert best is not None
    return replace(best, decisions=decisions, wall_seconds=wall_seconds)


def check_samples(definition: ProblemDefinition, instance: Any, samples: int) -> None:
    """Checks that the best of so many episodes means something.

    Raises:
        UsageError: There are several, and the environment itself draws at random on this instance.
    """
    if samples > 1 and definition.stochastic(instance):
        raise UsageError(
            f"samples is {samples}, but the environment draws at random while it runs {instance.name}, so that the "
            "best episode is the luckiest one; expected 1"
        )


def verified_objective(definition: ProblemDefinition, instance: Any, solution: Any, claimed: float) -> float:
    """Returns the objective by the independent verifier.

    Raises:
        VerificationError: The solution is invalid or its objective differs from the ``claimed`` one.
    """
    try:
        objective = definition.verify(instance, solution)
    except UsageError as error:
        raise VerificationError(f"{instance.name}: the solution is invalid: {error}") from error
    if not math.isclose(objective, claimed, rel_tol=1e-9, abs_tol=1e-9):
        raise VerificationError(
            f"{instance.name}: {definition.objective_name} claimed is {claimed}, the verifier finds {objective}"
        )
    return float(objective)


@dataclass(frozen=True)
class _Run:
    """Arrays by lane of one batch of finished episodes."""

    objectives: np.ndarray[Any, np.dtype[np.float64]]
    decisions: np.ndarray[Any, np.dtype[np.int64]]
    wall_seconds: float


def group_by_size(definition: ProblemDefinition, instances: Sequence[Any]) -> list[list[int]]:
    """Returns the indices of the instances, grouped by the capacity that each of them needs."""
    groups: dict[str, list[int]] = {}
    for i, instance in enumerate(instances):
        groups.setdefault(repr(sorted(definition.fit([instance]).items())), []).append(i)
    return list(groups.values())


def _environment(
    definition: ProblemDefinition, options: Mapping[str, Any], instances: Sequence[Any], skip_forced: bool = True
) -> GraphVectorEnv:
    problem = definition.bind({**options, **definition.fit(instances)})
    return GraphVectorEnv(
        problem, len(instances), copy=False, skip_forced=skip_forced, autoreset_mode=AutoresetMode.DISABLED
    )


def _lane_seed(seed: int, sample: int) -> int:
    """Seeds that no two samples of any two runs share."""
    return (seed << 32) + sample


def _run(env: GraphVectorEnv, instances: Sequence[Any], dispatcher: Dispatcher, seeds: list[int]) -> _Run:
    """Runs one episode in every lane; a first step, thrown away, keeps compilation out of the time."""
    start: dict[str, Any] = {"seed": seeds, "options": {"instances": instances}}
    observation, info = env.reset(**start)
    dispatcher.reset(env, observation)
    env.step(dispatcher.decide(env, observation))

    began = time.perf_counter()
    observation, info = env.reset(**start)
    dispatcher.reset(env, observation)
    running = np.ones(len(instances), np.bool_)
    decisions = np.zeros(len(instances), np.int64)
    while running.any():
        actions = dispatcher.decide(env, observation)
        decisions += running
        observation, _, terminated, _, info = env.step(actions)
        refused = np.flatnonzero(info["invalid_action"] & running)
        if len(refused):
            lane = int(refused[0])
            raise UsageError(f"{dispatcher.name} took the illegal action {actions[lane]} on {instances[lane].name}")
        running &= ~terminated
    return _Run(info["objective"], decisions, time.perf_counter() - began)


def _outcome(
    definition: ProblemDefinition, env: GraphVectorEnv, lane: int, instance: Any, run: _Run, seed: int
) -> Outcome:
    solution = env.solution(lane)
    objective = verified_objective(definition, instance, solution, float(run.objectives[lane]))
    decisions = int(run.decisions[lane])
    share = decisions / int(run.decisions.sum())
    return Outcome(instance, solution, objective, decisions, run.wall_seconds * share, seed)
