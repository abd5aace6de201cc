"""The event loop of one lane: arrivals, iterations of the replicas, and the decisions that are asked for.

`run` goes on until a decision is due, the log is full, or every request is answered. Decisions that are not asked for
are taken by the named rule of the strategy.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.core.random import next_integer
from envs.serving import queues
from envs.serving.batching import AGAIN, DONE, SHORT, any_fits, compose, duration, has_prompts, relieve, reorder
from envs.serving.log import log_event, log_is_full, log_iteration
from envs.serving.memory import enqueue, release, write_out
from envs.serving.migration import migrate, replica_load
from envs.serving.state import (
    ANSWERED,
    ARRIVED,
    AWAY,
    FINISHED,
    HISTOGRAM,
    LONGEST_GAP,
    SHORTEST_GAP,
    WAITING,
    ServingState,
)
from envs.serving.strategy import (
    LAYERED,
    PRIORITY,
    RANDOM,
    ROUND_ROBIN,
    SWAP,
    Codes,
)

ASK_NOTHING, ASK_DISPATCH, ASK_BUDGET, ASK_FIRST, ASK_VICTIM = range(5)
"""What a decision is about: the replica of a request, the budget of an iteration, the request that comes first in it,
the request that is preempted."""

BUDGET_BIT, FIRST_BIT = 1, 2
"""Bits of a replica's ``decided``: asked for this iteration already."""

DECODE_WEIGHT = 2.0
"""Service that a generated token counts, in prompt tokens (Sheng et al. 2024)."""

PRIORITY_LEVELS = 8
"""Levels of priority that users are given."""

STUCK = 2
"""Value of ``done`` of a lane in which requests wait for ever."""

FIRST_SHARE = 0.5
"""Share of the first token in the cost of a request; the rest is the mean over the gaps."""

_RANDOM_TRACE = 1
_EPSILON = 1e-12
_BIN = HISTOGRAM / np.log(LONGEST_GAP / SHORTEST_GAP)


@njit(cache=True, nogil=True)
def begin(state: ServingState, lane: int, codes: Codes) -> None:
    """Prepares the lane in which an instance stands."""
    control = state.control[lane]
    control.users = 0
    for r in range(control.requests):
        row = state.request[lane][r]
        row.stage, row.replica = AWAY, -1
        row.admitted = row.first = row.last = -1.0
        row.next = -1
        control.users = max(control.users, row.user + 1)
    for r in range(control.requests):
        if state.request[lane][r].follows >= 0:
            state.request[lane][state.request[lane][r].follows].next = r
    for k in range(control.replicas):
        state.replica[lane][k].free = state.replica[lane][k].kv_blocks
        state.replica[lane][k].budget = codes.budget
    if codes.priority_trace > 0:
        _draw_priorities(state, lane, True, codes)


@njit(cache=True, nogil=True)
def run(state: ServingState, lane: int, asks: int, codes: Codes) -> None:
    """Runs on; ``asks`` has a bit ``1 << kind`` for every kind of decision that is not left to the strategy."""
    control = state.control[lane]
    while control.asked == ASK_NOTHING and not control.done:
        control.full = log_is_full(state, lane)
        if control.full:
            return
        for k in range(control.replicas):
            if not state.replica[lane][k].busy:
                _plan(state, lane, k, asks, codes)
                if control.asked != ASK_NOTHING:
                    return
        if control.answered == control.requests:
            control.done = 1
            return
        following = _next_time(state, lane)
        if following == np.inf:  # cannot happen: every request fits on its own
            control.done = STUCK
            return
        control.clock = following
        for k in range(control.replicas):
            replica = state.replica[lane][k]
            if replica.busy and replica.until <= control.clock:
                _complete(state, lane, k, codes)
        _arrive(state, lane, asks, codes)


