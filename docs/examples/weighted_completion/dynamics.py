"""The rules of the single-machine problem: compiled functions over batched arrays, and nothing else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.random import next_integer


class State(NamedTuple):
    """One row a lane. It holds everything that an episode depends on.

    Attributes:
        generator: ``(lanes,)`` uint64, the random generator.
        jobs: ``(lanes,)`` number of jobs.
        times: ``(lanes, capacity)`` processing times, 0 beyond the last job.
        weights: ``(lanes, capacity)`` weights, 0 beyond the last job.
        completions: ``(lanes, capacity)`` completion times, -1 for a job not done.
        clock: ``(lanes,)`` when the machine is free.
    """

    generator: NDArray[np.uint64]
    jobs: NDArray[np.int64]
    times: NDArray[np.int64]
    weights: NDArray[np.int64]
    completions: NDArray[np.int64]
    clock: NDArray[np.int64]


@njit(cache=True)
def draw(state: State, lanes: NDArray[np.int64], fewest: int, most: int) -> None:
    """Draws times from 1..100 and weights from 1..10 for the given lanes."""
    for lane in lanes:
        jobs = next_integer(state.generator, lane, fewest, most)
        state.jobs[lane] = jobs
        state.times[lane] = 0
        state.weights[lane] = 0
        for job in range(jobs):
            state.times[lane, job] = next_integer(state.generator, lane, 1, 100)
            state.weights[lane, job] = next_integer(state.generator, lane, 1, 10)
        state.completions[lane] = -1
        state.clock[lane] = 0


@njit(cache=True)
def step(state: State, actions: NDArray[np.int64], active: NDArray[np.bool_], refused: NDArray[np.bool_]) -> None:
    """Runs the chosen job next in every active lane; a job that is done or does not exist is refused."""
    for lane in range(len(actions)):
        if not active[lane]:
            continue
        job = actions[lane]
        if job < 0 or job >= state.jobs[lane] or state.completions[lane, job] >= 0:
            refused[lane] = True
            continue
        state.clock[lane] += state.times[lane, job]
        state.completions[lane, job] = state.clock[lane]


@njit(cache=True)
def objective(state: State, out: NDArray[np.float64]) -> None:
    """Weighted completion time so far, plus that of every waiting job as if it came next: a lower bound."""
    for lane in range(len(out)):
        total = 0
        for job in range(state.jobs[lane]):
            completion = state.completions[lane, job]
            if completion < 0:
                completion = state.clock[lane] + state.times[lane, job]
            total += state.weights[lane, job] * completion
        out[lane] = total
