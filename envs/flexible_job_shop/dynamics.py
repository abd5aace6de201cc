"""The compiled rules of the flexible job shop: an action puts a job's next operation on a machine.

Action ``job * machines + machine`` stands for the pair. With ``start`` the earliest moment at which the job's operation
before is finished and the machine is free and set up, after all that is on it, pairs can be picked by *builder*:

* ``append``: every pair whose machine can do the operation.
* ``active``: those on the machine on which some pair is finished first of all, which start before that moment (after
  Giffler and Thompson 1960).
* ``non_delay``: those with the smallest start of all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.random import next_integer, next_word

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

BUILDERS = {"append": 0, "active": 1, "non_delay": 2}
_APPEND, _ACTIVE, _NON_DELAY = range(3)

NEVER = 2**62


class FlexibleState(NamedTuple):
    """State of L lanes with room for J jobs, K operations of a job and M machines.

    Attributes:
        generator: ``(L,)`` generator word.
        label: ``(L,)`` number of a named instance, -1 for a drawn one.
        size: ``(L, 2)`` numbers of jobs and machines.
        operations: ``(L, J)`` operations of each job.
        time: ``(L, J, K, M)`` processing times, -1 where there is none.
        setup: ``(L, M, J, J)`` setup times between jobs.
        least: ``(L, J, K + 1)`` sum of the least times of an operation and all after it.
        mean: ``(L, J, K + 1)`` the same of the mean times over the machines that can do it.
        next_op: ``(L, J)`` next operation; the number of operations once finished.
        job_ready: ``(L, J)`` end of the last scheduled operation.
        machine_free: ``(L, M)`` end of the last operation on the machine.
        machine_job: ``(L, M)`` the job of that operation, -1 before the first.
        machine_load: ``(L, M)`` mean times of what is left, shared among the machines that can do it.
        starts: ``(L, J, K)`` start times, -1 while not scheduled.
        machines: ``(L, J, K)`` machines, likewise.
        scheduled: ``(L,)`` number of scheduled operations.
        total: ``(L,)`` number of operations.
        now: ``(L,)`` smallest start of a pair; the makespan in the end.
        bound: ``(L,)`` lower bound on the makespan.
        first_bound: ``(L,)`` the bound at the start of the episode.
        start: ``(L, J, M)`` earliest start of each pair, `NEVER` where there is none.
        mask: ``(L, J * M)`` legal actions.
    """

    generator: NDArray[np.uint64]
    label: Integers
    size: Integers
    operations: Integers
    time: Integers
    setup: Integers
    least: Floats
    mean: Floats
    next_op: Integers
    job_ready: Integers
    machine_free: Integers
    machine_job: Integers
    machine_load: Floats
    starts: Integers
    machines: Integers
    scheduled: Integers
    total: Integers
    now: Integers
    bound: Integers
    first_bound: Integers
    start: Integers
    mask: NDArray[np.bool_]


class Draws(NamedTuple):
    """How instances are drawn.

    Attributes:
        fewest_operations: Fewest operations of a job, as a share of the number of machines.
        most_operations: Most of them.
        most_machines: Most machines that can do an operation; 0 for all there are.
        time_low: Least mean time of an operation.
        time_high: Largest.
        spread: Times on the machines lie within this share of the mean; those of 1 or more are drawn one by one.
        setup_high: Setup times are uniform on 0 to this.
    """

    fewest_operations: float
    most_operations: float
    most_machines: int
    time_low: int
    time_high: int
    spread: float
    setup_high: int


def allocate(lanes: int, jobs: int, operations: int, machines: int) -> FlexibleState:
    """Returns the zeroed state of ``lanes`` lanes."""

    def zeros(*shape: int) -> Integers:
        return np.zeros((lanes, *shape), np.int64)

    return FlexibleState(
        generator=np.zeros(lanes, np.uint64),
        label=zeros(),
        size=zeros(2),
        operations=zeros(jobs),
        time=zeros(jobs, operations, machines),
        setup=zeros(machines, jobs, jobs),
        least=np.zeros((lanes, jobs, operations + 1)),
        mean=np.zeros((lanes, jobs, operations + 1)),
        next_op=zeros(jobs),
        job_ready=zeros(jobs),
        machine_free=zeros(machines),
        machine_job=zeros(machines),
        machine_load=np.zeros((lanes, machines)),
        starts=zeros(jobs, operations),
        machines=zeros(jobs, operations),
        scheduled=zeros(),
        total=zeros(),
        now=zeros(),
        bound=zeros(),
        first_bound=zeros(),
        start=zeros(jobs, machines),
        mask=np.zeros((lanes, jobs * machines), np.bool_),
    )


@njit(cache=True, nogil=True)
def draw_word(generator: NDArray[np.uint64], lane: int) -> np.uint64:
    """Advances the lane's generator and returns 64 random bits."""
    return next_word(generator, lane)


