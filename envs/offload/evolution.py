"""Fronts of open-loop plans by pymoo, an optional dependency."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.offload.types import Floats, Indices


def evolve(
    judge: Callable[[NDArray[np.int64]], Floats],
    horizon: int,
    servers: int,
    population: int,
    generations: int,
    seed: int,
) -> tuple[Indices, Floats]:
    """Returns the non-dominated plans that NSGA-II finds.

    The first generation sends tasks to the cloud with probabilities spread evenly over it.

    Args:
        judge: Maps ``(plans, horizon)`` servers to ``(plans, criteria)`` costs.
        horizon: Steps.
        servers: Number of servers.
        population: Plans in a generation.
        generations: Generations.
        seed: Seed of all draws.

    Returns:
        ``(plans, horizon)`` servers and ``(plans, criteria)`` costs.

    Raises:
        UsageError: pymoo is not installed.
    """
    try:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.problem import Problem
        from pymoo.operators.crossover.ux import UniformCrossover
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.repair.rounding import RoundingRepair
        from pymoo.optimize import minimize
    except ImportError:
        raise UsageError("nsga2 needs pymoo; expected it to be installed (pip install 'dispatchlab[fronts]')") from None
    random = np.random.default_rng(seed)
    cloud = np.linspace(0.0, 1.0, population)[:, None] ** 2
    edges = random.integers(1, max(servers, 2), (population, horizon)) % servers
    first = np.where(random.random((population, horizon)) < cloud, 0, edges)
    count = judge(first[:1]).shape[1]

    class Plans(Problem):  # type: ignore[misc]  # pymoo has no types
        """Integer plans, judged a generation at a time."""

        def __init__(self) -> None:
            super().__init__(n_var=horizon, n_obj=count, xl=0, xu=servers - 1, vtype=int)

        def _evaluate(self, plans: NDArray[np.int64], out: dict[str, Floats], *_: object, **__: object) -> None:
            out["F"] = judge(plans.astype(np.int64))

    algorithm = NSGA2(
        pop_size=population,
        sampling=first,
        crossover=UniformCrossover(),
        mutation=PM(prob=1.0, prob_var=2.0 / horizon, eta=1.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    result = minimize(Plans(), algorithm, ("n_gen", generations), seed=seed, verbose=False)
    return np.atleast_2d(result.X).astype(np.int64), np.atleast_2d(result.F)
