"""The compiled rules of stage scheduling, over many lanes at once.

A decision is due when a core is free and some stage is ready (its parents are complete) with tasks that have not
started. Under ``stage`` the action picks a stage and its next task starts. Under ``stage_and_parallelism`` (the action
of Decima: Mao et al., "Learning scheduling algorithms for data processing clusters", SIGCOMM 2019) it picks a stage
and then a level, a limit on the cores of the stage's job: free cores are given to the stage up to the limit, and each
of them goes on with tasks of this stage, without a decision, while there are any and the job stays within its limit.

A task goes to the free core that costs it least: one that just ran the same stage, else the same job, else any; among
these to the lowest. It takes its duration d on a core of the same stage, ``first_wave`` d on one of the same job, and
``fresh`` d plus the moving delay on any other. Nothing is interrupted, and between decisions time jumps to the next
completion or submission.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.random import next_word
from envs.spark import virtual_time
from envs.spark.state import SparkState


@njit(cache=True, nogil=True)
def draw_word(generator: NDArray[np.uint64], lane: int) -> np.uint64:
    """Advances the lane's generator and returns 64 random bits."""
    return next_word(generator, lane)


@njit(cache=True, nogil=True)
def begin(state: SparkState, lane: int, levels: int) -> None:
    """Begins an episode on the instance that stands in the cleared lane, and runs to the first decision."""
    _prepare_instance(state, lane)
    _prepare_episode(state, lane)
    _run(state, lane, levels)


@njit(cache=True, nogil=True)
def step(
    state: SparkState,
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    refused: NDArray[np.bool_],
    levels: int,
) -> None:
    """Takes one action in every active lane; sets ``refused`` where it was illegal and changed nothing."""
    rows = state.visible.shape[1]
    for lane in range(actions.shape[0]):
        refused[lane] = False
        if not active[lane]:
            continue
        action = actions[lane]
        if action < 0 or action >= state.mask.shape[1] or not state.mask[lane, action]:
            refused[lane] = True
        elif action >= rows:
            _grant(state, lane, level_limit(state, lane, action - rows, levels))
            _run(state, lane, levels)
        elif levels > 0:
            state.chosen[lane] = state.visible[lane, action]
            _write_mask(state, lane, levels)
        else:
            _start_task(state, lane, state.visible[lane, action])
            _run(state, lane, levels)


@njit(cache=True, nogil=True)
def level_limit(state: SparkState, lane: int, level: int, levels: int) -> int:
    """Cores that a job may use at a level: the levels cut the cluster into equal steps."""
    cores = state.size[lane, 5]
    limit: int = (cores * (level + 1) + levels - 1) // levels
    return limit


@njit(cache=True, nogil=True)
def free_cores(state: SparkState, lane: int) -> int:
    """Number of cores that run nothing."""
    count = 0
    running = state.core_stage[lane]
    for c in range(state.size[lane, 5]):
        count += running[c] < 0
    return count


@njit(cache=True, nogil=True)
def can_start(state: SparkState, lane: int, stage: int) -> bool:
    """The stage's parents are complete and some of its tasks have not started."""
    ready: bool = state.missing[lane, stage] == 0
    return ready and bool(state.next_task[lane, stage] < state.task_from[lane, stage + 1])


