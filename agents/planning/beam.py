"""The best of several solutions of one instance that all differ, drawn by stochastic beam search."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from agents.group.rollouts import Start, collect
from agents.policy_dispatcher import PolicyDispatcher
from agents.rollout import Outcome, check_samples, verified_objective
from envs.core import GraphVectorEnv, ProblemDefinition


def best_of_beam(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    instance: Any,
    policy: PolicyDispatcher,
    samples: int,
    *,
    seed: int = 0,
) -> Outcome:
    """Draws solutions without replacement and returns the best one.

    The solutions are the exact Gumbel top-k sample of Kool, van Hoof and Welling 2019 ("Stochastic beams and where to
    find them"): partial solutions are advanced side by side, so that memory grows with the number of samples.

    Args:
        definition: The problem.
        options: Options of the environment; capacities are added to fit the instance.
        instance: What to solve.
        policy: The policy to draw from.
        samples: Number of solutions; fewer, if there are not as many.
        seed: Seed of the draws.

    Raises:
        UsageError: The environment draws at random on this instance.
    """
    check_samples(definition, instance, samples)
    problem = definition.bind({**options, **definition.fit([instance])})
    state = problem.allocate(1)
    problem.load(state, 0, instance)
    lanes = np.zeros(samples, np.int64)
    start = Start(problem, state, lanes, lanes, np.empty((samples, 0), np.int64), np.zeros(samples, np.bool_))
    began = time.perf_counter()
    rollouts = collect(policy.network, start, torch.Generator().manual_seed(seed), replacement=False)
    wall_seconds = time.perf_counter() - began
    assert rollouts is not None
    finished = rollouts.lengths > 0
    lane = int(np.where(finished, rollouts.objective, np.inf).argmin())
    env = GraphVectorEnv(problem, 1, skip_forced=True, autoreset_mode=AutoresetMode.DISABLED, strict=True)
    env.reset(seed=0, options={"instances": [instance]})
    for action in rollouts.actions[lane, : rollouts.lengths[lane]]:
        env.step(np.array([action]))
    solution = env.solution(0)
    objective = verified_objective(definition, instance, solution, float(rollouts.objective[lane]))
    return Outcome(instance, solution, objective, int(rollouts.lengths.sum()), wall_seconds, seed)
