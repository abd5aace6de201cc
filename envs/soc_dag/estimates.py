"""What can be expected of a running episode: when PEs are free, tasks can start and jobs will end.

Expectations use mean durations, and take the tasks that wait for a PE in the order in which they were mapped to it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.soc_dag.state import PAIR, STAGED, STATIC, TWO_STEP, Floats, SocState


@njit(cache=True)
def estimate(s: SocState, lane: int, decision: int) -> None:
    """Refreshes every expectation of a lane, its objective's parts, and its mask."""
    expected_times(s, lane)
    _expect_pairs(s, lane)
    _write_mask(s, lane, decision)


@njit(cache=True, forceinline=True)
def expected_times(s: SocState, lane: int) -> None:
    """Writes when PEs are expected to be free and jobs to end, and what follows for the objective."""
    now, tasks = s.episode[lane].clock, s.task.shape[2]
    for place in range(s.episode[lane].limit):
        s.place[lane, place].finish = now
    for p in range(s.episode[lane].processors):
        free = now
        cell = s.processor[lane, p].running
        if cell >= 0:
            free = max(s.processor[lane, p].running_expected, now)
            _expect_end(s, lane, cell, free, False)
        for i in range(s.processor[lane, p].queued):
            cell = s.queue[lane, p, i]
            place, task = cell // tasks, cell % tasks
            kernel = s.offset[lane, s.job[lane, s.place[lane, place].job].type] + task
            free = max(free, s.task[lane, place, task].data_at) + s.time[lane, kernel, p]
            _expect_end(s, lane, cell, free, False)
        s.processor[lane, p].available = free
    for i in range(s.episode[lane].ready_count):
        _expect_end(s, lane, s.ready[lane, i], now, True)
    if s.episode[lane].shared:
        for place in range(s.episode[lane].limit):
            if s.place[lane, place].job >= 0:
                for task in range(tasks):
                    if s.task[lane, place, task].status == STAGED:
                        _expect_end(s, lane, place * tasks + task, s.task[lane, place, task].ready_at, True)
    _sum_up(s, lane)


@njit(cache=True, forceinline=True)
def _expect_end(s: SocState, lane: int, cell: int, time: float, start: bool) -> None:
    """Notes that a task is expected to end at ``time``, or to start then at the earliest."""
    tasks = s.task.shape[2]
    place = cell // tasks
    kernel = s.offset[lane, s.job[lane, s.place[lane, place].job].type] + cell % tasks
    after = s.kernel[lane, kernel].tail - (0.0 if start else s.kernel[lane, kernel].least)
    s.place[lane, place].finish = max(s.place[lane, place].finish, time + after)


@njit(cache=True, forceinline=True)
def _sum_up(s: SocState, lane: int) -> None:
    """Writes the expected makespan of a static instance."""
    if s.episode[lane].mode != STATIC:
        return
    makespan = 0.0
    for job in range(s.episode[lane].arrived_jobs):
        if job >= s.episode[lane].admitted_jobs:
            makespan = max(makespan, s.job[lane, job].arrived + s.kind[lane, s.job[lane, job].type].length)
        elif s.job[lane, job].completed < np.inf:
            makespan = max(makespan, s.job[lane, job].completed)
    for place in range(s.episode[lane].limit):
        if s.place[lane, place].job >= 0:
            makespan = max(makespan, s.place[lane, place].finish)
    s.episode[lane].makespan = makespan


@njit(cache=True)
def expected_excess(s: SocState, lane: int) -> float:
    """Latency above the least one of completed jobs, plus that expected of the jobs in the system."""
    total: float = s.episode[lane].excess
    for place in range(s.episode[lane].limit):
        job = s.place[lane, place].job
        if job >= 0:
            latency = s.place[lane, place].finish - s.job[lane, job].arrived
            total += latency - s.kind[lane, s.job[lane, job].type].length
    return total


@njit(cache=True, forceinline=True)
def _expect_pairs(s: SocState, lane: int) -> None:
    tasks = s.task.shape[2]
    for row in range(s.episode[lane].offers):
        cell = s.offer[lane, row]
        place, task = cell // tasks, cell % tasks
        first = s.offset[lane, s.job[lane, s.place[lane, place].job].type]
        for p in range(s.episode[lane].processors):
            time = s.time[lane, first + task, p]
            if not s.processor[lane, p].up or not np.isfinite(time):
                s.pair[lane, row, p].data = np.inf
                s.pair[lane, row, p].start = np.inf
                s.pair[lane, row, p].finish = np.inf
                continue
            data = _data_arrival(s, lane, place, task, first, p)
            start = max(data, s.processor[lane, p].available)
            s.pair[lane, row, p].data = data
            s.pair[lane, row, p].start = start
            s.pair[lane, row, p].finish = start + time


@njit(cache=True, forceinline=True)
def _data_arrival(s: SocState, lane: int, place: int, task: int, first: int, p: int) -> float:
    """When the data of a ready task is on PE ``p`` if it is mapped there now."""
    now = s.episode[lane].clock
    fetched = s.task[lane, place, task].fetched_to
    if fetched == p:
        there: float = max(now, s.task[lane, place, task].data_at)
        return there
    data: float = now
    kernel = first + task
    for i in range(s.predecessor_from[lane, kernel], s.predecessor_from[lane, kernel + 1]):
        before = s.predecessor[lane, i] - first
        sender = s.task[lane, place, before].mapped_to
        sent = s.task[lane, place, before].end_at if fetched < 0 else now
        if s.episode[lane].shared:
            sent = now
            transfer = s.volume[lane, i] / s.processor[lane, p].memory
        elif sender == p:
            continue
        else:
            transfer = s.latency[lane, sender, p] + s.volume[lane, i] / s.bandwidth[lane, sender, p]
        if s.episode[lane].whole:
            transfer = np.floor(transfer)
        data = max(data, sent + transfer)
    return data


@njit(cache=True, forceinline=True)
def _write_mask(s: SocState, lane: int, decision: int) -> None:
    s.mask[lane] = False
    if s.episode[lane].done:
        return
    offers = s.offer.shape[1]
    processors = s.episode[lane].processors
    if decision == PAIR:
        for row in range(s.episode[lane].offers):
            for p in range(processors):
                s.mask[lane, row * processors + p] = np.isfinite(s.pair[lane, row, p].finish)
    elif decision == TWO_STEP and s.episode[lane].chosen >= 0:
        for p in range(processors):
            s.mask[lane, offers + p] = np.isfinite(s.pair[lane, s.episode[lane].chosen, p].finish)
    else:
        for row in range(s.episode[lane].offers):
            s.mask[lane, row] = True


@njit(cache=True)
def expected_excesses(s: SocState, out: Floats) -> None:
    """Writes `expected_excess` of every lane."""
    for lane in range(len(out)):
        out[lane] = expected_excess(s, lane)
