"""Whole episodes in compiled code, for solvers and reference points: a fixed choice, or the greedy rule."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle
from envs.core.random import next_integer, next_uniform
from envs.offload.channel import draw_rates
from envs.offload.draws import draw_arrivals
from envs.offload.dynamics import begin_lane, dispatch, weigh
from envs.offload.rules import greedy_server
from envs.offload.state import OffloadState


@njit(cache=True, nogil=True)
def random_costs(handle: Handle[OffloadState], lane: int, count: int, cloud_probability: float) -> NDArray[np.float64]:
    """Draws that many episodes one after the other into a lane, sends tasks at random, and returns the mean costs.

    A task goes to the cloud with the given probability and otherwise to a uniform edge server.
    """
    state = handle.arrays
    total = np.zeros(state.cost.shape[1])
    for _ in range(count):
        draw_rates(state, lane)
        draw_arrivals(state, lane, 0, 0)
        begin_lane(state, lane)
        while state.next_task[lane] < state.size[lane, 1]:
            dispatch(state, lane, random_server(state, lane, cloud_probability))
        total += state.cost[lane]
    return total / count


@njit(cache=True, nogil=True)
def random_server(state: OffloadState, lane: int, cloud_probability: float) -> int:
    """Draws a server: the cloud with the given probability, otherwise a uniform edge server."""
    servers = state.size[lane, 0]
    if servers == 1 or next_uniform(state.generator, lane) < cloud_probability:
        return 0
    return next_integer(state.generator, lane, 1, servers - 1)


@njit(cache=True, nogil=True)
def copy_lane(source: OffloadState, lane: int, target: OffloadState, to: int) -> None:
    """Copies everything of a lane but its generator."""
    target.size[to] = source.size[lane]
    target.system[to] = source.system[lane]
    target.weights[to] = source.weights[lane]
    target.hertz[to] = source.hertz[lane]
    target.rate[to] = source.rate[lane]
    target.arrival[to] = source.arrival[lane]
    target.dispatch[to] = source.dispatch[lane]
    target.bits[to] = source.bits[lane]
    target.user[to] = source.user[lane]
    target.deadline[to] = source.deadline[lane]
    target.next_task[to] = source.next_task[lane]
    target.clock[to] = source.clock[lane]
    target.server[to] = source.server[lane]
    target.uploaded[to] = source.uploaded[lane]
    target.completed[to] = source.completed[lane]
    target.progress[to] = source.progress[lane]
    target.mark[to] = source.mark[lane]
    target.running[to] = source.running[lane]
    target.running_count[to] = source.running_count[lane]
    target.uploading[to] = source.uploading[lane]
    target.uploading_count[to] = source.uploading_count[lane]
    target.cost[to] = source.cost[lane]
    target.extra[to] = source.extra[lane]
    target.own_delay[to] = source.own_delay[lane]
    target.least[to] = source.least[lane]
    target.floor[to] = source.floor[lane]


@njit(cache=True, nogil=True)
def look_ahead_values(
    truth_handle: Handle[OffloadState],
    paper_handle: Handle[OffloadState],
    futures: int,
    depth: int,
    out: NDArray[np.float64],
) -> None:
    """Writes ``(L, S)`` mean weighted costs of every choice of server, going on greedily over drawn futures.

    Args:
        truth_handle: The state.
        paper_handle: Two lanes to work on.
        futures: Number of futures, the same for all choices of a lane.
        depth: Further tasks of each.
        out: ``(L, S)`` the values; those of lanes that have no task to dispatch stand.
    """
    truth, paper = truth_handle.arrays, paper_handle.arrays
    for lane in range(out.shape[0]):
        task = truth.next_task[lane]
        if task >= truth.size[lane, 1]:
            continue
        paper.generator[0] = truth.generator[lane] ^ (np.uint64(task + 1) * _STRIDE)
        for s in range(truth.size[lane, 0]):
            out[lane, s] = 0.0
        for _ in range(futures):
            copy_lane(truth, lane, paper, 0)
            draw_arrivals(paper, 0, truth.dispatch[lane, task] + 1, task + 1)
            paper.size[0, 1] = min(paper.size[0, 1], task + 1 + depth)
            for s in range(truth.size[lane, 0]):
                copy_lane(paper, 0, paper, 1)
                dispatch(paper, 1, s)
                while paper.next_task[1] < paper.size[1, 1]:
                    dispatch(paper, 1, greedy_server(paper, 1))
                out[lane, s] += weigh(paper, 1, paper.cost[1]) / futures


_STRIDE = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def plan_costs(handle: Handle[OffloadState], lanes: int, plan: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean costs over the first lanes, if the task of each step goes where ``plan`` says for the step."""
    state = handle.arrays
    total = np.zeros(state.cost.shape[1])
    for lane in range(lanes):
        begin_lane(state, lane)
        while state.next_task[lane] < state.size[lane, 1]:
            dispatch(state, lane, plan[state.dispatch[lane, state.next_task[lane]]])
        total += state.cost[lane]
    return total / lanes
