"""The compiled rules of the blocking job shop: time passes from event to event.

A decision lets a job come to its next machine, which is free and not shut down, or waits. A job whose operation is
processed stays on its machine, blocking it, until it comes to the next one; after the last operation it leaves at once.

With swap, jobs in a circle, each waiting for the machine of the next, change places as soon as all these machines work:
nobody else can come to them before, so that nothing is lost. Without swap a move is legal only if the jobs on machines
can all be finished after it (see `envs.blocking_job_shop.safety`); no deadlock ever comes about.

A machine that is shut down stops processing and takes no job; what is on it stays, and a job that is processed may
leave. Processing goes on where it stopped. Waiting is legal while something is processed or shut down; it ends at the
next event.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.blocking_job_shop.safety import is_safe_move
from envs.blocking_job_shop.state import NOT_YET, BlockingState, Draws, Flags, Integers
from envs.core.handle import kernel
from envs.core.random import next_integer, next_uniform, next_word, stream_uniform

_HALTS, _CHANGES = 1, 2
_PER_OPERATION, _PER_MACHINE = 4, 1_000_003


@njit(cache=True, nogil=True)
def draw_word(s: BlockingState, lane: int) -> np.uint64:
    """Advances the lane's generator and returns 64 random bits."""
    return next_word(s.generator, lane)


@njit(cache=True, nogil=True)
def draw(s: BlockingState, lanes: Integers, sizes: Integers, draws: Draws) -> None:
    """Begins an episode on a drawn instance in each of ``lanes``: routes are random, without any machine twice."""
    generator = s.generator
    for lane in lanes:
        jobs, machines = sizes[next_integer(generator, lane, 0, sizes.shape[0] - 1)]
        operations = machines if draws.operations == 0 else min(draws.operations, machines)
        s.label[lane] = -1
        s.size[lane, 0], s.size[lane, 1], s.size[lane, 2] = jobs, operations, machines
        route = np.arange(machines)
        total = 0.0
        for j in range(jobs):
            for i in range(operations):
                other = next_integer(generator, lane, i, machines - 1)
                route[i], route[other] = route[other], route[i]
                s.machine[lane, j, i] = route[i]
                s.time[lane, j, i] = next_integer(generator, lane, draws.time_low, draws.time_high)
                total += s.time[lane, j, i]
        mean = max(total / (jobs * operations), 1e-9)
        s.swap[lane] = draws.swap
        span = draws.shutdown_high - draws.shutdown_low
        s.shutdown[lane] = draws.shutdown_low + span * next_uniform(generator, lane)
        s.shutdown_rate[lane] = draws.shutdown_rate / mean
        s.repair_time[lane] = draws.repair_time * mean
        begin(s, lane)


@njit(cache=True, nogil=True)
def start(s: BlockingState, lane: int) -> None:
    """Begins an episode on the instance that stands in the lane."""
    begin(s, lane)


@kernel
def begin(s: BlockingState, lane: int) -> None:
    """Begins an episode on the instance that stands in the lane, and goes to its first decision."""
    s.key[lane] = next_word(s.generator, lane)
    jobs, operations, machines = s.size[lane, 0], s.size[lane, 1], s.size[lane, 2]
    s.clock[lane] = 0.0
    s.waits[lane] = False
    s.completed[lane] = 0
    s.decisions[lane] = 0
    for m in range(s.machine_job.shape[1]):
        s.machine_job[lane, m] = -1
        s.machine_done[lane, m] = False
        s.machine_left[lane, m] = 0.0
        s.machine_halt[lane, m] = np.inf
        s.machine_since[lane, m] = 0.0
        s.machine_halted[lane, m] = 0.0
        s.machine_change[lane, m] = np.inf
        s.machine_changes[lane, m] = 0
        s.machine_up[lane, m] = True
        s.machine_load[lane, m] = 0.0
        if s.shutdown_rate[lane] > 0.0 and m < machines:
            s.machine_change[lane, m] = gap(s.key[lane], m, 0, 1.0 / s.shutdown_rate[lane])
        foresee(s, lane, m)
    total = 0.0
    for j in range(s.job_next.shape[1]):
        s.job_on[lane, j] = -1
        s.job_ready[lane, j] = 0.0
        s.job_next[lane, j] = 0 if j < jobs else operations
        s.rest[lane, j, operations] = 0.0
        for k in range(operations - 1, -1, -1):
            s.starts[lane, j, k] = NOT_YET
            s.ends[lane, j, k] = NOT_YET
            s.halted_at[lane, j, k] = NOT_YET
            s.resumed_at[lane, j, k] = NOT_YET
            time = s.time[lane, j, k] if j < jobs else 0.0
            total += time
            s.rest[lane, j, k] = s.rest[lane, j, k + 1] + time
            if j < jobs:
                s.machine_load[lane, s.machine[lane, j, k]] += time
    s.mean_time[lane] = max(total / (jobs * operations), 1e-9)
    go_on(s, lane)
    s.unit[lane] = max(s.estimate[lane], 1e-9)


