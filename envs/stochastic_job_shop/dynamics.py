"""The compiled rules of the stochastic job shop, over many lanes at once: time passes from event to event.

A decision dispatches a waiting job whose machine is free and works, or waits. `decide` applies what follows from the
decision alone: the operation starts, the clock stands. `advance` then lets time pass and chance speak: it draws the
processing times of what started, and as long as no job can be dispatched (or after a decision to wait, until something
happens) goes to the next event. Events are completions, releases, failures and repairs; all of one moment are taken
together, before the next decision.

A machine fails and is repaired whether it works or idles. The operation on it stands still meanwhile and goes on
where it stopped (preempt-resume). Waiting is legal while an operation runs, a job is to come, or jobs wait for a
machine that is under repair; a wait ends at the next completion, release or repair.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle, kernel
from envs.core.random import next_word
from envs.stochastic_job_shop.draws import draw_duration, failure_gap
from envs.stochastic_job_shop.estimates import refresh_estimates
from envs.stochastic_job_shop.state import (
    DONE,
    MAKESPAN,
    NOT_YET,
    RUNNING,
    UNRELEASED,
    WAITING,
    WEIGHTED_TARDINESS,
    ShopState,
)


@njit(cache=True, nogil=True)
def begin(handle: Handle[ShopState], lanes: NDArray[np.int64]) -> None:
    """Begins an episode on the instance that stands in each of ``lanes``, and goes to its first decision."""
    _begin(handle.arrays, lanes)


@njit(cache=True, nogil=True)
def decide(
    handle: Handle[ShopState], actions: NDArray[np.int64], active: NDArray[np.bool_], refused: NDArray[np.bool_]
) -> None:
    """Applies what follows from one action alone in every active lane; sets ``refused`` where it was illegal."""
    _decide(handle.arrays, actions, active, refused)


@njit(cache=True, nogil=True)
def advance(handle: Handle[ShopState], active: NDArray[np.bool_]) -> None:
    """Lets time pass in every active lane until the next decision or the end."""
    _advance(handle.arrays, active)


@njit(cache=True, nogil=True)
def step(
    handle: Handle[ShopState],
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    refused: NDArray[np.bool_],
    to_choice: bool,
) -> None:
    """Decides and advances in one call; with ``to_choice`` also takes following decisions with one legal action."""
    _step(handle.arrays, actions, active, refused, to_choice)


@njit(cache=True, nogil=True)
def resample(handle: Handle[ShopState], lanes: NDArray[np.int64]) -> None:
    """Draws another future for each of ``lanes``, in keeping with what is known of the present."""
    _resample(handle.arrays, lanes)


@kernel
def _begin(s: ShopState, lanes: NDArray[np.int64]) -> None:
    for lane in lanes:
        s.key[lane] = next_word(s.generator, lane)
        _begin_lane(s, lane)
        _advance_lane(s, lane)


@kernel
def _decide(s: ShopState, actions: NDArray[np.int64], active: NDArray[np.bool_], refused: NDArray[np.bool_]) -> None:
    for lane in range(actions.shape[0]):
        action = actions[lane]
        legal = 0 <= action < s.mask.shape[1] and s.mask[lane, action]
        refused[lane] = active[lane] and not legal
        if active[lane] and legal:
            _decide_lane(s, lane, action)
            _refresh_mask(s, lane)
            refresh_estimates(s, lane)


@kernel
def _advance(s: ShopState, active: NDArray[np.bool_]) -> None:
    for lane in range(active.shape[0]):
        if active[lane]:
            _advance_lane(s, lane)


@kernel
def _step(
    s: ShopState,
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    refused: NDArray[np.bool_],
    to_choice: bool,
) -> None:
    for lane in range(actions.shape[0]):
        action = actions[lane]
        legal = 0 <= action < s.mask.shape[1] and s.mask[lane, action]
        refused[lane] = active[lane] and not legal
        if not active[lane] or not legal:
            continue
        while action >= 0:
            _decide_lane(s, lane, action)
            _advance_lane(s, lane)
            action = _only_action(s, lane) if to_choice else -1


@kernel
def _only_action(s: ShopState, lane: int) -> int:
    """The legal action of a lane, -1 if there is none or more than one."""
    count = 0
    last = -1
    for action in range(s.mask.shape[1]):
        if s.mask[lane, action]:
            count += 1
            last = action
    return last if count == 1 else -1


@kernel
def _begin_lane(s: ShopState, lane: int) -> None:
    """Computes what follows from a lane's instance before anything has happened."""
    jobs, operations, machines = s.size[lane, 0], s.size[lane, 1], s.size[lane, 2]
    s.clock[lane] = 0.0
    s.waits[lane] = False
    s.decisions[lane] = 0
    s.completed[lane] = 0
    for m in range(machines):
        s.machine_job[lane, m] = -1
        s.machine_left[lane, m] = 0.0
        s.machine_expected[lane, m] = 0.0
        s.machine_since[lane, m] = 0.0
        s.machine_duration[lane, m] = 0.0
        s.machine_up[lane, m] = True
        s.machine_changes[lane, m] = 0
        s.machine_load[lane, m] = 0.0
        s.machine_known_load[lane, m] = 0.0
        s.machine_queue[lane, m] = 0
        s.machine_queue_work[lane, m] = 0.0
        s.machine_change[lane, m] = np.inf
        if s.time_to_failure[lane] > 0.0:
            s.machine_change[lane, m] = failure_gap(s.key[lane], m, 0, s.time_to_failure[lane])
    total = 0.0
    unit = 0.0
    for j in range(jobs):
        work = 0.0
        for k in range(operations):
            time = s.expected[lane, j, k]
            work += time
            s.machine_load[lane, s.machine[lane, j, k]] += time
            s.starts[lane, j, k] = NOT_YET
            s.ends[lane, j, k] = NOT_YET
            s.drawn[lane, j, k] = NOT_YET
        s.job_status[lane, j] = UNRELEASED
        s.job_next[lane, j] = 0
        s.job_machine[lane, j] = s.machine[lane, j, 0]
        s.job_time[lane, j] = s.expected[lane, j, 0]
        s.job_ready[lane, j] = s.job_release[lane, j]
        s.job_work[lane, j] = work
        s.job_remaining[lane, j] = work
        total += work
        unit += work * (s.job_weight[lane, j] if s.goal[lane] == WEIGHTED_TARDINESS else 1.0)
    s.mean_time[lane] = total / (jobs * operations) if total > 0.0 else 1.0
    refresh_estimates(s, lane)
    if s.goal[lane] == MAKESPAN:
        unit = s.estimate[lane]
    s.unit[lane] = unit if unit > 0.0 else 1.0


