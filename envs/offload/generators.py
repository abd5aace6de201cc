"""Random episodes of a system."""

from __future__ import annotations

import numpy as np

from envs.core.random import seed_words
from envs.offload.draws import draw_tasks
from envs.offload.packing import read_instance, write_system
from envs.offload.preferences import spread
from envs.offload.state import Capacity, OffloadState, allocate, state_handle
from envs.offload.types import OffloadInstance, System


def empty_state(system: System, lanes: int, seed: int) -> OffloadState:
    """Returns a state whose lanes have the system and generators of their own, and no tasks yet."""
    state = allocate(lanes, Capacity(len(system.hertz), system.horizon, system.users))
    state.generator[:] = seed_words(np.array([seed], np.uint64)) + np.arange(lanes, dtype=np.uint64)
    state.generator[:] = [seed_words(np.array([word], np.uint64))[0] for word in state.generator]
    for lane in range(lanes):
        write_system(state, lane, system)
    return state


def episode(system: System, seed: int, name: str, preference: tuple[float, ...] | None = None) -> OffloadInstance:
    """Draws the channels and tasks of one episode.

    Args:
        system: Servers, users and load.
        seed: Seed of the draws.
        name: Name for reports.
        preference: Weights of the criteria; None for delay alone.
    """
    state = allocate(1, Capacity(len(system.hertz), system.horizon, system.users))
    state.generator[:] = seed_words(np.array([seed], np.uint64))
    write_system(state, 0, system)
    criteria = len(system.criteria)
    state.weights[0, :criteria] = preference or (*spread(1)[0], 0.0)[:criteria]
    draw_tasks(state_handle(state), np.zeros(1, np.int64))
    return read_instance(state, 0, name)


def episodes(system: System, first_seed: int, count: int, prefix: str) -> tuple[OffloadInstance, ...]:
    """Draws ``count`` episodes with consecutive seeds, called ``prefix_0`` and so on."""
    return tuple(episode(system, first_seed + i, f"{prefix}_{i}") for i in range(count))
