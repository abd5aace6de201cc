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
from envs.job_shop.dynamics import JobShopState
from envs.job_shop.observe import ObservationArrays

RULES = ("spt_mwkr", "spt_mwkr_squared", "mwkr", "mopnr", "fdd_mwkr")
"""Rules that roll-outs can go on with, of those of the same names in `envs.job_shop.rules`; the index is their code."""


class Paper(NamedTuple):
    """Where roll-outs are worked out: F tables, J jobs, K operations of a job, M machines.

    Attributes:
        priority: ``(F, J, K)`` priority of every operation; the least goes first.
        makespan: ``(F, J)`` makespan that follows on each job's choice.
        job: ``(J,)`` unfinished jobs in order.
        next_op: ``(J,)`` index of the next operation of each of them.
        ready: ``(J,)`` completion of the one before.
        machine: ``(J,)`` machine that it needs.
        urgency: ``(J,)`` its priority.
        free: ``(M,)`` completion of the last operation on each machine.
    """

    priority: NDArray[np.float64]
    makespan: NDArray[np.float64]
    job: NDArray[np.int64]
    next_op: NDArray[np.int64]
    ready: NDArray[np.int64]
    machine: NDArray[np.int64]
    urgency: NDArray[np.float64]
    free: NDArray[np.int64]


@njit(cache=True, nogil=True)
def paper_for(state: JobShopState, tables: int) -> Paper:
    """Returns paper for one lane of ``state`` at a time and so many tables."""
    _, jobs, operations = state.time.shape
    return Paper(
        np.empty((tables, jobs, operations)),
        np.empty((tables, jobs)),
        np.empty(jobs, np.int64),
        np.empty(jobs, np.int64),
        np.empty(jobs, np.int64),
        np.empty(jobs, np.int64),
        np.empty(jobs),
        np.empty(state.machine_free.shape[1], np.int64),
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
                paper.makespan[table, job] = _finish(state, lane, paper, table, _begin(state, lane, paper, table, job))


@njit(cache=True, nogil=True)
def _begin(state: JobShopState, lane: int, paper: Paper, table: int, chosen: int) -> int:
    """Puts the lane onto paper, with the next operation of ``chosen`` scheduled; returns the number of open jobs."""
    for m in range(state.size[lane, 2]):
        paper.free[m] = state.machine_free[lane, m]
    operations = state.size[lane, 1]
    count = 0
    for j in range(state.size[lane, 0]):
        k = state.next_op[lane, j]
        if k == operations:
            continue
        ready = max(state.job_ready[lane, j], state.floor[lane])
        if j == chosen:
            ready = state.job_start[lane, j] + state.job_time[lane, j]
            machine = state.job_machine[lane, j]
            paper.free[machine] = max(paper.free[machine], ready)
            k += 1
            if k == operations:
                continue
        paper.job[count] = j
        paper.next_op[count] = k
        paper.ready[count] = ready
        paper.machine[count] = state.machine[lane, j, k]
        paper.urgency[count] = paper.priority[table, j, k]
        count += 1
    return count


@njit(cache=True, nogil=True)
def _finish(state: JobShopState, lane: int, paper: Paper, table: int, count: int) -> int:
    """Completes the schedule on paper, ``count`` jobs of which are open, and returns its makespan."""
    operations = state.size[lane, 1]
    while count > 0:
        first, row, least = np.int64(2**62), 0, np.inf
        for i in range(count):
            start = max(paper.ready[i], paper.free[paper.machine[i]])
            if start < first or (start == first and paper.urgency[i] < least):
                first, row, least = start, i, paper.urgency[i]
        j, k = paper.job[row], paper.next_op[row]
        end = first + state.time[lane, j, k]
        paper.free[paper.machine[row]] = end
        if k + 1 < operations:
            paper.ready[row] = end
            paper.next_op[row] = k + 1
            paper.machine[row] = state.machine[lane, j, k + 1]
            paper.urgency[row] = paper.priority[table, j, k + 1]
        else:
            count -= 1
            _remove(paper, row, count)
    # Every job ends on some machine, so the last of those ends is the makespan.
    makespan = np.int64(0)
    for m in range(state.size[lane, 2]):
        makespan = max(makespan, paper.free[m])
    return int(makespan)


@njit(cache=True, nogil=True)
def _remove(paper: Paper, row: int, count: int) -> None:
    """Takes a job out; the others keep their order, which decides ties."""
    for i in range(row, count):
        paper.job[i] = paper.job[i + 1]
        paper.next_op[i] = paper.next_op[i + 1]
        paper.ready[i] = paper.ready[i + 1]
        paper.machine[i] = paper.machine[i + 1]
        paper.urgency[i] = paper.urgency[i + 1]


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
