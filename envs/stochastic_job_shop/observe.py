"""Compiled observation of the stochastic job shop: writes what `envs.stochastic_job_shop.features` declares."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle, kernel
from envs.stochastic_job_shop.estimates import free_at
from envs.stochastic_job_shop.state import DONE, RUNNING, UNRELEASED, WAITING, ShopState


class ObservationArrays(NamedTuple):
    """The arrays of observations; ``n`` rows, J jobs, K operations of a job, M machines, A actions.

    Attributes:
        job: ``(n, J, features)`` job features.
        machine: ``(n, M, features)`` machine features.
        wait: ``(n, 1, features)`` features of the wait node, ``(0, 0, 0)`` without it.
        needs: ``(n, 2, J)`` job to the machine it waits for or is on.
        visits: ``(n, 2, J * (K - 1))`` job to the machines of its later operations.
        visit: ``(n, J * (K - 1), 2)`` features of those edges.
        context: ``(n, features)`` features of the lane.
        counts: ``(n, node types + edge types)`` numbers of nodes and edges.
        mask: ``(n, A)`` legal actions.
    """

    job: NDArray[np.float32]
    machine: NDArray[np.float32]
    wait: NDArray[np.float32]
    needs: NDArray[np.int32]
    visits: NDArray[np.int32]
    visit: NDArray[np.float32]
    context: NDArray[np.float32]
    counts: NDArray[np.int32]
    mask: NDArray[np.bool_]


@njit(cache=True)
def observation_handle(arrays: ObservationArrays) -> Handle[ObservationArrays]:
    """Returns a handle to the arrays of an observation."""
    return Handle(arrays)


@njit(cache=True, nogil=True, error_model="numpy")
def observe(
    state: Handle[ShopState],
    lanes: NDArray[np.int64],
    rows: NDArray[np.int64],
    out: Handle[ObservationArrays],
) -> None:
    """Writes the observation of ``lanes[i]`` into row ``rows[i]``; padding becomes zeros, and -1 in edges."""
    _observe(state.arrays, lanes, rows, out.arrays)


@kernel
def _observe(s: ShopState, lanes: NDArray[np.int64], rows: NDArray[np.int64], out: ObservationArrays) -> None:
    for i in range(lanes.shape[0]):
        lane, row = lanes[i], rows[i]
        known = _count_known(s, lane)
        _observe_machines(s, lane, out, row, known)
        _observe_jobs(s, lane, out, row)
        _observe_wait(s, lane, out, row)
        _observe_lane(s, lane, out, row, known)


@kernel
def _count_known(s: ShopState, lane: int) -> int:
    """Number of jobs in the system."""
    known = 0
    for j in range(s.size[lane, 0]):
        status = s.job_status[lane, j]
        if status in (WAITING, RUNNING):
            known += 1
    return known


@kernel
def _observe_machines(s: ShopState, lane: int, out: ObservationArrays, row: int, known: int) -> None:
    """Writes the machine features of one row."""
    mean = 1.0 / s.mean_time[lane]
    share = 1.0 / max(known, 1)
    for m in range(s.size[lane, 2]):
        load = max(s.machine_known_load[lane, m], 0.0)
        queue = max(s.machine_queue_work[lane, m], 0.0)
        out.machine[row, m, 0] = s.machine_up[lane, m]
        out.machine[row, m, 1] = s.machine_job[lane, m] < 0
        out.machine[row, m, 2] = (free_at(s, lane, m) - s.clock[lane]) * mean
        out.machine[row, m, 3] = load * mean
        out.machine[row, m, 4] = s.machine_queue[lane, m] * share
        out.machine[row, m, 5] = queue * mean
        out.machine[row, m, 6] = max(load - queue, 0.0) * mean
    for m in range(s.size[lane, 2], out.machine.shape[1]):
        for f in range(out.machine.shape[2]):
            out.machine[row, m, f] = 0.0


@kernel
def _observe_jobs(s: ShopState, lane: int, out: ObservationArrays, row: int) -> None:
    """Writes the job features and the edges of one row, which has its machine features."""
    mean = 1.0 / s.mean_time[lane]
    weight = 1.0 / _mean_weight(s, lane)
    edge = 0
    visit = 0
    for j in range(out.job.shape[1]):
        known = j < s.size[lane, 0] and s.job_status[lane, j] != UNRELEASED and s.job_status[lane, j] != DONE
        if not known:
            for f in range(out.job.shape[2]):
                out.job[row, j, f] = 0.0
            continue
        _observe_job(s, lane, out, row, j, mean, weight)
        m, k = s.job_machine[lane, j], s.job_next[lane, j]
        out.needs[row, 0, edge] = j
        out.needs[row, 1, edge] = m
        edge += 1
        before = s.expected[lane, j, k]
        for later in range(k + 1, s.size[lane, 1]):
            out.visits[row, 0, visit] = j
            out.visits[row, 1, visit] = s.machine[lane, j, later]
            out.visit[row, visit, 0] = s.expected[lane, j, later] * mean
            out.visit[row, visit, 1] = before * mean
            before += s.expected[lane, j, later]
            visit += 1
    first = out.counts.shape[1] - 2
    _pad(out, row, edge, visit, out.counts[row, first], out.counts[row, first + 1])
    out.counts[row, first] = edge
    out.counts[row, first + 1] = visit


@kernel
def _mean_weight(s: ShopState, lane: int) -> float:
    """Mean weight of the jobs in the system, 1 if that is 0."""
    total = 0.0
    known = 0
    for j in range(s.size[lane, 0]):
        if s.job_status[lane, j] == WAITING or s.job_status[lane, j] == RUNNING:
            total += s.job_weight[lane, j]
            known += 1
    return total / known if total > 0.0 else 1.0


@kernel
def _observe_job(s: ShopState, lane: int, out: ObservationArrays, row: int, j: int, mean: float, weight: float) -> None:
    """Writes the features of a job in the system."""
    now = s.clock[lane]
    m, k = s.job_machine[lane, j], s.job_next[lane, j]
    operations = s.size[lane, 1]
    time = s.job_time[lane, j]
    running = s.job_status[lane, j] == RUNNING
    left = free_at(s, lane, m) - now if running else time
    remaining = max(s.job_remaining[lane, j] - time, 0.0) + left
    due = s.job_due[lane, j]
    out.job[row, j, 0] = 1.0
    out.job[row, j, 1] = s.mask[lane, j]
    out.job[row, j, 2] = running
    out.job[row, j, 3] = time * mean
    out.job[row, j, 4] = s.variation[lane, j, k]
    out.job[row, j, 5] = s.time[lane, j, k, 0] * mean
    out.job[row, j, 6] = s.time[lane, j, k, 2] * mean
    out.job[row, j, 7] = left * mean
    out.job[row, j, 8] = remaining * mean
    out.job[row, j, 9] = min(max(s.job_remaining[lane, j] / max(s.job_work[lane, j], 1e-9), 0.0), 1.0)
    out.job[row, j, 10] = (operations - k) / operations
    out.job[row, j, 11] = min(time / max(s.job_remaining[lane, j], 1e-9), 1.0)
    out.job[row, j, 13] = (s.starts[lane, j, k] if running else now) * mean - s.job_ready[lane, j] * mean
    out.job[row, j, 13] = max(out.job[row, j, 13], 0.0)
    out.job[row, j, 14] = (now - s.job_release[lane, j]) * mean
    out.job[row, j, 15] = due < np.inf
    slack = due - now - remaining if due < np.inf else 0.0
    out.job[row, j, 16] = (due - now) * mean if due < np.inf else 0.0
    out.job[row, j, 17] = slack * mean
    out.job[row, j, 18] = slack * mean / (operations - k)
    out.job[row, j, 19] = s.job_weight[lane, j] * weight
    out.job[row, j, 20] = out.machine[row, m, 3]
    out.job[row, j, 21] = out.machine[row, m, 4]
    out.job[row, j, 12] = out.job[row, j, 22] = out.job[row, j, 23] = 0.0
    if k + 1 < operations:
        following = s.machine[lane, j, k + 1]
        out.job[row, j, 12] = s.expected[lane, j, k + 1] * mean
        out.job[row, j, 22] = out.machine[row, following, 2]
        out.job[row, j, 23] = out.machine[row, following, 3]


@kernel
def _pad(out: ObservationArrays, row: int, edge: int, visit: int, last_edge: int, last_visit: int) -> None:
    """Clears the edges that the row held before and has no more."""
    for i in range(edge, last_edge):
        out.needs[row, 0, i] = out.needs[row, 1, i] = -1
    for i in range(visit, last_visit):
        out.visits[row, 0, i] = out.visits[row, 1, i] = -1
        out.visit[row, i, 0] = out.visit[row, i, 1] = 0.0


@kernel
def _observe_wait(s: ShopState, lane: int, out: ObservationArrays, row: int) -> None:
    """Writes the features of the wait node of one row, if there is one."""
    if out.wait.shape[1] == 0:
        return
    least = np.inf
    for m in range(s.size[lane, 2]):
        if s.machine_job[lane, m] >= 0:
            least = min(least, free_at(s, lane, m) - s.clock[lane])
    out.wait[row, 0, 0] = s.mask[lane, s.job_next.shape[1]]
    out.wait[row, 0, 1] = least / s.mean_time[lane] if least < np.inf else 0.0


@kernel
def _observe_lane(s: ShopState, lane: int, out: ObservationArrays, row: int, known: int) -> None:
    """Writes context, counts of nodes and mask of one row."""
    jobs, operations, machines = s.size[lane, 0], s.size[lane, 1], s.size[lane, 2]
    mean = 1.0 / s.mean_time[lane]
    up = 0
    idle = 0
    load = 0.0
    queued = 0
    work = 0.0
    for m in range(machines):
        up += s.machine_up[lane, m]
        idle += s.machine_job[lane, m] < 0
        load += max(s.machine_known_load[lane, m], 0.0)
        queued += s.machine_queue[lane, m]
        work += max(s.machine_queue_work[lane, m], 0.0)
    for goal in range(4):
        out.context[row, goal] = s.goal[lane] == goal
    out.context[row, 4] = s.completed[lane] / (jobs * operations)
    out.context[row, 5] = known / jobs
    out.context[row, 6] = np.log(max(known, 1) / machines)
    out.context[row, 7] = s.sigma[lane]
    out.context[row, 8] = s.mean_time[lane] / s.time_to_failure[lane] if s.time_to_failure[lane] > 0.0 else 0.0
    out.context[row, 9] = s.repair_time[lane] * mean
    out.context[row, 10] = up / machines
    out.context[row, 11] = idle / machines
    out.context[row, 12] = load * mean / machines
    out.context[row, 13] = work * mean / max(queued, 1)
    wait = out.wait.shape[1]
    out.context[row, 14] = wait
    out.counts[row, 0] = jobs
    out.counts[row, 1] = machines
    if wait > 0:
        out.counts[row, 2] = 1
    for action in range(out.mask.shape[1]):
        out.mask[row, action] = s.mask[lane, action]
