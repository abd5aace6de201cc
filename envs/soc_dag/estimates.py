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


@njit(cache=True)
def expected_times(s: SocState, lane: int) -> None:
    """Writes when PEs are expected to be free and jobs to end, and what follows for the objective."""
    now, tasks = s.clock[lane], s.status.shape[2]
    for place in range(s.limit[lane]):
        s.place_finish[lane, place] = now
    for p in range(s.processors[lane]):
        free = now
        cell = s.running[lane, p]
        if cell >= 0:
            free = max(s.running_expected[lane, p], now)
            _expect_end(s, lane, cell, free, False)
        for i in range(s.queued[lane, p]):
            cell = s.queue[lane, p, i]
            place, task = cell // tasks, cell % tasks
            kernel = s.offset[lane, s.job_type[lane, s.place_job[lane, place]]] + task
            free = max(free, s.data_at[lane, place, task]) + s.time[lane, kernel, p]
            _expect_end(s, lane, cell, free, False)
        s.available[lane, p] = free
    for i in range(s.ready_count[lane]):
        _expect_end(s, lane, s.ready[lane, i], now, True)
    if s.shared[lane]:
        for place in range(s.limit[lane]):
            if s.place_job[lane, place] >= 0:
                for task in range(tasks):
                    if s.status[lane, place, task] == STAGED:
                        _expect_end(s, lane, place * tasks + task, s.ready_at[lane, place, task], True)
    _sum_up(s, lane)


@njit(cache=True)
def _expect_end(s: SocState, lane: int, cell: int, time: float, start: bool) -> None:
    """Notes that a task is expected to end at ``time``, or to start then at the earliest."""
    tasks = s.status.shape[2]
    place = cell // tasks
    kernel = s.offset[lane, s.job_type[lane, s.place_job[lane, place]]] + cell % tasks
    after = s.tail[lane, kernel] - (0.0 if start else s.least[lane, kernel])
    s.place_finish[lane, place] = max(s.place_finish[lane, place], time + after)


@njit(cache=True)
def _sum_up(s: SocState, lane: int) -> None:
    """Writes the expected makespan of a static instance."""
    if s.mode[lane] != STATIC:
        return
    makespan = 0.0
    for job in range(s.arrived_jobs[lane]):
        if job >= s.admitted_jobs[lane]:
            makespan = max(makespan, s.arrived[lane, job] + s.length[lane, s.job_type[lane, job]])
        elif not np.isnan(s.completed[lane, job]):
            makespan = max(makespan, s.completed[lane, job])
    for place in range(s.limit[lane]):
        if s.place_job[lane, place] >= 0:
            makespan = max(makespan, s.place_finish[lane, place])
    s.makespan[lane] = makespan


@njit(cache=True)
def expected_excess(s: SocState, lane: int) -> float:
    """Latency above the least one of completed jobs, plus that expected of the jobs in the system."""
    total = s.excess[lane]
    for place in range(s.limit[lane]):
        job = s.place_job[lane, place]
        if job >= 0:
            latency = s.place_finish[lane, place] - s.arrived[lane, job]
            total += latency - s.length[lane, s.job_type[lane, job]]
    return total


@njit(cache=True)
def _expect_pairs(s: SocState, lane: int) -> None:
    tasks = s.status.shape[2]
    for row in range(s.offers[lane]):
        cell = s.offer[lane, row]
        place, task = cell // tasks, cell % tasks
        first = s.offset[lane, s.job_type[lane, s.place_job[lane, place]]]
        for p in range(s.processors[lane]):
            time = s.time[lane, first + task, p]
            if not s.up[lane, p] or not np.isfinite(time):
                s.pair_data[lane, row, p] = np.inf
                s.pair_start[lane, row, p] = np.inf
                s.pair_finish[lane, row, p] = np.inf
                continue
            data = _data_arrival(s, lane, place, task, first, p)
            start = max(data, s.available[lane, p])
            s.pair_data[lane, row, p] = data
            s.pair_start[lane, row, p] = start
            s.pair_finish[lane, row, p] = start + time


@njit(cache=True)
def _data_arrival(s: SocState, lane: int, place: int, task: int, first: int, p: int) -> float:
    """When the data of a ready task is on PE ``p`` if it is mapped there now."""
    now = s.clock[lane]
    fetched = s.fetched_to[lane, place, task]
    if fetched == p:
        return max(now, s.data_at[lane, place, task])
    data = now
    kernel = first + task
    for i in range(s.predecessor_from[lane, kernel], s.predecessor_from[lane, kernel + 1]):
        before = s.predecessor[lane, i] - first
        sender = s.mapped_to[lane, place, before]
        sent = s.end_at[lane, place, before] if fetched < 0 else now
        if s.shared[lane]:
            sent = now
            transfer = s.volume[lane, i] / s.memory[lane, p]
        elif sender == p:
            continue
        else:
            transfer = s.latency[lane, sender, p] + s.volume[lane, i] / s.bandwidth[lane, sender, p]
        if s.whole[lane]:
            transfer = np.floor(transfer)
        data = max(data, sent + transfer)
    return data


@njit(cache=True)
def _write_mask(s: SocState, lane: int, decision: int) -> None:
    s.mask[lane] = False
    if s.done[lane]:
        return
    offers = s.offer.shape[1]
    processors = s.processors[lane]
    if decision == PAIR:
        for row in range(s.offers[lane]):
            for p in range(processors):
                s.mask[lane, row * processors + p] = np.isfinite(s.pair_finish[lane, row, p])
    elif decision == TWO_STEP and s.chosen[lane] >= 0:
        for p in range(processors):
            s.mask[lane, offers + p] = np.isfinite(s.pair_finish[lane, s.chosen[lane], p])
    else:
        for row in range(s.offers[lane]):
            s.mask[lane, row] = True


@njit(cache=True)
def expected_excesses(s: SocState, out: Floats) -> None:
    """Writes `expected_excess` of every lane."""
    for lane in range(len(out)):
        out[lane] = expected_excess(s, lane)
