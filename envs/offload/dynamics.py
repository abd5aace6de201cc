"""The compiled rules of edge offloading, over many lanes at once.

A server runs all its tasks at once, each at the same share of its frequency (processor sharing). It is kept as its
*progress*, the bits that a task present from the beginning would have been served, and each task as the progress at
which it is complete, its *mark*; an event costs no more than moving the end of a list.

The cost of a lane counts every dispatched task whole, as if no other came, so that the rise of the cost with a decision
is the exact credit of the decision: what it costs the task itself, and the delay that it brings to the others.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle, kernel
from envs.offload.state import OffloadState

NEVER = np.inf


@njit(cache=True, nogil=True)
def begin(handle: Handle[OffloadState], lanes: NDArray[np.int64]) -> None:
    """Begins an episode on the servers and tasks that stand in each of ``lanes``."""
    for i in range(lanes.shape[0]):
        begin_lane(handle.arrays, lanes[i])


@kernel
def begin_lane(state: OffloadState, lane: int) -> None:
    """Empties all servers of a lane and asks for its first task."""
    state.next_task[lane] = 0
    state.progress[lane, :] = 0.0
    state.running_count[lane, :] = 0
    state.uploading_count[lane, :] = 0
    state.cost[lane, :] = 0.0
    state.floor[lane] = 0.0
    state.server[lane, :] = -1
    state.uploaded[lane, :] = -1.0
    state.completed[lane, :] = -1.0
    state.clock[lane] = state.dispatch[lane, 0] * state.system[lane].step_seconds
    ask(state, lane)


@njit(cache=True, nogil=True)
def step(
    handle: Handle[OffloadState],
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    refused: NDArray[np.bool_],
    to_choice: bool,
) -> None:
    """Sends the next task of every active lane to a server; sets ``refused`` where there is no such server.

    With ``to_choice``, a lane with a single server is run to its end.
    """
    state = handle.arrays
    for lane in range(actions.shape[0]):
        refused[lane] = False
        if not active[lane]:
            continue
        legal = 0 <= actions[lane] < state.size[lane, 0] and state.next_task[lane] < state.size[lane, 1]
        refused[lane] = not legal
        if legal:
            dispatch(state, lane, actions[lane])
            while to_choice and state.size[lane, 0] == 1 and state.next_task[lane] < state.size[lane, 1]:
                dispatch(state, lane, 0)


@kernel
def dispatch(state: OffloadState, lane: int, server: int) -> None:
    """Sends the next task to a server and goes on to the one after it, or to the end."""
    task = state.next_task[lane]
    for k in range(state.cost.shape[1]):
        state.cost[lane, k] += state.extra[lane, server, k]
    state.floor[lane] += state.least[lane]
    state.server[lane, task] = server
    ready = state.clock[lane] + state.bits[lane, task] / state.rate[lane, state.user[lane, task], server]
    state.uploaded[lane, task] = ready
    _insert(state.uploading[lane, server], state.uploading_count[lane, server], state.uploaded[lane], task)
    state.uploading_count[lane, server] += 1
    state.next_task[lane] = task + 1
    last = task + 1 == state.size[lane, 1]
    until = NEVER if last else state.dispatch[lane, task + 1] * state.system[lane].step_seconds
    latest = state.clock[lane]
    for s in range(state.size[lane, 0]):
        latest = max(latest, advance(state, lane, s, until))
    state.clock[lane] = latest if last else until
    if not last:
        ask(state, lane)


@kernel
def ask(state: OffloadState, lane: int) -> None:
    """Works out what the next task would cost on every server."""
    task = state.next_task[lane]
    system = state.system[lane]
    bits = state.bits[lane, task]
    timed = system.deadline_factor > 0.0
    soonest, thriftiest = NEVER, NEVER
    for s in range(state.size[lane, 0]):
        upload = bits / state.rate[lane, state.user[lane, task], s]
        hertz = state.hertz[lane, s]
        compute = system.energy_coefficient * system.cycles_per_bit * hertz * hertz * bits
        state.extra[lane, s, 1] = system.upload_watts * upload + compute
        thriftiest = min(thriftiest, state.extra[lane, s, 1])
        soonest = min(soonest, upload + bits * system.cycles_per_bit / hertz)
        if timed or state.uploading_count[lane, s] > 0:
            _simulate_both(state, lane, s, task, upload)
        else:
            _extra_delay(state, lane, s, bits, upload)
            state.extra[lane, s, 2] = 0.0
    delay = state.weights[lane, 0] * system.scale_delay * soonest
    state.least[lane] = delay + state.weights[lane, 1] * system.scale_energy * thriftiest


@kernel
def advance(state: OffloadState, lane: int, server: int, until: float) -> float:
    """Runs a server from the lane's clock to ``until`` (or to its end); returns the time of its last event.

    Completions and the ends of uploads are noted in the lane.
    """
    speed = state.hertz[lane, server] / state.system[lane].cycles_per_bit
    now = state.clock[lane]
    while True:
        running, uploading = state.running_count[lane, server], state.uploading_count[lane, server]
        if running + uploading == 0:
            return float(now)
        complete, joined = NEVER, NEVER
        if running > 0:
            first = state.running[lane, server, running - 1]
            complete = now + (state.mark[lane, first] - state.progress[lane, server]) * running / speed
        if uploading > 0:
            coming = state.uploading[lane, server, uploading - 1]
            joined = state.uploaded[lane, coming]
        if min(complete, joined) > until:
            if running > 0:
                state.progress[lane, server] += (until - now) * speed / running
            return until
        if complete <= joined:
            state.progress[lane, server] = state.mark[lane, first]
            state.completed[lane, first] = complete
            state.running_count[lane, server] = running - 1
            now = complete
        else:
            if running > 0:
                state.progress[lane, server] += (joined - now) * speed / running
            state.uploading_count[lane, server] = uploading - 1
            state.mark[lane, coming] = state.progress[lane, server] + state.bits[lane, coming]
            _insert(state.running[lane, server], running, state.mark[lane], coming)
            state.running_count[lane, server] = running + 1
            now = joined


@kernel
def _extra_delay(state: OffloadState, lane: int, server: int, bits: float, upload: float) -> None:
    """Rise of the total delay by a task that joins when its upload ends, on a server that nothing else joins.

    With r the others' remaining bits at that moment, the task itself needs its own bits and min(r, bits) of every other
    one, and delays each of those by as much.
    """
    rate = state.system[lane].cycles_per_bit / state.hertz[lane, server]
    count = state.running_count[lane, server]
    progress = state.progress[lane, server]
    left = upload / rate
    while count > 0:
        needed = (state.mark[lane, state.running[lane, server, count - 1]] - progress) * count
        if needed > left:
            progress += left / count
            break
        progress = state.mark[lane, state.running[lane, server, count - 1]]
        left -= needed
        count -= 1
    shared = 0.0
    for i in range(count):
        shared += min(state.mark[lane, state.running[lane, server, i]] - progress, bits)
    state.own_delay[lane, server] = upload + rate * (bits + shared)
    state.extra[lane, server, 0] = state.own_delay[lane, server] + rate * shared


@kernel
def _simulate_both(state: OffloadState, lane: int, server: int, task: int, upload: float) -> None:
    """As `_extra_delay`, for any server, and with tardiness: the difference of running it with and without the task."""
    before, late_before, _ = _simulate(state, lane, server, -1, NEVER)
    after, late_after, own = _simulate(state, lane, server, task, state.clock[lane] + upload)
    state.own_delay[lane, server] = own
    state.extra[lane, server, 0] = after - before
    state.extra[lane, server, 2] = late_after - late_before


@kernel
def _simulate(state: OffloadState, lane: int, server: int, extra: int, ready: float) -> tuple[float, float, float]:
    """Runs a server to its end on scratch paper, with one more task that joins at ``ready`` (-1 for none).

    Returns the total delay and tardiness of the tasks that are not complete, and the delay of the additional one.
    """
    tags, tasks = state.scratch[lane], state.scratch_task[lane]
    running = state.running_count[lane, server]
    for i in range(running):
        tasks[i] = state.running[lane, server, i]
        tags[i] = state.mark[lane, tasks[i]]
    uploading = state.uploading_count[lane, server]
    speed = state.hertz[lane, server] / state.system[lane].cycles_per_bit
    second = state.system[lane].step_seconds
    now, progress = state.clock[lane], state.progress[lane, server]
    delay, tardiness, own = 0.0, 0.0, 0.0
    waiting = extra >= 0
    while running + uploading > 0 or waiting:
        complete = now + (tags[running - 1] - progress) * running / speed if running > 0 else NEVER
        joined, coming = NEVER, -1
        if uploading > 0:
            coming = state.uploading[lane, server, uploading - 1]
            joined = state.uploaded[lane, coming]
        if waiting and ready < joined:
            coming, joined = extra, ready
        if complete <= joined:
            running -= 1
            progress, now = tags[running], complete
            took = now - state.dispatch[lane, tasks[running]] * second
            delay += took
            tardiness += max(0.0, took - state.deadline[lane, tasks[running]])
            if tasks[running] == extra:
                own = took
            continue
        if running > 0:
            progress += (joined - now) * speed / running
        now = joined
        if coming == extra:
            waiting = False
        else:
            uploading -= 1
        place = running
        tag = progress + state.bits[lane, coming]
        while place > 0 and tags[place - 1] < tag:
            tags[place], tasks[place] = tags[place - 1], tasks[place - 1]
            place -= 1
        tags[place], tasks[place] = tag, coming
        running += 1
    return delay, tardiness, own


@kernel
def _insert(queue: NDArray[np.int64], count: int, key: NDArray[np.float64], task: int) -> None:
    """Puts a task into the first ``count`` of a queue, which fall by their keys."""
    place = count
    while place > 0 and key[queue[place - 1]] < key[task]:
        queue[place] = queue[place - 1]
        place -= 1
    queue[place] = task


@njit(cache=True, nogil=True)
def weighted(handle: Handle[OffloadState], out: NDArray[np.float64]) -> None:
    """Writes the ``(L,)`` scalar objectives: weight times scale times cost, summed."""
    state = handle.arrays
    for lane in range(out.shape[0]):
        out[lane] = weigh(state, lane, state.cost[lane])


@njit(cache=True, nogil=True, inline="always")
def weigh(state: OffloadState, lane: int, costs: NDArray[np.float64]) -> float:
    """Scalar value of a vector of costs under the preference of a lane."""
    system = state.system[lane]
    return float(
        state.weights[lane, 0] * system.scale_delay * costs[0]
        + state.weights[lane, 1] * system.scale_energy * costs[1]
        + state.weights[lane, 2] * system.scale_tardiness * costs[2]
    )