@njit(cache=True, nogil=True)
def answer(state: ServingState, lane: int, choice: int, asks: int, codes: Codes) -> None:
    """Takes the decision that is asked for: a replica, a budget, a request, or the place of a running request."""
    control = state.control[lane]
    asked, k, r = control.asked, control.ask_replica, control.ask_request
    control.asked = ASK_NOTHING
    if asked == ASK_DISPATCH:
        _assign(state, lane, r, choice, codes)
        _arrive(state, lane, asks, codes)
    elif asked == ASK_BUDGET:
        state.replica[lane][k].budget = choice
    elif asked == ASK_FIRST:
        if choice >= 0:
            state.request[lane][choice].key = -np.inf
            queues.rebuild(state.request[lane], state.queue[lane, k], state.replica[lane][k].waiting)
    elif asked == ASK_VICTIM:
        relieve(state, lane, k, choice, codes)


@njit(cache=True, nogil=True)
def _next_time(state: ServingState, lane: int) -> float:
    """Returns the time of the next arrival or completion."""
    control, request = state.control[lane], state.request[lane]
    moment = np.inf
    if control.following < control.requests:
        moment = request[control.following].arrival
    if control.due > 0:
        moment = min(moment, request[state.due[lane, 0]].arrival)
    for k in range(control.replicas):
        if state.replica[lane][k].busy:
            moment = min(moment, state.replica[lane][k].until)
    return moment


@njit(cache=True, nogil=True)
def _skip_turns(state: ServingState, lane: int) -> None:
    """Moves on to the next request that follows none."""
    control, request = state.control[lane], state.request[lane]
    while control.following < control.requests and request[control.following].follows >= 0:
        control.following += 1


@njit(cache=True, nogil=True)
def _arrive(state: ServingState, lane: int, asks: int, codes: Codes) -> None:
    """Takes in the requests whose time has come, until one asks for a replica."""
    control, request = state.control[lane], state.request[lane]
    while control.asked == ASK_NOTHING:
        _skip_turns(state, lane)
        r = -1
        if control.following < control.requests and request[control.following].arrival <= control.clock:
            r = control.following
        if control.due > 0:
            turn = state.due[lane, 0]
            if request[turn].arrival <= control.clock and (r < 0 or request[turn].arrival < request[r].arrival):
                r = turn
        if r < 0:
            return
        if r == control.following and request[r].follows < 0:
            control.following += 1
        else:
            queues.pop(request, state.due[lane], control.due)
            control.due -= 1
        _enter(state, lane, r)
        if asks & (1 << ASK_DISPATCH):
            control.asked = ASK_DISPATCH
            control.ask_request = r
        else:
            _assign(state, lane, r, _choose_replica(state, lane, codes), codes)


@njit(cache=True, nogil=True)
def _enter(state: ServingState, lane: int, r: int) -> None:
    """Counts a request in; a user who comes back starts at the service of the least served who is present."""
    user = state.request[lane][r].user
    present, service = state.present[lane], state.service[lane]
    if present[user] == 0:
        least = np.inf
        for u in range(state.control[lane].users):
            if present[u] > 0:
                least = min(least, service[u])
        if least < np.inf:
            service[user] = max(service[user], least)
    present[user] += 1


@njit(cache=True, nogil=True)
def _choose_replica(state: ServingState, lane: int, codes: Codes) -> int:
    """Returns the replica that the strategy gives the next request to."""
    control = state.control[lane]
    if codes.dispatch == ROUND_ROBIN:
        chosen = control.turn
        control.turn = (control.turn + 1) % control.replicas
        return chosen
    if codes.dispatch == RANDOM:
        return next_integer(state.generator, lane, 0, control.replicas - 1)
    best, least = 0, np.inf
    for k in range(control.replicas):
        load = replica_load(state, lane, k, codes.dispatch)
        if load < least:
            best, least = k, load
    return best


