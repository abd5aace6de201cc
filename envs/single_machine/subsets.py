"""Dynamic programming over subsets of jobs: the optimum for up to 25 jobs that are all there at the beginning.

The least cost of doing a set of jobs first does not depend on what follows (Held and Karp 1962, SIAM J. Applied
Mathematics 10; Lawler 1964).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.problem import Solver, SolverResult
from envs.single_machine.types import JobOrder, SingleMachineInstance

MOST_JOBS = 25


@njit(cache=True, nogil=True)
def _optimum(
    time: NDArray[np.int64], weight: NDArray[np.int64], due: NDArray[np.int64], order: NDArray[np.int64]
) -> int:
    jobs = time.shape[0]
    cost = np.zeros(1 << jobs, np.int64)
    for chosen in range(1, 1 << jobs):
        finished = 0
        for j in range(jobs):
            if chosen >> j & 1:
                finished += time[j]
        least = np.int64(2**62)
        for j in range(jobs):
            if chosen >> j & 1:
                least = min(least, cost[chosen ^ (1 << j)] + weight[j] * max(0, finished - due[j]))
        cost[chosen] = least
    chosen = (1 << jobs) - 1
    for place in range(jobs - 1, -1, -1):
        finished = 0
        for j in range(jobs):
            if chosen >> j & 1:
                finished += time[j]
        for j in range(jobs):
            before = chosen ^ (1 << j)
            if chosen >> j & 1 and cost[before] + weight[j] * max(0, finished - due[j]) == cost[chosen]:
                order[place], chosen = j, before
                break
    least_of_all: int = cost[-1]
    return least_of_all


@dataclass(frozen=True)
class _DynamicProgramming:
    def __call__(self, instance: SingleMachineInstance, /, *, seed: int = 0) -> SolverResult:
        if instance.jobs > MOST_JOBS:
            raise UsageError(
                f"{instance.name} has {instance.jobs} jobs; dynamic programming over subsets takes at most {MOST_JOBS}"
            )
        if instance.release.any():
            raise UsageError(f"{instance.name} has release times; dynamic programming over subsets takes none")
        order = np.empty(instance.jobs, np.int64)
        cost = float(_optimum(instance.time, instance.weight, instance.due, order))
        return SolverResult(JobOrder(order), cost, cost, "optimal")


def dynamic_programming() -> Solver:
    """Returns a solver that finds the optimum of up to `MOST_JOBS` jobs without release times.

    With 25 jobs it takes 256 MiB and some seconds, and half of that with each job less.
    """
    return _DynamicProgramming()
