"""The compiled rules of the job shop, over many lanes at once.

A lane is one running episode. Its candidate operations are the next operations of the unfinished jobs; the *builder*
says which of them may be picked and where the picked one is placed. With ``est`` the earliest start of a job's next
operation:

* ``append`` (semi-active schedules): every unfinished job; est is the larger of job ready time and machine free time.
* ``insertion``: every unfinished job; est is the start of the earliest idle gap of the machine that takes the operation
  at or after the job's ready time.
* ``active`` (Giffler and Thompson, "Algorithms for solving production-scheduling problems", Operations Research 8(4),
  1960): the jobs that need the machine on which an operation can be completed first, and can start there before that
  completion; est as in ``append``.
* ``non_delay``: the jobs whose est is the smallest of all; est as in ``append``.

With the ``wait`` action of ``non_delay``, the lane's *time floor* rises to the second smallest distinct est and no
operation starts before it, so that schedules outside the non-delay class come within reach.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle, kernel
from envs.core.random import next_integer

APPEND, INSERTION, ACTIVE, NON_DELAY = 0, 1, 2, 3
BUILDERS = {"append": APPEND, "insertion": INSERTION, "active": ACTIVE, "non_delay": NON_DELAY}

NEVER = np.int64(2**62)
"""A time after every other."""


class JobShopState(NamedTuple):
    """State of all lanes; the leading axis of every array is the lane.

    Shapes: L lanes, J jobs, K operations of a job, M machines, A actions (J, and 1 more with the wait action). Rows
    beyond a lane's own size are undefined. Times are in the instance's time unit.

    Attributes:
        generator: ``(L,)`` generator words.
        label: ``(L,)`` index of the instance's name, -1 for a random instance.
        size: ``(L, 3)`` number of jobs, of operations of a job, of machines.
        machine: ``(L, J, K)`` machine of each operation.
        time: ``(L, J, K)`` processing time of each operation.
        starts: ``(L, J, K)`` start of each operation, -1 while it is not scheduled.
        next_op: ``(L, J)`` index of each job's next operation; the number of operations once finished.
        job_machine: ``(L, J)`` machine of the next operation, -1 once finished.
        job_time: ``(L, J)`` processing time of the next operation.
        job_ready: ``(L, J)`` completion of the last scheduled operation.
        job_work: ``(L, J)`` total processing time.
        job_remaining: ``(L, J)`` processing time of the operations not yet scheduled.
        job_start: ``(L, J)`` earliest start (est) of the next operation under the builder.
        job_log_ratio: ``(L, J)`` log of next processing time over remaining work (zeros count as 1/2).
        job_outlook: ``(L, J, 8)`` float32 features of the next operation that stand until it is scheduled:
            processing time, its share of the remaining work, log of that, remaining work, work after the operation,
            fraction of operations remaining, processing time of the following operation, flow due date over itself
            plus remaining work (units: see `envs.job_shop.features`).
        machine_free: ``(L, M)`` completion of the last operation on the machine.
        machine_load: ``(L, M)`` processing time of the operations not yet scheduled on it.
        machine_left: ``(L, M)`` number of operations not yet scheduled on it.
        machine_operations: ``(L, M)`` number of operations on it.
        machine_queue: ``(L, M)`` number of jobs that need it next.
        machine_queue_work: ``(L, M)`` processing time that they need it for.
        busy_first: ``(L, M)`` first slot of the machine in the busy arrays (insertion).
        busy_start: ``(L, J * K)`` starts of scheduled operations, sorted within each machine (insertion).
        busy_end: ``(L, J * K)`` their ends.
        floor: ``(L,)`` time before which nothing more may start.
        now: ``(L,)`` smallest est over unfinished jobs; the makespan once finished.
        total: ``(L,)`` number of operations.
        scheduled: ``(L,)`` number of scheduled operations.
        bound: ``(L,)`` lower bound on the makespan of every completion of the partial schedule.
        first_bound: ``(L,)`` the bound at the start of the episode.
        mean_time: ``(L,)`` mean processing time (1 if all are zero).
        log_size: ``(L, 2)`` logs of the number of jobs and of machines.
        mask: ``(L, A)`` legal actions.
    """

    generator: NDArray[np.uint64]
    label: NDArray[np.int64]
    size: NDArray[np.int64]
    machine: NDArray[np.int32]
    time: NDArray[np.int32]
    starts: NDArray[np.int64]
    next_op: NDArray[np.int64]
    job_machine: NDArray[np.int64]
    job_time: NDArray[np.int64]
    job_ready: NDArray[np.int64]
    job_work: NDArray[np.int64]
    job_remaining: NDArray[np.int64]
    job_start: NDArray[np.int64]
    job_log_ratio: NDArray[np.float64]
    job_outlook: NDArray[np.float32]
    machine_free: NDArray[np.int64]
    machine_load: NDArray[np.int64]
    machine_left: NDArray[np.int64]
    machine_operations: NDArray[np.int64]
    machine_queue: NDArray[np.int64]
    machine_queue_work: NDArray[np.int64]
    busy_first: NDArray[np.int64]
    busy_start: NDArray[np.int64]
    busy_end: NDArray[np.int64]
    floor: NDArray[np.int64]
    now: NDArray[np.int64]
    total: NDArray[np.int64]
    scheduled: NDArray[np.int64]
    bound: NDArray[np.int64]
    first_bound: NDArray[np.int64]
    mean_time: NDArray[np.float64]
    log_size: NDArray[np.float64]
    mask: NDArray[np.bool_]


def allocate(lanes: int, jobs: int, operations: int, machines: int, builder: int, wait: bool) -> JobShopState:
    """Returns the zeroed state of ``lanes`` lanes of at most the given size."""

    def integers(*shape: int) -> NDArray[np.int64]:
        return np.zeros((lanes, *shape), np.int64)

    slots = jobs * operations if builder == INSERTION else 0
    values: dict[str, NDArray[Any]] = {name: integers() for name in JobShopState._fields}
    values |= {name: integers(jobs) for name in JobShopState._fields if name.startswith("job_")}
    values |= {name: integers(machines) for name in JobShopState._fields if name.startswith("machine_")}
    values |= {
        "generator": np.zeros(lanes, np.uint64),
        "size": integers(3),
        "machine": np.zeros((lanes, jobs, operations), np.int32),
        "time": np.zeros((lanes, jobs, operations), np.int32),
        "starts": integers(jobs, operations),
        "next_op": integers(jobs),
        "job_log_ratio": np.zeros((lanes, jobs)),
        "job_outlook": np.zeros((lanes, jobs, 8), np.float32),
        "busy_first": integers(machines),
        "busy_start": integers(slots),
        "busy_end": integers(slots),
        "mean_time": np.ones(lanes),
        "log_size": np.zeros((lanes, 2)),
        "mask": np.zeros((lanes, jobs + wait), np.bool_),
    }
    return JobShopState(**values)


@njit(cache=True)
def state_handle(state: JobShopState) -> Handle[JobShopState]:
    """Returns a handle to the state."""
    return Handle(state)


@njit(cache=True, nogil=True)
def draw_random(
    handle: Handle[JobShopState], lanes: NDArray[np.int64], sizes: NDArray[np.int64], low: int, high: int
) -> None:
    """Puts a random instance into each of ``lanes``; `begin` makes it an episode.

    The size is uniform over the rows ``(jobs, machines)`` of ``sizes``, processing times are uniform on ``low..high``,
    and every job visits all machines in a uniformly random order.
    """
    state = handle.arrays
    for lane in lanes:
        row = next_integer(state.generator, lane, 0, sizes.shape[0] - 1)
        jobs, machines = sizes[row, 0], sizes[row, 1]
        state.size[lane, 0], state.size[lane, 1], state.size[lane, 2] = jobs, machines, machines
        state.label[lane] = -1
        for j in range(jobs):
            for k in range(machines):
                state.time[lane, j, k] = next_integer(state.generator, lane, low, high)
                other = next_integer(state.generator, lane, 0, k)
                state.machine[lane, j, k] = state.machine[lane, j, other]
                state.machine[lane, j, other] = k


@njit(cache=True, nogil=True)
def draw_integers(generator: NDArray[np.uint64], lanes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Returns one integer uniform on ``0..count - 1`` for each of ``lanes``."""
    result = np.empty(len(lanes), np.int64)
    for i in range(len(lanes)):
        result[i] = next_integer(generator, lanes[i], 0, count - 1)
    return result