@njit(cache=True, nogil=True)
def draw(state: FlexibleState, lanes: Integers, sizes: Integers, draws: Draws, builder: int) -> None:
    """Begins an episode on a drawn instance in each of ``lanes``."""
    generator = state.generator
    for lane in lanes:
        jobs, machines = sizes[next_integer(generator, lane, 0, sizes.shape[0] - 1)]
        state.label[lane] = -1
        state.size[lane, 0], state.size[lane, 1] = jobs, machines
        state.time[lane] = -1
        state.setup[lane] = 0
        fewest = max(1, int(np.floor(draws.fewest_operations * machines)))
        most = max(fewest, int(np.floor(draws.most_operations * machines)))
        able = np.empty(machines, np.int64)
        for job in range(jobs):
            state.operations[lane, job] = next_integer(generator, lane, fewest, most)
            for k in range(state.operations[lane, job]):
                limit = machines if draws.most_machines == 0 else min(machines, draws.most_machines)
                count = next_integer(generator, lane, 1, limit)
                middle = next_integer(generator, lane, draws.time_low, draws.time_high)
                for m in range(machines):
                    able[m] = m
                for i in range(count):
                    other = next_integer(generator, lane, i, machines - 1)
                    able[i], able[other] = able[other], able[i]
                    low = max(1, int(np.ceil((1.0 - draws.spread) * middle)))
                    high = max(low, int(np.floor((1.0 + draws.spread) * middle)))
                    if draws.spread >= 1.0:
                        low, high = draws.time_low, draws.time_high
                    state.time[lane, job, k, able[i]] = next_integer(generator, lane, low, high)
        if draws.setup_high > 0:
            for m in range(machines):
                for i in range(jobs):
                    for j in range(jobs):
                        if i != j:
                            state.setup[lane, m, i, j] = next_integer(generator, lane, 0, draws.setup_high)
        begin(state, lane, builder)


@njit(cache=True, nogil=True)
def begin(state: FlexibleState, lane: int, builder: int) -> None:
    """Begins an episode on the instance that stands in the lane."""
    jobs, machines = state.size[lane]
    state.next_op[lane], state.job_ready[lane], state.machine_free[lane] = 0, 0, 0
    state.machine_job[lane] = -1
    state.machine_load[lane] = 0.0
    state.starts[lane], state.machines[lane] = -1, -1
    state.least[lane], state.mean[lane] = 0.0, 0.0
    state.scheduled[lane], state.total[lane], state.bound[lane] = 0, 0, 0
    for job in range(jobs):
        state.total[lane] += state.operations[lane, job]
        for k in range(state.operations[lane, job] - 1, -1, -1):
            least, total, able = NEVER, 0, 0
            for m in range(machines):
                time = state.time[lane, job, k, m]
                if time >= 0:
                    least, total, able = min(least, time), total + time, able + 1
            state.least[lane, job, k] = state.least[lane, job, k + 1] + least
            state.mean[lane, job, k] = state.mean[lane, job, k + 1] + total / able
            for m in range(machines):
                if state.time[lane, job, k, m] >= 0:
                    state.machine_load[lane, m] += total / able / able
        state.bound[lane] = max(state.bound[lane], int(state.least[lane, job, 0]))
    state.first_bound[lane] = max(state.bound[lane], 1)
    _open(state, lane, builder)