@kernel
def _decide_lane(s: ShopState, lane: int, action: int) -> None:
    """The deterministic effect of a legal action: an operation starts, or the wait is noted."""
    s.decisions[lane] += 1
    if action == s.job_next.shape[1]:
        s.waits[lane] = True
        return
    m = s.job_machine[lane, action]
    time = s.job_time[lane, action]
    s.job_status[lane, action] = RUNNING
    s.starts[lane, action, s.job_next[lane, action]] = s.clock[lane]
    s.machine_job[lane, m] = action
    s.machine_since[lane, m] = s.clock[lane]
    s.machine_expected[lane, m] = time
    s.machine_left[lane, m] = NOT_YET
    s.machine_queue[lane, m] -= 1
    s.machine_queue_work[lane, m] = s.machine_queue_work[lane, m] - time if s.machine_queue[lane, m] > 0 else 0.0
    s.machine_load[lane, m] -= time
    s.machine_known_load[lane, m] -= time


@kernel
def _advance_lane(s: ShopState, lane: int) -> None:
    """Draws what started, then takes events until a job can be dispatched; after a wait, at least one of them."""
    _draw_started(s, lane)
    total = s.size[lane, 0] * s.size[lane, 1]
    waits = s.waits[lane]
    s.waits[lane] = False
    happened = _take_events(s, lane)
    while s.completed[lane] < total and ((waits and not happened) or not _can_dispatch(s, lane)):
        s.clock[lane] = _next_event(s, lane)
        happened = _take_events(s, lane) or happened
    _refresh_mask(s, lane)
    refresh_estimates(s, lane)