@njit(cache=True, nogil=True)
def begin(handle: Handle[JobShopState], lanes: NDArray[np.int64], builder: int) -> None:
    """Begins an episode on the instance that stands in ``size``, ``machine`` and ``time`` of each of ``lanes``."""
    _begin(handle.arrays, lanes, builder)


@njit(cache=True, nogil=True)
def step(
    handle: Handle[JobShopState],
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    refused: NDArray[np.bool_],
    to_choice: bool,
    builder: int,
) -> None:
    """Takes one action in every active lane; sets ``refused`` where it was illegal and changed nothing.

    With ``to_choice``, decisions that have a single legal action are taken as well, until one has more.
    """
    _step(handle.arrays, actions, active, refused, to_choice, builder)


@kernel
def _step(
    state: JobShopState,
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    refused: NDArray[np.bool_],
    to_choice: bool,
    builder: int,
) -> None:
    for lane in range(actions.shape[0]):
        action = actions[lane]
        legal = 0 <= action < state.mask.shape[1] and state.mask[lane, action]
        refused[lane] = active[lane] and not legal
        if not active[lane] or not legal:
            continue
        while action >= 0:
            if action < state.next_op.shape[1]:
                _schedule(state, lane, action, builder)
            else:
                _wait(state, lane, builder)
            action = _only_action(state, lane) if to_choice and state.scheduled[lane] < state.total[lane] else -1