@njit(cache=True, nogil=True)
def gap(key: np.uint64, machine: int, change: int, mean: float) -> float:
    """Draws the exponential time to the machine's change number ``change`` (even: shut down, odd: opened)."""
    drawn: float = -mean * np.log(1.0 - stream_uniform(key, _CHANGES, machine * _PER_MACHINE + change))
    return drawn


@njit(cache=True, nogil=True)
def step(s: BlockingState, actions: Integers, active: Flags, refused: Flags) -> None:
    """Takes an action in every active lane; ``refused`` is set where it is illegal, which changes nothing."""
    for lane in range(actions.shape[0]):
        action = actions[lane]
        refused[lane] = active[lane] and (action < 0 or action >= s.mask.shape[1] or not s.mask[lane, action])
        if active[lane] and not refused[lane]:
            decide(s, lane, action)
            go_on(s, lane)


@kernel
def decide(s: BlockingState, lane: int, action: int) -> None:
    """The job comes to its next machine, or the wait is noted."""
    s.decisions[lane] += 1
    if action == s.job_next.shape[1]:
        s.waits[lane] = True
    else:
        _leave(s, lane, action)
        _come(s, lane, action)


@kernel
def go_on(s: BlockingState, lane: int) -> None:
    """Lets time pass until there is a decision, after a wait at least to the next event; writes mask and estimate."""
    total = s.size[lane, 0] * s.size[lane, 1]
    waits = s.waits[lane]
    s.waits[lane] = False
    happened = _take_events(s, lane)
    choice = write_mask(s, lane)
    while s.completed[lane] < total and ((waits and not happened) or not choice):
        time = _next_event(s, lane)
        if time == np.inf:
            raise RuntimeError("deadlock: no job can move, and nothing will happen")
        s.clock[lane] = max(s.clock[lane], time)
        happened = _take_events(s, lane) or happened
        choice = write_mask(s, lane)
    s.estimate[lane] = _estimate(s, lane)


@kernel
def _leave(s: BlockingState, lane: int, j: int) -> None:
    m = s.job_on[lane, j]
    if m >= 0:
        s.machine_job[lane, m] = -1
        s.machine_done[lane, m] = False
        s.job_on[lane, j] = -1
        foresee(s, lane, m)


@kernel
def _come(s: BlockingState, lane: int, j: int) -> None:
    """Lets the job come to its next machine, whose processing begins."""
    k = s.job_next[lane, j]
    m = s.machine[lane, j, k]
    time = s.time[lane, j, k]
    s.job_on[lane, j] = m
    s.job_next[lane, j] = k + 1
    s.starts[lane, j, k] = s.clock[lane]
    s.machine_job[lane, m] = j
    s.machine_done[lane, m] = False
    s.machine_left[lane, m] = time
    s.machine_since[lane, m] = s.clock[lane]
    s.machine_load[lane, m] -= time
    s.machine_halt[lane, m] = np.inf
    if s.shutdown[lane] > 0.0:
        number = (j * s.starts.shape[2] + k) * _PER_OPERATION
        if stream_uniform(s.key[lane], _HALTS, number) < s.shutdown[lane]:
            s.machine_halt[lane, m] = stream_uniform(s.key[lane], _HALTS, number + 1) * time
    foresee(s, lane, m)


@kernel
def is_processing(s: BlockingState, lane: int, m: int) -> bool:
    """Whether an operation is on the machine that is not processed yet."""
    processing: bool = s.machine_job[lane, m] >= 0 and not s.machine_done[lane, m]
    return processing


@kernel
def processing_left(s: BlockingState, lane: int, m: int) -> float:
    """Processing time left of the operation on the machine, 0 without one."""
    if not is_processing(s, lane, m):
        return 0.0
    passed = s.clock[lane] - s.machine_since[lane, m] if s.machine_up[lane, m] else 0.0
    left: float = max(s.machine_left[lane, m] - passed, 0.0)
    return left


@kernel
def is_movable(s: BlockingState, lane: int, j: int) -> bool:
    """Whether the job is not being processed and its next machine is free and not shut down."""
    k = s.job_next[lane, j]
    if k >= s.size[lane, 1]:
        return False
    m = s.job_on[lane, j]
    if m >= 0 and not s.machine_done[lane, m]:
        return False
    target = s.machine[lane, j, k]
    movable: bool = s.machine_job[lane, target] < 0 and s.machine_up[lane, target]
    return movable


