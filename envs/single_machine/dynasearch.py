"""Iterated dynasearch: the best set of independent swaps and insertions at a time, by dynamic programming.

Congram, Potts and van de Velde, "An iterated dynasearch algorithm for the single-machine total weighted tardiness
scheduling problem", INFORMS J. Computing 14(1), 2002, with the insertions of Grosso, Della Croce and Tadei, "An
enhanced dynasearch neighborhood", Operations Research Letters 32(1), 2004.
"""

from __future__ import annotations

import time as clock
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.problem import Solver, SolverResult
from envs.core.random import next_integer, seed_words
from envs.single_machine.heuristics import cost_of
from envs.single_machine.priorities import WMDD, best, write_priorities
from envs.single_machine.types import JobOrder, SingleMachineInstance

Integers = NDArray[np.int64]

_SWAP, _FORWARD, _BACKWARD = 1, 2, 3
_BATCH = 20


@njit(cache=True, nogil=True)
def _segment(
    order: Integers, first: int, last: int, move: int, start: int, time: Integers, weight: Integers, due: Integers
) -> int:
    """Cost of the places ``first..last`` after a move of their ends, the first of them starting at ``start``."""
    cost = 0
    for place in range(first, last + 1):
        job = order[place]
        if move == _SWAP:
            job = order[last] if place == first else order[first] if place == last else job
        elif move == _FORWARD:
            job = order[first] if place == last else order[place + 1]
        elif move == _BACKWARD:
            job = order[last] if place == first else order[place - 1]
        start += time[job]
        cost += weight[job] * max(0, start - due[job])
    return cost


@njit(cache=True, nogil=True)
def improve(order: Integers, time: Integers, weight: Integers, due: Integers) -> bool:
    """Applies the best set of independent moves to ``order``; returns whether it lowers the cost."""
    jobs = order.shape[0]
    begins, costs = np.zeros(jobs + 1, np.int64), np.zeros(jobs + 1, np.int64)
    for place in range(jobs):
        job = order[place]
        begins[place + 1] = begins[place] + time[job]
        costs[place + 1] = costs[place] + weight[job] * max(0, begins[place + 1] - due[job])
    gains = np.zeros(jobs + 1, np.int64)
    from_place, moves = np.zeros(jobs + 1, np.int64), np.zeros(jobs + 1, np.int64)
    for last in range(jobs):
        gains[last + 1], from_place[last + 1], moves[last + 1] = gains[last], last, 0
        for first in range(last):
            now = costs[last + 1] - costs[first]
            if now + gains[first] <= gains[last + 1]:
                continue
            for move in (_SWAP, _FORWARD, _BACKWARD):
                gain = now - _segment(order, first, last, move, begins[first], time, weight, due) + gains[first]
                if gain > gains[last + 1]:
                    gains[last + 1], from_place[last + 1], moves[last + 1] = gain, first, move
    end: int = jobs
    while end > 0:
        first, last, move = int(from_place[end]), end - 1, moves[end]
        if move == _SWAP:
            order[first], order[last] = order[last], order[first]
        elif move == _FORWARD:
            job = order[first]
            order[first:last] = order[first + 1 : last + 1].copy()
            order[last] = job
        elif move == _BACKWARD:
            job = order[last]
            order[first + 1 : last + 1] = order[first:last].copy()
            order[first] = job
        end = first
    return bool(gains[jobs] > 0)


@njit(cache=True, nogil=True)
def _start(time: Integers, weight: Integers, due: Integers) -> Integers:
    jobs = time.shape[0]
    order, free, priority = np.empty(jobs, np.int64), np.ones(jobs, np.bool_), np.empty(jobs)
    moment = 0
    for place in range(jobs):
        write_priorities(WMDD, 1.0, time, weight, due, free, moment, priority)
        order[place] = best(priority, due, time, free)
        free[order[place]] = False
        moment += time[order[place]]
    return order


@njit(cache=True, nogil=True)
def _iterate(
    order: Integers,
    rounds: int,
    kicks: int,
    generator: NDArray[np.uint64],
    time: Integers,
    weight: Integers,
    due: Integers,
) -> Integers:
    """Kicks a copy by random swaps and improves it, ``rounds`` times, going on from what is no worse."""
    release = np.zeros(time.shape[0], np.int64)
    while improve(order, time, weight, due):
        pass
    cost = cost_of(order, time, weight, due, release)
    chosen, least = order.copy(), cost
    for _ in range(rounds):
        if least == 0:
            break
        trial = order.copy()
        for _ in range(kicks):
            one = next_integer(generator, 0, 0, trial.shape[0] - 1)
            other = next_integer(generator, 0, 0, trial.shape[0] - 1)
            trial[one], trial[other] = trial[other], trial[one]
        while improve(trial, time, weight, due):
            pass
        found = cost_of(trial, time, weight, due, release)
        if found <= cost:
            order, cost = trial, found
        if found < least:
            chosen, least = trial.copy(), found
    return chosen


@dataclass(frozen=True)
class _Dynasearch:
    time_limit: float
    rounds: int
    kicks: int

    def __call__(self, instance: SingleMachineInstance, /, *, seed: int = 0) -> SolverResult:
        if instance.release.any():
            raise UsageError(f"{instance.name} has release times; dynasearch takes none")
        jobs = (instance.time, instance.weight, instance.due)
        order, done, deadline = _start(*jobs), 0, clock.perf_counter() + self.time_limit
        generator = seed_words(np.array([seed], np.uint64))
        while True:
            rounds = min(_BATCH, self.rounds - done)
            order = _iterate(order, rounds, self.kicks, generator, *jobs)
            done += rounds
            cost = float(cost_of(order, *jobs, instance.release))
            if cost == 0.0 or done >= self.rounds or clock.perf_counter() >= deadline:
                return SolverResult(JobOrder(order), cost, 0.0, "optimal" if cost == 0.0 else "heuristic")


def dynasearch(*, time_limit: float = 10.0, rounds: int = 2000, kicks: int = 6) -> Solver:
    """Returns a solver by iterated dynasearch from the order of the rule WMDD.

    The result repeats exactly for the same seed unless the clock stops it.

    Args:
        time_limit: Seconds of wall-clock time, looked at every twenty rounds.
        rounds: Local optima that are kicked at most.
        kicks: Random swaps of a kick.

    Raises:
        UsageError: An option is out of range.
    """
    if not time_limit > 0.0:
        raise UsageError(f"dynasearch: time_limit is {time_limit} seconds; expected more than 0")
    if rounds < 0 or kicks < 1:
        raise UsageError(f"dynasearch: rounds is {rounds} and kicks {kicks}; expected at least 0 and 1")
    return _Dynasearch(time_limit, rounds, kicks)
