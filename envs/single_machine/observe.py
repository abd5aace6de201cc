"""Observations of the single machine, compiled; what they hold stands in `envs.single_machine.features`."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.single_machine.dynamics import SingleMachineState, roll_outs
from envs.single_machine.priorities import ATC, EDD, WMDD, WSPT, write_priorities

Reals = NDArray[np.float32]

_LOOK_AHEAD = 2.0
_FURTHEST = 10.0
_FINE = 50.0


@njit(cache=True, nogil=True)
def observe_static(state: SingleMachineState, lanes: NDArray[np.int64], out: Reals) -> None:
    """Writes the arrays that stay for an episode."""
    for row, lane in enumerate(lanes):
        jobs = state.jobs[lane]
        out[row] = 0.0
        total, weights = 0, 0
        for j in range(jobs):
            total += state.time[lane, j]
            weights += state.weight[lane, j]
        for j in range(jobs):
            length = state.time[lane, j] * jobs / total
            weight = state.weight[lane, j] * jobs / max(weights, 1)
            out[row, j, 0], out[row, j, 1] = length, weight
            out[row, j, 2] = np.log((weight + 1e-2) / (length + 1e-2))
            out[row, j, 3] = state.due[lane, j] / total
            out[row, j, 4] = state.release[lane, j] / total


@njit(cache=True, nogil=True)
def observe_dynamic(
    state: SingleMachineState,
    lanes: NDArray[np.int64],
    kinds: NDArray[np.int64],
    parameters: NDArray[np.float64],
    out: Reals,
    context: Reals,
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
) -> None:
    """Writes the arrays that change, with the roll-outs of the rules ``kinds`` with their ``parameters``."""
    capacity = state.time.shape[1]
    ahead = np.empty(capacity)
    for row, lane in enumerate(lanes):
        jobs, clock = state.jobs[lane], state.clock[lane]
        counts[row, 0] = jobs
        mask[row] = state.mask[lane]
        out[row] = 0.0
        total, load, late, slacks, left = 0, 0, 0, 0, 0
        earliest, latest = np.int64(2**62), np.int64(-(2**62))
        for j in range(jobs):
            total += state.time[lane, j]
            if state.left[lane, j]:
                left += 1
                load += state.time[lane, j]
                slack = state.due[lane, j] - state.time[lane, j] - clock
                slacks += max(slack, 0)
                late += slack < 0
                earliest, latest = min(earliest, state.due[lane, j]), max(latest, state.due[lane, j])
        mean = total / jobs
        for j in range(jobs):
            cells = out[row, j]
            cells[0], cells[1] = state.mask[lane, j], state.left[lane, j]
            if not state.left[lane, j]:
                continue
            start = max(clock, state.release[lane, j])
            slack = (state.due[lane, j] - state.time[lane, j] - start) / mean
            cells[2], cells[3] = 0.1 * slack, np.tanh(0.5 * slack)
            cells[4] = slack < 0.0
            cells[5] = (start - clock) / mean
        _write_ranks(state, lane, out[row])
        for place in range(kinds.shape[0]):
            roll_outs(state, lane, kinds[place], parameters[place], ahead)
            _write_excess(state, lane, ahead, out[row], 10 + 2 * place)
        context[row, 0] = state.started[lane] / jobs
        context[row, 1] = jobs / 100.0
        if left > 0:
            context[row, 2] = min(_FURTHEST, load / max(slacks / left, load / _FURTHEST))
            context[row, 3] = late / left
            context[row, 4] = min(_FURTHEST, (latest - earliest) / load)
        else:
            context[row, 2:] = 0.0


@njit(cache=True, nogil=True)
def _write_ranks(state: SingleMachineState, lane: int, out: Reals) -> None:
    """Writes the share of the other jobs left that a rule puts before each of them, for four rules."""
    jobs = state.jobs[lane]
    time, weight, due = state.time[lane, :jobs], state.weight[lane, :jobs], state.due[lane, :jobs]
    free = state.left[lane, :jobs]
    priority = np.empty(jobs)
    left = free.sum()
    for column, kind in enumerate((EDD, WSPT, WMDD, ATC)):
        write_priorities(kind, _LOOK_AHEAD, time, weight, due, free, state.clock[lane], priority)
        order = np.argsort(priority)
        for place in range(left):
            out[order[place], 6 + column] = place / max(left - 1, 1)


@njit(cache=True, nogil=True)
def _write_excess(state: SingleMachineState, lane: int, ahead: NDArray[np.float64], out: Reals, column: int) -> None:
    """Writes what a roll-out costs more than the best one, which is compared with a hundredth of the unit at least."""
    least = ahead.min()
    for j in range(state.jobs[lane]):
        if state.mask[lane, j]:
            excess = (ahead[j] - least) / max(least, 0.01 * state.unit[lane])
            out[j, column] = min(excess, _FURTHEST)
            out[j, column + 1] = np.tanh(_FINE * excess)