@njit(cache=True, nogil=True)
def _prepare_instance(state: SparkState, lane: int) -> None:
    """Computes what follows from the instance alone."""
    jobs, stages, edges, cores = state.size[lane, 1], state.size[lane, 2], state.size[lane, 4], state.size[lane, 5]
    first, duration, longest_from = state.task_from[lane], state.duration[lane], state.longest[lane]
    job_work, edge, tail = state.job_work[lane], state.edge[lane], state.tail[lane]
    for s in range(stages):
        job = state.stage_job[lane, s]
        state.job_estimate[lane, job] += state.estimate[lane, s]
        longest = 0.0
        for t in range(first[s + 1] - 1, first[s] - 1, -1):
            longest = max(longest, duration[t])
            longest_from[t] = longest
            job_work[job] += duration[t]
    for e in range(edges - 1, -1, -1):  # edges are sorted by parent, and children come after their parents
        parent, child = edge[e, 0], edge[e, 1]
        tail[parent] = max(tail[parent], longest_from[first[child]] + tail[child])
    for s in range(stages):
        job = state.stage_job[lane, s]
        path = longest_from[first[s]] + tail[s]
        state.ideal[lane, job] = max(state.ideal[lane, job], path)
    total = 0.0
    for j in range(jobs):
        state.ideal[lane, j] = max(state.ideal[lane, j], state.job_work[lane, j] / cores)
        total += state.ideal[lane, j]
    state.unit[lane] = total / jobs


@njit(cache=True, nogil=True)
def _prepare_episode(state: SparkState, lane: int) -> None:
    """Fills in what a cleared lane starts with and what follows from the instance."""
    state.work_left[lane, :] = state.job_work[lane, :]
    state.estimate_left[lane, :] = state.job_estimate[lane, :]
    state.job_bound[lane, :] = state.ideal[lane, :]
    first = state.task_from[lane]
    for j in range(state.size[lane, 1]):
        if state.job_after[lane, j] < 0:
            state.submit[lane, j] = state.job_arrival[lane, j]
    for s in range(state.size[lane, 2]):
        state.job_stages_left[lane, state.stage_job[lane, s]] += 1
        state.next_task[lane, s] = first[s]
        state.tasks_left[lane, s] = first[s + 1] - first[s]
    for e in range(state.size[lane, 4]):
        state.missing[lane, state.edge[lane, e, 1]] += 1


@njit(cache=True, nogil=True)
def _run(state: SparkState, lane: int, levels: int) -> None:
    """Runs on to the next decision or to the end of the last job, and prepares what the decision needs."""
    state.chosen[lane] = -1
    while not (free_cores(state, lane) > 0 and _any_startable(state, lane)):
        following = _next_event(state, lane)
        if following == np.inf:
            state.done[lane] = True
            break
        virtual_time.advance(state, lane, following - state.clock[lane])
        state.clock[lane] = following
        freed = _complete_tasks(state, lane)
        _submit_jobs(state, lane)
        if levels > 0:
            _go_on(state, lane, freed)
    _list_visible(state, lane)
    _raise_bounds(state, lane)
    _write_mask(state, lane, levels)


@njit(cache=True, nogil=True)
def _any_startable(state: SparkState, lane: int) -> bool:
    submitted, job, missing = state.submitted[lane], state.stage_job[lane], state.missing[lane]
    following, first = state.next_task[lane], state.task_from[lane]
    for s in range(state.size[lane, 2]):
        if missing[s] == 0 and following[s] < first[s + 1] and submitted[job[s]]:
            return True
    return False


@njit(cache=True, nogil=True)
def _next_event(state: SparkState, lane: int) -> float:
    """Time of the next completion of a task or submission of a job, inf if there is none."""
    following = np.inf
    core_end, submitted, submit = state.core_end[lane], state.submitted[lane], state.submit[lane]
    for c in range(state.size[lane, 5]):
        following = min(following, core_end[c])
    for j in range(state.size[lane, 1]):
        if not submitted[j]:
            following = min(following, submit[j])
    return following


@njit(cache=True, nogil=True)
def _complete_tasks(state: SparkState, lane: int) -> NDArray[np.bool_]:
    """Ends the tasks whose time has come; returns the flags of the cores that ran them."""
    cores, now, core_end = state.size[lane, 5], state.clock[lane], state.core_end[lane]
    freed = np.zeros(cores, np.bool_)
    for c in range(cores):
        if core_end[c] > now:
            continue
        freed[c] = True
        stage = state.core_stage[lane, c]
        job = state.stage_job[lane, stage]
        core_end[c] = np.inf
        state.core_stage[lane, c] = -1
        state.stage_running[lane, stage] -= 1
        state.job_running[lane, job] -= 1
        state.user_running[lane, state.job_user[lane, job]] -= 1
        state.tasks_left[lane, stage] -= 1
        if state.tasks_left[lane, stage] == 0:
            _complete_stage(state, lane, stage)
    return freed


