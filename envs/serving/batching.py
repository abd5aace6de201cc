"""What an iteration is made of: the decodes and the chunks of prompts that a replica computes next.

Composing begins anew after every preemption; blocks that have been taken stay with their requests, so that the second
attempt finds the same batch, without the victim.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from envs.serving import queues
from envs.serving.execution import Batch, active_experts, device_time, overhead
from envs.serving.memory import admit, blocks_of, preempt, set_key, take, victim
from envs.serving.state import LOADING, RUNNING, SWAPPED, ServingState
from envs.serving.strategy import (
    ALTERNATING,
    CHUNKED,
    FAIR,
    LAYERED,
    MIXED,
    PREFILL_FIRST,
    PRIORITY,
    RESERVE_CHUNK,
    RESERVE_INPUT,
    RESERVE_MAXIMUM,
    STATIC,
    Codes,
)

DONE, AGAIN, SHORT = range(3)
"""Outcomes of composing: the batch stands, it must be composed anew, a victim must be found."""

PREEMPTED_BIT = 4
"""Bit of a replica's ``decided``: memory ran out in this iteration, so that nothing more is admitted."""

_LAYER_THRESHOLDS = (512, 1024, 2048, 4096)
"""Prompt tokens up to which layered prefill makes 1, 2, 4, 8 groups of layers; beyond, 16."""

_BISECTIONS = 12


@njit(cache=True, nogil=True)
def compose(state: ServingState, lane: int, k: int, codes: Codes) -> int:
    """Fills in the iteration of a replica; returns DONE, AGAIN or SHORT."""
    replica = state.replica[lane][k]
    replica.entries = 0
    replica.left = replica.budget
    replica.chunks = replica.tokens = replica.decodes = replica.outputs = 0
    replica.past = replica.pairs = replica.squares = replica.context = 0.0
    if codes.batching == CHUNKED:
        return _compose_chunked(state, lane, k, codes)
    if codes.batching == MIXED:
        outcome = _add_running(state, lane, k, True, False, False, codes)
        return outcome if outcome != DONE else _add_prompts(state, lane, k, False, codes)
    if codes.batching == LAYERED:
        return _compose_layered(state, lane, k, codes)
    return _compose_apart(state, lane, k, codes)


@njit(cache=True, nogil=True)
def _compose_chunked(state: ServingState, lane: int, k: int, codes: Codes) -> int:
    replica = state.replica[lane][k]
    if codes.decodes_first:
        outcome = _add_running(state, lane, k, True, False, True, codes)
        if outcome == DONE and codes.slack > 0.0:
            replica.left = _slack_budget(state, lane, k, codes)
        if outcome == DONE:
            outcome = _add_running(state, lane, k, False, True, True, codes)
    else:
        outcome = _add_running(state, lane, k, True, True, True, codes)
    return outcome if outcome != DONE else _add_waiting(state, lane, k, True, codes)


@njit(cache=True, nogil=True)
def _compose_layered(state: ServingState, lane: int, k: int, codes: Codes) -> int:
    replica = state.replica[lane][k]
    outcome = _add_running(state, lane, k, True, False, False, codes)
    decodes = replica.entries
    if outcome == DONE:
        outcome = _add_running(state, lane, k, False, True, False, codes)
    if outcome == DONE and replica.entries == decodes:
        replica.groups = 0
    if outcome == DONE and replica.groups == 0:
        outcome = _add_waiting(state, lane, k, False, codes)
        if outcome == DONE and replica.entries > decodes:
            total = 0
            for i in range(decodes, replica.entries):
                total += state.tokens[lane, k, i]
            replica.group, replica.groups = 0, 1
            for threshold in _LAYER_THRESHOLDS:
                if total > threshold:
                    replica.groups *= 2
    return outcome


