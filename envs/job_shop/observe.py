"""Compiled observation of the job shop: writes the arrays that `envs.job_shop.features` declares, in its order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle, kernel
from envs.job_shop.dynamics import NEVER, JobShopState


class ObservationArrays(NamedTuple):
    """The arrays of observations; ``n`` rows, J jobs, K operations of a job, M machines, A actions.

    Attributes:
        operation: ``(n, J * K, features)`` operation features.
        precedes: ``(n, 2, J * (K - 1))`` operation to its successor.
        runs_on: ``(n, 2, J * K)`` operation to machine.
        part_of: ``(n, 2, J * K)`` operation to job.
        job: ``(n, J, features)`` job features.
        machine: ``(n, M, features)`` machine features.
        wait: ``(n, 1, features)`` features of the wait node, ``(0, 0, 0)`` without it.
        next_operation: ``(n, 2, J)`` job to its next operation.
        needs: ``(n, 2, J)`` job to the machine of its next operation.
        context: ``(n, features)`` features of the lane.
        counts: ``(n, node types + edge types)`` numbers of nodes and edges.
        mask: ``(n, A)`` legal actions.
    """

    operation: NDArray[np.float32]
    precedes: NDArray[np.int32]
    runs_on: NDArray[np.int32]
    part_of: NDArray[np.int32]
    job: NDArray[np.float32]
    machine: NDArray[np.float32]
    wait: NDArray[np.float32]
    next_operation: NDArray[np.int32]
    needs: NDArray[np.int32]
    context: NDArray[np.float32]
    counts: NDArray[np.int32]
    mask: NDArray[np.bool_]


class Queues(NamedTuple):
    """What the jobs that need a machine next amount to, ``(M,)`` each.

    Attributes:
        start: Smallest earliest start.
        completion: Smallest completion.
        best: Smallest log ratio.
        second: Second smallest log ratio.
    """

    start: NDArray[np.int64]
    completion: NDArray[np.int64]
    best: NDArray[np.float64]
    second: NDArray[np.float64]


@njit(cache=True)
def observation_handle(arrays: ObservationArrays) -> Handle[ObservationArrays]:
    """Returns a handle to the arrays of an observation."""
    return Handle(arrays)


@njit(cache=True, nogil=True, error_model="numpy")
def observe_static(
    state_handle: Handle[JobShopState],
    lanes: NDArray[np.int64],
    rows: NDArray[np.int64],
    out_handle: Handle[ObservationArrays],
) -> None:
    """Writes what stays fixed for an episode of ``lanes[i]`` into row ``rows[i]``.

    Padding becomes zeros (features) and -1 (edges).
    """
    state, out = state_handle.arrays, out_handle.arrays
    for i in range(lanes.shape[0]):
        by_job, by_machine = _summarise_times(state, lanes[i])
        _observe_operations(state, lanes[i], by_job, by_machine, out, rows[i])
        _write_static_edges(state, lanes[i], out, rows[i])


@kernel
def _observe_operations(
    state: JobShopState,
    lane: int,
    by_job: NDArray[np.float64],
    by_machine: NDArray[np.float64],
    out: ObservationArrays,
    row: int,
) -> None:
    """Writes the operation features of one row."""
    jobs, operations = state.size[lane, 0], state.size[lane, 1]
    mean = 1.0 / state.mean_time[lane]
    unit = 1.0 / max(state.first_bound[lane], 1)
    for j in range(jobs):
        work = max(state.job_work[lane, j], 1)
        head = np.int64(0)
        for k in range(operations):
            node = j * operations + k
            p = state.time[lane, j, k]
            m = state.machine[lane, j, k]
            tail = state.job_work[lane, j] - head - p
            out.operation[row, node, 0] = p * mean
            out.operation[row, node, 1] = head / work
            out.operation[row, node, 2] = tail / work
            out.operation[row, node, 3] = head * unit
            out.operation[row, node, 4] = tail * unit
            for q in range(3):
                out.operation[row, node, 5 + q] = (p - by_job[j, q]) * mean
                out.operation[row, node, 8 + q] = (p - by_machine[m, q]) * mean
            out.operation[row, node, 11] = by_machine[m, 3] * unit
            head += p
    _pad_features(out.operation, row, jobs * operations)


@njit(cache=True, nogil=True)
def _summarise_times(state: JobShopState, lane: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Quartiles and sum of the times of each job, ``(J, 4)``, and of each machine (zeros for an unused one)."""
    jobs, operations, machines = state.size[lane, 0], state.size[lane, 1], state.size[lane, 2]
    job_times = np.empty((jobs, operations), np.int64)
    machine_times = np.empty((machines, jobs * operations), np.int64)
    count = np.zeros(machines, np.int64)
    _sort_times(state, lane, job_times, machine_times, count)
    return _summaries(job_times, np.full(jobs, operations)), _summaries(machine_times, count)


