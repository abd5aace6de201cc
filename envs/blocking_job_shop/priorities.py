"""The dispatching rules, compiled, and what follows if one of them decides from here on."""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.blocking_job_shop.dynamics import decide, foresee, go_on, processing_left
from envs.blocking_job_shop.state import BlockingState, Floats
from envs.core.handle import kernel

KEYS = ("fifo", "spt", "lpt", "mwkr", "lwkr", "mopnr", "lopnr", "spt_mwkr", "winq", "next_free")

_FIFO, _SPT, _LPT, _MWKR, _LWKR, _MOPNR, _LOPNR, _SPT_MWKR, _WINQ, _NEXT_FREE = range(len(KEYS))

LAST = 1e300
"""Priority of waiting."""


@kernel
def time_to_free(s: BlockingState, lane: int, m: int) -> float:
    """Expected time until the machine works and its operation is processed; 0 where nothing is in the way."""
    wait = processing_left(s, lane, m)
    if not s.machine_up[lane, m]:
        wait += s.repair_time[lane]
    return wait


@kernel
def key(s: BlockingState, lane: int, j: int, kind: int) -> float:
    """Returns what ``KEYS[kind]`` minimises, of a job with a next operation."""
    k, operations = s.job_next[lane, j], s.size[lane, 1]
    time, rest = s.time[lane, j, k], s.rest[lane, j, k]
    if kind == _FIFO:
        return float(s.job_ready[lane, j])
    if kind == _SPT:
        return float(time)
    if kind == _LPT:
        return float(-time)
    if kind == _MWKR:
        return float(-rest)
    if kind == _LWKR:
        return float(rest)
    if kind == _MOPNR:
        return float(k - operations)
    if kind == _LOPNR:
        return float(operations - k)
    if kind == _SPT_MWKR:
        return float(time / rest) if rest > 0.0 else 0.0
    if k + 1 == operations:
        return 0.0
    following = s.machine[lane, j, k + 1]
    if kind == _WINQ:
        return float(s.machine_load[lane, following])
    return float(max(time_to_free(s, lane, following) - time, 0.0))


@njit(cache=True, nogil=True)
def write_priorities(s: BlockingState, lane: int, kind: int, out: Floats) -> None:
    """Writes a rule's priorities of the legal actions, infinity for others; waiting comes last."""
    out[:] = np.inf
    for action in range(out.shape[0]):
        if s.mask[lane, action]:
            out[action] = LAST if action == s.job_next.shape[1] else key(s, lane, action, kind)


@njit(cache=True, nogil=True)
def roll_outs(s: BlockingState, lane: int, kind: int, scratch: BlockingState, out: Floats) -> None:
    """Writes, for every legal action, the makespan if a rule decides all after it and no machine is shut down.

    Machines that are shut down are taken to go on after the mean time of a repair, from now on.

    Args:
        s: State of all lanes.
        lane: Whose future it is.
        kind: Place of the rule in `KEYS`.
        scratch: Room for a lane, of the same capacity; overwritten.
        out: ``(actions,)`` makespans, infinity for illegal actions.
    """
    _copy_instance(s, lane, scratch)
    for action in range(out.shape[0]):
        out[action] = np.inf
        if s.mask[lane, action]:
            _copy_present(s, lane, scratch)
            decide(scratch, 0, action)
            go_on(scratch, 0)
            out[action] = _finish(scratch, kind)


@kernel
def _finish(s: BlockingState, kind: int) -> float:
    """Follows a rule in lane 0 to the end."""
    total = s.size[0, 0] * s.size[0, 1]
    while s.completed[0] < total:
        best, least = -1, np.inf
        for j in range(s.size[0, 0]):
            if s.mask[0, j]:
                value = key(s, 0, j, kind)
                if best < 0 or value < least:
                    best, least = j, value
        decide(s, 0, best)
        go_on(s, 0)
    makespan: float = s.clock[0]
    return makespan


@kernel
def _copy_instance(s: BlockingState, lane: int, scratch: BlockingState) -> None:
    scratch.swap[0], scratch.repair_time[0] = s.swap[lane], s.repair_time[lane]
    scratch.shutdown[0], scratch.shutdown_rate[0] = 0.0, 0.0
    for i in range(3):
        scratch.size[0, i] = s.size[lane, i]
    for j in range(s.size[lane, 0]):
        for k in range(s.size[lane, 1]):
            scratch.machine[0, j, k] = s.machine[lane, j, k]
            scratch.time[0, j, k] = s.time[lane, j, k]
            scratch.rest[0, j, k] = s.rest[lane, j, k]
        scratch.rest[0, j, s.size[lane, 1]] = 0.0


@kernel
def _copy_present(s: BlockingState, lane: int, scratch: BlockingState) -> None:
    scratch.clock[0], scratch.completed[0], scratch.waits[0] = s.clock[lane], s.completed[lane], False
    for j in range(s.job_next.shape[1]):
        scratch.job_next[0, j] = s.job_next[lane, j]
        scratch.job_on[0, j] = s.job_on[lane, j]
        scratch.job_ready[0, j] = s.job_ready[lane, j]
    opened = s.clock[lane] + s.repair_time[lane]
    for m in range(s.size[lane, 2]):
        scratch.machine_job[0, m], scratch.machine_done[0, m] = s.machine_job[lane, m], s.machine_done[lane, m]
        scratch.machine_left[0, m], scratch.machine_since[0, m] = s.machine_left[lane, m], s.machine_since[lane, m]
        scratch.machine_halt[0, m], scratch.machine_load[0, m] = np.inf, s.machine_load[lane, m]
        scratch.machine_changes[0, m], scratch.machine_up[0, m] = s.machine_changes[lane, m], s.machine_up[lane, m]
        scratch.machine_halted[0, m] = opened if s.machine_halted[lane, m] > 0.0 else 0.0
        scratch.machine_change[0, m] = opened if s.machine_changes[lane, m] % 2 == 1 else np.inf
        foresee(scratch, 0, m)
