"""Compiled observation of the job shop: writes the arrays that `envs.job_shop.features` declares, in its order."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.job_shop.dynamics import JobShopState

_NEVER = np.int64(2**62)


@njit(cache=True, nogil=True)
def observe_static(
    state: JobShopState,
    lanes: NDArray[np.int64],
    operation: NDArray[np.float32],
    precedes: NDArray[np.int32],
    runs_on: NDArray[np.int32],
    part_of: NDArray[np.int32],
) -> None:
    """Writes what stays fixed for an episode; padding becomes zeros (features) and -1 (edges).

    Args:
        state: State of all lanes.
        lanes: ``(n,)`` lanes to observe, lane ``lanes[i]`` into row ``i``.
        operation: ``(n, J * K, features)`` operation features.
        precedes: ``(n, 2, J * (K - 1))`` operation to its successor.
        runs_on: ``(n, 2, J * K)`` operation to machine.
        part_of: ``(n, 2, J * K)`` operation to job.
    """
    for i in range(lanes.shape[0]):
        _observe_operations(state, lanes[i], i, operation)
        _write_static_edges(state, lanes[i], i, precedes, runs_on, part_of)


@njit(cache=True, nogil=True)
def _observe_operations(state: JobShopState, lane: int, i: int, out: NDArray[np.float32]) -> None:
    """Writes the operation features of row ``i``, zeros for padding."""
    jobs, operations = state.size[lane, 0], state.size[lane, 1]
    mean = 1.0 / state.mean_time[lane]
    unit = 1.0 / max(state.first_bound[lane], 1)
    by_job, by_machine, load = _quartiles_and_loads(state, lane)
    for j in range(jobs):
        work = max(state.job_work[lane, j], 1)
        head = 0
        for k in range(operations):
            row = j * operations + k
            p = state.time[lane, j, k]
            m = state.machine[lane, j, k]
            tail = state.job_work[lane, j] - head - p
            out[i, row, 0] = p * mean
            out[i, row, 1] = head / work
            out[i, row, 2] = tail / work
            out[i, row, 3] = head * unit
            out[i, row, 4] = tail * unit
            for q in range(3):
                out[i, row, 5 + q] = (p - by_job[j, q]) * mean
                out[i, row, 8 + q] = (p - by_machine[m, q]) * mean
            out[i, row, 11] = load[m] * unit
            head += p
    for row in range(jobs * operations, out.shape[1]):
        for f in range(out.shape[2]):
            out[i, row, f] = 0.0


@njit(cache=True, nogil=True)
def _quartiles_and_loads(
    state: JobShopState, lane: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Quartiles of the times of each job, and of each machine (zeros for an unused one), and the machines' loads."""
    jobs, operations, machines = state.size[lane, 0], state.size[lane, 1], state.size[lane, 2]
    by_job, by_machine, load = np.zeros((jobs, 3)), np.zeros((machines, 3)), np.zeros(machines)
    times = np.empty((machines, jobs * operations), np.int32)
    count = np.zeros(machines, np.int64)
    own = np.empty(operations, np.int32)
    for j in range(jobs):
        for k in range(operations):
            m = state.machine[lane, j, k]
            own[k] = state.time[lane, j, k]
            times[m, count[m]] = own[k]
            count[m] += 1
            load[m] += own[k]
        _write_quartiles(own, by_job, j)
    for m in range(machines):
        if count[m] > 0:
            _write_quartiles(times[m, : count[m]], by_machine, m)
    return by_job, by_machine, load


@njit(cache=True, nogil=True)
def _write_quartiles(values: NDArray[np.int32], out: NDArray[np.float64], row: int) -> None:
    """Sorts ``values`` and writes their quartiles, by linear interpolation, into a row of ``out``."""
    values.sort()
    for q in range(3):
        position = (q + 1) * 0.25 * (values.shape[0] - 1)
        below = int(position)
        above = min(below + 1, values.shape[0] - 1)
        out[row, q] = values[below] + (position - below) * (values[above] - values[below])


