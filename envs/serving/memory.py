"""The paged key-value cache of a replica: taking and freeing blocks, preemption, swapping to the host and back."""

from __future__ import annotations

from numba import njit

from envs.serving import queues
from envs.serving.log import log_event
from envs.serving.state import (
    ADMITTED,
    LOADING,
    PREEMPTED,
    RUNNING,
    SWAPPED,
    SWAPPED_IN,
    SWAPPED_OUT,
    WAITING,
    ServingState,
)
from envs.serving.strategy import FAIR, LARGEST, LATEST, LOWEST_PRIORITY, PRIORITY, SHORTEST, SWAP, Codes

_FIRST_OF_ALL = -1e12
"""Added to the key of a swapped request, which is admitted before those that wait."""

_PRIORITY_STEP = 1e7
"""Seconds of arrival that a level of priority outweighs."""

_PROMPT_WEIGHT = 1e-6


@njit(cache=True, nogil=True)
def blocks_of(tokens: int, block_size: int) -> int:
    """Blocks that so many tokens need."""
    return (tokens + block_size - 1) // block_size


@njit(cache=True, nogil=True)
def take(state: ServingState, lane: int, k: int, r: int, tokens: int) -> bool:
    """Lets a request hold ``tokens`` tokens, if the replica has the blocks; else nothing changes."""
    replica, request = state.replica[lane][k], state.request[lane][r]
    missing = blocks_of(tokens, replica.block_size) - request.blocks
    if missing <= 0:
        return True
    if missing > replica.free:
        return False
    if replica.moving > 0 and missing > replica.free - replica.moving:
        # The blocks are still being written out: the iteration waits for the transfer.
        replica.stall = max(replica.stall, replica.channel - state.control[lane].clock)
        replica.moving = 0
    replica.free -= missing
    request.blocks += missing
    return True


@njit(cache=True, nogil=True)
def release(state: ServingState, lane: int, k: int, r: int) -> None:
    """Takes all blocks from a request."""
    state.replica[lane][k].free += state.request[lane][r].blocks
    state.request[lane][r].blocks = 0


@njit(cache=True, nogil=True)
def transfer(state: ServingState, lane: int, k: int, blocks: int, codes: Codes) -> float:
    """Moves blocks between device and host; returns the seconds at which they have arrived."""
    replica = state.replica[lane][k]
    now = state.control[lane].clock
    copies = (blocks + codes.group_blocks - 1) // codes.group_blocks
    seconds = copies * replica.launch_seconds + blocks * replica.copy_seconds
    replica.swapped_blocks += blocks
    if codes.asynchronous:
        replica.channel = max(replica.channel, now) + seconds
        return replica.channel
    replica.stall += seconds
    return now


@njit(cache=True, nogil=True)
def write_out(state: ServingState, lane: int, k: int, r: int, codes: Codes) -> None:
    """Writes a request's blocks to the host and frees them."""
    replica, request = state.replica[lane][k], state.request[lane][r]
    kept = request.copied if codes.reuse else 0
    used = blocks_of(request.computed, replica.block_size)
    moved = max(used - kept, 0)
    transfer(state, lane, k, moved, codes)
    if codes.asynchronous:
        replica.moving += moved
    request.copied = request.computed // replica.block_size
    release(state, lane, k, r)


@njit(cache=True, nogil=True)
def set_key(state: ServingState, lane: int, r: int, codes: Codes) -> None:
    """Writes a waiting request's place in the queue."""
    request = state.request[lane][r]
    if codes.order == PRIORITY:
        request.key = request.arrival - _PRIORITY_STEP * state.priority[lane, request.user]
        return
    if codes.order == SHORTEST:
        request.key = max(request.predicted - request.generated, 0.0) + _PROMPT_WEIGHT * request.prompt
    elif codes.order == FAIR:
        request.key = state.service[lane, request.user]
    else:
        request.key = request.arrival
    if request.stage == SWAPPED:
        request.key += _FIRST_OF_ALL


