"""Writes observations of edge offloading."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle, kernel
from envs.offload.draws import load
from envs.offload.dynamics import weigh
from envs.offload.features import SERVER_DYNAMIC
from envs.offload.preferences import BEND, HIGH, LOW
from envs.offload.state import OffloadState

_FIXED = len(SERVER_DYNAMIC)
_PUBLISHED_ENERGY = 0.032


class ObservationArrays(NamedTuple):
    """The arrays of n observations.

    Attributes:
        server_static: ``(n, S, features)`` servers.
        server: ``(n, S, features)`` servers as they are now, the histogram last.
        task: ``(n, 1, features)`` the task to dispatch.
        goes_to: ``(n, 2, S)`` task to servers.
        takes: ``(n, 2, S)`` servers to task.
        context: ``(n, features)`` preference and load.
        counts: ``(n, 4)`` numbers of nodes and edges.
        mask: ``(n, S)`` legal actions.
    """

    server_static: NDArray[np.float32]
    server: NDArray[np.float32]
    task: NDArray[np.float32]
    goes_to: NDArray[np.int32]
    takes: NDArray[np.int32]
    context: NDArray[np.float32]
    counts: NDArray[np.int32]
    mask: NDArray[np.bool_]


@njit(cache=True)
def observation_handle(arrays: ObservationArrays) -> Handle[ObservationArrays]:
    """Returns a handle to the arrays of an observation."""
    return Handle(arrays)


@njit(cache=True, nogil=True)
def observe(
    state_handle: Handle[OffloadState],
    lanes: NDArray[np.int64],
    rows: NDArray[np.int64],
    out_handle: Handle[ObservationArrays],
    static: bool,
    bins: int,
    bin_bits: float,
) -> None:
    """Writes the observation of ``lanes[i]`` into row ``rows[i]``; static arrays only when asked."""
    for i in range(lanes.shape[0]):
        if static:
            _observe_static(state_handle.arrays, lanes[i], rows[i], out_handle.arrays)
        _observe_lane(state_handle.arrays, lanes[i], rows[i], out_handle.arrays, bins, bin_bits)


@kernel
def _observe_static(state: OffloadState, lane: int, row: int, out: ObservationArrays) -> None:
    system = state.system[lane]
    out.server_static[row, :, :] = 0.0
    out.goes_to[row, :, :] = -1
    out.takes[row, :, :] = -1
    cycles = 1e6 * system.mean_megabits * system.cycles_per_bit
    for s in range(state.size[lane, 0]):
        hertz = state.hertz[lane, s]
        energy = system.energy_coefficient * hertz * hertz * cycles
        out.server_static[row, s, 0] = s == 0
        out.server_static[row, s, 1] = hertz / 4e9
        out.server_static[row, s, 2] = (
            hertz * system.step_seconds / (system.cycles_per_bit * 1e6 * system.mean_megabits)
        )
        out.server_static[row, s, 3] = energy / _PUBLISHED_ENERGY
        out.goes_to[row, 0, s], out.goes_to[row, 1, s] = 0, s
        out.takes[row, 0, s], out.takes[row, 1, s] = s, 0


@kernel
def _observe_lane(state: OffloadState, lane: int, row: int, out: ObservationArrays, bins: int, bin_bits: float) -> None:
    servers, tasks = state.size[lane, 0], state.size[lane, 1]
    asked = state.next_task[lane] < tasks
    out.server[row, :, :] = 0.0
    out.task[row, :, :] = 0.0
    out.mask[row, :] = False
    for s in range(servers):
        _observe_server(state, lane, s, row, out, bins, bin_bits)
        if asked:
            out.mask[row, s] = True
            _observe_choice(state, lane, s, row, out)
    if asked:
        _observe_comparison(state, lane, row, out)
        _observe_task(state, lane, row, out)
    _observe_context(state, lane, row, out)
    out.counts[row, 0], out.counts[row, 1], out.counts[row, 2], out.counts[row, 3] = servers, 1, servers, servers


@kernel
def _observe_server(
    state: OffloadState, lane: int, server: int, row: int, out: ObservationArrays, bins: int, bin_bits: float
) -> None:
    """Load of a server, and the histogram of what its running tasks have left."""
    running = state.running_count[lane, server]
    uploading = state.uploading_count[lane, server]
    progress = state.progress[lane, server]
    task = min(state.next_task[lane], state.size[lane, 1] - 1)
    bits = state.bits[lane, task]
    total = 0.0
    larger = 0
    for i in range(running):
        left = state.mark[lane, state.running[lane, server, i]] - progress
        total += left
        larger += left > bits
        out.server[row, server, _FIXED + max(0, min(int(left / bin_bits), bins - 1))] += np.float32(0.2)
    for i in range(uploading):
        total += state.bits[lane, state.uploading[lane, server, i]]
    system = state.system[lane]
    out.server[row, server, 0] = running / 10.0
    out.server[row, server, 1] = uploading / 10.0
    busy = total * system.cycles_per_bit / state.hertz[lane, server]
    out.server[row, server, 2] = busy / (100.0 * system.step_seconds)
    out.server[row, server, 10] = larger / 10.0


@kernel
def _observe_comparison(state: OffloadState, lane: int, row: int, out: ObservationArrays) -> None:
    """What the servers cost more than the best of them."""
    delay_scale = state.system[lane].scale_delay
    cheapest, soonest = 0, 0
    for s in range(1, state.size[lane, 0]):
        if out.server[row, s, 8] < out.server[row, cheapest, 8]:
            cheapest = s
        if state.extra[lane, s, 0] < state.extra[lane, soonest, 0]:
            soonest = s
    cost, delay = out.server[row, cheapest, 8], state.extra[lane, soonest, 0]
    for s in range(state.size[lane, 0]):
        out.server[row, s, 9] = 10.0 * (out.server[row, s, 8] - cost)
        out.server[row, s, 11] = 10.0 * delay_scale * (state.extra[lane, s, 0] - delay)
        out.server[row, s, 12] = s == cheapest
        out.server[row, s, 13] = s == soonest


@kernel
def _observe_choice(state: OffloadState, lane: int, server: int, row: int, out: ObservationArrays) -> None:
    """What the task would cost on a server."""
    system = state.system[lane]
    task = state.next_task[lane]
    upload = state.bits[lane, task] / state.rate[lane, state.user[lane, task], server]
    own = state.own_delay[lane, server]
    out.server[row, server, 3] = system.scale_energy * state.extra[lane, server, 1]
    out.server[row, server, 4] = upload / system.step_seconds
    out.server[row, server, 5] = system.scale_delay * own
    out.server[row, server, 6] = max(0.0, system.scale_delay * (state.extra[lane, server, 0] - own))
    out.server[row, server, 7] = max(0.0, system.scale_tardiness * state.extra[lane, server, 2])
    out.server[row, server, 8] = weigh(state, lane, state.extra[lane, server])


@kernel
def _observe_task(state: OffloadState, lane: int, row: int, out: ObservationArrays) -> None:
    task = state.next_task[lane]
    system = state.system[lane]
    relative = state.bits[lane, task] / (1e6 * system.mean_megabits)
    deadline = state.deadline[lane, task]
    out.task[row, 0, 0] = relative
    out.task[row, 0, 1] = np.log(relative)
    out.task[row, 0, 2] = (state.dispatch[lane, task] - state.arrival[lane, task]) / 10.0
    out.task[row, 0, 3] = deadline / (100.0 * system.step_seconds) if deadline < np.inf else 0.0


@kernel
def _observe_context(state: OffloadState, lane: int, row: int, out: ObservationArrays) -> None:
    system = state.system[lane]
    tasks = state.size[lane, 1]
    task = min(state.next_task[lane], tasks - 1)
    step = state.dispatch[lane, task]
    waiting = 0
    later = task + 1
    while later < tasks and state.arrival[lane, later] <= step:
        waiting += 1
        later += 1
    share = min(max((HIGH - 1.0 + state.weights[lane, 1]) / (HIGH - LOW), 0.0), 1.0)
    out.context[row, 0] = state.weights[lane, 0]
    out.context[row, 1] = state.weights[lane, 1]
    out.context[row, 2] = state.weights[lane, 2]
    out.context[row, 3] = 1.0 - share ** (1.0 / BEND)
    out.context[row, 4] = step / state.size[lane, 3]
    out.context[row, 5] = waiting / 10.0
    out.context[row, 6] = state.size[lane, 2] * system.arrivals_per_user * load(state, lane, step)
    out.context[row, 7] = system.mean_megabits / 16.0
