"""The compiled rules of the single machine, over many lanes at once: an action starts a job.

In the mode "non_delay" jobs can be started that have been released when the machine gets free; while there is none,
the clock goes on to the next release. Otherwise every job that has not been started can be, and the machine waits for
its release.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.random import next_word
from envs.single_machine.priorities import best, write_priorities

Integers = NDArray[np.int64]


class SingleMachineState(NamedTuple):
    """State of L lanes with room for N jobs.

    Attributes:
        generator: ``(L,)`` generator word.
        label: ``(L,)`` number of a named instance, -1 for a drawn one.
        jobs: ``(L,)`` number of jobs.
        time: ``(L, N)`` processing times; 0 for padding.
        weight: ``(L, N)`` weights.
        due: ``(L, N)`` due dates.
        release: ``(L, N)`` release times.
        order: ``(L, N)`` jobs in the order in which they were started.
        started: ``(L,)`` how many were.
        clock: ``(L,)`` moment when the machine is free and a job can be started.
        cost: ``(L,)`` weighted tardiness of the started jobs.
        unit: ``(L,)`` what a job's length of tardiness of all jobs costs, see `envs.single_machine.types`.
        left: ``(L, N)`` jobs that have not been started.
        mask: ``(L, N)`` jobs that can be.
    """

    generator: NDArray[np.uint64]
    label: Integers
    jobs: Integers
    time: Integers
    weight: Integers
    due: Integers
    release: Integers
    order: Integers
    started: Integers
    clock: Integers
    cost: Integers
    unit: NDArray[np.float64]
    left: NDArray[np.bool_]
    mask: NDArray[np.bool_]


def allocate(lanes: int, capacity: int) -> SingleMachineState:
    """Returns the zeroed state of ``lanes`` lanes with room for ``capacity`` jobs."""
    table = (lanes, capacity)
    return SingleMachineState(
        generator=np.zeros(lanes, np.uint64),
        label=np.zeros(lanes, np.int64),
        jobs=np.zeros(lanes, np.int64),
        time=np.zeros(table, np.int64),
        weight=np.zeros(table, np.int64),
        due=np.zeros(table, np.int64),
        release=np.zeros(table, np.int64),
        order=np.zeros(table, np.int64),
        started=np.zeros(lanes, np.int64),
        clock=np.zeros(lanes, np.int64),
        cost=np.zeros(lanes, np.int64),
        unit=np.ones(lanes),
        left=np.zeros(table, np.bool_),
        mask=np.zeros(table, np.bool_),
    )


@njit(cache=True, nogil=True)
def draw_word(generator: NDArray[np.uint64], lane: int) -> np.uint64:
    """Advances the lane's generator and returns 64 random bits."""
    return next_word(generator, lane)


@njit(cache=True, nogil=True)
def begin(state: SingleMachineState, lane: int, non_delay: bool) -> None:
    """Begins an episode on the jobs that stand in the lane."""
    jobs = state.jobs[lane]
    state.started[lane], state.clock[lane], state.cost[lane] = 0, 0, 0
    state.order[lane] = 0
    state.left[lane, :jobs], state.left[lane, jobs:] = True, False
    total, weights = 0, 0
    for j in range(jobs):
        total += state.time[lane, j]
        weights += state.weight[lane, j]
    state.unit[lane] = max(total / jobs * weights, 1.0)
    _open(state, lane, non_delay)


@njit(cache=True, nogil=True)
def step(
    state: SingleMachineState,
    actions: Integers,
    active: NDArray[np.bool_],
    refused: NDArray[np.bool_],
    non_delay: bool,
) -> None:
    """Starts a job in every active lane; ``refused`` is set where it cannot be started, which changes nothing."""
    for lane in range(actions.shape[0]):
        job = actions[lane]
        refused[lane] = active[lane] and (job < 0 or job >= state.mask.shape[1] or not state.mask[lane, job])
        if not active[lane] or refused[lane]:
            continue
        finished = max(state.clock[lane], state.release[lane, job]) + state.time[lane, job]
        state.clock[lane] = finished
        state.cost[lane] += state.weight[lane, job] * max(0, finished - state.due[lane, job])
        state.order[lane, state.started[lane]] = job
        state.started[lane] += 1
        state.left[lane, job] = False
        _open(state, lane, non_delay)


