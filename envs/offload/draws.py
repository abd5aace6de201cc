"""Draws episodes: frequencies, channels, and the tasks of a horizon."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle
from envs.core.random import next_integer, next_uniform
from envs.offload.channel import draw_rates
from envs.offload.state import OffloadState

BALANCED = -1.0
"""In place of a mean task size: as many bits a step as all servers process in it."""


@njit(cache=True, nogil=True)
def draw_integers(generator: NDArray[np.uint64], lanes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Returns for each of ``lanes`` an integer uniform below ``count``."""
    result = np.empty(len(lanes), np.int64)
    for i in range(len(lanes)):
        result[i] = next_integer(generator, lanes[i], 0, count - 1)
    return result


@njit(cache=True, nogil=True)
def draw_system(
    handle: Handle[OffloadState],
    lanes: NDArray[np.int64],
    edges: tuple[int, int],
    cloud_hertz: tuple[float, float],
    edge_hertz: tuple[float, float],
    mean_megabits: float,
) -> None:
    """Draws number and frequencies of the servers, each uniform between its limits, for lanes that have the rest."""
    state = handle.arrays
    for i in range(lanes.shape[0]):
        lane = lanes[i]
        count = next_integer(state.generator, lane, edges[0], edges[1])
        state.size[lane, 0] = count + 1
        total = 0.0
        for s in range(count + 1):
            low, high = cloud_hertz if s == 0 else edge_hertz
            state.hertz[lane, s] = low + next_uniform(state.generator, lane) * (high - low)
            total += state.hertz[lane, s]
        system = state.system[lane]
        arrivals = system.arrivals_per_user * state.size[lane, 2]
        balanced = system.step_seconds * total / system.cycles_per_bit / arrivals / 1e6
        state.system[lane].mean_megabits = balanced if mean_megabits == BALANCED else mean_megabits


@njit(cache=True, nogil=True)
def draw_weights(
    handle: Handle[OffloadState], lanes: NDArray[np.int64], low: float, high: float, bend: float, criteria: int
) -> None:
    """Draws preferences on the useful part of the simplex, see `envs.offload.preferences`."""
    state = handle.arrays
    for i in range(lanes.shape[0]):
        lane = lanes[i]
        place = next_uniform(state.generator, lane)
        time = high - (high - low) * (1.0 - place) ** bend
        part = next_uniform(state.generator, lane) if criteria == 3 else 0.0
        state.weights[lane, 0] = time * (1.0 - part)
        state.weights[lane, 1] = 1.0 - time
        state.weights[lane, 2] = time * part


@njit(cache=True, nogil=True)
def draw_tasks(handle: Handle[OffloadState], lanes: NDArray[np.int64]) -> None:
    """Draws channels and tasks for lanes that have a system."""
    for i in range(lanes.shape[0]):
        draw_rates(handle.arrays, lanes[i])
        draw_arrivals(handle.arrays, lanes[i], 0, 0)


@njit(cache=True, nogil=True)
def draw_arrivals(state: OffloadState, lane: int, first_step: int, first_task: int) -> None:
    """Draws all tasks from ``first_task`` on, arriving from ``first_step`` on; an episode has at least one.

    Tasks wait in one line, and one leaves it a step; those still waiting at the end of the horizon do not count.
    """
    system = state.system[lane]
    horizon, users = state.size[lane, 3], state.size[lane, 2]
    arrived = first_task
    departed = first_task
    for step in range(first_step, horizon):
        for _ in range(_poisson(state, lane, users * system.arrivals_per_user * load(state, lane, step))):
            if arrived < horizon:
                state.arrival[lane, arrived] = step
                arrived += 1
        if departed == 0 and step == horizon - 1 and arrived == 0:
            state.arrival[lane, 0] = step
            arrived = 1
        if departed < arrived:
            _draw_task(state, lane, departed)
            state.dispatch[lane, departed] = step
            departed += 1
    state.size[lane, 1] = departed


@njit(cache=True, nogil=True, inline="always")
def load(state: OffloadState, lane: int, step: int) -> float:
    """Arrivals expected in a step, relative to their mean."""
    system = state.system[lane]
    if system.load_peak == 0.0:
        return 1.0
    return float(1.0 + system.load_peak * np.sin(2.0 * np.pi * step / system.load_period))


@njit(cache=True, nogil=True)
def mean_edge_hertz(state: OffloadState, lane: int) -> float:
    """Mean frequency of the edge servers, the cloud's where there is none."""
    servers = state.size[lane, 0]
    if servers == 1:
        return float(state.hertz[lane, 0])
    total = 0.0
    for s in range(1, servers):
        total += state.hertz[lane, s]
    return float(total / (servers - 1))


@njit(cache=True, nogil=True)
def _draw_task(state: OffloadState, lane: int, task: int) -> None:
    system = state.system[lane]
    megabits = -np.log(1.0 - next_uniform(state.generator, lane)) * system.mean_megabits
    size = 1e6 * min(max(megabits, system.least_megabits), system.most_megabits)
    state.bits[lane, task] = size
    state.user[lane, task] = next_integer(state.generator, lane, 0, state.size[lane, 2] - 1)
    state.deadline[lane, task] = np.inf
    if system.deadline_factor > 0.0:
        alone = system.cycles_per_bit / mean_edge_hertz(state, lane)
        state.deadline[lane, task] = size * (system.deadline_factor * alone)


@njit(cache=True, nogil=True)
def _poisson(state: OffloadState, lane: int, mean: float) -> int:
    """Number of arrivals of a Poisson process (Knuth's product of uniforms)."""
    limit = np.exp(-mean)
    count = 0
    product = next_uniform(state.generator, lane)
    while product > limit:
        count += 1
        product *= next_uniform(state.generator, lane)
    return count