@njit(cache=True, nogil=True)
def _compose_apart(state: ServingState, lane: int, k: int, codes: Codes) -> int:
    """Prompts alone or decodes alone: "static", "prefill_first" and "alternating"."""
    replica = state.replica[lane][k]
    split = codes.batching == ALTERNATING
    open_to_prompts = not (split and replica.prefilled and _any_decode(state, lane, k))
    if open_to_prompts:
        outcome = _add_running(state, lane, k, False, True, split, codes)
        if outcome != DONE:
            return outcome
        if codes.batching != STATIC or not _any_decode(state, lane, k):
            outcome = _add_waiting(state, lane, k, split, codes)
            if outcome != DONE:
                return outcome
        if replica.entries > 0:
            return DONE
    return _add_running(state, lane, k, True, False, split, codes)


@njit(cache=True, nogil=True)
def _add_prompts(state: ServingState, lane: int, k: int, split: bool, codes: Codes) -> int:
    outcome = _add_running(state, lane, k, False, True, split, codes)
    return outcome if outcome != DONE else _add_waiting(state, lane, k, split, codes)


@njit(cache=True, nogil=True)
def is_decode(request: Any) -> bool:
    """Says whether a running request only awaits its next token."""
    return request.generated > 0 and request.prompt + request.generated - request.computed == 1


@njit(cache=True, nogil=True)
def has_prompts(state: ServingState, lane: int, k: int) -> bool:
    """Says whether there is a prompt to compute, waiting or begun."""
    replica = state.replica[lane][k]
    running, request = state.running[lane, k], state.request[lane]
    found = replica.waiting > 0
    for i in range(replica.running):
        found |= not is_decode(request[running[i]])
    return found


@njit(cache=True, nogil=True)
def any_fits(state: ServingState, lane: int, k: int, codes: Codes) -> bool:
    """Says whether some waiting request could be admitted whole."""
    replica, request = state.replica[lane][k], state.request[lane]
    if replica.running >= codes.max_running:
        return False
    for i in range(replica.waiting):
        row = request[state.queue[lane, k, i]]
        if blocks_of(row.prompt + row.generated, replica.block_size) <= replica.free:
            return True
    return False


@njit(cache=True, nogil=True)
def _any_decode(state: ServingState, lane: int, k: int) -> bool:
    running, request = state.running[lane, k], state.request[lane]
    found = False
    for i in range(state.replica[lane][k].running):
        found |= is_decode(request[running[i]])
    return found


@njit(cache=True, nogil=True)
def _add_running(state: ServingState, lane: int, k: int, decodes: bool, chunks: bool, split: bool, codes: Codes) -> int:
    """Adds decodes, chunks or both of the running requests, by admission."""
    replica, control = state.replica[lane][k], state.control[lane]
    running, request = state.running[lane, k], state.request[lane]
    entry, tokens = state.entry[lane, k], state.tokens[lane, k]
    block_size = replica.block_size
    entries, left, known, context = replica.entries, replica.left, replica.decodes, replica.context
    for i in range(replica.running):
        r = running[i]
        row = request[r]
        if row.stage == LOADING:
            if row.loaded > control.clock:
                continue
            row.stage = RUNNING
            replica.loading -= 1
        todo = row.prompt + row.generated - row.computed
        decode = todo == 1 and row.generated > 0
        if (decode and not decodes) or (not decode and not chunks):
            continue
        if decode or split:
            todo = min(todo, left)
            if todo <= 0:
                continue
        elif todo > left and entries > 0 and codes.batching != LAYERED:
            continue
        if row.computed + todo > row.blocks * block_size and not take(state, lane, k, r, row.computed + todo):
            return SHORT
        if decode:
            known += 1
            context += row.computed
        else:
            _count_chunk(replica, row, todo)
        entry[entries] = r
        tokens[entries] = todo
        entries += 1
        left -= todo
    replica.entries, replica.left = entries, left
    replica.decodes, replica.context = known, context
    return DONE