@njit(cache=True, nogil=True, inline="always")
def _only_action(state: JobShopState, lane: int) -> int:
    """The legal action of a lane, -1 if there is more than one."""
    count = 0
    last = -1
    for action in range(state.mask.shape[1]):
        if state.mask[lane, action]:
            count += 1
            last = action
    return last if count == 1 else -1


@kernel
def _begin(state: JobShopState, lanes: NDArray[np.int64], builder: int) -> None:
    for lane in lanes:
        _begin_lane(state, lane, builder)


@njit(cache=True, nogil=True, inline="always")
def _begin_lane(state: JobShopState, lane: int, builder: int) -> None:
    """Computes everything that follows from a lane's instance, with nothing scheduled."""
    jobs, operations, machines = state.size[lane, 0], state.size[lane, 1], state.size[lane, 2]
    for m in range(machines):
        state.machine_free[lane, m] = 0
        state.machine_load[lane, m] = 0
        state.machine_operations[lane, m] = 0
        state.machine_queue[lane, m] = 0
        state.machine_queue_work[lane, m] = 0
    for action in range(state.mask.shape[1]):
        state.mask[lane, action] = False
    state.floor[lane] = 0
    state.scheduled[lane] = 0
    state.total[lane] = jobs * operations
    bound = np.int64(0)
    total = np.int64(0)
    for j in range(jobs):
        work = np.int64(0)
        for k in range(operations):
            work += state.time[lane, j, k]
            state.machine_load[lane, state.machine[lane, j, k]] += state.time[lane, j, k]
            state.machine_operations[lane, state.machine[lane, j, k]] += 1
            state.starts[lane, j, k] = -1
        state.next_op[lane, j] = 0
        state.job_ready[lane, j] = 0
        state.job_start[lane, j] = 0
        state.job_work[lane, j] = work
        state.job_remaining[lane, j] = work
        total += work
        bound = max(bound, work)
    slot = np.int64(0)
    for m in range(machines):
        bound = max(bound, state.machine_load[lane, m])
        state.machine_left[lane, m] = state.machine_operations[lane, m]
        state.busy_first[lane, m] = slot
        slot += state.machine_operations[lane, m]
    state.bound[lane] = bound
    state.first_bound[lane] = bound
    state.mean_time[lane] = total / (jobs * operations) if total > 0 else 1.0
    state.log_size[lane, 0] = np.log(jobs)
    state.log_size[lane, 1] = np.log(machines)
    for j in range(jobs):
        _expose_next_operation(state, lane, j)
    _refresh(state, lane, -2, 0, 0, builder)