@kernel
def _draw_started(s: ShopState, lane: int) -> None:
    """Draws the processing times of operations that have started and have none yet."""
    for m in range(s.size[lane, 2]):
        j = s.machine_job[lane, m]
        if j >= 0 and s.machine_left[lane, m] == NOT_YET:
            s.machine_left[lane, m] = _draw(s, lane, j, s.job_next[lane, j])
            s.machine_duration[lane, m] = s.machine_left[lane, m]


@kernel
def _draw(s: ShopState, lane: int, j: int, k: int) -> float:
    """The processing time of an operation under the episode's key."""
    number = j * s.starts.shape[2] + k
    least, mode, greatest = s.time[lane, j, k, 0], s.time[lane, j, k, 1], s.time[lane, j, k, 2]
    duration: float = draw_duration(s.key[lane], number, s.law[lane], s.sigma[lane], least, mode, greatest)
    return duration


@kernel
def _end_of(s: ShopState, lane: int, m: int) -> float:
    """When the machine completes its operation, if it does not fail before; infinite without one, or under repair."""
    if s.machine_job[lane, m] < 0 or not s.machine_up[lane, m]:
        return np.inf
    end: float = s.machine_since[lane, m] + s.machine_left[lane, m]
    return end


@kernel
def _next_event(s: ShopState, lane: int) -> float:
    """The time of the next event."""
    time = np.inf
    for m in range(s.size[lane, 2]):
        time = min(time, _end_of(s, lane, m), s.machine_change[lane, m])
    for j in range(s.size[lane, 0]):
        if s.job_status[lane, j] == UNRELEASED:
            time = min(time, s.job_release[lane, j])
    latest: float = max(time, s.clock[lane])
    return latest


@kernel
def _take_events(s: ShopState, lane: int) -> bool:
    """Takes everything that is due by now; tells whether a completion, a release or a repair was among it."""
    now = s.clock[lane]
    happened = False
    for m in range(s.size[lane, 2]):
        if _end_of(s, lane, m) <= now:
            _complete(s, lane, m)
            happened = True
        while s.machine_change[lane, m] <= now:
            happened = _change(s, lane, m) or happened
    for j in range(s.size[lane, 0]):
        if s.job_status[lane, j] == UNRELEASED and s.job_release[lane, j] <= now:
            for k in range(s.size[lane, 1]):
                s.machine_known_load[lane, s.machine[lane, j, k]] += s.expected[lane, j, k]
            _queue(s, lane, j)
            happened = True
    return happened


@kernel
def _complete(s: ShopState, lane: int, m: int) -> None:
    """Completes the machine's operation and sends the job on."""
    j = s.machine_job[lane, m]
    k = s.job_next[lane, j]
    s.ends[lane, j, k] = s.clock[lane]
    s.drawn[lane, j, k] = s.machine_duration[lane, m]
    s.machine_job[lane, m] = -1
    s.machine_left[lane, m] = 0.0
    s.machine_expected[lane, m] = 0.0
    s.completed[lane] += 1
    s.job_ready[lane, j] = s.clock[lane]
    s.job_next[lane, j] = k + 1
    if k + 1 == s.size[lane, 1]:
        s.job_status[lane, j] = DONE
        s.job_machine[lane, j] = -1
        s.job_time[lane, j] = 0.0
        s.job_remaining[lane, j] = 0.0
        return
    s.job_remaining[lane, j] -= s.job_time[lane, j]
    s.job_machine[lane, j] = s.machine[lane, j, k + 1]
    s.job_time[lane, j] = s.expected[lane, j, k + 1]
    _queue(s, lane, j)