@njit(cache=True, nogil=True)
def _assign(state: ServingState, lane: int, r: int, k: int, codes: Codes) -> None:
    """Gives a request to a replica."""
    row = state.request[lane][r]
    row.stage = WAITING
    row.replica = k
    state.replica[lane][k].outstanding += row.prompt + row.predicted
    log_event(state, lane, ARRIVED, r, k)
    enqueue(state, lane, k, r, codes)


@njit(cache=True, nogil=True)
def _plan(state: ServingState, lane: int, k: int, asks: int, codes: Codes) -> None:
    """Composes and begins the next iteration of an idle replica, unless a decision is due first."""
    replica, control = state.replica[lane][k], state.control[lane]
    if replica.running + replica.waiting == 0:
        return
    if replica.channel <= control.clock:
        replica.moving = 0
    if asks & (1 << ASK_BUDGET) and not replica.decided & BUDGET_BIT and has_prompts(state, lane, k):
        replica.decided |= BUDGET_BIT
        control.asked, control.ask_replica = ASK_BUDGET, k
        return
    if asks & (1 << ASK_FIRST) and not replica.decided & FIRST_BIT and any_fits(state, lane, k, codes):
        replica.decided |= FIRST_BIT
        control.asked, control.ask_replica = ASK_FIRST, k
        return
    outcome = AGAIN
    while outcome != DONE:
        outcome = compose(state, lane, k, codes)
        if outcome == SHORT:
            if asks & (1 << ASK_VICTIM) and replica.running > 1:
                control.asked, control.ask_replica = ASK_VICTIM, k
                return
            relieve(state, lane, k, -1, codes)
    _begin_iteration(state, lane, k, codes)


@njit(cache=True, nogil=True)
def _begin_iteration(state: ServingState, lane: int, k: int, codes: Codes) -> None:
    replica, control = state.replica[lane][k], state.control[lane]
    replica.decided = 0
    if replica.entries == 0:
        if replica.loading > 0:  # nothing to compute until blocks have come back
            replica.busy = 1
            replica.until = _first_loaded(state, lane, k)
        elif replica.running > 0:
            replica.busy = 1
            replica.until = control.clock + max(replica.stall, _EPSILON)
            replica.stall = 0.0
        return
    seconds, share = duration(state, lane, k, codes)
    replica.busy = 1
    replica.until = control.clock + replica.stall + seconds
    log_iteration(state, lane, k, share)
    replica.busy_seconds += seconds
    replica.stall_seconds += replica.stall
    replica.stall = 0.0
    replica.iterations += 1


@njit(cache=True, nogil=True)
def _first_loaded(state: ServingState, lane: int, k: int) -> float:
    request, running = state.request[lane], state.running[lane, k]
    moment = np.inf
    for i in range(state.replica[lane][k].running):
        row = request[running[i]]
        if row.loaded > state.control[lane].clock:
            moment = min(moment, row.loaded)
    return moment