@njit(cache=True, nogil=True)
def _count_chunk(replica: Any, row: Any, tokens: int) -> None:
    """Counts a chunk of a request's input into the iteration."""
    replica.chunks += 1
    replica.tokens += tokens
    replica.past += row.computed
    replica.pairs += tokens * (row.computed + 0.5 * tokens)
    replica.squares += float(tokens) * tokens
    replica.outputs += row.prompt + row.generated - row.computed == tokens


@njit(cache=True, nogil=True)
def _add_waiting(state: ServingState, lane: int, k: int, split: bool, codes: Codes) -> int:
    """Admits waiting requests, in their order, while there is budget, memory and a place."""
    replica = state.replica[lane][k]
    if replica.decided & PREEMPTED_BIT:
        return DONE
    while replica.waiting > 0 and (replica.left > 0 or replica.entries == 0):
        if codes.order == FAIR:
            reorder(state, lane, k, codes)
        r = state.queue[lane, k, 0]
        row = state.request[lane][r]
        known = row.computed
        if row.copied > 0 and known == 0 and row.generated == 0:
            known = min(row.copied * replica.block_size, row.prompt - 1)
        todo = row.prompt + row.generated - known
        decode = row.generated > 0 and todo == 1
        if split:
            todo = min(todo, replica.left)
        elif todo > replica.left and replica.entries > 0:
            return DONE
        fits = replica.running < codes.max_running and _reserve(state, lane, k, r, known + todo, codes)
        if not fits:
            return _make_room(state, lane, k, r, codes)
        admit(state, lane, k, codes)
        apart = decode and codes.batching in (STATIC, PREFILL_FIRST, ALTERNATING)
        if row.stage != LOADING and not apart:
            if decode:
                replica.decodes += 1
                replica.context += row.computed
            else:
                _count_chunk(replica, row, todo)
            state.entry[lane, k, replica.entries] = r
            state.tokens[lane, k, replica.entries] = todo
            replica.entries += 1
            replica.left -= todo
    return DONE


@njit(cache=True, nogil=True)
def _reserve(state: ServingState, lane: int, k: int, r: int, now: int, codes: Codes) -> bool:
    """Takes the blocks that admission asks for; says whether there were enough."""
    replica, row = state.replica[lane][k], state.request[lane][r]
    whole = row.prompt + row.generated
    taken = checked = whole
    if codes.reserve == RESERVE_CHUNK:
        taken = checked = now
    elif codes.reserve == RESERVE_INPUT:
        taken = now
    elif codes.reserve == RESERVE_MAXIMUM:
        limit = replica.kv_blocks * replica.block_size
        taken = checked = max(min(codes.max_length, limit), row.prompt + row.output)
    if row.stage == SWAPPED:
        taken = max(taken, row.computed + 1)
        checked = max(checked, taken)
    spare = 0.0
    if replica.running > 0:
        spare = codes.watermark * replica.kv_blocks
    if replica.free - blocks_of(checked, replica.block_size) < spare:
        return False
    return take(state, lane, k, r, taken)


@njit(cache=True, nogil=True)
def _make_room(state: ServingState, lane: int, k: int, r: int, codes: Codes) -> int:
    """Preempts a running request of lower priority than the one that does not fit, where priorities count."""
    replica = state.replica[lane][k]
    if codes.order != PRIORITY or replica.running == 0:
        return DONE
    running, request, priority = state.running[lane, k], state.request[lane], state.priority[lane]
    lowest = 0
    for i in range(1, replica.running):
        mine, theirs = request[running[i]], request[running[lowest]]
        more = priority[mine.user] - priority[theirs.user]
        if more < 0.0 or (more == 0.0 and mine.arrival > theirs.arrival):
            lowest = i
    if priority[request[running[lowest]].user] >= priority[request[r].user]:
        return DONE
    preempt(state, lane, k, lowest, codes)
    return AGAIN


