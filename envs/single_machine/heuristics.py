"""Constructive heuristics that a dispatching rule is part of: the augmented rules of Bean and Hall.

After every job that the rule appends, each earlier one is tried at the end of the partial order, and the move that
lowers its cost most is kept. Bean and Hall, "Accuracy of the modified due date rule", technical report, University of
Michigan, 1985; the way of Cetinkaya et al. 2025 (arXiv 2510.24013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.problem import Solver, SolverResult
from envs.single_machine.priorities import KINDS, STATIC, best, write_priorities
from envs.single_machine.types import JobOrder, SingleMachineInstance

Integers = NDArray[np.int64]


@njit(cache=True, nogil=True)
def cost_of(order: Integers, time: Integers, weight: Integers, due: Integers, release: Integers) -> int:
    """Returns the weighted tardiness of jobs in an order."""
    clock, cost = 0, 0
    for job in order:
        clock = max(clock, release[job]) + time[job]
        cost += weight[job] * max(0, clock - due[job])
    return cost


@njit(cache=True, nogil=True)
def _augmented(
    kind: int, look_ahead: float, time: Integers, weight: Integers, due: Integers, release: Integers
) -> Integers:
    jobs = time.shape[0]
    order, trial = np.empty(jobs, np.int64), np.empty(jobs, np.int64)
    left, free, priority = np.ones(jobs, np.bool_), np.empty(jobs, np.bool_), np.empty(jobs)
    clock = 0
    for count in range(1, jobs + 1):
        first = 2**62
        for j in range(jobs):
            if left[j]:
                first = min(first, release[j])
        clock = max(clock, first)
        for j in range(jobs):
            free[j] = left[j] and release[j] <= clock
        write_priorities(kind, look_ahead, time, weight, due, free, clock, priority)
        job = best(priority, due, time, free)
        left[job] = False
        order[count - 1] = job
        least, moved = cost_of(order[:count], time, weight, due, release), -1
        for place in range(count - 1):
            trial[:place] = order[:place]
            trial[place : count - 1] = order[place + 1 : count]
            trial[count - 1] = order[place]
            cost = cost_of(trial[:count], time, weight, due, release)
            if cost < least:
                least, moved = cost, place
        if moved >= 0:
            job = order[moved]
            order[moved : count - 1] = order[moved + 1 : count].copy()
            order[count - 1] = job
        clock = 0
        for place in range(count):
            clock = max(clock, release[order[place]]) + time[order[place]]
    return order


@dataclass(frozen=True)
class _Augmented:
    rule: str
    look_ahead: float

    def __call__(self, instance: SingleMachineInstance, /, *, seed: int = 0) -> SolverResult:
        jobs = (instance.time, instance.weight, instance.due, instance.release)
        order = _augmented(KINDS.index(self.rule), self.look_ahead, *jobs)
        return SolverResult(JobOrder(order), float(cost_of(order, *jobs)), None, "heuristic")


def augmented(*, rule: str = "mdd", look_ahead: float = 2.0) -> Solver:
    """Returns a solver that appends jobs by a rule, and after each moves the earlier one to the end that gains most.

    Args:
        rule: Name of the rule, without its parameter.
        look_ahead: Parameter k of rules that have one.

    Raises:
        UsageError: There is no such rule, or it orders all jobs at once.
    """
    if rule not in KINDS or rule in STATIC:
        known = ", ".join(kind for kind in KINDS if kind not in STATIC)
        raise UsageError(f"augmented: rule is {rule!r}; expected one of {known}")
    if not look_ahead > 0.0:
        raise UsageError(f"augmented: look_ahead is {look_ahead}; expected more than 0")
    return _Augmented(rule, look_ahead)