@kernel
def _sort_times(
    state: JobShopState,
    lane: int,
    job_times: NDArray[np.int64],
    machine_times: NDArray[np.int64],
    count: NDArray[np.int64],
) -> None:
    """Sorts the times of each job and of each machine into its row, and counts those of each machine."""
    for j in range(state.size[lane, 0]):
        for k in range(state.size[lane, 1]):
            m = state.machine[lane, j, k]
            _insert_sorted(job_times, j, k, state.time[lane, j, k])
            _insert_sorted(machine_times, m, count[m], state.time[lane, j, k])
            count[m] += 1


@njit(cache=True, nogil=True, inline="always")
def _insert_sorted(values: NDArray[np.int64], row: int, count: int, value: int) -> None:
    """Inserts a value into the ``count`` sorted ones at the front of a row."""
    at = count
    while at > 0 and values[row, at - 1] > value:
        values[row, at] = values[row, at - 1]
        at -= 1
    values[row, at] = value


@njit(cache=True, nogil=True)
def _summaries(values: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Quartiles, by linear interpolation, and sum of the ``count`` sorted values of every row, ``(rows, 4)``."""
    result = np.zeros((values.shape[0], 4))
    for row in range(values.shape[0]):
        last = count[row] - 1
        for q in range(3 if last >= 0 else 0):
            position = (q + 1) * 0.25 * last
            below = int(position)
            above = min(below + 1, last)
            result[row, q] = values[row, below] + (position - below) * (values[row, above] - values[row, below])
        for i in range(count[row]):
            result[row, 3] += values[row, i]
    return result


@kernel
def _write_static_edges(state: JobShopState, lane: int, out: ObservationArrays, row: int) -> None:
    """Writes the edges of one row that stay fixed for an episode."""
    jobs, operations = state.size[lane, 0], state.size[lane, 1]
    edge = 0
    for j in range(jobs):
        for k in range(operations):
            node = j * operations + k
            out.runs_on[row, 0, node], out.runs_on[row, 1, node] = node, state.machine[lane, j, k]
            out.part_of[row, 0, node], out.part_of[row, 1, node] = node, j
            if k + 1 < operations:
                out.precedes[row, 0, edge], out.precedes[row, 1, edge] = node, node + 1
                edge += 1
    _pad_edges(out.runs_on, row, jobs * operations)
    _pad_edges(out.part_of, row, jobs * operations)
    _pad_edges(out.precedes, row, edge)


@njit(cache=True, nogil=True, error_model="numpy")
def observe_dynamic(
    state_handle: Handle[JobShopState],
    lanes: NDArray[np.int64],
    rows: NDArray[np.int64],
    out_handle: Handle[ObservationArrays],
    builder: int,
) -> None:
    """Writes what may change at every decision of ``lanes[i]`` into row ``rows[i]``.

    Padding becomes zeros (features) and -1 (edges).
    """
    state = state_handle.arrays
    machines = state.machine_free.shape[1]
    queues = Queues(np.empty(machines, np.int64), np.empty(machines, np.int64), np.empty(machines), np.empty(machines))
    _observe_dynamic(state, lanes, rows, queues, out_handle.arrays, builder)


@kernel
def _observe_dynamic(
    state: JobShopState,
    lanes: NDArray[np.int64],
    rows: NDArray[np.int64],
    queues: Queues,
    out: ObservationArrays,
    builder: int,
) -> None:
    for i in range(lanes.shape[0]):
        lane, row = lanes[i], rows[i]
        unfinished = _summarise_queues(state, lane, queues)
        _observe_machines(state, lane, out, row, unfinished, queues)
        _observe_jobs(state, lane, out, row, queues)
        _observe_wait(state, lane, out, row)
        _observe_lane(state, lane, out, row, unfinished, builder)


@njit(cache=True, nogil=True, inline="always")
def _summarise_queues(state: JobShopState, lane: int, queues: Queues) -> int:
    """Fills ``queues`` for one lane; returns the number of unfinished jobs."""
    for m in range(state.size[lane, 2]):
        queues.start[m] = NEVER
        queues.completion[m] = NEVER
        queues.best[m] = np.inf
        queues.second[m] = np.inf
    unfinished = 0
    for j in range(state.size[lane, 0]):
        m = state.job_machine[lane, j]
        if m < 0:
            continue
        unfinished += 1
        est = state.job_start[lane, j]
        ratio = state.job_log_ratio[lane, j]
        queues.start[m] = min(queues.start[m], est)
        queues.completion[m] = min(queues.completion[m], est + state.job_time[lane, j])
        best, second = queues.best[m], queues.second[m]
        worse = ratio if ratio > best else best
        queues.best[m] = ratio if ratio < best else best
        queues.second[m] = worse if worse < second else second
    return unfinished


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _observe_machines(
    state: JobShopState, lane: int, out: ObservationArrays, row: int, unfinished: int, queues: Queues
) -> None:
    """Writes the machine features of one row."""
    now = state.now[lane]
    bound = state.bound[lane]
    mean = 1.0 / state.mean_time[lane]
    unit = 1.0 / max(state.first_bound[lane], 1)
    per_job = 1.0 / max(unfinished, 1)
    for m in range(state.size[lane, 2]):
        free = state.machine_free[lane, m]
        load = state.machine_load[lane, m]
        queue = state.machine_queue[lane, m]
        out.machine[row, m, 0] = (free - now) * mean
        out.machine[row, m, 1] = load * unit
        out.machine[row, m, 2] = state.machine_left[lane, m] / max(state.machine_operations[lane, m], 1)
        out.machine[row, m, 3] = (bound - max(free, now) - load) * unit
        out.machine[row, m, 4] = queue * per_job
        out.machine[row, m, 5] = state.machine_queue_work[lane, m] * mean
        out.machine[row, m, 6] = (queues.start[m] - now) * mean if queue > 0 else 0.0
    _pad_features(out.machine, row, state.size[lane, 2])


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _observe_jobs(state: JobShopState, lane: int, out: ObservationArrays, row: int, queues: Queues) -> None:
    """Writes the job features and edges of one row, which has its machine features; finished jobs are like padding."""
    jobs, operations = state.size[lane, 0], state.size[lane, 1]
    now = state.now[lane]
    bound = state.bound[lane]
    mean = 1.0 / state.mean_time[lane]
    unit = 1.0 / max(state.first_bound[lane], 1)
    edge = 0
    for j in range(jobs):
        m = state.job_machine[lane, j]
        if m < 0:
            for f in range(out.job.shape[2]):
                out.job[row, j, f] = 0.0
            continue
        k = state.next_op[lane, j]
        ready = state.job_ready[lane, j]
        est = state.job_start[lane, j]
        end = est + state.job_time[lane, j]
        ratio = state.job_log_ratio[lane, j]
        out.job[row, j, 0] = 1.0
        out.job[row, j, 1] = state.mask[lane, j]
        out.job[row, j, 2] = (ready - now) * mean
        out.job[row, j, 3] = (est - now) * mean
        for f in range(6):
            out.job[row, j, 4 + f] = state.job_outlook[lane, j, f]
        out.job[row, j, 10] = (bound - est - state.job_remaining[lane, j]) * unit
        out.job[row, j, 11] = out.machine[row, m, 1]
        out.job[row, j, 12] = out.machine[row, m, 3]
        out.job[row, j, 13] = out.machine[row, m, 4]
        out.job[row, j, 14] = (est - ready) * mean
        out.job[row, j, 15] = state.job_outlook[lane, j, 6]
        out.job[row, j, 16] = 0.0
        out.job[row, j, 17] = 0.0
        if k + 1 < operations:
            following = state.machine[lane, j, k + 1]
            out.job[row, j, 16] = (state.machine_free[lane, following] - end) * mean
            out.job[row, j, 17] = out.machine[row, following, 1]
        out.job[row, j, 18] = state.job_outlook[lane, j, 7]
        out.job[row, j, 19] = (end - queues.completion[m]) * mean
        best, second = queues.best[m], queues.second[m]
        lead = ratio - (second if ratio == best else best)
        out.job[row, j, 20] = lead if lead > -np.inf else 0.0
        out.next_operation[row, 0, edge] = j
        out.next_operation[row, 1, edge] = j * operations + k
        out.needs[row, 0, edge] = j
        out.needs[row, 1, edge] = m
        edge += 1
    _pad_features(out.job, row, jobs)
    _pad_edges(out.next_operation, row, edge)
    _pad_edges(out.needs, row, edge)


@njit(cache=True, nogil=True, inline="always")
def _observe_wait(state: JobShopState, lane: int, out: ObservationArrays, row: int) -> None:
    """Writes the features of the wait node of one row, if there is one."""
    if out.wait.shape[1] == 0:
        return
    jump = NEVER
    for j in range(state.size[lane, 0]):
        if state.job_machine[lane, j] >= 0 and state.job_start[lane, j] > state.now[lane]:
            jump = min(jump, state.job_start[lane, j])
    legal = jump < NEVER
    out.wait[row, 0, 0] = legal
    out.wait[row, 0, 1] = (jump - state.now[lane]) / state.mean_time[lane] if legal else 0.0


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _observe_lane(
    state: JobShopState, lane: int, out: ObservationArrays, row: int, unfinished: int, builder: int
) -> None:
    """Writes context, counts and mask of one row."""
    jobs, operations, machines = state.size[lane, 0], state.size[lane, 1], state.size[lane, 2]
    unit = 1.0 / max(state.first_bound[lane], 1)
    wait = out.wait.shape[1]
    out.context[row, 0] = state.scheduled[lane] / state.total[lane]
    out.context[row, 1] = (state.bound[lane] - state.first_bound[lane]) * unit
    out.context[row, 2] = state.now[lane] * unit
    out.context[row, 3] = state.log_size[lane, 0]
    out.context[row, 4] = state.log_size[lane, 1]
    out.context[row, 5] = state.log_size[lane, 0] - state.log_size[lane, 1]
    for code in range(4):
        out.context[row, 6 + code] = code == builder
    out.context[row, 10] = wait
    out.counts[row, 0], out.counts[row, 1], out.counts[row, 2] = jobs * operations, jobs, machines
    if wait > 0:
        out.counts[row, 3] = 1
    edges = 3 + wait
    out.counts[row, edges] = jobs * (operations - 1)
    out.counts[row, edges + 1] = out.counts[row, edges + 2] = jobs * operations
    out.counts[row, edges + 3] = out.counts[row, edges + 4] = unfinished
    for action in range(out.mask.shape[1]):
        out.mask[row, action] = state.mask[lane, action]


@njit(cache=True, nogil=True, inline="always")
def _pad_features(out: NDArray[np.float32], row: int, first: int) -> None:
    """Fills the nodes from ``first`` on with zeros."""
    for node in range(first, out.shape[1]):
        for f in range(out.shape[2]):
            out[row, node, f] = 0.0


@njit(cache=True, nogil=True, inline="always")
def _pad_edges(out: NDArray[np.int32], row: int, first: int) -> None:
    """Fills the edges from ``first`` on with -1."""
    for end in range(2):
        for edge in range(first, out.shape[2]):
            out[row, end, edge] = -1