@njit(cache=True, nogil=True)
def relieve(state: ServingState, lane: int, k: int, place: int, codes: Codes) -> None:
    """Preempts because memory ran out: the running request at a place, or by the rule where it is negative."""
    chosen = place if place >= 0 else victim(state, lane, k, codes)
    preempt(state, lane, k, chosen, codes)
    state.replica[lane][k].decided |= PREEMPTED_BIT


@njit(cache=True, nogil=True)
def reorder(state: ServingState, lane: int, k: int, codes: Codes) -> None:
    """Puts the queue of a replica in order after keys have changed."""
    replica = state.replica[lane][k]
    for i in range(replica.waiting):
        set_key(state, lane, state.queue[lane, k, i], codes)
    queues.rebuild(state.request[lane], state.queue[lane, k], replica.waiting)


@njit(cache=True, nogil=True)
def measure(state: ServingState, lane: int, k: int) -> Batch:
    """Returns what the time of the composed iteration depends on."""
    replica = state.replica[lane][k]
    return Batch(
        replica.chunks,
        replica.tokens,
        replica.past,
        replica.pairs,
        replica.squares,
        replica.decodes,
        replica.context,
        replica.decodes + replica.outputs,
    )


@njit(cache=True, nogil=True)
def _slack_budget(state: ServingState, lane: int, k: int, codes: Codes) -> int:
    """Returns the largest chunk that lets the longest waiting decode have its token in time, at least one block."""
    replica = state.replica[lane][k]
    if replica.entries == 0:
        return replica.left
    request, entry = state.request[lane], state.entry[lane, k]
    oldest = np.inf
    for i in range(replica.entries):
        oldest = min(oldest, request[entry[i]].last)
    allowed = oldest + codes.slack - state.control[lane].clock - replica.stall
    batch = measure(state, lane, k)
    execution = state.execution[lane][k]
    past = _begun(state, lane, k)
    low, high = min(replica.block_size, replica.left), replica.left
    for _ in range(_BISECTIONS):
        if high <= low:
            break
        chunk = (low + high + 1) // 2
        trial = Batch(
            1,
            chunk,
            past,
            chunk * (past + 0.5 * chunk),
            float(chunk) * chunk,
            batch.decodes,
            batch.context,
            batch.outputs + 1,
        )
        if overhead(execution, trial) + device_time(execution, trial) <= allowed:
            low = chunk
        else:
            high = chunk - 1
    return low


@njit(cache=True, nogil=True)
def _begun(state: ServingState, lane: int, k: int) -> float:
    """Tokens that are in the cache of the first prompt that has begun."""
    running, request = state.running[lane, k], state.request[lane]
    for i in range(state.replica[lane][k].running):
        if not is_decode(request[running[i]]):
            return float(request[running[i]].computed)
    return 0.0


@njit(cache=True, nogil=True)
def duration(state: ServingState, lane: int, k: int, codes: Codes) -> tuple[float, float]:
    """Returns the seconds of the composed iteration, and the share of the layers that its chunks go through.

    Also counts the bytes of experts that it reads.
    """
    replica, execution = state.replica[lane][k], state.execution[lane][k]
    batch = measure(state, lane, k)
    share = 1.0
    seconds = device_time(execution, batch)
    reached = active_experts(execution, batch.tokens + batch.decodes)
    if codes.batching == LAYERED and batch.chunks > 0 and replica.groups > 1:
        share = 1.0 / replica.groups
        alone = Batch(0, 0, 0.0, 0.0, 0.0, batch.decodes, batch.context, batch.decodes)
        decodes = device_time(execution, alone)
        seconds = decodes + share * (seconds - decodes)
        reached = share * reached + (1.0 - share) * active_experts(execution, batch.decodes)
    replica.expert_bytes += reached * execution.expert_bytes
    replica.chunk_tokens += batch.tokens if replica.group + 1 >= replica.groups else 0
    return seconds + overhead(execution, batch), share