@njit(cache=True, nogil=True)
def _open(state: SingleMachineState, lane: int, non_delay: bool) -> None:
    """Writes the mask, and lets time pass where nothing can be started."""
    jobs = state.jobs[lane]
    state.mask[lane] = state.left[lane]
    if not non_delay or state.started[lane] == jobs:
        return
    first = np.int64(2**62)
    for j in range(jobs):
        if state.left[lane, j]:
            first = min(first, state.release[lane, j])
    state.clock[lane] = max(state.clock[lane], first)
    for j in range(jobs):
        state.mask[lane, j] = state.left[lane, j] and state.release[lane, j] <= state.clock[lane]


@njit(cache=True, nogil=True)
def incurred(state: SingleMachineState, out: NDArray[np.float64]) -> None:
    """Writes the ``(L,)`` bounds: the cost so far, and that of every job left if it were started next."""
    for lane in range(out.shape[0]):
        total = state.cost[lane]
        for j in range(state.jobs[lane]):
            if state.left[lane, j]:
                finished = max(state.clock[lane], state.release[lane, j]) + state.time[lane, j]
                total += state.weight[lane, j] * max(0, finished - state.due[lane, j])
        out[lane] = total


@njit(cache=True, nogil=True)
def finish_by_rule(
    kind: int,
    look_ahead: float,
    time: Integers,
    weight: Integers,
    due: Integers,
    release: Integers,
    left: NDArray[np.bool_],
    clock: int,
    order: Integers,
) -> int:
    """Starts the jobs in ``left`` by a rule, without delay; all of them are started when it returns.

    Args:
        kind: Place of the rule in `envs.single_machine.priorities.KINDS`, none of those that order all jobs at once.
        look_ahead: Its parameter.
        time: ``(n,)`` processing times.
        weight: ``(n,)`` weights.
        due: ``(n,)`` due dates.
        release: ``(n,)`` release times.
        left: ``(n,)`` jobs to start; emptied.
        clock: Moment when the machine is free.
        order: ``(n,)`` or longer; begins with the jobs in their order when it returns.

    Returns:
        Their weighted tardiness.
    """
    jobs = time.shape[0]
    priority, free = np.empty(jobs), np.empty(jobs, np.bool_)
    cost, place = 0, 0
    while True:
        first, some = 2**62, False
        for j in range(jobs):
            if left[j]:
                first, some = min(first, release[j]), True
        if not some:
            return cost
        clock = max(clock, first)
        for j in range(jobs):
            free[j] = left[j] and release[j] <= clock
        write_priorities(kind, look_ahead, time, weight, due, free, clock, priority)
        job = best(priority, due, time, free)
        clock += time[job]
        cost += weight[job] * max(0, clock - due[job])
        left[job] = False
        order[place] = job
        place += 1


@njit(cache=True, nogil=True)
def roll_outs(state: SingleMachineState, lane: int, kind: int, look_ahead: float, out: NDArray[np.float64]) -> None:
    """Writes, for every job that can be started, the objective if a rule decides all after it; infinity for others."""
    jobs = state.jobs[lane]
    time, weight = state.time[lane, :jobs], state.weight[lane, :jobs]
    due, release = state.due[lane, :jobs], state.release[lane, :jobs]
    left, order = np.empty(jobs, np.bool_), np.empty(jobs, np.int64)
    for j in range(out.shape[0]):
        out[j] = np.inf
        if not state.mask[lane, j]:
            continue
        left[:] = state.left[lane, :jobs]
        left[j] = False
        clock = max(state.clock[lane], release[j]) + time[j]
        cost = state.cost[lane] + weight[j] * max(0, clock - due[j])
        out[j] = cost + finish_by_rule(kind, look_ahead, time, weight, due, release, left, clock, order)