@njit(cache=True, nogil=True)
def _complete(state: ServingState, lane: int, k: int, codes: Codes) -> None:
    """Ends the iteration of a replica: tokens are computed, some are handed out, some requests are answered."""
    replica, control = state.replica[lane][k], state.control[lane]
    request, entry, tokens = state.request[lane], state.entry[lane, k], state.tokens[lane, k]
    histogram, service = state.histogram[lane], state.service[lane]
    now = control.clock
    layered = codes.batching == LAYERED and replica.groups > 0
    whole = not layered or replica.group + 1 >= replica.groups
    answered, chunks, spent, gaps = 0, 0, 0, 0
    last_gap, last_bin, last_late = -1.0, 0, 0.0
    level = state.level[lane]
    for i in range(replica.entries):
        row, q = request[entry[i]], tokens[i]
        left = row.prompt + row.generated - row.computed
        if row.generated == 0 or left > 1:
            chunks += 1
            if layered and not whole:
                continue
            spent += q
        row.computed += q
        if q < left:
            continue
        row.generated += 1
        spent += 1
        service[row.user] += DECODE_WEIGHT
        if row.generated == 1:
            row.first = now
            control.cost += FIRST_SHARE * row.weight * lateness((now - row.arrival) / level[0])
        else:
            gap = now - row.last
            if gap != last_gap:
                histogram[last_bin] += gaps
                last_gap, gaps = gap, 0
                place = int(_BIN * np.log(max(gap, SHORTEST_GAP) / SHORTEST_GAP))
                last_bin = min(place, HISTOGRAM - 1)
                last_late = lateness(gap / level[1])
            gaps += 1
            if last_late > 0.0:
                control.cost += (1.0 - FIRST_SHARE) * row.weight * last_late / (row.output - 1)
            if gap > row.longest_gap:
                row.longest_gap = gap
        row.last = now
        if row.generated >= row.output:
            _answer_request(state, lane, k, entry[i], codes)
            answered += 1
    histogram[last_bin] += gaps
    replica.outstanding -= spent
    replica.prefilled = chunks > 0
    if layered:
        replica.group += 1
        if whole:
            replica.group = replica.groups = 0
    if answered > 0:
        kept, running = 0, state.running[lane, k]
        for i in range(replica.running):
            if request[running[i]].stage != ANSWERED:
                running[kept] = running[i]
                kept += 1
        replica.running = kept
    replica.busy, replica.entries = 0, 0
    replica.budget = codes.budget
    if codes.priority_trace > 0:
        _change_priorities(state, lane, k, codes)
    if codes.migration_period > 0.0 and now >= control.migrated + codes.migration_period:
        migrate(state, lane, k, codes)


@njit(cache=True, nogil=True)
def lateness(ratio: float) -> float:
    """Returns what a token costs that took so many times its promise: 0 up to 1, then smoothly towards 1."""
    return max(ratio - 1.0, 0.0) / max(ratio, 1.0)


@njit(cache=True, nogil=True)
def _answer_request(state: ServingState, lane: int, k: int, r: int, codes: Codes) -> None:
    """Ends a request, and lets the next turn of its conversation come."""
    control, row, replica = state.control[lane], state.request[lane][r], state.replica[lane][k]
    row.stage = ANSWERED
    control.answered += 1
    state.present[lane, row.user] -= 1
    replica.outstanding -= row.predicted - row.output
    if row.next >= 0 and codes.mode == SWAP:
        write_out(state, lane, k, r, codes)
        state.request[lane][row.next].copied = row.copied
    else:
        release(state, lane, k, r)
    log_event(state, lane, FINISHED, r, k)
    if row.next >= 0:
        following = state.request[lane][row.next]
        following.arrival += control.clock
        following.key = following.arrival
        queues.push(state.request[lane], state.due[lane], control.due, row.next)
        control.due += 1


@njit(cache=True, nogil=True)
def _change_priorities(state: ServingState, lane: int, k: int, codes: Codes) -> None:
    """Changes the priorities of all users after every so many iterations of the first replica."""
    if k != 0 or state.replica[lane][0].iterations % codes.priority_period != 0:
        return
    _draw_priorities(state, lane, False, codes)
    for other in range(state.control[lane].replicas):
        if codes.order == PRIORITY:
            reorder(state, lane, other, codes)


@njit(cache=True, nogil=True)
def _draw_priorities(state: ServingState, lane: int, first: bool, codes: Codes) -> None:
    """Draws a level for every user, anew or (Markov) one up, one down or the same."""
    priority = state.priority[lane]
    for u in range(state.control[lane].users):
        if first or codes.priority_trace == _RANDOM_TRACE:
            priority[u] = next_integer(state.generator, lane, 0, PRIORITY_LEVELS - 1)
        else:
            move = next_integer(state.generator, lane, -1, 1)
            priority[u] = min(max(priority[u] + move, 0.0), PRIORITY_LEVELS - 1.0)
