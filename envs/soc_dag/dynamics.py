"""The rules of DAG scheduling on heterogeneous processors, event by event.

A task is *ready* when its predecessors are done. Ready tasks are mapped to processing elements (PEs), one decision after
the other at the same instant, and wait in the PE's queue; a free PE starts the first task in its queue whose data has
arrived, and runs it to the end. When no ready task can be mapped, time moves to the next event. These are the semantics
of DS3 (Arda et al., "DS3: A system-level domain-specific system-on-chip simulation framework", IEEE TC 2020) and of the
environment of SoCRATES (Sung and Ryu, 2021), without their clock of one step a microsecond.

With ``remap``, whenever something happens (a task ends, a job comes, a PE fails or is repaired), tasks that have not
started are taken back and mapped anew; one that is moved to another PE fetches its data from the moment of the move.

Random numbers come from four streams of the episode's key: pauses between arrivals, types of jobs, durations by
(job, task, attempt), failures by (PE, change). No decision changes what another event draws.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.random import next_word, stream_uniform
from envs.soc_dag.estimates import estimate
from envs.soc_dag.state import (
    BLOCKING,
    DONE,
    MAPPED,
    OPEN,
    PAIR,
    READY,
    RUNNING,
    STAGED,
    STATIC,
    TWO_STEP,
    WAITING,
    SocState,
)

_PAUSES, _TYPES, _DURATIONS, _FAILURES = 1, 2, 3, 4
_TASKS_OF_A_JOB, _ATTEMPTS = 4096, 64


@njit(cache=True)
def begin(s: SocState, lanes: NDArray[np.int64], decision: int, remap: bool) -> None:
    """Begins an episode in each of ``lanes`` on the instance that stands in its tables."""
    for lane in lanes:
        s.key[lane] = next_word(s.generator, lane)
        _clear(s, lane)
        if s.mode[lane] == BLOCKING:
            for _ in range(s.limit[lane]):
                _arrive(s, lane)
            s.next_arrival[lane] = _pause(s, lane)
        elif s.mode[lane] == OPEN:
            s.next_arrival[lane] = _pause(s, lane)
        else:
            s.next_arrival[lane] = s.arrived[lane, 0]
        for p in range(s.processors[lane]):
            s.change_at[lane, p] = _next_change(s, lane, p) if s.failure_gap[lane] > 0.0 else np.inf
        _admit_waiting(s, lane)
        _advance(s, lane, remap)
        estimate(s, lane, decision)
        s.first_makespan[lane] = max(s.makespan[lane], 1e-9)


@njit(cache=True)
def step(
    s: SocState,
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    refused: NDArray[np.bool_],
    decision: int,
    remap: bool,
) -> None:
    """Takes one action in every active lane and notes which were refused."""
    for lane in range(len(actions)):
        refused[lane] = False
        if not active[lane]:
            continue
        action = actions[lane]
        if action < 0 or action >= s.mask.shape[1] or not s.mask[lane, action]:
            refused[lane] = True
            continue
        offers = s.offer.shape[1]
        if decision == PAIR:
            processors = s.processors[lane]
            _map(s, lane, s.offer[lane, action // processors], action % processors)
        elif decision == TWO_STEP:
            if action < offers:
                s.chosen[lane] = action
                estimate(s, lane, decision)
                continue
            _map(s, lane, s.offer[lane, s.chosen[lane]], action - offers)
            s.chosen[lane] = -1
        else:
            _map(s, lane, s.offer[lane, action], _earliest_finish(s, lane, action))
        _advance(s, lane, remap)
        estimate(s, lane, decision)


@njit(cache=True)
def _clear(s: SocState, lane: int) -> None:
    if s.mode[lane] != STATIC:
        s.arrived_jobs[lane] = 0
    s.clock[lane] = 0.0
    s.done[lane] = False
    s.pauses[lane] = 0
    s.admitted_jobs[lane] = 0
    s.completed_jobs[lane] = 0
    s.completed[lane] = np.nan
    s.place_job[lane] = -1
    s.place_left[lane] = 0
    s.status[lane] = WAITING
    s.running[lane] = -1
    s.queued[lane] = 0
    s.up[lane] = False
    for p in range(s.processors[lane]):
        s.up[lane, p] = True
    s.changes[lane] = 0
    s.ready_count[lane] = 0
    s.offers[lane] = 0
    s.chosen[lane] = -1
    s.records[lane] = 0
    s.latency_sum[lane] = 0.0
    s.latency_count[lane] = 0
    s.excess[lane] = 0.0


@njit(cache=True)
def _exponential(s: SocState, lane: int, mean: float, stream: int, counter: int) -> float:
    return -mean * np.log(1.0 - stream_uniform(s.key[lane], stream, counter))


@njit(cache=True)
def _pause(s: SocState, lane: int) -> float:
    """Draws the next pause between arrivals."""
    pause = _exponential(s, lane, s.scale[lane], _PAUSES, s.pauses[lane])
    s.pauses[lane] += 1
    return np.floor(pause) if s.whole[lane] else pause


@njit(cache=True)
def _next_change(s: SocState, lane: int, p: int) -> float:
    """Time until the PE fails, or is repaired."""
    mean = s.failure_gap[lane] if s.up[lane, p] else s.repair_time[lane]
    gap = _exponential(s, lane, mean, _FAILURES, p * 1000003 + s.changes[lane, p])
    s.changes[lane, p] += 1
    return s.clock[lane] + (np.floor(gap) + 1.0 if s.whole[lane] else gap)


@njit(cache=True)
def _arrive(s: SocState, lane: int) -> None:
    """Notes a job of a drawn type; beyond the capacity for jobs none arrives."""
    job = s.arrived_jobs[lane]
    if job == s.job_type.shape[1]:
        return
    draw = stream_uniform(s.key[lane], _TYPES, job)
    kind = 0
    while kind < s.types[lane] - 1 and draw >= s.share[lane, kind]:
        kind += 1
    s.job_type[lane, job] = kind
    s.arrived[lane, job] = s.clock[lane]
    s.arrived_jobs[lane] += 1


@njit(cache=True)
def _admit_waiting(s: SocState, lane: int) -> None:
    """Gives free places to jobs that have arrived, first come, first served."""
    while s.admitted_jobs[lane] < s.arrived_jobs[lane]:
        job = s.admitted_jobs[lane]
        if s.arrived[lane, job] > s.clock[lane]:
            return
        place = 0
        while place < s.limit[lane] and s.place_job[lane, place] >= 0:
            place += 1
        if place == s.limit[lane]:
            return
        _admit(s, lane, job, place)


@njit(cache=True)
def _admit(s: SocState, lane: int, job: int, place: int) -> None:
    kind = s.job_type[lane, job]
    first, last = s.offset[lane, kind], s.offset[lane, kind + 1]
    s.admitted[lane, job] = s.clock[lane]
    s.admitted_jobs[lane] += 1
    s.place_job[lane, place] = job
    s.place_left[lane, place] = last - first
    for kernel in range(first, last):
        task = kernel - first
        missing = s.predecessor_from[lane, kernel + 1] - s.predecessor_from[lane, kernel]
        s.status[lane, place, task] = WAITING
        s.missing[lane, place, task] = missing
        s.mapped_to[lane, place, task] = -1
        s.fetched_to[lane, place, task] = -1
        s.attempt[lane, place, task] = 0
        if missing == 0:
            _make_ready(s, lane, place, task)


@njit(cache=True)
def _make_ready(s: SocState, lane: int, place: int, task: int) -> None:
    s.status[lane, place, task] = READY
    s.ready_at[lane, place, task] = s.clock[lane]
    s.ready[lane, s.ready_count[lane]] = place * s.status.shape[2] + task
    s.ready_count[lane] += 1


@njit(cache=True)
def _cut(s: SocState, lane: int, duration: float) -> float:
    return np.floor(duration) if s.whole[lane] else duration


@njit(cache=True)
def _earliest_finish(s: SocState, lane: int, row: int) -> int:
    best = -1
    for p in range(s.processors[lane]):
        if np.isfinite(s.pair_finish[lane, row, p]) and (
            best < 0 or s.pair_finish[lane, row, p] < s.pair_finish[lane, row, best]
        ):
            best = p
    return best


@njit(cache=True)
def _map(s: SocState, lane: int, cell: int, p: int) -> None:
    """Moves a ready task into the queue of PE ``p``; its estimates must stand in the row of `offer`."""
    tasks = s.status.shape[2]
    place, task = cell // tasks, cell % tasks
    row = 0
    while s.offer[lane, row] != cell:
        row += 1
    count, at = s.ready_count[lane], 0
    while s.ready[lane, at] != cell:
        at += 1
    for i in range(at, count - 1):
        s.ready[lane, i] = s.ready[lane, i + 1]
    s.ready_count[lane] = count - 1
    s.status[lane, place, task] = MAPPED
    s.mapped_at[lane, place, task] = s.clock[lane]
    s.mapped_to[lane, place, task] = p
    s.data_at[lane, place, task] = s.pair_data[lane, row, p]
    s.fetched_to[lane, place, task] = p
    s.queue[lane, p, s.queued[lane, p]] = cell
    s.queued[lane, p] += 1


@njit(cache=True)
def _advance(s: SocState, lane: int, remap: bool) -> None:
    """Lets time pass until there is a task to map, or the episode is over."""
    while True:
        _start_tasks(s, lane)
        _offer(s, lane)
        if s.offers[lane] > 0:
            return
        if s.mode[lane] == STATIC and s.completed_jobs[lane] == s.arrived_jobs[lane]:
            s.done[lane] = True
            return
        following = _next_event(s, lane)
        if following > s.window[lane]:
            s.clock[lane] = s.window[lane]
            s.done[lane] = True
            return
        s.clock[lane] = following
        happened = _happen(s, lane)
        if remap and happened:
            _take_back(s, lane)


@njit(cache=True)
def _offer(s: SocState, lane: int) -> None:
    """Lists the first ready tasks that some working PE can run."""
    tasks = s.status.shape[2]
    count = 0
    for i in range(s.ready_count[lane]):
        if count == s.offer.shape[1]:
            break
        cell = s.ready[lane, i]
        kind = s.job_type[lane, s.place_job[lane, cell // tasks]]
        kernel = s.offset[lane, kind] + cell % tasks
        for p in range(s.processors[lane]):
            if s.up[lane, p] and np.isfinite(s.time[lane, kernel, p]):
                s.offer[lane, count] = cell
                count += 1
                break
    s.offers[lane] = count


@njit(cache=True)
def _start_tasks(s: SocState, lane: int) -> None:
    """On every free PE, starts the first task of its queue whose data is there."""
    tasks = s.status.shape[2]
    for p in range(s.processors[lane]):
        if s.running[lane, p] >= 0 or not s.up[lane, p]:
            continue
        for i in range(s.queued[lane, p]):
            cell = s.queue[lane, p, i]
            if s.data_at[lane, cell // tasks, cell % tasks] <= s.clock[lane]:
                for k in range(i, s.queued[lane, p] - 1):
                    s.queue[lane, p, k] = s.queue[lane, p, k + 1]
                s.queued[lane, p] -= 1
                _start(s, lane, p, cell)
                break


@njit(cache=True)
def _start(s: SocState, lane: int, p: int, cell: int) -> None:
    tasks = s.status.shape[2]
    place, task = cell // tasks, cell % tasks
    job = s.place_job[lane, place]
    kernel = s.offset[lane, s.job_type[lane, job]] + task
    mean = s.time[lane, kernel, p]
    duration = _duration(s, lane, mean, job, task, s.attempt[lane, place, task])
    s.attempt[lane, place, task] += 1
    s.status[lane, place, task] = RUNNING
    s.running[lane, p] = cell
    s.running_end[lane, p] = s.clock[lane] + duration
    s.running_expected[lane, p] = s.clock[lane] + mean
    record = s.records[lane]
    if record == s.record_job.shape[1]:
        raise RuntimeError("more runs of tasks than max_runs of the environment allows for")
    s.running_record[lane, p] = record
    s.record_job[lane, record] = job
    s.record_task[lane, record] = task
    s.record_processor[lane, record] = p
    s.record_mapped[lane, record] = s.mapped_at[lane, place, task]
    s.record_start[lane, record] = s.clock[lane]
    s.record_end[lane, record] = s.clock[lane] + duration
    s.record_lost[lane, record] = False
    s.records[lane] += 1


@njit(cache=True)
def _duration(s: SocState, lane: int, mean: float, job: int, task: int, attempt: int) -> float:
    """Draws a task's duration: normal around its mean (Box and Muller's method)."""
    if s.noise[lane] == 0.0 or mean == 0.0:
        return mean
    counter = ((job * _TASKS_OF_A_JOB + task) * _ATTEMPTS + attempt % _ATTEMPTS) * 2
    radius = np.sqrt(-2.0 * np.log(1.0 - stream_uniform(s.key[lane], _DURATIONS, counter)))
    angle = 2.0 * np.pi * stream_uniform(s.key[lane], _DURATIONS, counter + 1)
    drawn = mean * (1.0 + s.noise[lane] * radius * np.cos(angle))
    return max(np.rint(drawn), 1.0) if s.whole[lane] else max(drawn, 0.01 * mean)


@njit(cache=True)
def _next_event(s: SocState, lane: int) -> float:
    following = s.next_arrival[lane]
    tasks = s.status.shape[2]
    for p in range(s.processors[lane]):
        following = min(following, s.change_at[lane, p])
        if s.running[lane, p] >= 0:
            following = min(following, s.running_end[lane, p])
        elif s.up[lane, p]:
            for i in range(s.queued[lane, p]):
                cell = s.queue[lane, p, i]
                following = min(following, s.data_at[lane, cell // tasks, cell % tasks])
    if s.shared[lane]:
        for place in range(s.limit[lane]):
            if s.place_job[lane, place] >= 0:
                for task in range(_tasks_of(s, lane, place)):
                    if s.status[lane, place, task] == STAGED:
                        following = min(following, s.ready_at[lane, place, task])
    return following


@njit(cache=True)
def _tasks_of(s: SocState, lane: int, place: int) -> int:
    kind = s.job_type[lane, s.place_job[lane, place]]
    return s.offset[lane, kind + 1] - s.offset[lane, kind]


@njit(cache=True)
def _happen(s: SocState, lane: int) -> bool:
    """Lets happen what happens now; tells whether that was more than the arrival of data."""
    now = s.clock[lane]
    happened = False
    for p in range(s.processors[lane]):
        if s.running[lane, p] >= 0 and s.running_end[lane, p] <= now:
            _end(s, lane, p)
            happened = True
    for p in range(s.processors[lane]):
        if s.change_at[lane, p] <= now:
            _change(s, lane, p)
            happened = True
    if s.shared[lane]:
        happened = _unstage(s, lane) or happened
    admitted = s.admitted_jobs[lane]
    if s.mode[lane] == STATIC:
        _admit_waiting(s, lane)
        waiting = s.admitted_jobs[lane]
        s.next_arrival[lane] = s.arrived[lane, waiting] if waiting < s.arrived_jobs[lane] else np.inf
    else:
        _stream(s, lane)
    return happened or s.admitted_jobs[lane] > admitted


@njit(cache=True)
def _stream(s: SocState, lane: int) -> None:
    """Arrivals of a stream up to now."""
    while s.next_arrival[lane] <= s.clock[lane]:
        if s.mode[lane] == OPEN:
            _arrive(s, lane)
            s.next_arrival[lane] += _pause(s, lane)
            continue
        free = s.admitted_jobs[lane] - s.completed_jobs[lane] < s.limit[lane]
        if free:
            _arrive(s, lane)
            _admit_waiting(s, lane)
        s.next_arrival[lane] += _pause(s, lane) + (0.0 if free else 1.0)
    _admit_waiting(s, lane)


@njit(cache=True)
def _end(s: SocState, lane: int, p: int) -> None:
    """Ends the task that runs on a PE."""
    tasks = s.status.shape[2]
    cell = s.running[lane, p]
    place, task = cell // tasks, cell % tasks
    s.running[lane, p] = -1
    s.status[lane, place, task] = DONE
    s.end_at[lane, place, task] = s.clock[lane]
    s.place_left[lane, place] -= 1
    job = s.place_job[lane, place]
    if s.place_left[lane, place] == 0:
        _complete(s, lane, place, job)
        return
    first = s.offset[lane, s.job_type[lane, job]]
    kernel = first + task
    for i in range(s.successor_from[lane, kernel], s.successor_from[lane, kernel + 1]):
        following = s.successor[lane, i] - first
        s.missing[lane, place, following] -= 1
        if s.missing[lane, place, following] == 0:
            _release(s, lane, place, following)


@njit(cache=True)
def _complete(s: SocState, lane: int, place: int, job: int) -> None:
    s.completed[lane, job] = s.clock[lane]
    s.completed_jobs[lane] += 1
    s.place_job[lane, place] = -1
    latency = s.clock[lane] - s.arrived[lane, job]
    s.excess[lane] += latency - s.length[lane, s.job_type[lane, job]]
    if s.admitted[lane, job] >= s.warm_up[lane]:
        s.latency_sum[lane] += latency
        s.latency_count[lane] += 1


@njit(cache=True)
def _release(s: SocState, lane: int, place: int, task: int) -> None:
    """A task whose predecessors are done is ready, at once or, with a shared memory, when their data lies there."""
    if not s.shared[lane]:
        _make_ready(s, lane, place, task)
        return
    first = s.offset[lane, s.job_type[lane, s.place_job[lane, place]]]
    there = s.clock[lane]
    for i in range(s.predecessor_from[lane, first + task], s.predecessor_from[lane, first + task + 1]):
        before = s.predecessor[lane, i] - first
        sender = s.mapped_to[lane, place, before]
        transfer = _cut(s, lane, s.volume[lane, i] / s.memory[lane, sender])
        there = max(there, s.end_at[lane, place, before] + transfer)
    if there <= s.clock[lane]:
        _make_ready(s, lane, place, task)
    else:
        s.status[lane, place, task] = STAGED
        s.ready_at[lane, place, task] = there


@njit(cache=True)
def _unstage(s: SocState, lane: int) -> bool:
    happened = False
    for place in range(s.limit[lane]):
        if s.place_job[lane, place] >= 0:
            for task in range(_tasks_of(s, lane, place)):
                if s.status[lane, place, task] == STAGED and s.ready_at[lane, place, task] <= s.clock[lane]:
                    _make_ready(s, lane, place, task)
                    happened = True
    return happened


@njit(cache=True)
def _change(s: SocState, lane: int, p: int) -> None:
    """A PE fails, and loses what it runs and what waits for it; or it is repaired."""
    tasks = s.status.shape[2]
    if s.up[lane, p]:
        cell = s.running[lane, p]
        if cell >= 0:
            record = s.running_record[lane, p]
            s.record_end[lane, record] = s.clock[lane]
            s.record_lost[lane, record] = True
            s.running[lane, p] = -1
            _make_ready(s, lane, cell // tasks, cell % tasks)
        for i in range(s.queued[lane, p]):
            cell = s.queue[lane, p, i]
            _make_ready(s, lane, cell // tasks, cell % tasks)
        s.queued[lane, p] = 0
    s.up[lane, p] = not s.up[lane, p]
    s.change_at[lane, p] = _next_change(s, lane, p)


@njit(cache=True)
def _take_back(s: SocState, lane: int) -> None:
    """Makes every mapped task that has not started ready again, before those that have just become ready."""
    tasks = s.status.shape[2]
    taken = 0
    for p in range(s.processors[lane]):
        taken += s.queued[lane, p]
    for i in range(s.ready_count[lane] - 1, -1, -1):
        s.ready[lane, i + taken] = s.ready[lane, i]
    at = 0
    for p in range(s.processors[lane]):
        for i in range(s.queued[lane, p]):
            cell = s.queue[lane, p, i]
            s.status[lane, cell // tasks, cell % tasks] = READY
            s.ready[lane, at] = cell
            at += 1
        s.queued[lane, p] = 0
    s.ready_count[lane] += taken
