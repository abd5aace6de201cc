"""Observations of the flexible job shop, compiled; what they hold stands in `envs.flexible_job_shop.features`."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.flexible_job_shop.dynamics import NEVER, FlexibleState
from envs.flexible_job_shop.priorities import roll_outs

Reals = NDArray[np.float32]
Integers = NDArray[np.int64]

_FINE = 20.0
_FURTHEST = 10.0


@njit(cache=True, nogil=True)
def observe(
    state: FlexibleState,
    lanes: Integers,
    rules: Integers,
    job_out: Reals,
    machine_out: Reals,
    pair_out: Reals,
    of: NDArray[np.int32],
    on: NDArray[np.int32],
    context: Reals,
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
) -> None:
    """Writes the observation of ``lanes[i]`` into row ``i``; ``rules`` are ``(n, 2)`` keys of rules to roll out."""
    ahead = np.empty((rules.shape[0], state.mask.shape[1]))
    for row, lane in enumerate(lanes):
        jobs, machines = state.size[lane]
        mask[row] = state.mask[lane]
        work, able, pairs = 0.0, 0, 0
        for job in range(jobs):
            work += state.mean[lane, job, 0]
            for k in range(state.operations[lane, job]):
                for m in range(machines):
                    able += state.time[lane, job, k, m] >= 0
        mean = max(work / state.total[lane], 1e-9)
        _write_jobs(state, lane, mean, job_out[row])
        _write_machines(state, lane, mean, machine_out[row])
        pairs = _write_pairs(state, lane, mean, pair_out[row], of[row], on[row])
        if rules.shape[0] > 0:
            _write_roll_outs(state, lane, rules, ahead, pair_out[row])
        counts[row, 0], counts[row, 1], counts[row, 2] = jobs, machines, jobs * machines
        counts[row, 3], counts[row, 4] = pairs, pairs
        context[row, 0] = state.scheduled[lane] / state.total[lane]
        context[row, 1] = state.now[lane] / state.first_bound[lane]
        context[row, 2] = state.bound[lane] / state.first_bound[lane]
        context[row, 3], context[row, 4] = np.log(jobs), np.log(machines)
        context[row, 5] = able / (state.total[lane] * machines)


@njit(cache=True, nogil=True)
def _write_roll_outs(state: FlexibleState, lane: int, rules: Integers, ahead: NDArray[np.float64], out: Reals) -> None:
    """Writes the excess of the best roll-out of every pair, and of each, over the best of all pairs and rules."""
    for place in range(rules.shape[0]):
        roll_outs(state, lane, rules[place, 0], rules[place, 1], ahead[place])
    least = max(ahead.min(), 1.0)
    for pair in range(state.mask.shape[1]):
        if state.mask[lane, pair]:
            best = _FURTHEST
            for place in range(rules.shape[0]):
                excess = ahead[place, pair] / least - 1.0
                best = min(best, excess)
                out[pair, 13 + place] = min(excess, _FURTHEST)
            out[pair, 11], out[pair, 12] = best, np.tanh(_FINE * best)


@njit(cache=True, nogil=True)
def _write_jobs(state: FlexibleState, lane: int, mean: float, out: Reals) -> None:
    jobs, machines = state.size[lane]
    out[:] = 0.0
    for job in range(jobs):
        k = state.next_op[lane, job]
        if k >= state.operations[lane, job]:
            continue
        work, able, before = state.mean[lane, job, k], 0, 0
        for m in range(machines):
            able += state.time[lane, job, k, m] >= 0
        for other in range(jobs):
            before += state.mean[lane, other, state.next_op[lane, other]] > work
        out[job, 0] = 1.0
        out[job, 1] = (state.job_ready[lane, job] - state.now[lane]) / mean
        out[job, 2] = (work - state.mean[lane, job, k + 1]) / mean
        out[job, 3] = 0.1 * work / mean
        out[job, 4] = 0.1 * state.least[lane, job, k] / mean
        out[job, 5] = 1.0 - k / state.operations[lane, job]
        slack = state.bound[lane] - state.job_ready[lane, job] - state.least[lane, job, k]
        out[job, 6] = 0.1 * slack / mean
        out[job, 7] = able / machines
        out[job, 8] = before / max(jobs - 1, 1)


@njit(cache=True, nogil=True)
def _write_machines(state: FlexibleState, lane: int, mean: float, out: Reals) -> None:
    jobs, machines = state.size[lane]
    out[:] = 0.0
    for m in range(machines):
        able = 0
        for job in range(jobs):
            able += state.start[lane, job, m] < NEVER
        load = max(state.machine_load[lane, m], 0.0)
        out[m, 0] = (state.machine_free[lane, m] - state.now[lane]) / mean
        out[m, 1] = 0.1 * load / mean
        out[m, 2] = 0.1 * (state.bound[lane] - state.machine_free[lane, m] - load) / mean
        out[m, 3] = able / jobs


@njit(cache=True, nogil=True)
def _write_pairs(
    state: FlexibleState, lane: int, mean: float, out: Reals, of: NDArray[np.int32], on: NDArray[np.int32]
) -> int:
    """Writes the pairs that there are; the others stay zero and have no edges."""
    jobs, machines = state.size[lane]
    out[:] = 0.0
    of[:], on[:] = -1, -1
    first = NEVER
    for pair in range(state.mask.shape[1]):
        if state.mask[lane, pair]:
            job, m = pair // machines, pair % machines
            first = min(first, state.start[lane, job, m] + state.time[lane, job, state.next_op[lane, job], m])
    edges = 0
    for job in range(jobs):
        k = state.next_op[lane, job]
        if k >= state.operations[lane, job]:
            continue
        least, own = NEVER, NEVER
        for m in range(machines):
            if state.start[lane, job, m] < NEVER:
                least = min(least, state.time[lane, job, k, m])
                own = min(own, state.start[lane, job, m] + state.time[lane, job, k, m])
        usual = state.mean[lane, job, k] - state.mean[lane, job, k + 1]
        for m in range(machines):
            start = state.start[lane, job, m]
            if start == NEVER:
                continue
            pair, time = job * machines + m, state.time[lane, job, k, m]
            faster, others = 0, 0
            for other in range(jobs):
                if other != job and state.start[lane, other, m] < NEVER:
                    others += 1
                    faster += state.time[lane, other, state.next_op[lane, other], m] < time
            cells = out[pair]
            cells[0] = state.mask[lane, pair]
            cells[1] = time / mean
            cells[2] = time / usual if usual > 0.0 else 1.0
            cells[3] = (time - least) / mean
            cells[4] = (start - state.now[lane]) / mean
            cells[5] = (start + time - own) / mean
            cells[6] = max(start + time - first, 0) / mean
            cells[7] = (start - state.machine_free[lane, m]) / mean
            last = state.machine_job[lane, m]
            cells[8] = state.setup[lane, m, last, job] / mean if last >= 0 and last != job else 0.0
            cells[9] = 0.1 * (start + time + state.least[lane, job, k + 1] - state.bound[lane]) / mean
            cells[10] = faster / max(others, 1)
            of[0, edges], of[1, edges] = pair, job
            on[0, edges], on[1, edges] = pair, m
            edges += 1
    return edges