@njit(cache=True, nogil=True)
def _write_static_edges(
    state: JobShopState,
    lane: int,
    i: int,
    precedes: NDArray[np.int32],
    runs_on: NDArray[np.int32],
    part_of: NDArray[np.int32],
) -> None:
    """Writes the edges of row ``i`` that stay fixed for an episode, -1 for padding."""
    jobs, operations = state.size[lane, 0], state.size[lane, 1]
    edge = 0
    for j in range(jobs):
        for k in range(operations):
            row = j * operations + k
            runs_on[i, 0, row], runs_on[i, 1, row] = row, state.machine[lane, j, k]
            part_of[i, 0, row], part_of[i, 1, row] = row, j
            if k + 1 < operations:
                precedes[i, 0, edge], precedes[i, 1, edge] = row, row + 1
                edge += 1
    for end in range(2):
        for padding in range(jobs * operations, runs_on.shape[2]):
            runs_on[i, end, padding] = -1
            part_of[i, end, padding] = -1
        for padding in range(edge, precedes.shape[2]):
            precedes[i, end, padding] = -1


@njit(cache=True, nogil=True, error_model="numpy")
def observe_dynamic(
    state: JobShopState,
    lanes: NDArray[np.int64],
    job: NDArray[np.float32],
    machine: NDArray[np.float32],
    wait: NDArray[np.float32],
    next_index: NDArray[np.int32],
    needs_index: NDArray[np.int32],
    context: NDArray[np.float32],
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
    builder: int,
) -> None:
    """Writes what may change at every decision; padding becomes zeros (features) and -1 (edges).

    Args:
        state: State of all lanes.
        lanes: ``(n,)`` lanes to observe, lane ``lanes[i]`` into row ``i``.
        job: ``(n, J, features)`` job features.
        machine: ``(n, M, features)`` machine features.
        wait: ``(n, 1, features)`` features of the wait node, ``(n, 0, features)`` without it.
        next_index: ``(n, 2, J)`` job to its next operation.
        needs_index: ``(n, 2, J)`` job to the machine of its next operation.
        context: ``(n, features)`` features of the lane.
        counts: ``(n, node types + edge types)`` numbers of nodes and edges.
        mask: ``(n, A)`` legal actions.
        builder: Builder code.
    """
    capacity = state.machine_free.shape[1]
    queue = np.empty(capacity, np.int64)
    work = np.empty(capacity, np.int64)
    start = np.empty(capacity, np.int64)
    completion = np.empty(capacity, np.int64)
    best = np.empty(capacity)
    second = np.empty(capacity)
    for i in range(lanes.shape[0]):
        lane = lanes[i]
        for action in range(mask.shape[1]):
            mask[i, action] = state.mask[lane, action]
        unfinished = _queues(state, lane, queue, work, start, completion, best, second)
        _observe_jobs(state, lane, i, job, unfinished, queue, completion, best, second)
        _observe_machines(state, lane, i, machine, unfinished, queue, work, start)
        _write_edges(state, lane, i, next_index, needs_index)
        if wait.shape[1] > 0:
            _observe_wait(state, lane, i, wait)
        _observe_context(state, lane, i, context, builder, wait.shape[1])
        _write_counts(state, lane, i, counts, unfinished, wait.shape[1])


