"""The state of all lanes.

Axes: L lanes, N tasks, S servers, U users, D criteria (three, the last unused without deadlines). Rows beyond a lane's
own size are undefined.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle

SYSTEM = np.dtype(
    [
        (name, np.float64)
        for name in (
            "step_seconds",
            "arrivals_per_user",
            "load_peak",
            "load_period",
            "mean_megabits",
            "least_megabits",
            "most_megabits",
            "cycles_per_bit",
            "energy_coefficient",
            "physical",
            "bandwidth_hertz",
            "upload_watts",
            "backhaul_megabits",
            "deadline_factor",
            "scale_delay",
            "scale_energy",
            "scale_tardiness",
        )
    ]
)
"""Numbers of a lane's system; ``physical`` is 1 for that channel, 0 for the published one."""


class OffloadState(NamedTuple):
    """Arrays by lane; see the module for the axes.

    Attributes:
        generator: ``(L,)`` generator words.
        label: ``(L,)`` index of the instance's name, -1 for a random instance.
        size: ``(L, 4)`` numbers of servers, tasks, users and steps of the horizon.
        system: ``(L,)`` numbers of the system.
        weights: ``(L, D)`` preference.
        hertz: ``(L, S)`` frequencies.
        rate: ``(L, U, S)`` upload rates in bits a second.
        arrival: ``(L, N)`` steps of arrival.
        dispatch: ``(L, N)`` steps of dispatch.
        bits: ``(L, N)`` sizes.
        user: ``(L, N)`` users.
        deadline: ``(L, N)`` seconds from dispatch, infinite without deadlines.
        next_task: ``(L,)`` task that is to be dispatched; the number of tasks at the end.
        clock: ``(L,)`` seconds.
        server: ``(L, N)`` chosen servers, -1 while undecided.
        uploaded: ``(L, N)`` time at which the upload ends, -1 while undecided.
        completed: ``(L, N)`` time of completion, -1 while it has not come.
        progress: ``(L, S)`` bits that each task present from the beginning would have been served.
        mark: ``(L, N)`` progress of its server at which a running task is complete.
        running: ``(L, S, N)`` tasks that run, largest mark first.
        running_count: ``(L, S)`` their number.
        uploading: ``(L, S, N)`` tasks that are being uploaded, last to end first.
        uploading_count: ``(L, S)`` their number.
        cost: ``(L, D)`` delay in seconds, energy in joules and tardiness in seconds of all tasks dispatched, those that
            are not complete as if no other task came.
        extra: ``(L, S, D)`` what each cost would rise by, if the next task went to the server.
        own_delay: ``(L, S)`` the next task's own delay there, if no other task came.
        least: ``(L,)`` weighted cost that the next task has at the least: alone, on the fastest way, with least energy.
        floor: ``(L,)`` those of all dispatched tasks, summed.
        scratch: ``(L, N)`` room for the simulation of a server.
        scratch_task: ``(L, N)`` the same, for tasks.
    """

    generator: NDArray[np.uint64]
    label: NDArray[np.int64]
    size: NDArray[np.int64]
    system: NDArray[Any]
    weights: NDArray[np.float64]
    hertz: NDArray[np.float64]
    rate: NDArray[np.float64]
    arrival: NDArray[np.int64]
    dispatch: NDArray[np.int64]
    bits: NDArray[np.float64]
    user: NDArray[np.int64]
    deadline: NDArray[np.float64]
    next_task: NDArray[np.int64]
    clock: NDArray[np.float64]
    server: NDArray[np.int64]
    uploaded: NDArray[np.float64]
    completed: NDArray[np.float64]
    progress: NDArray[np.float64]
    mark: NDArray[np.float64]
    running: NDArray[np.int64]
    running_count: NDArray[np.int64]
    uploading: NDArray[np.int64]
    uploading_count: NDArray[np.int64]
    cost: NDArray[np.float64]
    extra: NDArray[np.float64]
    own_delay: NDArray[np.float64]
    least: NDArray[np.float64]
    floor: NDArray[np.float64]
    scratch: NDArray[np.float64]
    scratch_task: NDArray[np.int64]


class Capacity(NamedTuple):
    """Largest sizes that an environment takes.

    Attributes:
        servers: Servers, the cloud included.
        tasks: Tasks.
        users: Users.
    """

    servers: int
    tasks: int
    users: int


def allocate(lanes: int, capacity: Capacity) -> OffloadState:
    """Returns the zeroed state of ``lanes`` lanes, in which no server and no task has been chosen."""
    servers, tasks, users = capacity
    shapes = {
        "size": (4,),
        "weights": (3,),
        "hertz": (servers,),
        "rate": (users, servers),
        "progress": (servers,),
        "running": (servers, tasks),
        "running_count": (servers,),
        "uploading": (servers, tasks),
        "uploading_count": (servers,),
        "cost": (3,),
        "extra": (servers, 3),
        "own_delay": (servers,),
    }
    for name in ("generator", "label", "system", "next_task", "clock", "least", "floor"):
        shapes[name] = ()
    kinds: dict[str, Any] = {"generator": np.uint64, "system": SYSTEM}
    for name in _WHOLE:
        kinds[name] = np.int64
    return OffloadState(
        **{
            name: np.zeros((lanes, *shapes.get(name, (tasks,))), kinds.get(name, np.float64))
            for name in OffloadState._fields
        }
    )


_WHOLE = (
    "label",
    "size",
    "arrival",
    "dispatch",
    "user",
    "next_task",
    "server",
    "running",
    "running_count",
    "uploading",
    "uploading_count",
    "scratch_task",
)


@njit(cache=True)
def state_handle(state: OffloadState) -> Handle[OffloadState]:
    """Returns a handle to the state."""
    return Handle(state)