@njit(cache=True, nogil=True)
def _complete_stage(state: SparkState, lane: int, stage: int) -> None:
    """Frees the children of a complete stage, and ends the job with its last one."""
    job = state.stage_job[lane, stage]
    edge, job_after = state.edge[lane], state.job_after[lane]
    for e in range(state.size[lane, 4]):
        if edge[e, 0] == stage:
            child = edge[e, 1]
            state.missing[lane, child] -= 1
            if state.missing[lane, child] == 0:
                virtual_time.enter_stage(state, lane, child)
    state.job_stages_left[lane, job] -= 1
    if state.job_stages_left[lane, job] > 0:
        return
    state.completion[lane, job] = state.clock[lane]
    state.job_bound[lane, job] = state.clock[lane] - state.submit[lane, job]
    for j in range(state.size[lane, 1]):
        if job_after[j] == job:
            state.submit[lane, j] = state.clock[lane] + state.job_arrival[lane, j]


@njit(cache=True, nogil=True)
def _submit_jobs(state: SparkState, lane: int) -> None:
    """Takes in the jobs whose submission has come."""
    submitted, submit, now = state.submitted[lane], state.submit[lane], state.clock[lane]
    for j in range(state.size[lane, 1]):
        if submitted[j] or submit[j] > now:
            continue
        submitted[j] = True
        virtual_time.enter_job(state, lane, j, state.job_estimate[lane, j])
        for s in range(state.size[lane, 2]):
            if state.stage_job[lane, s] == j and state.missing[lane, s] == 0:
                virtual_time.enter_stage(state, lane, s)


@njit(cache=True, nogil=True)
def _go_on(state: SparkState, lane: int, freed: NDArray[np.bool_]) -> None:
    """Lets the cores that just ended a task go on with their stage, within the job's limit."""
    for c in range(len(freed)):
        if freed[c]:
            stage = state.core_last[lane, c]
            job = state.stage_job[lane, stage]
            if can_start(state, lane, stage) and state.job_running[lane, job] < state.job_limit[lane, job]:
                _start_on(state, lane, stage, c)


@njit(cache=True, nogil=True)
def _grant(state: SparkState, lane: int, limit: int) -> None:
    """Sets the limit of the chosen stage's job and gives the stage free cores up to it."""
    stage = state.chosen[lane]
    job = state.stage_job[lane, stage]
    state.job_limit[lane, job] = limit
    while can_start(state, lane, stage) and state.job_running[lane, job] < limit and free_cores(state, lane) > 0:
        _start_task(state, lane, stage)


@njit(cache=True, nogil=True)
def _start_task(state: SparkState, lane: int, stage: int) -> None:
    """Starts the stage's next task on the free core that suits it best."""
    best, best_rank = -1, 3
    running = state.core_stage[lane]
    for c in range(state.size[lane, 5]):
        if running[c] < 0:
            rank = _distance(state, lane, stage, c)
            if rank < best_rank:
                best, best_rank = c, rank
    _start_on(state, lane, stage, best)


@njit(cache=True, nogil=True)
def _distance(state: SparkState, lane: int, stage: int, core: int) -> int:
    """0 if the core's last task was of the same stage, 1 if of the same job, else 2."""
    last = state.core_last[lane, core]
    if last == stage:
        return 0
    return 1 if last >= 0 and state.stage_job[lane, last] == state.stage_job[lane, stage] else 2


