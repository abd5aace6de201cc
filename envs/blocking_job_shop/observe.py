"""Observations of the blocking job shop, compiled; what they hold stands in `envs.blocking_job_shop.features`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.blocking_job_shop.dynamics import is_processing, processing_left
from envs.blocking_job_shop.features import AHEAD, JOB, WAIT
from envs.blocking_job_shop.priorities import key, roll_outs, time_to_free
from envs.blocking_job_shop.state import BlockingState, Floats, Integers
from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS, Observation

Reals = NDArray[np.float32]
Indices = NDArray[np.int32]

_FINE = 20.0
_FURTHEST = 10.0
_NEXT_FREE = 9
_JOB_WIDTH, _WAIT_WIDTH, _AHEAD_WIDTH = len(JOB), len(WAIT), len(AHEAD)


class Rows(NamedTuple):
    """The arrays of an observation; those of parts that the graph lacks are empty."""

    job: Reals
    machine: Reals
    operation: Reals
    wait: Reals
    holds: Indices
    needs: Indices
    goes_on_with: Indices
    precedes: Indices
    on: Indices
    context: Reals
    counts: Indices
    mask: NDArray[np.bool_]


def rows_of(out: Observation) -> Rows:
    """Returns the arrays of an observation."""
    rows = len(out[CONTEXT])

    def reals(name: str) -> Reals:
        return out.get(f"{name}_dynamic", np.empty((rows, 0, 0), np.float32))

    def indices(name: str) -> Indices:
        return out.get(f"{name}_index", np.empty((rows, 2, 0), np.int32))

    return Rows(
        reals("job"),
        reals("machine"),
        reals("operation"),
        reals("wait"),
        indices("job_holds_machine"),
        indices("job_needs_machine"),
        indices("job_goes_on_with_operation"),
        indices("operation_precedes_operation"),
        indices("operation_on_machine"),
        out[CONTEXT],
        out[COUNTS],
        out[ACTION_MASK],
    )


@njit(cache=True, nogil=True)
def observe(s: BlockingState, lanes: Integers, rules: Integers, scratch: BlockingState, out: Rows) -> None:
    """Writes the observation of ``lanes[i]`` into row ``i``; ``rules`` are places in `priorities.KEYS` to roll out."""
    ahead = np.empty((rules.shape[0], s.mask.shape[1]))
    for row, lane in enumerate(lanes):
        out.mask[row] = s.mask[lane]
        held = _write_jobs(s, lane, out.job[row], out.holds[row], out.needs[row], out.counts[row])
        up = _write_machines(s, lane, out.machine[row])
        counts = out.counts[row]
        counts[0], counts[1] = s.size[lane, 0], s.size[lane, 2]
        at = 2
        edges = 2
        if out.operation.shape[1] > 0:
            counts[2] = 0
            at, edges = 3, 5
        if out.wait.shape[1] > 0:
            counts[at] = 1
            _write_wait(s, lane, out.wait[row, 0])
            at += 1
        first_edge = at
        needs = 0
        for j in range(s.size[lane, 0]):
            needs += s.job_next[lane, j] < s.size[lane, 1]
        counts[first_edge], counts[first_edge + 1] = held, needs
        if edges == 5:
            operations = _write_operations(
                s, lane, out.operation[row], out.goes_on_with[row], out.precedes[row], out.on[row]
            )
            counts[2] = operations
            counts[first_edge + 2], counts[first_edge + 3] = needs, operations - needs
            counts[first_edge + 4] = operations
        if rules.shape[0] > 0:
            _write_ahead(s, lane, rules, scratch, ahead, out.job[row], out.wait[row])
        _write_context(s, lane, up, held, out.context[row])


@njit(cache=True, nogil=True)
def _write_context(s: BlockingState, lane: int, up: int, held: int, out: Reals) -> None:
    jobs, operations, machines = s.size[lane]
    mean, unit = s.mean_time[lane], s.unit[lane]
    out[0] = s.swap[lane]
    out[1] = s.shutdown[lane]
    out[2] = s.shutdown_rate[lane] * mean
    out[3] = s.repair_time[lane] / mean
    out[4] = s.completed[lane] / (jobs * operations)
    out[5] = s.clock[lane] / unit
    out[6] = s.estimate[lane] / unit
    out[7], out[8] = up / machines, held / machines
    out[9], out[10] = np.log(jobs), np.log(machines)


@njit(cache=True, nogil=True)
def _write_jobs(s: BlockingState, lane: int, out: Reals, holds: Indices, needs: Indices, counts: Indices) -> int:
    """Writes the jobs and what they hold and need; returns how many hold a machine."""
    jobs, operations = s.size[lane, 0], s.size[lane, 1]
    mean, now = s.mean_time[lane], s.clock[lane]
    out[:] = 0.0
    holds[:], needs[:] = -1, -1
    held, needing = 0, 0
    for j in range(jobs):
        k, m = s.job_next[lane, j], s.job_on[lane, j]
        left = processing_left(s, lane, m) if m >= 0 else 0.0
        processing = m >= 0 and not s.machine_done[lane, m]
        if m >= 0:
            holds[0, held], holds[1, held] = j, m
            held += 1
        cells = out[j]
        if m < 0 and k == operations:
            continue
        rest = s.rest[lane, j, k]
        before, rivals = 0, 0
        for other in range(jobs):
            before += s.rest[lane, other, s.job_next[lane, other]] > rest
        cells[0] = 1.0
        cells[1] = s.mask[lane, j]
        cells[2] = m < 0
        cells[3] = processing
        cells[4] = m >= 0 and not processing
        cells[6] = 0.1 * rest / mean
        cells[8] = (operations - k) / operations
        cells[9] = left / mean
        cells[10] = 0.0 if processing else (now - s.job_ready[lane, j]) / mean
        cells[16] = 0.1 * (s.estimate[lane] - now - left - rest) / mean
        cells[18] = before / max(jobs - 1, 1)
        if k == operations:
            continue
        target = s.machine[lane, j, k]
        needs[0, needing], needs[1, needing] = j, target
        needing += 1
        for other in range(jobs):
            following = s.job_next[lane, other]
            rivals += other != j and following < operations and s.machine[lane, other, following] == target
        cells[5] = s.time[lane, j, k] / mean
        cells[7] = s.time[lane, j, k] / rest if rest > 0.0 else 0.0
        cells[11] = time_to_free(s, lane, target) / mean
        cells[12] = 0.1 * s.machine_load[lane, target] / mean
        if k + 1 < operations:
            following = s.machine[lane, j, k + 1]
            cells[13] = time_to_free(s, lane, following) / mean
            cells[14] = 0.1 * s.machine_load[lane, following] / mean
        cells[15] = key(s, lane, j, _NEXT_FREE) / mean
        cells[17] = rivals / max(jobs - 1, 1)
    return held


@njit(cache=True, nogil=True)
def _write_machines(s: BlockingState, lane: int, out: Reals) -> int:
    """Writes the machines; returns how many are not shut down."""
    jobs, operations, machines = s.size[lane]
    mean = s.mean_time[lane]
    out[:] = 0.0
    working = 0
    for m in range(machines):
        wanted = 0
        for j in range(jobs):
            k = s.job_next[lane, j]
            wanted += k < operations and s.machine[lane, j, k] == m
        up, load = s.machine_up[lane, m], max(s.machine_load[lane, m], 0.0)
        working += up
        cells = out[m]
        cells[0] = up
        cells[1] = s.machine_job[lane, m] < 0
        cells[2] = is_processing(s, lane, m)
        cells[3] = s.machine_done[lane, m]
        cells[4] = time_to_free(s, lane, m) / mean
        cells[5] = 0.1 * load / mean
        cells[6] = 0.1 * (s.estimate[lane] - s.clock[lane] - processing_left(s, lane, m) - load) / mean
        cells[7] = wanted / jobs
    return working


@njit(cache=True, nogil=True)
def _write_wait(s: BlockingState, lane: int, out: Reals) -> None:
    least = np.inf
    for m in range(s.size[lane, 2]):
        if is_processing(s, lane, m) or not s.machine_up[lane, m]:
            least = min(least, time_to_free(s, lane, m))
    out[:] = 0.0
    out[0] = s.mask[lane, s.job_next.shape[1]]
    out[1] = least / s.mean_time[lane] if least < np.inf else 0.0


@njit(cache=True, nogil=True)
def _write_operations(
    s: BlockingState, lane: int, out: Reals, goes_on_with: Indices, precedes: Indices, on: Indices
) -> int:
    """Writes the operations that no job has come to, numbered by job and place; returns how many there are."""
    jobs, operations = s.size[lane, 0], s.size[lane, 1]
    mean = s.mean_time[lane]
    out[:] = 0.0
    goes_on_with[:], precedes[:], on[:] = -1, -1, -1
    count, firsts, follows = 0, 0, 0
    for j in range(jobs):
        begun = s.job_next[lane, j]
        for k in range(begun, operations):
            cells = out[count]
            cells[0] = s.time[lane, j, k] / mean
            cells[1] = 0.1 * (s.rest[lane, j, begun] - s.rest[lane, j, k]) / mean
            cells[2] = 0.1 * s.rest[lane, j, k + 1] / mean
            cells[3] = k == begun
            on[0, count], on[1, count] = count, s.machine[lane, j, k]
            if k == begun:
                goes_on_with[0, firsts], goes_on_with[1, firsts] = j, count
                firsts += 1
            else:
                precedes[0, follows], precedes[1, follows] = count - 1, count
                follows += 1
            count += 1
    return count


@njit(cache=True, nogil=True)
def _write_ahead(
    s: BlockingState, lane: int, rules: Integers, scratch: BlockingState, ahead: Floats, job: Reals, wait: Reals
) -> None:
    """Writes the excess of the best roll-out of every action, and of each, over the best of all actions and rules."""
    for place in range(rules.shape[0]):
        roll_outs(s, lane, rules[place], scratch, ahead[place])
    least = max(ahead.min(), 1e-9)
    jobs = s.job_next.shape[1]
    for action in range(s.mask.shape[1]):
        if not s.mask[lane, action]:
            continue
        cells = job[action, _JOB_WIDTH:] if action < jobs else wait[0, _WAIT_WIDTH:]
        best = _FURTHEST
        for place in range(rules.shape[0]):
            excess = ahead[place, action] / least - 1.0
            best = min(best, excess)
            cells[_AHEAD_WIDTH + place] = min(excess, _FURTHEST)
        cells[0], cells[1] = best, np.tanh(_FINE * best)
