"""The log of what engines did, for the verifier and for timelines."""

from __future__ import annotations

from numba import njit

from envs.serving.state import ServingState


@njit(cache=True, nogil=True)
def log_event(state: ServingState, lane: int, kind: int, r: int, k: int) -> None:
    """Notes an event of a request, where there is a log."""
    if state.event_log.shape[1] == 0:
        return
    place = state.logged[lane, 2]
    event = state.event_log[lane][place]
    event.time = state.control[lane].clock
    event.kind = kind
    event.request = r
    event.replica = k
    event.blocks = state.request[lane][r].blocks
    event.iteration = state.logged[lane, 0]
    state.logged[lane, 2] = place + 1


@njit(cache=True, nogil=True)
def log_iteration(state: ServingState, lane: int, k: int, share: float) -> None:
    """Notes the iteration that a replica begins."""
    if state.iteration_log.shape[1] == 0:
        return
    replica = state.replica[lane][k]
    request = state.request[lane]
    iteration = state.iteration_log[lane][state.logged[lane, 0]]
    iteration.replica = k
    iteration.entries = replica.entries
    iteration.share = share
    iteration.planned = state.control[lane].clock
    iteration.start = state.control[lane].clock + replica.stall
    iteration.end = replica.until
    place = state.logged[lane, 1]
    for i in range(replica.entries):
        entry = state.entry_log[lane][place + i]
        r = state.entry[lane, k, i]
        entry.request = r
        entry.tokens = state.tokens[lane, k, i]
        entry.past = request[r].computed
    state.logged[lane, 1] = place + replica.entries
    state.logged[lane, 0] += 1


@njit(cache=True, nogil=True)
def log_is_full(state: ServingState, lane: int) -> bool:
    """Says whether there might be no room for another iteration and the events around it."""
    if state.iteration_log.shape[1] == 0:
        return False
    room = state.entry_log.shape[1] - 4 * state.running.shape[2] - 16
    return (
        state.logged[lane, 0] >= state.iteration_log.shape[1]
        or state.logged[lane, 1] >= room
        or state.logged[lane, 2] >= room
    )
