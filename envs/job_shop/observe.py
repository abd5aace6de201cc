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
        lane = lanes[i]
        jobs, operations, machines = state.size[lane]
        operation[i, jobs * operations :] = 0.0
        precedes[i] = -1
        runs_on[i] = -1
        part_of[i] = -1
        mean = 1.0 / state.mean_time[lane]
        unit = 1.0 / max(state.first_bound[lane], 1)
        time = state.time[lane, :jobs, :operations]
        machine = state.machine[lane, :jobs, :operations]
        load = np.zeros(machines)
        quartiles = _machine_quartiles(time, machine, machines)
        for j in range(jobs):
            for k in range(operations):
                load[machine[j, k]] += time[j, k]
        edge = 0
        for j in range(jobs):
            job_quartiles = _quartiles(np.sort(time[j]))
            work = max(state.job_work[lane, j], 1)
            head = 0
            for k in range(operations):
                row = j * operations + k
                p = time[j, k]
                m = machine[j, k]
                tail = state.job_work[lane, j] - head - p
                cell = operation[i, row]
                cell[0] = p * mean
                cell[1] = head / work
                cell[2] = tail / work
                cell[3] = head * unit
                cell[4] = tail * unit
                for q in range(3):
                    cell[5 + q] = (p - job_quartiles[q]) * mean
                    cell[8 + q] = (p - quartiles[m, q]) * mean
                cell[11] = load[m] * unit
                runs_on[i, 0, row], runs_on[i, 1, row] = row, m
                part_of[i, 0, row], part_of[i, 1, row] = row, j
                if k + 1 < operations:
                    precedes[i, 0, edge], precedes[i, 1, edge] = row, row + 1
                    edge += 1
                head += p


@njit(cache=True, nogil=True)
def _quartiles(ordered: NDArray[np.int32]) -> NDArray[np.float64]:
    """Quartiles of a sorted, non-empty array, by linear interpolation."""
    result = np.empty(3)
    for q in range(3):
        position = (q + 1) * 0.25 * (ordered.shape[0] - 1)
        below = int(position)
        above = min(below + 1, ordered.shape[0] - 1)
        result[q] = ordered[below] + (position - below) * (ordered[above] - ordered[below])
    return result


@njit(cache=True, nogil=True)
def _machine_quartiles(
    time: NDArray[np.int32], machine: NDArray[np.int32], machines: int
) -> NDArray[np.float64]:
    """Quartiles of the processing times on each machine; zeros for a machine without operations."""
    jobs, operations = time.shape
    first = np.zeros(machines + 1, np.int64)
    for j in range(jobs):
        for k in range(operations):
            first[machine[j, k] + 1] += 1
    first = np.cumsum(first)
    filled = first.copy()
    grouped = np.empty(jobs * operations, np.int32)
    for j in range(jobs):
        for k in range(operations):
            grouped[filled[machine[j, k]]] = time[j, k]
            filled[machine[j, k]] += 1
    result = np.zeros((machines, 3))
    for m in range(machines):
        if first[m + 1] > first[m]:
            result[m] = _quartiles(np.sort(grouped[first[m] : first[m + 1]]))
    return result


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
        mask[i] = state.mask[lane]
        unfinished = _queues(state, lane, queue, work, start, completion, best, second)
        edges = _observe_jobs(state, lane, job[i], next_index[i], needs_index[i], unfinished, queue, completion, best, second)
        _observe_machines(state, lane, machine[i], unfinished, queue, work, start)
        if wait.shape[1] > 0:
            _observe_wait(state, lane, wait[i, 0])
        _observe_context(state, lane, context[i], builder, wait.shape[1])
        _count(state, lane, counts[i], edges, wait.shape[1])


@njit(cache=True, nogil=True)
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
        if m < 0:
            continue
        unfinished += 1
        queue[m] += 1
        work[m] += state.job_time[lane, j]
        start[m] = min(start[m], state.job_start[lane, j])
        completion[m] = min(completion[m], state.job_start[lane, j] + state.job_time[lane, j])
        ratio = state.job_log_ratio[lane, j]
        second[m] = min(second[m], max(best[m], ratio))
        best[m] = min(best[m], ratio)
    return unfinished