@kernel
def _queue(s: ShopState, lane: int, j: int) -> None:
    """Lets a job wait for its next machine."""
    m = s.job_machine[lane, j]
    s.job_status[lane, j] = WAITING
    s.machine_queue[lane, m] += 1
    s.machine_queue_work[lane, m] += s.job_time[lane, j]


@kernel
def _change(s: ShopState, lane: int, m: int) -> bool:
    """Lets a machine fail, or ends its repair; tells whether it was a repair."""
    now = s.machine_change[lane, m]
    repaired = not s.machine_up[lane, m]
    if s.machine_job[lane, m] >= 0:
        if not repaired:
            processed = now - s.machine_since[lane, m]
            s.machine_left[lane, m] = max(s.machine_left[lane, m] - processed, 0.0)
            s.machine_expected[lane, m] = max(s.machine_expected[lane, m] - processed, 0.0)
        s.machine_since[lane, m] = now
    s.machine_up[lane, m] = repaired
    s.machine_changes[lane, m] += 1
    mean = s.time_to_failure[lane] if repaired else s.repair_time[lane]
    s.machine_change[lane, m] = now + failure_gap(s.key[lane], m, s.machine_changes[lane, m], mean)
    return repaired


@kernel
def _is_free(s: ShopState, lane: int, m: int) -> bool:
    free: bool = s.machine_up[lane, m] and s.machine_job[lane, m] < 0
    return free


@kernel
def _can_dispatch(s: ShopState, lane: int) -> bool:
    """Whether a waiting job's machine is free."""
    found = False
    for m in range(s.size[lane, 2]):
        found = found or (s.machine_queue[lane, m] > 0 and _is_free(s, lane, m))
    return found


@kernel
def _refresh_mask(s: ShopState, lane: int) -> None:
    """Marks the legal actions; none where no job can be dispatched, as then time passes by itself."""
    capacity = s.job_next.shape[1]
    some = False
    pending = False
    for j in range(capacity):
        s.mask[lane, j] = False
        if j < s.size[lane, 0]:
            status = s.job_status[lane, j]
            if status == WAITING:
                m = s.job_machine[lane, j]
                legal = _is_free(s, lane, m)
                s.mask[lane, j] = legal
                some = some or legal
                pending = pending or not s.machine_up[lane, m]
            elif status != DONE:
                pending = True
    if s.mask.shape[1] > capacity:
        s.mask[lane, capacity] = some and pending and not s.waits[lane]


@kernel
def _resample(s: ShopState, lanes: NDArray[np.int64]) -> None:
    for lane in lanes:
        for m in range(s.size[lane, 2]):
            j = s.machine_job[lane, m]
            if j >= 0 and s.machine_left[lane, m] != NOT_YET:
                _redraw(s, lane, m, j)
        s.key[lane] = next_word(s.generator, lane)
        for m in range(s.size[lane, 2]):
            if s.time_to_failure[lane] > 0.0:
                mean = s.time_to_failure[lane] if s.machine_up[lane, m] else s.repair_time[lane]
                s.machine_change[lane, m] = s.clock[lane] + failure_gap(
                    s.key[lane], m, s.machine_changes[lane, m], mean
                )


@kernel
def _redraw(s: ShopState, lane: int, m: int, j: int) -> None:
    """Draws a running operation's time anew, given that it takes longer than it has run; by rejection."""
    since = s.clock[lane] - s.machine_since[lane, m] if s.machine_up[lane, m] else 0.0
    processed = s.machine_duration[lane, m] - s.machine_left[lane, m] + since
    for _ in range(64):
        s.key[lane] = next_word(s.generator, lane)
        duration = _draw(s, lane, j, s.job_next[lane, j])
        if duration > processed:
            s.machine_left[lane, m] += duration - s.machine_duration[lane, m]
            s.machine_duration[lane, m] = duration
            return
