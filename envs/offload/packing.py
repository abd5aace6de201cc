"""Instances into and out of the arrays of a lane."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.offload.state import SYSTEM, OffloadState
from envs.offload.types import OffloadInstance, System


def system_numbers(system: System) -> NDArray[Any]:
    """Returns the ``(1,)`` record of a system's numbers."""
    record = np.zeros(1, SYSTEM)
    for field in _NUMBERS:
        record[field] = getattr(system, field)
    record["physical"] = system.channel == "physical"
    for name, scale in zip(_SCALES, system.scales, strict=True):
        record[name] = scale
    return record


def write_system(state: OffloadState, lane: int, system: System) -> None:
    """Writes servers, users and load of a lane."""
    servers = len(system.hertz)
    state.size[lane] = servers, 0, system.users, system.horizon
    state.hertz[lane, :servers] = system.hertz
    state.system[lane] = system_numbers(system)[0]


def load_instance(state: OffloadState, lane: int, instance: OffloadInstance) -> None:
    """Writes everything that a lane has to know of an instance; the episode begins with `dynamics.begin`."""
    write_system(state, lane, instance.system)
    tasks = len(instance.dispatch)
    state.size[lane, 1] = tasks
    state.weights[lane] = 0.0
    state.weights[lane, : len(instance.preference)] = instance.preference
    users, servers = instance.bits_per_second.shape
    state.rate[lane, :users, :servers] = instance.bits_per_second
    for name in ("arrival", "dispatch", "bits", "user", "deadline"):
        getattr(state, name)[lane, :tasks] = getattr(instance, name)


def read_instance(state: OffloadState, lane: int, name: str) -> OffloadInstance:
    """Returns the instance that a lane is running, under ``name``."""
    servers, tasks, users, horizon = (int(count) for count in state.size[lane])
    numbers = state.system[lane]
    system = System(
        cloud_hertz=float(state.hertz[lane, 0]),
        edge_hertz=tuple(state.hertz[lane, 1:servers].tolist()),
        users=users,
        horizon=horizon,
        channel="physical" if numbers["physical"] else "as_published",
        scales=(float(numbers["scale_delay"]), float(numbers["scale_energy"]), float(numbers["scale_tardiness"])),
        **{field: float(numbers[field]) for field in _NUMBERS},
    )
    return OffloadInstance(
        name,
        system,
        state.rate[lane, :users, :servers],
        state.arrival[lane, :tasks],
        state.dispatch[lane, :tasks],
        state.bits[lane, :tasks],
        state.user[lane, :tasks],
        tuple(state.weights[lane, : len(system.criteria)].tolist()),
    )


_SCALES = ("scale_delay", "scale_energy", "scale_tardiness")
_NUMBERS = tuple(name for name in SYSTEM.names or () if name not in (*_SCALES, "physical"))