@njit(cache=True, nogil=True)
def _start_on(state: SparkState, lane: int, stage: int, core: int) -> None:
    """Starts the stage's next task on a core."""
    job = state.stage_job[lane, stage]
    task = state.next_task[lane, stage]
    duration = state.duration[lane, task]
    distance = _distance(state, lane, stage, core)
    taken = duration
    if distance == 1:
        taken = duration * state.first_wave[lane, stage]
    elif distance == 2:
        taken = duration * state.fresh[lane, stage] + state.moving_delay[lane]
    end = state.clock[lane] + taken
    state.core_stage[lane, core] = stage
    state.core_last[lane, core] = stage
    state.core_end[lane, core] = end
    state.start[lane, task] = state.clock[lane]
    state.core[lane, task] = core
    state.stage_end[lane, stage] = max(state.stage_end[lane, stage], end)
    state.next_task[lane, stage] += 1
    state.stage_running[lane, stage] += 1
    state.job_running[lane, job] += 1
    state.user_running[lane, state.job_user[lane, job]] += 1
    state.work_left[lane, job] = max(state.work_left[lane, job] - duration, 0.0)
    tasks = state.task_from[lane, stage + 1] - state.task_from[lane, stage]
    state.estimate_left[lane, job] = max(state.estimate_left[lane, job] - state.estimate[lane, stage] / tasks, 0.0)
    state.started[lane] += 1


@njit(cache=True, nogil=True)
def _list_visible(state: SparkState, lane: int) -> None:
    """Lists the unfinished stages of the jobs in the system, job by job."""
    count = 0
    left, submitted, job, visible = (
        state.tasks_left[lane],
        state.submitted[lane],
        state.stage_job[lane],
        state.visible[lane],
    )
    for s in range(state.size[lane, 2]):
        if left[s] > 0 and submitted[job[s]]:
            visible[count] = s
            count += 1
    state.visible_count[lane] = count
    visible[count:] = 0


@njit(cache=True, nogil=True)
def _raise_bounds(state: SparkState, lane: int) -> None:
    """Raises the lower bounds on the response times of the jobs in the system."""
    now, cores = state.clock[lane], state.size[lane, 5]
    visible, job_of, stage_end, tail = (
        state.visible[lane],
        state.stage_job[lane],
        state.stage_end[lane],
        state.tail[lane],
    )
    following, first, longest = state.next_task[lane], state.task_from[lane], state.longest[lane]
    work_left, submit, bound = state.work_left[lane], state.submit[lane], state.job_bound[lane]
    for row in range(state.visible_count[lane]):
        stage = visible[row]
        job = job_of[stage]
        end = max(stage_end[stage], now)
        task = following[stage]
        if task < first[stage + 1]:
            end = max(end, now + longest[task])
        end = max(end + tail[stage], now + work_left[job] / cores)
        bound[job] = max(bound[job], end - submit[job])


@njit(cache=True, nogil=True)
def _write_mask(state: SparkState, lane: int, levels: int) -> None:
    """Writes the legal actions: stages that can start a task, or levels above what the chosen job has."""
    rows = state.visible.shape[1]
    mask = state.mask[lane]
    mask[:] = False
    if state.done[lane]:
        return
    if state.chosen[lane] < 0:
        visible, missing = state.visible[lane], state.missing[lane]
        following, first = state.next_task[lane], state.task_from[lane]
        for row in range(state.visible_count[lane]):
            stage = visible[row]
            mask[row] = missing[stage] == 0 and following[stage] < first[stage + 1]
        return
    running = state.job_running[lane, state.stage_job[lane, state.chosen[lane]]]
    for level in range(levels):
        mask[rows + level] = level_limit(state, lane, level, levels) > running


@njit(cache=True, nogil=True)
def mean_bound(bound: NDArray[np.float64], size: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    """Writes the mean of the lower bounds on the response times, by lane; takes two fields, as it is called often."""
    for lane in range(out.shape[0]):
        total = 0.0
        for j in range(size[lane, 1]):
            total += bound[lane, j]
        out[lane] = total / max(size[lane, 1], 1)
