"""Compiled observation: writes the arrays that `envs.spark.features` declares, in its order."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.spark.dynamics import free_cores, level_limit
from envs.spark.state import SparkState


@njit(cache=True, nogil=True)
def observe_static(
    state: SparkState, lanes: NDArray[np.int64], user: NDArray[np.float32], level: NDArray[np.float32]
) -> None:
    """Writes what stays fixed for an episode.

    Args:
        state: State of all lanes.
        lanes: ``(n,)`` lanes to observe, lane ``lanes[i]`` into row ``i``.
        user: ``(n, U, features)`` users.
        level: ``(n, K, features)`` levels of parallelism, ``(n, 0, 0)`` without them.
    """
    levels = level.shape[1]
    for i in range(lanes.shape[0]):
        lane = lanes[i]
        users, cores = state.size[lane, 0], state.size[lane, 5]
        user[i, :, :] = 0.0
        user[i, :users, 0] = 1.0 / users
        for k in range(levels):
            level[i, k, 0] = level_limit(state, lane, k, levels) / cores


@njit(cache=True, nogil=True)
def observe_dynamic(
    state: SparkState,
    lanes: NDArray[np.int64],
    stage: NDArray[np.float32],
    job: NDArray[np.float32],
    user: NDArray[np.float32],
    level: NDArray[np.float32],
    precedes: NDArray[np.int32],
    part_of: NDArray[np.int32],
    owned_by: NDArray[np.int32],
    may_take: NDArray[np.int32],
    context: NDArray[np.float32],
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
    levels: int,
) -> None:
    """Writes what may change at every decision; padding becomes zeros (features) and -1 (edges).

    Args:
        state: State of all lanes.
        lanes: ``(n,)`` lanes to observe, lane ``lanes[i]`` into row ``i``.
        stage: ``(n, S, features)`` visible stages.
        job: ``(n, J, features)`` jobs in the system.
        user: ``(n, U, features)`` users.
        level: ``(n, K, features)`` levels of parallelism, ``(0, 0, 0)`` without them.
        precedes: ``(n, 2, E)`` stage to the stages that wait for it.
        part_of: ``(n, 2, S)`` stage to job.
        owned_by: ``(n, 2, J)`` job to user.
        may_take: ``(n, 2, K)`` chosen job to its legal levels.
        context: ``(n, features)`` the cluster as a whole.
        counts: ``(n, node types + edge types)`` numbers of nodes and edges.
        mask: ``(n, A)`` legal actions.
        levels: Number of levels, 0 without parallelism decisions.
    """
    stage_row = np.empty(state.visible.shape[1], np.int64)
    job_row = np.empty(state.submit.shape[1], np.int64)
    for i in range(lanes.shape[0]):
        lane = lanes[i]
        mask[i, :] = state.mask[lane, :]
        jobs = _observe_jobs(state, lane, i, job, owned_by, job_row)
        _observe_stages(state, lane, i, stage, part_of, stage_row, job_row)
        _observe_users(state, lane, i, user)
        edges = _observe_precedence(state, lane, i, precedes, stage_row)
        taken = 0
        if levels > 0:
            taken = _observe_levels(state, lane, i, level, may_take, job_row, levels)
        _observe_context(state, lane, i, context, jobs)
        visible = state.visible_count[lane]
        counts[i, 0], counts[i, 1], counts[i, 2] = visible, jobs, state.size[lane, 0]
        first = 3
        if levels > 0:
            counts[i, 3] = levels
            first = 4
            counts[i, 7] = taken
        counts[i, first], counts[i, first + 1], counts[i, first + 2] = edges, visible, jobs


@njit(cache=True, nogil=True)
def _observe_jobs(
    state: SparkState,
    lane: int,
    i: int,
    out: NDArray[np.float32],
    owned_by: NDArray[np.int32],
    job_row: NDArray[np.int64],
) -> int:
    """Writes the jobs in the system and notes their rows; returns their number."""
    now, cores = state.clock[lane], state.size[lane, 5]
    time = 1.0 / state.unit[lane]
    chosen = state.stage_job[lane, state.chosen[lane]] if state.chosen[lane] >= 0 else -1
    row = 0
    out[i, :, :] = 0.0
    owned_by[i, :, :] = -1
    for j in range(state.size[lane, 1]):
        if not state.submitted[lane, j] or state.job_stages_left[lane, j] == 0:
            continue
        u = state.job_user[lane, j]
        age = now - state.submit[lane, j]
        out[i, row, 0] = age * time
        out[i, row, 1] = state.job_running[lane, j] / cores
        out[i, row, 2] = state.job_limit[lane, j] / cores
        out[i, row, 3] = state.estimate_left[lane, j] * time / cores
        out[i, row, 4] = min(state.estimate_left[lane, j] / state.job_estimate[lane, j], 1.0)
        out[i, row, 5] = max(state.job_bound[lane, j] - age, 0.0) * time
        out[i, row, 6] = (state.job_deadline[lane, j] - state.uwfq_time[lane]) * time / cores
        out[i, row, 7] = state.user_running[lane, u] / cores
        out[i, row, 8] = j == chosen
        owned_by[i, 0, row], owned_by[i, 1, row] = row, u
        job_row[j] = row
        row += 1
    return row


@njit(cache=True, nogil=True)
def _observe_stages(
    state: SparkState,
    lane: int,
    i: int,
    out: NDArray[np.float32],
    part_of: NDArray[np.int32],
    stage_row: NDArray[np.int64],
    job_row: NDArray[np.int64],
) -> None:
    """Writes the visible stages and notes the rows of all stages, -1 for those not shown."""
    cores = state.size[lane, 5]
    time = 1.0 / state.unit[lane]
    stage_row[:] = -1
    out[i, :, :] = 0.0
    part_of[i, :, :] = -1
    near = np.zeros(state.size[lane, 1], np.int64)
    for c in range(cores):
        last = state.core_last[lane, c]
        if last >= 0 and state.core_stage[lane, c] < 0:
            near[state.stage_job[lane, last]] += 1
    for row in range(state.visible_count[lane]):
        s = state.visible[lane, row]
        j = state.stage_job[lane, s]
        tasks = state.task_from[lane, s + 1] - state.task_from[lane, s]
        unstarted = state.task_from[lane, s + 1] - state.next_task[lane, s]
        ready = state.missing[lane, s] == 0
        stage_row[s] = row
        out[i, row, 0] = ready
        out[i, row, 1] = state.mask[lane, row]
        out[i, row, 2] = s == state.chosen[lane]
        out[i, row, 3] = state.stage_running[lane, s] / cores
        out[i, row, 4] = unstarted / cores
        out[i, row, 5] = unstarted / tasks
        out[i, row, 6] = state.estimate[lane, s] / tasks * time
        out[i, row, 7] = state.estimate[lane, s] * unstarted / tasks * time / cores
        out[i, row, 8] = state.tail[lane, s] * time
        if ready:
            out[i, row, 9] = (state.cfq_deadline[lane, s] - state.cfq_time[lane]) * time / cores
        out[i, row, 10] = near[j] / cores
        part_of[i, 0, row], part_of[i, 1, row] = row, job_row[j]


@njit(cache=True, nogil=True)
def _observe_users(state: SparkState, lane: int, i: int, out: NDArray[np.float32]) -> None:
    """Writes all users of the instance."""
    cores = state.size[lane, 5]
    time = 1.0 / state.unit[lane]
    out[i, :, :] = 0.0
    for j in range(state.size[lane, 1]):
        if state.submitted[lane, j] and state.job_stages_left[lane, j] > 0:
            u = state.job_user[lane, j]
            out[i, u, 1] += 1.0 / cores
            out[i, u, 2] += state.estimate_left[lane, j] * time / cores
    for u in range(state.size[lane, 0]):
        out[i, u, 0] = state.user_running[lane, u] / cores
        if state.uwfq_active[lane, u]:
            out[i, u, 3] = (state.user_end[lane, u] - state.uwfq_time[lane]) * time / cores
            out[i, u, 4] = 1.0


@njit(cache=True, nogil=True)
def _observe_precedence(
    state: SparkState, lane: int, i: int, precedes: NDArray[np.int32], stage_row: NDArray[np.int64]
) -> int:
    """Writes the precedence between visible stages; returns the number of edges."""
    count = 0
    precedes[i, :, :] = -1
    for e in range(state.size[lane, 4]):
        parent, child = stage_row[state.edge[lane, e, 0]], stage_row[state.edge[lane, e, 1]]
        if parent >= 0 and child >= 0:
            precedes[i, 0, count], precedes[i, 1, count] = parent, child
            count += 1
    return count


@njit(cache=True, nogil=True)
def _observe_levels(
    state: SparkState,
    lane: int,
    i: int,
    out: NDArray[np.float32],
    may_take: NDArray[np.int32],
    job_row: NDArray[np.int64],
    levels: int,
) -> int:
    """Writes the levels; returns the number of edges from the chosen job to its legal ones."""
    cores, rows = state.size[lane, 5], state.visible.shape[1]
    count = 0
    may_take[i, :, :] = -1
    for k in range(levels):
        limit = level_limit(state, lane, k, levels)
        legal = state.mask[lane, rows + k]
        out[i, k, 0] = 0.0
        out[i, k, 1] = legal
        if state.chosen[lane] >= 0:
            j = state.stage_job[lane, state.chosen[lane]]
            out[i, k, 0] = (limit - state.job_running[lane, j]) / cores
            if legal:
                may_take[i, 0, count], may_take[i, 1, count] = job_row[j], k
                count += 1
    return count


@njit(cache=True, nogil=True)
def _observe_context(state: SparkState, lane: int, i: int, out: NDArray[np.float32], jobs: int) -> None:
    """Writes the cluster as a whole."""
    cores = state.size[lane, 5]
    left = 0.0
    for j in range(state.size[lane, 1]):
        if state.submitted[lane, j]:
            left += state.estimate_left[lane, j]
    out[i, 0] = free_cores(state, lane) / cores
    out[i, 1] = np.log(cores)
    out[i, 2] = jobs / cores
    out[i, 3] = left / state.unit[lane] / cores
    out[i, 4] = state.chosen[lane] >= 0