@njit(cache=True, nogil=True, inline="always")
def _queues(
    state: JobShopState,
    lane: int,
    queue: NDArray[np.int64],
    work: NDArray[np.int64],
    start: NDArray[np.int64],
    completion: NDArray[np.int64],
    best: NDArray[np.float64],
    second: NDArray[np.float64],
) -> int:
    """Summarises, for each machine, the jobs that need it next; returns the number of unfinished jobs.

    Length, work, smallest earliest start and completion, and the two smallest log ratios.
    """
    for m in range(state.size[lane, 2]):
        queue[m] = 0
        work[m] = 0
        start[m] = _NEVER
        completion[m] = _NEVER
        best[m] = np.inf
        second[m] = np.inf
    unfinished = 0
    for j in range(state.size[lane, 0]):
        m = state.job_machine[lane, j]
        if m >= 0:
            unfinished += 1
            queue[m] += 1
            work[m] += state.job_time[lane, j]
            start[m] = min(start[m], state.job_start[lane, j])
            completion[m] = min(completion[m], state.job_start[lane, j] + state.job_time[lane, j])
            ratio = state.job_log_ratio[lane, j]
            second[m] = min(second[m], max(best[m], ratio))
            best[m] = min(best[m], ratio)
    return unfinished


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _observe_jobs(
    state: JobShopState,
    lane: int,
    i: int,
    out: NDArray[np.float32],
    unfinished: int,
    queue: NDArray[np.int64],
    completion: NDArray[np.int64],
    best: NDArray[np.float64],
    second: NDArray[np.float64],
) -> None:
    """Writes the job features of row ``i``, zeros for finished jobs and padding."""
    jobs = state.size[lane, 0]
    operations = state.size[lane, 1]
    now = state.now[lane]
    bound = state.bound[lane]
    mean = 1.0 / state.mean_time[lane]
    unit = 1.0 / max(state.first_bound[lane], 1)
    per_operation = 1.0 / operations
    per_job = 1.0 / max(unfinished, 1)
    for j in range(out.shape[1]):
        m = state.job_machine[lane, j]
        if j >= jobs or m < 0:
            for f in range(out.shape[2]):
                out[i, j, f] = 0.0
            continue
        k = state.next_op[lane, j]
        p = state.job_time[lane, j]
        ready = state.job_ready[lane, j]
        est = state.job_start[lane, j]
        remaining = state.job_remaining[lane, j]
        ratio = state.job_log_ratio[lane, j]
        due = state.job_work[lane, j] - remaining + p
        load = state.machine_load[lane, m]
        out[i, j, 0] = 1.0
        out[i, j, 1] = state.mask[lane, j]
        out[i, j, 2] = (ready - now) * mean
        out[i, j, 3] = (est - now) * mean
        out[i, j, 4] = p * mean
        out[i, j, 5] = p / max(remaining, 1)
        out[i, j, 6] = ratio
        out[i, j, 7] = remaining * unit
        out[i, j, 8] = (remaining - p) * unit
        out[i, j, 9] = (operations - k) * per_operation
        out[i, j, 10] = (bound - est - remaining) * unit
        out[i, j, 11] = load * unit
        out[i, j, 12] = (bound - max(state.machine_free[lane, m], now) - load) * unit
        out[i, j, 13] = queue[m] * per_job
        out[i, j, 14] = (est - ready) * mean
        if k + 1 < operations:
            following = state.machine[lane, j, k + 1]
            out[i, j, 15] = state.time[lane, j, k + 1] * mean
            out[i, j, 16] = (state.machine_free[lane, following] - est - p) * mean
            out[i, j, 17] = state.machine_load[lane, following] * unit
        else:
            out[i, j, 15] = 0.0
            out[i, j, 16] = 0.0
            out[i, j, 17] = 0.0
        out[i, j, 18] = due / max(due + remaining, 1)
        out[i, j, 19] = (est + p - completion[m]) * mean
        rival = second[m] if ratio == best[m] else best[m]
        out[i, j, 20] = ratio - rival if queue[m] > 1 else 0.0


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _observe_machines(
    state: JobShopState,
    lane: int,
    i: int,
    out: NDArray[np.float32],
    unfinished: int,
    queue: NDArray[np.int64],
    work: NDArray[np.int64],
    start: NDArray[np.int64],
) -> None:
    """Writes the machine features of row ``i``, zeros for padding."""
    machines = state.size[lane, 2]
    now = state.now[lane]
    bound = state.bound[lane]
    mean = 1.0 / state.mean_time[lane]
    unit = 1.0 / max(state.first_bound[lane], 1)
    per_job = 1.0 / max(unfinished, 1)
    for m in range(machines):
        free = state.machine_free[lane, m]
        load = state.machine_load[lane, m]
        out[i, m, 0] = (free - now) * mean
        out[i, m, 1] = load * unit
        out[i, m, 2] = state.machine_left[lane, m] / max(state.machine_operations[lane, m], 1)
        out[i, m, 3] = (bound - max(free, now) - load) * unit
        out[i, m, 4] = queue[m] * per_job
        out[i, m, 5] = work[m] * mean
        out[i, m, 6] = (start[m] - now) * mean if queue[m] > 0 else 0.0
    for m in range(machines, out.shape[1]):
        for f in range(out.shape[2]):
            out[i, m, f] = 0.0


