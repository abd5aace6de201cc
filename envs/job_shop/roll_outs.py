"""Roll-outs: the makespan that follows on a choice if a rule dispatches without delay from there on.

Bertsekas, Tsitsiklis and Wu, "Rollout algorithms for combinatorial optimization", Journal of Heuristics 3, 1997. All
rules here give an operation a priority that never changes, so a roll-out reads it off a table.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle
from envs.job_shop.dynamics import NEVER, JobShopState
from envs.job_shop.observe import ObservationArrays

RULES = ("spt_mwkr", "spt_mwkr_squared", "mwkr", "mopnr", "fdd_mwkr")
"""Rules that roll-outs can go on with, of those of the same names in `envs.job_shop.rules`; the index is their code."""


class Paper(NamedTuple):
    """Where roll-outs are worked out: F tables, J jobs, K operations of a job, M machines.

    Attributes:
        priority: ``(F, J, K)`` priority of every operation; the least goes first.
        makespan: ``(F, J)`` makespan that follows on each job's choice.
        next_op: ``(J,)`` index of the next operation of each job.
        ready: ``(J,)`` completion of the one before.
        queue: ``(M, J)`` jobs that need a machine next.
        queued: ``(M,)`` their number.
        free: ``(M,)`` completion of the last operation on each machine.
        start: ``(M,)`` earliest start of an operation on it, `NEVER` if no job needs it next.
    """

    priority: NDArray[np.float64]
    makespan: NDArray[np.float64]
    next_op: NDArray[np.int64]
    ready: NDArray[np.int64]
    queue: NDArray[np.int64]
    queued: NDArray[np.int64]
    free: NDArray[np.int64]
    start: NDArray[np.int64]


@njit(cache=True, nogil=True)
def paper_for(state: JobShopState, tables: int) -> Paper:
    """Returns paper for one lane of ``state`` at a time and so many tables."""
    _, jobs, operations = state.time.shape
    machines = state.machine_free.shape[1]
    return Paper(
        np.empty((tables, jobs, operations)),
        np.empty((tables, jobs)),
        np.empty(jobs, np.int64),
        np.empty(jobs, np.int64),
        np.empty((machines, jobs), np.int64),
        np.empty(machines, np.int64),
        np.empty(machines, np.int64),
        np.empty(machines, np.int64),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def write_priorities(state: JobShopState, lane: int, rule: int, paper: Paper, table: int) -> None:
    """Writes the rule's priorities of all operations that are not scheduled yet."""
    operations = state.size[lane, 1]
    for j in range(state.size[lane, 0]):
        remaining = np.float64(state.job_remaining[lane, j])
        work = np.float64(state.job_work[lane, j])
        for k in range(state.next_op[lane, j], operations):
            time = np.float64(state.time[lane, j, k])
            left = max(remaining, 1.0)
            if rule == 0:
                value = time / left
            elif rule == 1:
                value = time / (left * left)
            elif rule == 2:
                value = -remaining
            elif rule == 3:
                value = np.float64(k - operations)
            else:
                value = (work - remaining + time) / left
            paper.priority[table, j, k] = value
            remaining -= time


@njit(cache=True, nogil=True)
def roll_out(state: JobShopState, lane: int, paper: Paper) -> None:
    """Fills in the makespans that follow on each legal job under every table."""
    for job in range(state.size[lane, 0]):
        if state.mask[lane, job]:
            for table in range(paper.priority.shape[0]):
                _begin(state, lane, paper, job)
                paper.makespan[table, job] = _finish(state, lane, paper, table)


@njit(cache=True, nogil=True)
def _begin(state: JobShopState, lane: int, paper: Paper, chosen: int) -> None:
    """Puts the lane onto paper, with the next operation of ``chosen`` scheduled."""
    for m in range(state.size[lane, 2]):
        paper.free[m] = state.machine_free[lane, m]
        paper.queued[m] = 0
        paper.start[m] = NEVER
    end = state.job_start[lane, chosen] + state.job_time[lane, chosen]
    machine = state.job_machine[lane, chosen]
    paper.free[machine] = max(paper.free[machine], end)
    for j in range(state.size[lane, 0]):
        k = state.next_op[lane, j] + (j == chosen)
        ready = end if j == chosen else max(state.job_ready[lane, j], state.floor[lane])
        if k < state.size[lane, 1]:
            _queue_up(state, lane, paper, j, k, ready)


