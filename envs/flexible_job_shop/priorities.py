"""The dispatching rules, compiled: which job first, and then which machine; and schedules that follow them."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.flexible_job_shop.dynamics import NEVER, FlexibleState

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

JOB_KEYS = ("fifo", "spt", "lpt", "mwkr", "lwkr", "mopnr", "lopnr", "spt_mwkr", "any")
MACHINE_KEYS = ("eet", "spt", "least_load")

_FIFO, _SPT, _LPT, _MWKR, _LWKR, _MOPNR, _LOPNR, _SPT_MWKR, _ANY = range(len(JOB_KEYS))
_EET, _FASTEST, _LEAST_LOAD = range(len(MACHINE_KEYS))


@njit(cache=True, nogil=True)
def job_key(state: FlexibleState, lane: int, job: int, k: int, ready: int, kind: int) -> float:
    """Returns what ``JOB_KEYS[kind]`` minimises, of operation ``k`` with its mean time over the machines."""
    mean, work = state.mean[lane, job, k] - state.mean[lane, job, k + 1], state.mean[lane, job, k]
    if kind == _FIFO:
        return float(ready)
    if kind == _SPT:
        return float(mean)
    if kind == _LPT:
        return float(-mean)
    if kind == _MWKR:
        return float(-work)
    if kind == _LWKR:
        return float(work)
    if kind == _MOPNR:
        return float(k - state.operations[lane, job])
    if kind == _LOPNR:
        return float(state.operations[lane, job] - k)
    if kind == _SPT_MWKR:
        return float(mean / work) if work > 0.0 else 0.0
    return 0.0


@njit(cache=True, nogil=True)
def machine_key(state: FlexibleState, lane: int, job: int, machine: int, kind: int) -> float:
    """Returns what ``MACHINE_KEYS[kind]`` minimises: end of the operation, its time, or load left on the machine."""
    time = state.time[lane, job, state.next_op[lane, job], machine]
    if kind == _EET:
        return float(state.start[lane, job, machine] + time)
    if kind == _FASTEST:
        return float(time)
    return float(state.machine_load[lane, machine])


@njit(cache=True, nogil=True)
def write_priorities(state: FlexibleState, lane: int, first: int, second: int, out: Floats) -> None:
    """Writes ranks of the legal pairs by the job's key, then by the machine's, then by number; infinity for others."""
    machines = state.size[lane, 1]
    out[:] = np.inf
    legal = np.flatnonzero(state.mask[lane])
    keys = np.empty((legal.shape[0], 2))
    for i in range(legal.shape[0]):
        job, machine = legal[i] // machines, legal[i] % machines
        keys[i, 0] = job_key(state, lane, job, state.next_op[lane, job], state.job_ready[lane, job], first)
        keys[i, 1] = machine_key(state, lane, job, machine, second)
    for i in range(legal.shape[0]):
        rank = 0
        for j in range(legal.shape[0]):
            if keys[j, 0] < keys[i, 0] or (
                keys[j, 0] == keys[i, 0] and (keys[j, 1] < keys[i, 1] or (keys[j, 1] == keys[i, 1] and j < i))
            ):
                rank += 1
        out[legal[i]] = rank


@njit(cache=True, nogil=True)
def finish(
    state: FlexibleState,
    lane: int,
    first: int,
    second: int,
    next_op: Integers,
    job_ready: Integers,
    machine_free: Integers,
    machine_job: Integers,
) -> int:
    """Follows a rule without delay to the end, on copies of what changes.

    Args:
        state: State of all lanes.
        lane: Whose instance it is.
        first: Place of the rule's key for jobs in `JOB_KEYS`.
        second: 0 for the earliest end, 1 for the shortest time.
        next_op: ``(jobs,)`` next operations; changed.
        job_ready: ``(jobs,)`` their jobs' ready times; changed.
        machine_free: ``(machines,)`` free times; changed.
        machine_job: ``(machines,)`` last jobs; changed.

    Returns:
        The makespan.
    """
    jobs, machines = state.size[lane]
    makespan = 0
    for m in range(machines):
        makespan = max(makespan, machine_free[m])
    while True:
        now, chosen, on = NEVER, -1, -1
        best_job, best_machine = np.inf, np.inf
        for job in range(jobs):
            k = next_op[job]
            if k >= state.operations[lane, job]:
                continue
            key = job_key(state, lane, job, k, job_ready[job], first)
            for m in range(machines):
                time = state.time[lane, job, k, m]
                if time < 0:
                    continue
                start = machine_free[m]
                if machine_job[m] >= 0 and machine_job[m] != job:
                    start += state.setup[lane, m, machine_job[m], job]
                start = max(start, job_ready[job])
                second_key = start + time if second == _EET else time
                if start < now or (
                    start == now and (key < best_job or (key == best_job and second_key < best_machine))
                ):
                    now, chosen, on, best_job, best_machine = start, job, m, key, second_key
        if chosen < 0:
            return makespan
        end = now + state.time[lane, chosen, next_op[chosen], on]
        next_op[chosen] += 1
        job_ready[chosen] = end
        machine_free[on], machine_job[on] = end, chosen
        makespan = max(makespan, end)


@njit(cache=True, nogil=True)
def roll_outs(state: FlexibleState, lane: int, first: int, second: int, out: Floats) -> None:
    """Writes, for every legal pair, the makespan if a rule decides all after it; infinity for others."""
    jobs, machines = state.size[lane]
    next_op, job_ready = np.empty(jobs, np.int64), np.empty(jobs, np.int64)
    machine_free, machine_job = np.empty(machines, np.int64), np.empty(machines, np.int64)
    for action in range(out.shape[0]):
        out[action] = np.inf
        if not state.mask[lane, action]:
            continue
        job, machine = action // machines, action % machines
        next_op[:], job_ready[:] = state.next_op[lane, :jobs], state.job_ready[lane, :jobs]
        machine_free[:], machine_job[:] = state.machine_free[lane, :machines], state.machine_job[lane, :machines]
        end = state.start[lane, job, machine] + state.time[lane, job, next_op[job], machine]
        next_op[job] += 1
        job_ready[job], machine_free[machine], machine_job[machine] = end, end, job
        out[action] = finish(state, lane, first, second, next_op, job_ready, machine_free, machine_job)
