"""Compiled observation: writes the arrays that `envs.serving.features` declares, in its order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.serving.batching import is_decode
from envs.serving.engine import ASK_BUDGET, ASK_DISPATCH, ASK_FIRST, ASK_NOTHING, ASK_VICTIM
from envs.serving.execution import Batch, device_time, overhead
from envs.serving.state import RUNNING, WAITING, ServingState

_THOUSANDTH = 1e-3
_NORMAL_CONTEXT = 1000.0


@njit(cache=True, nogil=True)
def observe_levels(budgets: NDArray[np.int64], lanes: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    """Writes what stays fixed for an episode: ``(n, K, features)`` levels."""
    for i in range(lanes.shape[0]):
        for place in range(budgets.shape[0]):
            out[i, place, 0] = budgets[place] * _THOUSANDTH
            out[i, place, 1] = np.log2(budgets[place])


@njit(cache=True, nogil=True)
def observe(
    state: ServingState,
    lanes: NDArray[np.int64],
    request: NDArray[np.float32],
    replica: NDArray[np.float32],
    level: NDArray[np.float32],
    competes: NDArray[np.int32],
    offered: NDArray[np.int32],
    context: NDArray[np.float32],
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
    budgets: NDArray[np.int64],
) -> None:
    """Writes what may change at every decision; padding becomes zeros (features) and -1 (edges).

    Args:
        state: State of all lanes.
        lanes: ``(n,)`` lanes to observe, lane ``lanes[i]`` into row ``i``.
        request: ``(n, V, features)`` visible requests.
        replica: ``(n, R, features)`` replicas.
        level: ``(n, K, features)`` levels of the budget, ``(0, 0, 0)`` without them.
        competes: ``(n, 2, E)`` request to the replicas that it is on or may go to.
        offered: ``(n, 2, K)`` level to the replica that asks, ``(0, 0, 0)`` without levels.
        context: ``(n, features)`` the decision and the system.
        counts: ``(n, node types + edge types)`` numbers of nodes and edges.
        mask: ``(n, A)`` legal actions.
        budgets: ``(K,)`` tokens of every level, empty without them.
    """
    levels = budgets.shape[0]
    for i in range(lanes.shape[0]):
        lane = lanes[i]
        control = state.control[lane]
        mask[i, :] = state.mask[lane, :]
        _observe_requests(state, lane, i, request, levels)
        _observe_replicas(state, lane, i, replica)
        edges = _observe_edges(state, lane, i, competes)
        counts[i, 0], counts[i, 1] = state.visible_count[lane], control.replicas
        first = 2
        if levels > 0:
            counts[i, 2] = levels
            counts[i, 4] = _observe_levels(state, lane, i, level, offered, budgets)
            first = 3
        counts[i, first] = edges
        context[i, 0] = control.asked == ASK_BUDGET
        context[i, 1] = control.asked == ASK_FIRST
        context[i, 2] = control.asked == ASK_VICTIM
        context[i, 3] = control.answered / control.requests
        present = 0
        for k in range(control.replicas):
            present += state.replica[lane][k].running + state.replica[lane][k].waiting
        context[i, 4] = present / state.running.shape[2]


@njit(cache=True, nogil=True)
def _observe_requests(state: ServingState, lane: int, i: int, out: NDArray[np.float32], levels: int) -> None:
    control, replicas, service = state.control[lane], state.replica[lane], state.service[lane]
    least = np.inf
    for u in range(control.users):
        if state.present[lane, u] > 0:
            least = min(least, service[u])
    out[i, :, :] = 0.0
    for place in range(state.visible_count[lane]):
        r = state.visible[lane, place]
        row = state.request[lane][r]
        waiting = row.stage <= WAITING
        out[i, place, 0] = row.stage != RUNNING
        if control.asked != ASK_DISPATCH:
            out[i, place, 1] = state.mask[lane, levels + place]
        out[i, place, 2] = (row.prompt + row.generated - row.computed) * _THOUSANDTH
        out[i, place, 3] = row.computed * _THOUSANDTH
        out[i, place, 4] = row.generated * _THOUSANDTH
        out[i, place, 5] = max(row.predicted - row.generated, 0.0) * _THOUSANDTH
        if row.generated == 0:
            out[i, place, 6] = (control.clock - row.arrival) / state.level[lane, 0]
        else:
            out[i, place, 7] = (control.clock - row.last) / state.level[lane, 1]
        if not waiting:
            out[i, place, 8] = row.blocks / replicas[row.replica].kv_blocks
        out[i, place, 9] = row.preemptions
        out[i, place, 10] = (service[row.user] - least) * _THOUSANDTH
        out[i, place, 11] = state.present[lane, row.user]


@njit(cache=True, nogil=True)
def token_time(execution: Any, batch: int) -> float:
    """Returns the seconds of a token while a full batch decodes."""
    full = Batch(0, 0, 0.0, 0.0, 0.0, batch, batch * _NORMAL_CONTEXT, batch)
    return (overhead(execution, full) + device_time(execution, full)) / batch


@njit(cache=True, nogil=True)
def _observe_replicas(state: ServingState, lane: int, i: int, out: NDArray[np.float32]) -> None:
    control, request = state.control[lane], state.request[lane]
    batch = state.running.shape[2]
    out[i, :, :] = 0.0
    for k in range(control.replicas):
        replica, execution = state.replica[lane][k], state.execution[lane][k]
        context, prompts, oldest = 0.0, 0.0, control.clock
        for place in range(replica.running):
            row = request[state.running[lane, k, place]]
            context += row.computed
            if row.generated > 0:
                oldest = min(oldest, row.last)
        for place in range(replica.waiting):
            row = request[state.queue[lane, k, place]]
            prompts += row.prompt + row.generated - row.computed
        decode = Batch(0, 0, 0.0, 0.0, 0.0, 1, _NORMAL_CONTEXT, 1)
        prompt = Batch(1, 1000, 0.0, 5e5, 1e6, 0, 0.0, 1)
        out[i, k, 0] = control.asked != ASK_NOTHING and control.asked != ASK_DISPATCH and control.ask_replica == k
        out[i, k, 1] = replica.free / replica.kv_blocks
        out[i, k, 2] = replica.running / batch
        out[i, k, 3] = replica.waiting / batch
        out[i, k, 4] = max(replica.outstanding, 0.0) * _THOUSANDTH
        out[i, k, 5] = context * _THOUSANDTH
        out[i, k, 6] = prompts * _THOUSANDTH
        if replica.busy:
            out[i, k, 7] = max(replica.until - control.clock, 0.0) / state.level[lane, 1]
        out[i, k, 8] = (control.clock - oldest) / state.level[lane, 1]
        out[i, k, 9] = (overhead(execution, decode) + device_time(execution, decode)) / state.level[lane, 1]
        out[i, k, 10] = (overhead(execution, prompt) + device_time(execution, prompt)) / state.level[lane, 0]
        out[i, k, 11] = max(replica.outstanding, 0.0) * token_time(execution, batch) / state.level[lane, 0]
        present = replica.running + replica.waiting
        if present > 0:
            everything = Batch(0, 0, 0.0, 0.0, 0.0, present, context + prompts, present)
            seconds = overhead(execution, everything) + device_time(execution, everything)
            out[i, k, 12] = seconds / state.level[lane, 1]


@njit(cache=True, nogil=True)
def _observe_edges(state: ServingState, lane: int, i: int, competes: NDArray[np.int32]) -> int:
    control = state.control[lane]
    count = 0
    competes[i, :, :] = -1
    for place in range(state.visible_count[lane]):
        if control.asked == ASK_DISPATCH:
            for k in range(control.replicas):
                competes[i, 0, count], competes[i, 1, count] = place, k
                count += 1
        else:
            competes[i, 0, count], competes[i, 1, count] = place, control.ask_replica
            count += 1
    return count


@njit(cache=True, nogil=True)
def asking_load(state: ServingState, lane: int) -> tuple[int, float, int, float, float]:
    """Sums up what the replica that asks has to compute.

    Returns:
        Its decodes, their tokens of context, the tokens of prompts left, those in the cache of the first prompt that
        has begun, and the seconds since the oldest last token.
    """
    control, request = state.control[lane], state.request[lane]
    k = control.ask_replica
    replica = state.replica[lane][k]
    decodes, context, prompts, past = 0, 0.0, 0, 0.0
    oldest = control.clock
    for place in range(replica.running):
        row = request[state.running[lane, k, place]]
        if is_decode(row):
            decodes += 1
            context += row.computed
            oldest = min(oldest, row.last)
        else:
            past = row.computed if prompts == 0 else past
            prompts += row.prompt + row.generated - row.computed
    for place in range(replica.waiting):
        row = request[state.queue[lane, k, place]]
        prompts += row.prompt + row.generated - row.computed
    return decodes, context, prompts, past, control.clock - oldest


@njit(cache=True, nogil=True)
def level_time(
    state: ServingState, lane: int, load: tuple[int, float, int, float, float], budget: int
) -> tuple[float, float]:
    """Estimates the iteration of the replica that asks, with the load of `asking_load`, under a budget.

    Returns:
        Its seconds, and the share of all prompt tokens that it computes.
    """
    execution = state.execution[lane][state.control[lane].ask_replica]
    decodes, context, prompts, past, _ = load
    chunk = max(min(budget - decodes, prompts), 0)
    batch = Batch(
        int(chunk > 0), chunk, past, chunk * (past + 0.5 * chunk), float(chunk) * chunk, decodes, context, decodes
    )
    seconds = overhead(execution, batch) + device_time(execution, batch)
    return seconds, chunk / max(prompts, 1)


@njit(cache=True, nogil=True)
def _observe_levels(
    state: ServingState,
    lane: int,
    i: int,
    out: NDArray[np.float32],
    offered: NDArray[np.int32],
    budgets: NDArray[np.int64],
) -> int:
    control = state.control[lane]
    out[i, :, :] = 0.0
    offered[i, :, :] = -1
    if control.asked == ASK_NOTHING:
        return 0
    load = asking_load(state, lane)
    waited = load[4]
    for place in range(budgets.shape[0]):
        seconds, share = level_time(state, lane, load, budgets[place])
        out[i, place, 0] = state.mask[lane, place]
        out[i, place, 1] = seconds / state.level[lane, 1]
        out[i, place, 2] = (waited + seconds) / state.level[lane, 1]
        out[i, place, 3] = share
        offered[i, 0, place], offered[i, 1, place] = place, control.ask_replica
    return budgets.shape[0]