@kernel
def write_mask(s: BlockingState, lane: int) -> bool:
    """Marks the legal actions; tells whether a job can move."""
    machines = s.size[lane, 2]
    some = False
    if s.mask.shape[1] > s.job_next.shape[1]:
        s.mask[lane, s.job_next.shape[1]] = False
    for j in range(s.job_next.shape[1]):
        legal = is_movable(s, lane, j) and (s.swap[lane] or is_safe_move(s, lane, j))
        s.mask[lane, j] = legal
        some = some or legal
    if s.mask.shape[1] > s.job_next.shape[1] and some:
        pending = False
        for m in range(machines):
            pending = pending or is_processing(s, lane, m) or not s.machine_up[lane, m]
        s.mask[lane, s.job_next.shape[1]] = pending
    return some


@kernel
def foresee(s: BlockingState, lane: int, m: int) -> None:
    """Notes when something happens on the machine."""
    time = s.machine_change[lane, m]
    if s.machine_halted[lane, m] > 0.0:
        time = min(time, s.machine_halted[lane, m])
    if s.machine_job[lane, m] >= 0 and not s.machine_done[lane, m] and s.machine_up[lane, m]:
        time = min(time, s.machine_since[lane, m] + min(s.machine_left[lane, m], s.machine_halt[lane, m]))
    s.machine_event[lane, m] = time


@kernel
def _next_event(s: BlockingState, lane: int) -> float:
    time = np.inf
    for m in range(s.size[lane, 2]):
        time = min(time, s.machine_event[lane, m])
    return time


@kernel
def _take_events(s: BlockingState, lane: int) -> bool:
    """Takes all events due by now and the swaps that follow; tells whether a job or a machine became ready."""
    happened = False
    again = True
    while again:
        again = False
        for m in range(s.size[lane, 2]):
            while s.machine_event[lane, m] <= s.clock[lane]:
                happened = _take(s, lane, m) or happened
                foresee(s, lane, m)
        if s.swap[lane]:
            again = _swap(s, lane)
            happened = happened or again
    return happened


@kernel
def _take(s: BlockingState, lane: int, m: int) -> bool:
    """Takes the machine's event; tells whether its operation was processed or it was opened."""
    if s.machine_change[lane, m] <= s.clock[lane]:
        return _change(s, lane, m)
    if 0.0 < s.machine_halted[lane, m] <= s.clock[lane]:
        s.machine_halted[lane, m] = 0.0
        _set_up(s, lane, m)
        return True
    j = s.machine_job[lane, m]
    k = s.job_next[lane, j] - 1
    if s.machine_halt[lane, m] < s.machine_left[lane, m]:
        _halt(s, lane, m, j, k)
        return False
    s.ends[lane, j, k] = s.clock[lane]
    s.job_ready[lane, j] = s.clock[lane]
    s.completed[lane] += 1
    s.machine_done[lane, m] = True
    s.machine_left[lane, m] = 0.0
    if s.job_next[lane, j] == s.size[lane, 1]:
        _leave(s, lane, j)
    return True


@kernel
def _change(s: BlockingState, lane: int, m: int) -> bool:
    """Shuts the machine down by the rate, or opens it; tells whether it was opened."""
    _pause(s, lane, m)
    opened: bool = s.machine_changes[lane, m] % 2 == 1
    s.machine_changes[lane, m] += 1
    if opened and s.shutdown_rate[lane] == 0.0:
        s.machine_change[lane, m] = np.inf
    else:
        mean = 1.0 / s.shutdown_rate[lane] if opened else s.repair_time[lane]
        s.machine_change[lane, m] += gap(s.key[lane], m, s.machine_changes[lane, m], mean)
    _set_up(s, lane, m)
    return opened


@kernel
def _halt(s: BlockingState, lane: int, m: int, j: int, k: int) -> None:
    """Shuts the machine down during the job's operation."""
    _pause(s, lane, m)
    number = (j * s.starts.shape[2] + k) * _PER_OPERATION
    repair = -s.repair_time[lane] * np.log(1.0 - stream_uniform(s.key[lane], _HALTS, number + 2))
    s.machine_halt[lane, m] = np.inf
    s.machine_halted[lane, m] = np.nextafter(s.clock[lane] + repair, np.inf)
    s.halted_at[lane, j, k] = s.clock[lane]
    s.resumed_at[lane, j, k] = s.machine_halted[lane, m]
    _set_up(s, lane, m)


@kernel
def _set_up(s: BlockingState, lane: int, m: int) -> None:
    """Notes whether the machine works; processing counts from now on."""
    s.machine_up[lane, m] = s.machine_changes[lane, m] % 2 == 0 and s.machine_halted[lane, m] == 0.0
    s.machine_since[lane, m] = s.clock[lane]