@njit(cache=True, nogil=True, inline="always")
def _expose_next_operation(state: JobShopState, lane: int, job: int) -> None:
    """Keeps what is asked about the job's next operation at every decision, and queues it at its machine."""
    k = state.next_op[lane, job]
    if k == state.size[lane, 1]:
        state.job_machine[lane, job] = -1
        state.job_time[lane, job] = 0
        state.job_log_ratio[lane, job] = 0.0
        return
    time = np.int64(state.time[lane, job, k])
    machine = state.machine[lane, job, k]
    remaining = state.job_remaining[lane, job]
    ratio = np.log(max(time, 0.5) / max(remaining, 0.5))
    state.job_machine[lane, job] = machine
    state.job_time[lane, job] = time
    state.job_log_ratio[lane, job] = ratio
    state.machine_queue[lane, machine] += 1
    state.machine_queue_work[lane, machine] += time
    mean = 1.0 / state.mean_time[lane]
    unit = 1.0 / max(state.first_bound[lane], 1)
    left = state.size[lane, 1] - k
    due = state.job_work[lane, job] - remaining + time
    state.job_outlook[lane, job, 0] = time * mean
    state.job_outlook[lane, job, 1] = time / max(remaining, 1)
    state.job_outlook[lane, job, 2] = ratio
    state.job_outlook[lane, job, 3] = remaining * unit
    state.job_outlook[lane, job, 4] = (remaining - time) * unit
    state.job_outlook[lane, job, 5] = left * (1.0 / state.size[lane, 1])
    state.job_outlook[lane, job, 6] = state.time[lane, job, k + 1] * mean if left > 1 else 0.0
    state.job_outlook[lane, job, 7] = due / max(due + remaining, 1)


@njit(cache=True, nogil=True, inline="always")
def _schedule(state: JobShopState, lane: int, job: int, builder: int) -> None:
    """Places the job's next operation at its earliest start and updates what depends on it."""
    k = state.next_op[lane, job]
    machine = state.job_machine[lane, job]
    time = state.job_time[lane, job]
    start = state.job_start[lane, job]
    end = start + time
    if builder == INSERTION:
        _occupy(state, lane, machine, start, end)
    state.starts[lane, job, k] = start
    state.next_op[lane, job] = k + 1
    state.job_ready[lane, job] = end
    state.job_remaining[lane, job] -= time
    state.machine_free[lane, machine] = max(state.machine_free[lane, machine], end)
    state.machine_load[lane, machine] -= time
    state.machine_left[lane, machine] -= 1
    state.machine_queue[lane, machine] -= 1
    state.machine_queue_work[lane, machine] -= time
    state.scheduled[lane] += 1
    _expose_next_operation(state, lane, job)
    following = state.job_machine[lane, job]
    state.job_start[lane, job] = end
    if following >= 0 and builder == INSERTION:
        state.job_start[lane, job] = _earliest_gap(state, lane, job)
    elif following >= 0:
        state.job_start[lane, job] = max(end, state.machine_free[lane, following])
    if builder != INSERTION:
        state.bound[lane] = max(state.bound[lane], end + state.machine_load[lane, machine])
    _refresh(state, lane, machine, start, end, builder)