@njit(cache=True, nogil=True)
def step(
    state: FlexibleState, actions: Integers, active: NDArray[np.bool_], refused: NDArray[np.bool_], builder: int
) -> None:
    """Takes an action in every active lane; ``refused`` is set where it is illegal, which changes nothing."""
    for lane in range(actions.shape[0]):
        action = actions[lane]
        refused[lane] = active[lane] and (action < 0 or action >= state.mask.shape[1] or not state.mask[lane, action])
        if not active[lane] or refused[lane]:
            continue
        machines = state.size[lane, 1]
        place(state, lane, action // machines, action % machines)
        _open(state, lane, builder)


@njit(cache=True, nogil=True)
def place(state: FlexibleState, lane: int, job: int, machine: int) -> None:
    """Puts the job's next operation on the machine."""
    k = state.next_op[lane, job]
    start = state.start[lane, job, machine]
    end = start + state.time[lane, job, k, machine]
    able = 0
    for m in range(state.size[lane, 1]):
        able += state.time[lane, job, k, m] >= 0
    share = (state.mean[lane, job, k] - state.mean[lane, job, k + 1]) / able
    for m in range(state.size[lane, 1]):
        if state.time[lane, job, k, m] >= 0:
            state.machine_load[lane, m] -= share
    state.starts[lane, job, k], state.machines[lane, job, k] = start, machine
    state.next_op[lane, job] = k + 1
    state.job_ready[lane, job] = end
    state.machine_free[lane, machine], state.machine_job[lane, machine] = end, job
    state.scheduled[lane] += 1
    state.bound[lane] = max(state.bound[lane], end + int(state.least[lane, job, k + 1]))


@njit(cache=True, nogil=True)
def earliest(state: FlexibleState, lane: int, job: int, machine: int) -> int:
    """Returns the earliest start of the job's next operation on a machine, `NEVER` where it cannot do it."""
    k = state.next_op[lane, job]
    if k >= state.operations[lane, job] or state.time[lane, job, k, machine] < 0:
        return NEVER
    last = state.machine_job[lane, machine]
    ready: int = state.machine_free[lane, machine]
    if last >= 0 and last != job:
        ready += state.setup[lane, machine, last, job]
    return max(ready, int(state.job_ready[lane, job]))


@njit(cache=True, nogil=True)
def _open(state: FlexibleState, lane: int, builder: int) -> None:
    """Works out the earliest starts and writes the mask."""
    jobs, machines = state.size[lane]
    now, first_end, first_machine = NEVER, NEVER, 0
    for job in range(jobs):
        k = state.next_op[lane, job]
        for m in range(machines):
            start = earliest(state, lane, job, m)
            state.start[lane, job, m] = start
            if start < NEVER:
                now = min(now, start)
                if start + state.time[lane, job, k, m] < first_end:
                    first_end, first_machine = start + state.time[lane, job, k, m], m
    state.mask[lane] = False
    if now == NEVER:
        state.now[lane] = state.bound[lane]
        return
    state.now[lane] = now
    for job in range(jobs):
        for m in range(machines):
            start = state.start[lane, job, m]
            if start == NEVER:
                continue
            legal = True
            if builder == _ACTIVE:
                end = start + state.time[lane, job, state.next_op[lane, job], m]
                legal = m == first_machine and (start < first_end or end == first_end)
            elif builder == _NON_DELAY:
                legal = start == now
            state.mask[lane, job * machines + m] = legal
