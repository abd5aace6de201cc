"""The decisions of the serving tasks: what is asked for, which actions are legal, and what they do.

Actions count through the levels of the budget (task "chunk"), the visible requests ("chunk" and "preempt"), or the
replicas ("route").
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.random import next_word
from envs.serving.engine import (
    ASK_BUDGET,
    ASK_DISPATCH,
    ASK_FIRST,
    ASK_NOTHING,
    ASK_VICTIM,
    answer,
    run,
)
from envs.serving.state import ServingState
from envs.serving.strategy import Codes

ASKS = {
    "chunk": 1 << ASK_BUDGET | 1 << ASK_FIRST,
    "preempt": 1 << ASK_FIRST | 1 << ASK_VICTIM,
    "route": 1 << ASK_DISPATCH,
}
"""Kinds of decisions of every task, as bits."""


@njit(cache=True, nogil=True)
def draw_word(generator: NDArray[np.uint64], lane: int) -> np.uint64:
    """Advances the lane's generator and returns 64 random bits."""
    return next_word(generator, lane)


@njit(cache=True, nogil=True)
def step(
    state: ServingState,
    actions: NDArray[np.int64],
    active: NDArray[np.bool_],
    refused: NDArray[np.bool_],
    budgets: NDArray[np.int64],
    asks: int,
    codes: Codes,
) -> None:
    """Takes one action in every active lane that asks for a decision, and runs all active lanes to their next one.

    Sets ``refused`` where the action was illegal and changed nothing. It is the one way into the compiled engine,
    which takes half a minute to compile for every caller.
    """
    levels = budgets.shape[0]
    for lane in range(actions.shape[0]):
        refused[lane] = False
        if not active[lane]:
            continue
        if state.control[lane].asked != ASK_NOTHING:
            action = actions[lane]
            if action < 0 or action >= state.mask.shape[1] or not state.mask[lane, action]:
                refused[lane] = True
                continue
            answer(state, lane, _choice(state, lane, action, budgets), asks, codes)
        elif state.control[lane].done:
            refused[lane] = True
            continue
        run(state, lane, asks, codes)
        _show(state, lane)
        _write_mask(state, lane, levels)


@njit(cache=True, nogil=True)
def _choice(state: ServingState, lane: int, action: int, budgets: NDArray[np.int64]) -> int:
    """Returns the answer that an action stands for; see `envs.serving.engine.answer`."""
    control = state.control[lane]
    if control.asked == ASK_DISPATCH:
        return action
    if control.asked == ASK_BUDGET:
        return budgets[action]
    r = state.visible[lane, action - budgets.shape[0]]
    if control.asked == ASK_FIRST:
        return r
    place = 0
    while state.running[lane, control.ask_replica, place] != r:
        place += 1
    return place


@njit(cache=True, nogil=True)
def _show(state: ServingState, lane: int) -> None:
    """Lists the requests that the observation shows: of the replica that asks, those that can be picked first."""
    control = state.control[lane]
    visible, most = state.visible[lane], state.visible.shape[1]
    count = 0
    if control.asked == ASK_DISPATCH:
        visible[0] = control.ask_request
        count = 1
    elif control.asked != ASK_NOTHING:
        k = control.ask_replica
        replica = state.replica[lane][k]
        for turn in range(2):
            waiting = (turn == 0) == (control.asked == ASK_FIRST)
            rows = state.queue[lane, k] if waiting else state.running[lane, k]
            for i in range(replica.waiting if waiting else replica.running):
                if count < most:
                    visible[count] = rows[i]
                    count += 1
    visible[count:] = 0
    state.visible_count[lane] = count


@njit(cache=True, nogil=True)
def _write_mask(state: ServingState, lane: int, levels: int) -> None:
    control, mask = state.control[lane], state.mask[lane]
    mask[:] = False
    if control.asked == ASK_DISPATCH:
        mask[: control.replicas] = True
    elif control.asked == ASK_BUDGET:
        mask[:levels] = True
    elif control.asked != ASK_NOTHING:
        replica = state.replica[lane][control.ask_replica]
        picks = replica.waiting if control.asked == ASK_FIRST else replica.running
        mask[levels : levels + min(picks, state.visible.shape[1])] = True