@kernel
def _pause(s: BlockingState, lane: int, m: int) -> None:
    """Counts what has been processed up to now."""
    if s.machine_job[lane, m] >= 0 and not s.machine_done[lane, m] and s.machine_up[lane, m]:
        passed = s.clock[lane] - s.machine_since[lane, m]
        s.machine_left[lane, m] = max(s.machine_left[lane, m] - passed, 0.0)
        s.machine_halt[lane, m] = max(s.machine_halt[lane, m] - passed, 0.0)
        s.machine_since[lane, m] = s.clock[lane]


_FOLLOWS, _SEEN, _MOVING = range(3)
"""Rows of ``room``: the machine that the job on each machine is to come to, in which search each was seen, and the jobs
that change places."""


@kernel
def _swap(s: BlockingState, lane: int) -> bool:
    """Lets the jobs of every circle change places whose machines all work; tells whether there was one."""
    machines = s.size[lane, 2]
    for m in range(machines):
        s.room[lane, _SEEN, m] = 0
        s.room[lane, _FOLLOWS, m] = -1
        if s.machine_done[lane, m] and s.machine_up[lane, m]:
            j = s.machine_job[lane, m]
            s.room[lane, _FOLLOWS, m] = s.machine[lane, j, s.job_next[lane, j]]
    found = False
    for first in range(machines):
        m = first
        while m >= 0 and s.room[lane, _SEEN, m] == 0:
            s.room[lane, _SEEN, m] = first + 1
            m = s.room[lane, _FOLLOWS, m]
        if m >= 0 and s.room[lane, _SEEN, m] == first + 1:
            found = True
            _rotate(s, lane, m)
    return found


@kernel
def _rotate(s: BlockingState, lane: int, first: int) -> None:
    """Lets the jobs of the circle through a machine change places."""
    count = 0
    m = first
    while count == 0 or m != first:
        s.room[lane, _MOVING, count] = s.machine_job[lane, m]
        count += 1
        m = s.room[lane, _FOLLOWS, m]
    for i in range(count):
        _leave(s, lane, s.room[lane, _MOVING, i])
    for i in range(count):
        _come(s, lane, s.room[lane, _MOVING, i])


@kernel
def _estimate(s: BlockingState, lane: int) -> float:
    """The latest end of a job or a machine's work if nothing waits or is shut down any more."""
    now = s.clock[lane]
    latest = now
    for j in range(s.size[lane, 0]):
        m = s.job_on[lane, j]
        left = processing_left(s, lane, m) if m >= 0 else 0.0
        latest = max(latest, now + left + s.rest[lane, j, s.job_next[lane, j]])
    for m in range(s.size[lane, 2]):
        if s.machine_load[lane, m] > 0.0:
            latest = max(latest, now + processing_left(s, lane, m) + s.machine_load[lane, m])
    estimate: float = latest
    return estimate


@njit(cache=True, nogil=True)
def resample(s: BlockingState, lanes: Integers) -> None:
    """Draws another future for each of ``lanes``, in keeping with what is known of the present."""
    for lane in lanes:
        now = s.clock[lane]
        s.key[lane] = next_word(s.generator, lane)
        for m in range(s.size[lane, 2]):
            if s.shutdown_rate[lane] > 0.0:
                mean = 1.0 / s.shutdown_rate[lane] if s.machine_changes[lane, m] % 2 == 0 else s.repair_time[lane]
                s.machine_change[lane, m] = now - mean * np.log(1.0 - next_uniform(s.generator, lane))
            if s.machine_halted[lane, m] > 0.0:
                repair = -s.repair_time[lane] * np.log(1.0 - next_uniform(s.generator, lane))
                s.machine_halted[lane, m] = np.nextafter(now + repair, np.inf)
            elif is_processing(s, lane, m):
                _resample_halt(s, lane, m)
            foresee(s, lane, m)


@njit(cache=True, nogil=True)
def _resample_halt(s: BlockingState, lane: int, m: int) -> None:
    """Draws the shutdown during the running operation anew, given how much is processed, unless it is over."""
    j = s.machine_job[lane, m]
    k = s.job_next[lane, j] - 1
    time, left = s.time[lane, j, k], processing_left(s, lane, m)
    if s.halted_at[lane, j, k] != NOT_YET or time <= 0.0:
        return
    chance = s.shutdown[lane]
    open_ = chance * left / time
    passed = s.machine_left[lane, m] - left
    s.machine_halt[lane, m] = np.inf
    if next_uniform(s.generator, lane) * (1.0 - chance + open_) < open_:
        s.machine_halt[lane, m] = passed + left * next_uniform(s.generator, lane)