@njit(cache=True, nogil=True)
def enqueue(state: ServingState, lane: int, k: int, r: int, codes: Codes) -> None:
    """Lets a request wait for admission."""
    set_key(state, lane, r, codes)
    replica = state.replica[lane][k]
    queues.push(state.request[lane], state.queue[lane, k], replica.waiting, r)
    replica.waiting += 1


@njit(cache=True, nogil=True)
def preempt(state: ServingState, lane: int, k: int, place: int, codes: Codes) -> None:
    """Takes the request at a place of the running ones out of the batch."""
    replica = state.replica[lane][k]
    running = state.running[lane, k]
    r = running[place]
    request = state.request[lane][r]
    for i in range(place, replica.running - 1):
        running[i] = running[i + 1]
    replica.running -= 1
    if request.stage == LOADING:
        replica.loading -= 1
    replica.preemptions += 1
    request.preemptions += 1
    if codes.mode == SWAP and request.computed > 0:
        write_out(state, lane, k, r, codes)
        request.stage = SWAPPED
        log_event(state, lane, SWAPPED_OUT, r, k)
    else:
        replica.lost_tokens += request.computed
        replica.outstanding += request.computed
        release(state, lane, k, r)
        request.computed = 0
        request.copied = 0
        request.stage = WAITING
        log_event(state, lane, PREEMPTED, r, k)
    enqueue(state, lane, k, r, codes)


@njit(cache=True, nogil=True)
def victim(state: ServingState, lane: int, k: int, codes: Codes) -> int:
    """Returns the place among the running ones of the request to preempt."""
    running, request, priority = state.running[lane, k], state.request[lane], state.priority[lane]
    best = state.replica[lane][k].running - 1
    for i in range(best - 1, -1, -1):
        mine, theirs = request[running[i]], request[running[best]]
        if codes.victim == LATEST:
            better = mine.arrival > theirs.arrival
        elif codes.victim == LOWEST_PRIORITY:
            better = priority[mine.user] < priority[theirs.user]
        elif codes.victim == LARGEST:
            better = mine.blocks > theirs.blocks
        else:
            better = mine.blocks < theirs.blocks
        if better:
            best = i
    return best


@njit(cache=True, nogil=True)
def restore(state: ServingState, lane: int, k: int, r: int, codes: Codes) -> None:
    """Brings a request's copy on the host back into the blocks that it holds."""
    replica, request = state.replica[lane][k], state.request[lane][r]
    blocks = blocks_of(request.computed, replica.block_size)
    arrival = transfer(state, lane, k, blocks, codes)
    log_event(state, lane, SWAPPED_IN, r, k)
    request.stage = RUNNING
    if arrival > state.control[lane].clock:
        request.stage = LOADING
        request.loaded = arrival
        replica.loading += 1


@njit(cache=True, nogil=True)
def admit(state: ServingState, lane: int, k: int, codes: Codes) -> int:
    """Moves the first of the queue, whose blocks have been taken, to the running ones; returns it."""
    replica, control = state.replica[lane][k], state.control[lane]
    r = queues.pop(state.request[lane], state.queue[lane, k], replica.waiting)
    replica.waiting -= 1
    request = state.request[lane][r]
    state.running[lane, k, replica.running] = r
    replica.running += 1
    if request.admitted < 0.0:
        request.admitted = control.clock
        state.service[lane, request.user] += request.prompt
    swapped = request.stage == SWAPPED
    request.stage = RUNNING
    log_event(state, lane, ADMITTED, r, k)
    if swapped:
        restore(state, lane, k, r, codes)
    elif request.computed == 0 and request.copied > 0 and request.generated == 0:
        # The turns before are on the host: they come back instead of being computed again.
        request.computed = min(request.copied * replica.block_size, request.prompt - 1)
        replica.outstanding -= request.computed
        restore(state, lane, k, r, codes)
    return r
