"""How loaded a replica is, and moving running requests from a loaded replica to a free one.

A move copies the cache while the request goes on decoding, so that it pauses for a constant downtime only (20 to 30 ms,
whatever its length: Sun et al., "Llumnix", OSDI 2024). Every period the replica that has just ended an iteration hands
its shortest decode to the freest replica, if it is the least free, is short of blocks, and the other one is not. The
thresholds of the paper are not published.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.serving.batching import is_decode
from envs.serving.log import log_event
from envs.serving.memory import take
from envs.serving.state import LOADING, MIGRATED, ServingState
from envs.serving.strategy import FREENESS, LEAST_REQUESTS, LEAST_TOKENS, Codes

SHORT_OF_BLOCKS, RICH_IN_BLOCKS = 10.0, 20.0
"""Freeness, in free blocks a running request, below which a replica hands requests over, and above which one takes
them."""


@njit(cache=True, nogil=True)
def replica_load(state: ServingState, lane: int, k: int, dispatch: int) -> float:
    """Returns what a dispatch rule minimises over the replicas."""
    replica = state.replica[lane][k]
    if dispatch == LEAST_REQUESTS:
        return float(replica.running + replica.waiting)
    if dispatch == LEAST_TOKENS:
        return replica.outstanding
    demand = 0
    if replica.waiting > 0:
        head = state.request[lane][state.queue[lane, k, 0]]
        demand = (head.prompt + head.generated + replica.block_size - 1) // replica.block_size
    return -(float(replica.free) - demand) / max(replica.running, 1)


@njit(cache=True, nogil=True)
def migrate(state: ServingState, lane: int, k: int, codes: Codes) -> None:
    """Moves a request of a replica that computes nothing at the moment, where that helps."""
    control = state.control[lane]
    freest, most, mine = k, -np.inf, -replica_load(state, lane, k, FREENESS)
    for other in range(control.replicas):
        freeness = -replica_load(state, lane, other, FREENESS)
        if other != k and freeness < mine:
            return
        if freeness > most:
            freest, most = other, freeness
    target = state.replica[lane][freest]
    if mine > SHORT_OF_BLOCKS or most < RICH_IN_BLOCKS or target.running >= codes.max_running:
        return
    place = _shortest_decode(state, lane, k)
    if place >= 0:
        _move(state, lane, k, place, freest, codes)


@njit(cache=True, nogil=True)
def _shortest_decode(state: ServingState, lane: int, k: int) -> int:
    """Returns the place of the running request with the least context that is decoding, -1 if there is none."""
    running, request = state.running[lane, k], state.request[lane]
    best = -1
    for i in range(state.replica[lane][k].running):
        row = request[running[i]]
        shorter = best < 0 or row.computed < request[running[best]].computed
        if shorter and row.stage != LOADING and is_decode(row):
            best = i
    return best


@njit(cache=True, nogil=True)
def _move(state: ServingState, lane: int, k: int, place: int, other: int, codes: Codes) -> None:
    control, source, target = state.control[lane], state.replica[lane][k], state.replica[lane][other]
    running = state.running[lane, k]
    r = running[place]
    row = state.request[lane][r]
    held = row.blocks
    row.blocks = 0
    if not take(state, lane, other, r, row.computed + 1):
        row.blocks = held
        return
    source.free += held
    for i in range(place, source.running - 1):
        running[i] = running[i + 1]
    source.running -= 1
    state.running[lane, other, target.running] = r
    target.running += 1
    left = max(row.predicted - row.generated, 0.0)
    source.outstanding -= left
    target.outstanding += left
    target.arrivals += 1
    target.loading += 1
    row.replica = other
    row.stage = LOADING
    row.loaded = control.clock + codes.migration_downtime
    row.copied = 0
    control.migrated = control.clock
    log_event(state, lane, MIGRATED, r, other)