@njit(cache=True, nogil=True, error_model="numpy")
def _observe_jobs(
    state: JobShopState,
    lane: int,
    out: NDArray[np.float32],
    next_index: NDArray[np.int32],
    needs_index: NDArray[np.int32],
    unfinished: int,
    queue: NDArray[np.int64],
    completion: NDArray[np.int64],
    best: NDArray[np.float64],
    second: NDArray[np.float64],
) -> int:
    """Writes job features and dynamic edges; returns the number of edges of each type."""
    jobs = state.size[lane, 0]
    operations = state.size[lane, 1]
    now = state.now[lane]
    bound = state.bound[lane]
    mean = 1.0 / state.mean_time[lane]
    unit = 1.0 / max(state.first_bound[lane], 1)
    per_operation = 1.0 / operations
    per_job = 1.0 / max(unfinished, 1)
    edge = 0
    for j in range(jobs):
        m = state.job_machine[lane, j]
        row = out[j]
        if m < 0:
            row[:] = 0.0
            continue
        k = state.next_op[lane, j]
        p = state.job_time[lane, j]
        ready = state.job_ready[lane, j]
        est = state.job_start[lane, j]
        remaining = state.job_remaining[lane, j]
        ratio = state.job_log_ratio[lane, j]
        done = state.job_work[lane, j] - remaining + p
        load = state.machine_load[lane, m]
        row[0] = 1.0
        row[1] = state.mask[lane, j]
        row[2] = (ready - now) * mean
        row[3] = (est - now) * mean
        row[4] = p * mean
        row[5] = p / max(remaining, 1)
        row[6] = ratio
        row[7] = remaining * unit
        row[8] = (remaining - p) * unit
        row[9] = (operations - k) * per_operation
        row[10] = (bound - est - remaining) * unit
        row[11] = load * unit
        row[12] = (bound - max(state.machine_free[lane, m], now) - load) * unit
        row[13] = queue[m] * per_job
        row[14] = (est - ready) * mean
        if k + 1 < operations:
            following = state.machine[lane, j, k + 1]
            row[15] = state.time[lane, j, k + 1] * mean
            row[16] = (state.machine_free[lane, following] - est - p) * mean
            row[17] = state.machine_load[lane, following] * unit
        else:
            row[15] = 0.0
            row[16] = 0.0
            row[17] = 0.0
        row[18] = done / max(done + remaining, 1)
        row[19] = (est + p - completion[m]) * mean
        row[20] = 0.0 if queue[m] < 2 else ratio - (second[m] if ratio == best[m] else best[m])
        next_index[0, edge] = j
        next_index[1, edge] = j * operations + k
        needs_index[0, edge] = j
        needs_index[1, edge] = m
        edge += 1
    out[jobs:] = 0.0
    next_index[:, edge:] = -1
    needs_index[:, edge:] = -1
    return edge


@njit(cache=True, nogil=True, error_model="numpy")
def _observe_machines(
    state: JobShopState,
    lane: int,
    out: NDArray[np.float32],
    unfinished: int,
    queue: NDArray[np.int64],
    work: NDArray[np.int64],
    start: NDArray[np.int64],
) -> None:
    """Writes machine features."""
    machines = state.size[lane, 2]
    now = state.now[lane]
    mean = 1.0 / state.mean_time[lane]
    unit = 1.0 / max(state.first_bound[lane], 1)
    per_job = 1.0 / max(unfinished, 1)
    for m in range(machines):
        free = state.machine_free[lane, m]
        load = state.machine_load[lane, m]
        row = out[m]
        row[0] = (free - now) * mean
        row[1] = load * unit
        row[2] = state.machine_left[lane, m] / max(state.machine_operations[lane, m], 1)
        row[3] = (state.bound[lane] - max(free, now) - load) * unit
        row[4] = queue[m] * per_job
        row[5] = work[m] * mean
        row[6] = (start[m] - now) * mean if queue[m] > 0 else 0.0
    out[machines:] = 0.0


@njit(cache=True, nogil=True)
def _observe_wait(state: JobShopState, lane: int, out: NDArray[np.float32]) -> None:
    """Writes the features of the wait node."""
    jump = _NEVER
    for j in range(state.size[lane, 0]):
        if state.job_machine[lane, j] >= 0 and state.job_start[lane, j] > state.now[lane]:
            jump = min(jump, state.job_start[lane, j])
    legal = jump < _NEVER
    out[0] = legal
    out[1] = (jump - state.now[lane]) / state.mean_time[lane] if legal else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _observe_context(state: JobShopState, lane: int, out: NDArray[np.float32], builder: int, wait: int) -> None:
    """Writes the features of the lane as a whole."""
    unit = 1.0 / max(state.first_bound[lane], 1)
    out[0] = state.scheduled[lane] / (state.size[lane, 0] * state.size[lane, 1])
    out[1] = (state.bound[lane] - state.first_bound[lane]) * unit
    out[2] = state.now[lane] * unit
    out[3] = state.log_size[lane, 0]
    out[4] = state.log_size[lane, 1]
    out[5] = state.log_size[lane, 0] - state.log_size[lane, 1]
    for code in range(4):
        out[6 + code] = code == builder
    out[10] = wait


@njit(cache=True, nogil=True)
def _count(state: JobShopState, lane: int, out: NDArray[np.int32], edges: int, wait: int) -> None:
    """Writes node and edge counts in the order of the spec."""
    jobs, operations, machines = state.size[lane]
    out[0], out[1], out[2] = jobs * operations, jobs, machines
    if wait > 0:
        out[3] = 1
    first = 3 + wait
    out[first] = jobs * (operations - 1)
    out[first + 1] = jobs * operations
    out[first + 2] = jobs * operations
    out[first + 3] = edges
    out[first + 4] = edges