@njit(cache=True, nogil=True, inline="always")
def _wait(state: JobShopState, lane: int, builder: int) -> None:
    """Raises the time floor to the second smallest distinct earliest start."""
    floor = _second_smallest_start(state, lane)
    state.floor[lane] = floor
    for m in range(state.size[lane, 2]):
        if state.machine_load[lane, m] > 0:
            free = max(state.machine_free[lane, m], floor)
            state.bound[lane] = max(state.bound[lane], free + state.machine_load[lane, m])
    _refresh(state, lane, -2, 0, 0, builder)


@kernel
def _second_smallest_start(state: JobShopState, lane: int) -> np.int64:
    """The smallest earliest start above ``now`` among unfinished jobs; a huge number if there is none."""
    result = NEVER
    for j in range(state.size[lane, 0]):
        if state.job_machine[lane, j] >= 0 and state.job_start[lane, j] > state.now[lane]:
            result = min(result, state.job_start[lane, j])
    return result


@kernel
def _earliest_gap(state: JobShopState, lane: int, job: int) -> np.int64:
    """Start of the earliest idle gap that takes an unfinished job's next operation."""
    machine = state.job_machine[lane, job]
    time = state.job_time[lane, job]
    start: np.int64 = state.job_ready[lane, job]
    first = state.busy_first[lane, machine]
    for i in range(first, first + state.machine_operations[lane, machine] - state.machine_left[lane, machine]):
        if start + time <= state.busy_start[lane, i]:
            break
        start = max(start, state.busy_end[lane, i])
    return start


@kernel
def _occupy(state: JobShopState, lane: int, machine: int, start: int, end: int) -> None:
    """Inserts a busy interval into the machine's sorted list; `machine_left` still counts the operation."""
    first = state.busy_first[lane, machine]
    i = first + state.machine_operations[lane, machine] - state.machine_left[lane, machine]
    while i > first and end <= state.busy_start[lane, i - 1]:
        state.busy_start[lane, i] = state.busy_start[lane, i - 1]
        state.busy_end[lane, i] = state.busy_end[lane, i - 1]
        i -= 1
    state.busy_start[lane, i] = start
    state.busy_end[lane, i] = end


@njit(cache=True, nogil=True, inline="always")
def _refresh(state: JobShopState, lane: int, machine: int, begin: int, end: int, builder: int) -> None:
    """Brings earliest starts, ``bound``, ``now`` and mask up to date after ``machine`` was taken ``begin``..``end``.

    With no such machine (a negative number), only the time floor has changed.
    """
    jobs = state.size[lane, 0]
    floor = state.floor[lane]
    bound = state.bound[lane]
    now = NEVER
    completion = NEVER
    first = 0
    for j in range(jobs):
        needed = state.job_machine[lane, j]
        if needed < 0:
            continue
        start = max(state.job_start[lane, j], floor)
        if needed == machine and builder != INSERTION:
            start = max(start, end)
        elif needed == machine and start < end and start + state.job_time[lane, j] > begin:
            start = _earliest_gap(state, lane, j)
        state.job_start[lane, j] = start
        bound = max(bound, start + state.job_remaining[lane, j])
        now = min(now, start)
        if start + state.job_time[lane, j] < completion:
            completion = start + state.job_time[lane, j]
            first = j
    bound = max(bound, end)
    state.bound[lane] = bound
    state.now[lane] = now if now < NEVER else bound
    if builder == NON_DELAY:
        for j in range(jobs):
            state.mask[lane, j] = state.job_machine[lane, j] >= 0 and state.job_start[lane, j] == now
        if state.mask.shape[1] > state.next_op.shape[1]:
            state.mask[lane, state.next_op.shape[1]] = _second_smallest_start(state, lane) < NEVER
    elif builder == ACTIVE and now < NEVER:
        bottleneck = state.job_machine[lane, first]
        for j in range(jobs):
            state.mask[lane, j] = state.job_machine[lane, j] == bottleneck and state.job_start[lane, j] < completion
        state.mask[lane, first] = True  # its own est equals the completion where its time is zero
    else:
        for j in range(jobs):
            state.mask[lane, j] = state.job_machine[lane, j] >= 0
