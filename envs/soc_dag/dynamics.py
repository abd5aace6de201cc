"""The rules of DAG scheduling on heterogeneous processors, event by event.

A task is *ready* when its predecessors are done. Ready tasks are mapped to processing elements (PEs), one decision
after the other at the same instant, and wait in the PE's queue; a free PE starts the first task in its queue whose
data has arrived, and runs it to the end. When no ready task can be mapped, time moves to the next event. These are
the semantics of DS3 (Arda et al., "DS3: A system-level domain-specific system-on-chip simulation framework", IEEE TC
2020) and of the environment of SoCRATES (Sung and Ryu, 2021), without their clock of one step a microsecond.

With ``remap``, whenever something happens (a task ends, a job comes, a PE fails or is repaired), tasks that have not
started are taken back and mapped anew; one that is moved to another PE fetches its data from the moment of the move.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.random import next_word
from envs.soc_dag.draws import draw_duration, draw_type, next_change, next_pause
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


@njit(cache=True)
def begin(s: SocState, lanes: NDArray[np.int64], decision: int, remap: bool) -> None:
    """Begins an episode in each of ``lanes`` on the instance that stands in its tables."""
    for lane in lanes:
        s.key[lane] = next_word(s.generator, lane)
        _clear(s, lane)
        if s.episode[lane].mode == BLOCKING:
            for _ in range(s.episode[lane].limit):
                _arrive(s, lane)
            s.episode[lane].next_arrival = next_pause(s, lane)
        elif s.episode[lane].mode == OPEN:
            s.episode[lane].next_arrival = next_pause(s, lane)
        else:
            s.episode[lane].next_arrival = s.job[lane, 0].arrived
        for p in range(s.episode[lane].processors):
            s.processor[lane, p].change_at = next_change(s, lane, p) if s.episode[lane].failure_gap > 0.0 else np.inf
        _admit_waiting(s, lane)
        _advance(s, lane, remap)
        estimate(s, lane, decision)
        s.episode[lane].first_makespan = max(s.episode[lane].makespan, 1e-9)


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
            processors = s.episode[lane].processors
            _map(s, lane, s.offer[lane, action // processors], action % processors)
        elif decision == TWO_STEP:
            if action < offers:
                s.episode[lane].chosen = action
                estimate(s, lane, decision)
                continue
            _map(s, lane, s.offer[lane, s.episode[lane].chosen], action - offers)
            s.episode[lane].chosen = -1
        else:
            _map(s, lane, s.offer[lane, action], _earliest_finish(s, lane, action))
        _advance(s, lane, remap)
        estimate(s, lane, decision)


@njit(cache=True)
def _clear(s: SocState, lane: int) -> None:
    episode = s.episode[lane]
    if episode.mode != STATIC:
        episode.arrived_jobs = 0
    episode.clock = 0.0
    episode.done = False
    episode.pauses = 0
    episode.admitted_jobs = 0
    episode.completed_jobs = 0
    episode.ready_count = 0
    episode.offers = 0
    episode.chosen = -1
    episode.records = 0
    episode.latency_sum = 0.0
    episode.latency_count = 0
    episode.excess = 0.0
    for job in range(s.job.shape[1]):
        s.job[lane, job].completed = np.inf
    for place in range(s.place.shape[1]):
        s.place[lane, place].job = -1
    for p in range(s.processor.shape[1]):
        s.processor[lane, p].running = -1
        s.processor[lane, p].queued = 0
        s.processor[lane, p].up = p < episode.processors
        s.processor[lane, p].changes = 0


@njit(cache=True)
def _arrive(s: SocState, lane: int) -> None:
    """Notes a job of a drawn type; beyond the capacity for jobs none arrives."""
    job = s.episode[lane].arrived_jobs
    if job == s.job.shape[1]:
        return
    s.job[lane, job].type = draw_type(s, lane, job)
    s.job[lane, job].arrived = s.episode[lane].clock
    s.episode[lane].arrived_jobs += 1


@njit(cache=True)
def _admit_waiting(s: SocState, lane: int) -> None:
    """Gives free places to jobs that have arrived, first come, first served."""
    while s.episode[lane].admitted_jobs < s.episode[lane].arrived_jobs:
        job = s.episode[lane].admitted_jobs
        if s.job[lane, job].arrived > s.episode[lane].clock:
            return
        place = 0
        while place < s.episode[lane].limit and s.place[lane, place].job >= 0:
            place += 1
        if place == s.episode[lane].limit:
            return
        _admit(s, lane, job, place)


@njit(cache=True)
def _admit(s: SocState, lane: int, job: int, place: int) -> None:
    kind = s.job[lane, job].type
    first, last = s.offset[lane, kind], s.offset[lane, kind + 1]
    s.job[lane, job].admitted = s.episode[lane].clock
    s.episode[lane].admitted_jobs += 1
    s.place[lane, place].job = job
    s.place[lane, place].left = last - first
    for kernel in range(first, last):
        task = kernel - first
        missing = s.predecessor_from[lane, kernel + 1] - s.predecessor_from[lane, kernel]
        s.task[lane, place, task].status = WAITING
        s.task[lane, place, task].missing = missing
        s.task[lane, place, task].mapped_to = -1
        s.task[lane, place, task].fetched_to = -1
        s.task[lane, place, task].attempt = 0
        if missing == 0:
            _make_ready(s, lane, place, task)


@njit(cache=True, forceinline=True)
def _make_ready(s: SocState, lane: int, place: int, task: int) -> None:
    s.task[lane, place, task].status = READY
    s.task[lane, place, task].ready_at = s.episode[lane].clock
    s.ready[lane, s.episode[lane].ready_count] = place * s.task.shape[2] + task
    s.episode[lane].ready_count += 1


@njit(cache=True, forceinline=True)
def _cut(s: SocState, lane: int, duration: float) -> float:
    return np.floor(duration) if s.episode[lane].whole else duration


@njit(cache=True)
def _earliest_finish(s: SocState, lane: int, row: int) -> int:
    best = -1
    for p in range(s.episode[lane].processors):
        if np.isfinite(s.pair[lane, row, p].finish) and (
            best < 0 or s.pair[lane, row, p].finish < s.pair[lane, row, best].finish
        ):
            best = p
    return best


@njit(cache=True, forceinline=True)
def _map(s: SocState, lane: int, cell: int, p: int) -> None:
    """Moves a ready task into the queue of PE ``p``; its estimates must stand in the row of `offer`."""
    tasks = s.task.shape[2]
    place, task = cell // tasks, cell % tasks
    row = 0
    while s.offer[lane, row] != cell:
        row += 1
    count, at = s.episode[lane].ready_count, 0
    while s.ready[lane, at] != cell:
        at += 1
    for i in range(at, count - 1):
        s.ready[lane, i] = s.ready[lane, i + 1]
    s.episode[lane].ready_count = count - 1
    s.task[lane, place, task].status = MAPPED
    s.task[lane, place, task].mapped_at = s.episode[lane].clock
    s.task[lane, place, task].mapped_to = p
    s.task[lane, place, task].data_at = s.pair[lane, row, p].data
    s.task[lane, place, task].fetched_to = p
    s.queue[lane, p, s.processor[lane, p].queued] = cell
    s.processor[lane, p].queued += 1


@njit(cache=True)
def _advance(s: SocState, lane: int, remap: bool) -> None:
    """Lets time pass until there is a task to map, or the episode is over."""
    while True:
        _start_tasks(s, lane)
        _offer(s, lane)
        if s.episode[lane].offers > 0:
            return
        if s.episode[lane].mode == STATIC and s.episode[lane].completed_jobs == s.episode[lane].arrived_jobs:
            s.episode[lane].done = True
            return
        following = _next_event(s, lane)
        if following > s.episode[lane].window:
            s.episode[lane].clock = s.episode[lane].window
            s.episode[lane].done = True
            return
        s.episode[lane].clock = following
        happened = _happen(s, lane)
        if remap and happened:
            _take_back(s, lane)


@njit(cache=True, forceinline=True)
def _offer(s: SocState, lane: int) -> None:
    """Lists the first ready tasks that some working PE can run."""
    tasks = s.task.shape[2]
    count = 0
    for i in range(s.episode[lane].ready_count):
        if count == s.offer.shape[1]:
            break
        cell = s.ready[lane, i]
        kind = s.job[lane, s.place[lane, cell // tasks].job].type
        kernel = s.offset[lane, kind] + cell % tasks
        for p in range(s.episode[lane].processors):
            if s.processor[lane, p].up and np.isfinite(s.time[lane, kernel, p]):
                s.offer[lane, count] = cell
                count += 1
                break
    s.episode[lane].offers = count


@njit(cache=True, forceinline=True)
def _start_tasks(s: SocState, lane: int) -> None:
    """On every free PE, starts the first task of its queue whose data is there."""
    tasks = s.task.shape[2]
    for p in range(s.episode[lane].processors):
        if s.processor[lane, p].running >= 0 or not s.processor[lane, p].up:
            continue
        for i in range(s.processor[lane, p].queued):
            cell = s.queue[lane, p, i]
            if s.task[lane, cell // tasks, cell % tasks].data_at <= s.episode[lane].clock:
                for k in range(i, s.processor[lane, p].queued - 1):
                    s.queue[lane, p, k] = s.queue[lane, p, k + 1]
                s.processor[lane, p].queued -= 1
                _start(s, lane, p, cell)
                break


@njit(cache=True)
def _start(s: SocState, lane: int, p: int, cell: int) -> None:
    tasks = s.task.shape[2]
    place, task = cell // tasks, cell % tasks
    job = s.place[lane, place].job
    kernel = s.offset[lane, s.job[lane, job].type] + task
    mean = s.time[lane, kernel, p]
    duration = draw_duration(s, lane, mean, job, task, s.task[lane, place, task].attempt)
    s.task[lane, place, task].attempt += 1
    s.task[lane, place, task].status = RUNNING
    s.processor[lane, p].running = cell
    s.processor[lane, p].running_end = s.episode[lane].clock + duration
    s.processor[lane, p].running_expected = s.episode[lane].clock + mean
    record = s.episode[lane].records
    if record == s.record.shape[1]:
        raise RuntimeError("more runs of tasks than max_runs of the environment allows for")
    s.processor[lane, p].running_record = record
    s.record[lane, record].job = job
    s.record[lane, record].task = task
    s.record[lane, record].processor = p
    s.record[lane, record].mapped = s.task[lane, place, task].mapped_at
    s.record[lane, record].start = s.episode[lane].clock
    s.record[lane, record].end = s.episode[lane].clock + duration
    s.record[lane, record].lost = False
    s.episode[lane].records += 1


@njit(cache=True, forceinline=True)
def _next_event(s: SocState, lane: int) -> float:
    following: float = s.episode[lane].next_arrival
    tasks = s.task.shape[2]
    for p in range(s.episode[lane].processors):
        following = min(following, s.processor[lane, p].change_at)
        if s.processor[lane, p].running >= 0:
            following = min(following, s.processor[lane, p].running_end)
        elif s.processor[lane, p].up:
            for i in range(s.processor[lane, p].queued):
                cell = s.queue[lane, p, i]
                following = min(following, s.task[lane, cell // tasks, cell % tasks].data_at)
    if s.episode[lane].shared:
        for place in range(s.episode[lane].limit):
            if s.place[lane, place].job >= 0:
                for task in range(_tasks_of(s, lane, place)):
                    if s.task[lane, place, task].status == STAGED:
                        following = min(following, s.task[lane, place, task].ready_at)
    return following


@njit(cache=True, forceinline=True)
def _tasks_of(s: SocState, lane: int, place: int) -> int:
    kind = s.job[lane, s.place[lane, place].job].type
    count: int = s.offset[lane, kind + 1] - s.offset[lane, kind]
    return count


@njit(cache=True)
def _happen(s: SocState, lane: int) -> bool:
    """Lets happen what happens now; tells whether that was more than the arrival of data."""
    now = s.episode[lane].clock
    happened = False
    for p in range(s.episode[lane].processors):
        if s.processor[lane, p].running >= 0 and s.processor[lane, p].running_end <= now:
            _end(s, lane, p)
            happened = True
    for p in range(s.episode[lane].processors):
        if s.processor[lane, p].change_at <= now:
            _change(s, lane, p)
            happened = True
    if s.episode[lane].shared:
        happened = _unstage(s, lane) or happened
    admitted = s.episode[lane].admitted_jobs
    if s.episode[lane].mode == STATIC:
        _admit_waiting(s, lane)
        waiting = s.episode[lane].admitted_jobs
        s.episode[lane].next_arrival = (
            s.job[lane, waiting].arrived if waiting < s.episode[lane].arrived_jobs else np.inf
        )
    else:
        _stream(s, lane)
    return happened or s.episode[lane].admitted_jobs > admitted


@njit(cache=True)
def _stream(s: SocState, lane: int) -> None:
    """Arrivals of a stream up to now."""
    while s.episode[lane].next_arrival <= s.episode[lane].clock:
        if s.episode[lane].mode == OPEN:
            _arrive(s, lane)
            s.episode[lane].next_arrival += next_pause(s, lane)
            continue
        free = s.episode[lane].admitted_jobs - s.episode[lane].completed_jobs < s.episode[lane].limit
        if free:
            _arrive(s, lane)
            _admit_waiting(s, lane)
        s.episode[lane].next_arrival += next_pause(s, lane) + (0.0 if free else 1.0)
    _admit_waiting(s, lane)


@njit(cache=True)
def _end(s: SocState, lane: int, p: int) -> None:
    """Ends the task that runs on a PE."""
    tasks = s.task.shape[2]
    cell = s.processor[lane, p].running
    place, task = cell // tasks, cell % tasks
    s.processor[lane, p].running = -1
    s.task[lane, place, task].status = DONE
    s.task[lane, place, task].end_at = s.episode[lane].clock
    s.place[lane, place].left -= 1
    job = s.place[lane, place].job
    if s.place[lane, place].left == 0:
        _complete(s, lane, place, job)
        return
    first = s.offset[lane, s.job[lane, job].type]
    kernel = first + task
    for i in range(s.successor_from[lane, kernel], s.successor_from[lane, kernel + 1]):
        following = s.successor[lane, i] - first
        s.task[lane, place, following].missing -= 1
        if s.task[lane, place, following].missing == 0:
            _release(s, lane, place, following)


@njit(cache=True)
def _complete(s: SocState, lane: int, place: int, job: int) -> None:
    s.job[lane, job].completed = s.episode[lane].clock
    s.episode[lane].completed_jobs += 1
    s.place[lane, place].job = -1
    latency = s.episode[lane].clock - s.job[lane, job].arrived
    s.episode[lane].excess += latency - s.kind[lane, s.job[lane, job].type].length
    if s.job[lane, job].admitted >= s.episode[lane].warm_up:
        s.episode[lane].latency_sum += latency
        s.episode[lane].latency_count += 1


@njit(cache=True)
def _release(s: SocState, lane: int, place: int, task: int) -> None:
    """A task whose predecessors are done is ready, at once or, with a shared memory, when their data lies there."""
    if not s.episode[lane].shared:
        _make_ready(s, lane, place, task)
        return
    first = s.offset[lane, s.job[lane, s.place[lane, place].job].type]
    there = s.episode[lane].clock
    for i in range(s.predecessor_from[lane, first + task], s.predecessor_from[lane, first + task + 1]):
        before = s.predecessor[lane, i] - first
        sender = s.task[lane, place, before].mapped_to
        transfer = _cut(s, lane, s.volume[lane, i] / s.processor[lane, sender].memory)
        there = max(there, s.task[lane, place, before].end_at + transfer)
    if there <= s.episode[lane].clock:
        _make_ready(s, lane, place, task)
    else:
        s.task[lane, place, task].status = STAGED
        s.task[lane, place, task].ready_at = there


@njit(cache=True)
def _unstage(s: SocState, lane: int) -> bool:
    happened = False
    for place in range(s.episode[lane].limit):
        if s.place[lane, place].job >= 0:
            for task in range(_tasks_of(s, lane, place)):
                if (
                    s.task[lane, place, task].status == STAGED
                    and s.task[lane, place, task].ready_at <= s.episode[lane].clock
                ):
                    _make_ready(s, lane, place, task)
                    happened = True
    return happened


@njit(cache=True)
def _change(s: SocState, lane: int, p: int) -> None:
    """A PE fails, and loses what it runs and what waits for it; or it is repaired."""
    tasks = s.task.shape[2]
    if s.processor[lane, p].up:
        cell = s.processor[lane, p].running
        if cell >= 0:
            record = s.processor[lane, p].running_record
            s.record[lane, record].end = s.episode[lane].clock
            s.record[lane, record].lost = True
            s.processor[lane, p].running = -1
            _make_ready(s, lane, cell // tasks, cell % tasks)
        for i in range(s.processor[lane, p].queued):
            cell = s.queue[lane, p, i]
            _make_ready(s, lane, cell // tasks, cell % tasks)
        s.processor[lane, p].queued = 0
    s.processor[lane, p].up = not s.processor[lane, p].up
    s.processor[lane, p].change_at = next_change(s, lane, p)


@njit(cache=True)
def _take_back(s: SocState, lane: int) -> None:
    """Makes every mapped task that has not started ready again, before those that have just become ready."""
    tasks = s.task.shape[2]
    taken = 0
    for p in range(s.episode[lane].processors):
        taken += s.processor[lane, p].queued
    for i in range(s.episode[lane].ready_count - 1, -1, -1):
        s.ready[lane, i + taken] = s.ready[lane, i]
    at = 0
    for p in range(s.episode[lane].processors):
        for i in range(s.processor[lane, p].queued):
            cell = s.queue[lane, p, i]
            s.task[lane, cell // tasks, cell % tasks].status = READY
            s.ready[lane, at] = cell
            at += 1
        s.processor[lane, p].queued = 0
    s.episode[lane].ready_count += taken