@njit(cache=True, nogil=True, inline="always")
def _write_edges(
    state: JobShopState, lane: int, i: int, next_index: NDArray[np.int32], needs_index: NDArray[np.int32]
) -> None:
    """Writes the edges of the unfinished jobs of row ``i``, packed at the front."""
    operations = state.size[lane, 1]
    edge = 0
    for j in range(state.size[lane, 0]):
        m = state.job_machine[lane, j]
        if m >= 0:
            next_index[i, 0, edge] = j
            next_index[i, 1, edge] = j * operations + state.next_op[lane, j]
            needs_index[i, 0, edge] = j
            needs_index[i, 1, edge] = m
            edge += 1
    for padding in range(edge, next_index.shape[2]):
        next_index[i, 0, padding] = -1
        next_index[i, 1, padding] = -1
        needs_index[i, 0, padding] = -1
        needs_index[i, 1, padding] = -1


@njit(cache=True, nogil=True, inline="always")
def _observe_wait(state: JobShopState, lane: int, i: int, out: NDArray[np.float32]) -> None:
    """Writes the features of the wait node of row ``i``."""
    jump = _NEVER
    for j in range(state.size[lane, 0]):
        if state.job_machine[lane, j] >= 0 and state.job_start[lane, j] > state.now[lane]:
            jump = min(jump, state.job_start[lane, j])
    legal = jump < _NEVER
    out[i, 0, 0] = legal
    out[i, 0, 1] = (jump - state.now[lane]) / state.mean_time[lane] if legal else 0.0


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _observe_context(state: JobShopState, lane: int, i: int, out: NDArray[np.float32], builder: int, wait: int) -> None:
    """Writes the features of row ``i`` as a whole."""
    unit = 1.0 / max(state.first_bound[lane], 1)
    out[i, 0] = state.scheduled[lane] / (state.size[lane, 0] * state.size[lane, 1])
    out[i, 1] = (state.bound[lane] - state.first_bound[lane]) * unit
    out[i, 2] = state.now[lane] * unit
    out[i, 3] = state.log_size[lane, 0]
    out[i, 4] = state.log_size[lane, 1]
    out[i, 5] = state.log_size[lane, 0] - state.log_size[lane, 1]
    for code in range(4):
        out[i, 6 + code] = code == builder
    out[i, 10] = wait


@njit(cache=True, nogil=True, inline="always")
def _write_counts(state: JobShopState, lane: int, i: int, out: NDArray[np.int32], unfinished: int, wait: int) -> None:
    """Writes the node and edge counts of row ``i`` in the order of the spec."""
    jobs = state.size[lane, 0]
    operations = state.size[lane, 1]
    out[i, 0] = jobs * operations
    out[i, 1] = jobs
    out[i, 2] = state.size[lane, 2]
    if wait > 0:
        out[i, 3] = 1
    first = 3 + wait
    out[i, first] = jobs * (operations - 1)
    out[i, first + 1] = jobs * operations
    out[i, first + 2] = jobs * operations
    out[i, first + 3] = unfinished
    out[i, first + 4] = unfinished
