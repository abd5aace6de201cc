"""The dispatching rules of edge offloading."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.problem import Floats, Rule
from envs.offload.dynamics import weigh
from envs.offload.state import Capacity, OffloadState, allocate, state_handle

TIE = 1.02
"""Where the delay has no weight, choices of up to this multiple of the least cost are equal; the delay decides.

Energy alone would send every user's tasks to the edge server of the user's best channel, for its upload there costs a
per cent less, and pile them up there.
"""


def greedy(state: OffloadState) -> Floats:
    """Weighted cost that the task would add, to itself and to the others."""
    out = np.zeros(state.hertz.shape)
    _greedy(state, out)
    return out


def all_cloud(state: OffloadState) -> Floats:
    """The cloud first."""
    return np.broadcast_to(np.arange(state.hertz.shape[1], dtype=float), state.hertz.shape).copy()


def join_shortest_queue(state: OffloadState) -> Floats:
    """Tasks on the server, this one included, over its frequency."""
    tasks = state.running_count + state.uploading_count + 1
    return _per_hertz(state, tasks.astype(np.float64))


def least_work(state: OffloadState) -> Floats:
    """Time in which the server would have finished everything, this task included."""
    out = np.zeros(state.hertz.shape)
    _work(state, out)
    return _per_hertz(state, out)


def least_energy(state: OffloadState) -> Floats:
    """Energy of the task; of near-equals the one of least delay."""
    energy, delay = state.extra[:, :, 1], state.extra[:, :, 0]
    known = np.arange(state.hertz.shape[1]) < state.size[:, :1]
    least = np.where(known, energy, np.inf).min(axis=1, keepdims=True)
    return np.asarray(np.where(energy <= TIE * least, least * delay / (1.0 + delay), energy), np.float64)


def shortest_own_delay(state: OffloadState) -> Floats:
    """The task's own delay: what it would choose for itself."""
    return state.own_delay.copy()


def _per_hertz(state: OffloadState, amount: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(amount / state.hertz)


@njit(cache=True, nogil=True)
def _greedy(state: OffloadState, out: NDArray[np.float64]) -> None:
    for lane in range(out.shape[0]):
        least = np.inf
        for s in range(state.size[lane, 0]):
            out[lane, s] = weigh(state, lane, state.extra[lane, s])
            least = min(least, out[lane, s])
        chosen = greedy_server(state, lane)
        out[lane, chosen] = least * (1.0 - 1e-9)


@njit(cache=True, nogil=True)
def greedy_server(state: OffloadState, lane: int) -> int:
    """The server of least weighted cost; see `TIE`."""
    tie = TIE if state.weights[lane, 0] == 0.0 else 1.0
    least = np.inf
    for s in range(state.size[lane, 0]):
        least = min(least, weigh(state, lane, state.extra[lane, s]))
    best, soonest = 0, np.inf
    for s in range(state.size[lane, 0]):
        near = weigh(state, lane, state.extra[lane, s]) <= tie * least
        if near and state.extra[lane, s, 0] < soonest:
            best, soonest = s, state.extra[lane, s, 0]
    return best


@njit(cache=True, nogil=True)
def _work(state: OffloadState, out: NDArray[np.float64]) -> None:
    """Bits left on every server, with the task."""
    for lane in range(out.shape[0]):
        task = min(state.next_task[lane], state.bits.shape[1] - 1)
        for s in range(state.size[lane, 0]):
            bits = state.bits[lane, task]
            for i in range(state.running_count[lane, s]):
                bits += state.mark[lane, state.running[lane, s, i]] - state.progress[lane, s]
            for i in range(state.uploading_count[lane, s]):
                bits += state.bits[lane, state.uploading[lane, s, i]]
            out[lane, s] = bits


def look_ahead(state: OffloadState) -> Floats:
    """Mean weighted cost of sending the task to the server and going on greedily over drawn futures.

    The tasks after the present one are drawn anew (Bertsekas, Tsitsiklis and Wu, "Rollout algorithms", J. Heuristics 3,
    1997), the same for all servers; the true ones are not looked at. What is drawn follows from the state.
    """
    from envs.offload.simulation import look_ahead_values

    lanes, servers = state.hertz.shape
    paper = allocate(2, Capacity(servers, state.bits.shape[1], state.rate.shape[1]))
    out = np.zeros((lanes, servers))
    look_ahead_values(state_handle(state), state_handle(paper), FUTURES, DEPTH, out)
    return out


FUTURES, DEPTH = 8, 24
"""Futures that `look_ahead` draws at every decision, and the further tasks of each."""

_PUBLISHED = "Yang et al., arXiv 2509.10474"

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "greedy": Rule("greedy", greedy, "one step of the reward of " + _PUBLISHED),
        "look_ahead": Rule(
            "look_ahead", look_ahead, "Bertsekas, Tsitsiklis and Wu, J. Heuristics 3, 1997", expected=True
        ),
        "all_cloud": Rule("all_cloud", all_cloud, "trivial"),
        "join_shortest_queue": Rule("join_shortest_queue", join_shortest_queue, "Winston, J. Appl. Prob. 14, 1977"),
        "least_work": Rule("least_work", least_work, "Harchol-Balter, Crovella and Murta, JPDC 59, 1999"),
        "least_energy": Rule("least_energy", least_energy, "trivial"),
        "shortest_own_delay": Rule("shortest_own_delay", shortest_own_delay, "selfish routing"),
    }
)
"""Rules by name."""