@njit(cache=True, nogil=True, inline="always")
def _queue_up(state: JobShopState, lane: int, paper: Paper, job: int, operation: int, ready: int) -> None:
    """Puts a job that is ready at a time into the queue of its machine."""
    machine = state.machine[lane, job, operation]
    paper.next_op[job] = operation
    paper.ready[job] = ready
    paper.queue[machine, paper.queued[machine]] = job
    paper.queued[machine] += 1
    paper.start[machine] = min(paper.start[machine], max(ready, paper.free[machine]))


@njit(cache=True, nogil=True)
def _finish(state: JobShopState, lane: int, paper: Paper, table: int) -> int:
    """Completes the schedule on paper and returns its makespan.

    Machines do not wait for each other: the one that can start first goes on with the most urgent of the jobs that are
    ready by then.
    """
    machines = state.size[lane, 2]
    while True:
        start, machine = NEVER, 0
        for m in range(machines):
            if paper.start[m] < start:
                start, machine = paper.start[m], m
        if start == NEVER:
            break
        j = _take(paper, table, machine, int(start))
        k = paper.next_op[j]
        end = start + state.time[lane, j, k]
        paper.free[machine] = end
        paper.start[machine] = NEVER
        for i in range(paper.queued[machine]):
            paper.start[machine] = min(paper.start[machine], max(paper.ready[paper.queue[machine, i]], end))
        if k + 1 < state.size[lane, 1]:
            _queue_up(state, lane, paper, j, k + 1, end)
    # Every job ends on some machine, so the last of those ends is the makespan.
    makespan = np.int64(0)
    for m in range(machines):
        makespan = max(makespan, paper.free[m])
    return int(makespan)


@njit(cache=True, nogil=True, inline="always")
def _take(paper: Paper, table: int, machine: int, start: int) -> int:
    """Takes the most urgent job that can start out of a machine's queue; ties go to the smaller job."""
    place, chosen, least = 0, np.int64(-1), np.inf
    for i in range(paper.queued[machine]):
        j = paper.queue[machine, i]
        if paper.ready[j] > start:
            continue
        urgency = paper.priority[table, j, paper.next_op[j]]
        if urgency < least or (urgency == least and j < chosen):
            place, chosen, least = i, j, urgency
    last = paper.queued[machine] - 1
    paper.queue[machine, place] = paper.queue[machine, last]
    paper.queued[machine] = last
    return int(chosen)


@njit(cache=True, nogil=True)
def observe_roll_outs(
    state_handle: Handle[JobShopState],
    lanes: NDArray[np.int64],
    rows: NDArray[np.int64],
    out_handle: Handle[ObservationArrays],
    rules: NDArray[np.int64],
) -> None:
    """Writes the last job and context features of ``lanes[i]`` into row ``rows[i]``.

    For each of ``rules``, a job gets the makespan that follows on its choice above the least one, the context the least
    one above the bound; then a job gets its best makespan by any of the rules above the least of all. The unit is the
    mean processing time; zeros where there is no choice.
    """
    state, out = state_handle.arrays, out_handle.arrays
    count = len(rules)
    paper = paper_for(state, count)
    job_feature, context_feature = out.job.shape[2] - count - 1, out.context.shape[1] - count
    for i in range(len(lanes)):
        lane, row = lanes[i], rows[i]
        jobs = state.size[lane, 0]
        out.context[row, context_feature:] = 0.0
        out.job[row, :jobs, job_feature:] = 0.0
        if state.mask[lane].sum() < 2:
            continue
        for table in range(count):
            write_priorities(state, lane, rules[table], paper, table)
        roll_out(state, lane, paper)
        unit = 1.0 / state.mean_time[lane]
        overall = np.inf
        for table in range(count):
            least = np.inf
            for j in range(jobs):
                if state.mask[lane, j]:
                    least = min(least, paper.makespan[table, j])
            overall = min(overall, least)
            out.context[row, context_feature + table] = (least - state.bound[lane]) * unit
            for j in range(jobs):
                if state.mask[lane, j]:
                    out.job[row, j, job_feature + table] = (paper.makespan[table, j] - least) * unit
        for j in range(jobs):
            if state.mask[lane, j]:
                out.job[row, j, job_feature + count] = (paper.makespan[:, j].min() - overall) * unit
