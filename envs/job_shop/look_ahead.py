"""Values of candidates by roll-outs: the makespan that follows on a choice if a randomised rule goes on from there.

Bertsekas, Tsitsiklis and Wu, "Rollout algorithms for combinatorial optimization", Journal of Heuristics 3, 1997. The
rule that goes on is non-delay dispatching by processing time over squared remaining work, times noise; averaging over
several noises gives values that say more about the choice than about the one schedule that happens to follow on it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle
from envs.core.problem import Floats
from envs.core.random import stream_uniform
from envs.job_shop.dynamics import JobShopState, state_handle

FUTURES, NOISE = 16, 0.2
"""Roll-outs that `look_ahead` makes of every candidate, and the standard deviation of the logarithm of their noise."""


class Paper(NamedTuple):
    """Where roll-outs are worked out.

    Attributes:
        next_op: ``(J,)`` index of each job's next operation.
        ready: ``(J,)`` completion of its last one.
        remaining: ``(J,)`` its remaining work.
        free: ``(M,)`` completion of the last operation on each machine.
        noise: ``(F, J, K)`` factor on the priority of each operation in each future.
    """

    next_op: NDArray[np.int64]
    ready: NDArray[np.int64]
    remaining: NDArray[np.int64]
    free: NDArray[np.int64]
    noise: Floats


def look_ahead(state: JobShopState) -> Floats:
    """Returns the ``(lanes, actions)`` mean makespans; infinite for what is not legal and for waiting.

    An action without an alternative is not rolled out: its value is the bound.
    """
    out = np.full(state.mask.shape, np.inf)
    _, jobs, operations = state.time.shape
    integers = (np.zeros(size, np.int64) for size in (jobs, jobs, jobs, state.machine_free.shape[1]))
    _values(state_handle(state), Paper(*integers, np.ones((FUTURES, jobs, operations))), NOISE, out)
    return out


@njit(cache=True, nogil=True)
def _values(handle: Handle[JobShopState], paper: Paper, noise: float, out: Floats) -> None:
    state = handle.arrays
    futures = paper.noise.shape[0]
    for lane in range(out.shape[0]):
        if state.mask[lane].sum() < 2:
            for action in range(out.shape[1]):
                out[lane, action] = state.bound[lane] if state.mask[lane, action] else np.inf
            continue
        _draw_noise(state, lane, paper, noise)
        for job in range(state.size[lane, 0]):
            if not state.mask[lane, job]:
                continue
            total = 0.0
            for future in range(futures):
                _choose(state, lane, paper, job)
                total += _finish(state, lane, paper, future)
            out[lane, job] = total / futures


@njit(cache=True, nogil=True)
def _draw_noise(state: JobShopState, lane: int, paper: Paper, noise: float) -> None:
    """Draws the noise of all futures, which all candidates share; it follows from the lane's generator and progress."""
    width = noise * np.sqrt(12.0)
    for future in range(paper.noise.shape[0]):
        counter = 0
        for j in range(state.size[lane, 0]):
            for k in range(state.next_op[lane, j], state.size[lane, 1]):
                uniform = stream_uniform(state.generator[lane], state.scheduled[lane] * 4096 + future, counter)
                paper.noise[future, j, k] = np.exp(width * (uniform - 0.5))
                counter += 1


@njit(cache=True, nogil=True)
def _choose(state: JobShopState, lane: int, paper: Paper, job: int) -> None:
    """Puts the lane onto paper, with the job's next operation scheduled."""
    for j in range(state.size[lane, 0]):
        paper.next_op[j] = state.next_op[lane, j]
        paper.ready[j] = max(state.job_ready[lane, j], state.floor[lane])
        paper.remaining[j] = state.job_remaining[lane, j]
    for m in range(state.size[lane, 2]):
        paper.free[m] = state.machine_free[lane, m]
    machine = state.job_machine[lane, job]
    end = state.job_start[lane, job] + state.job_time[lane, job]
    paper.next_op[job] += 1
    paper.ready[job] = end
    paper.remaining[job] -= state.job_time[lane, job]
    paper.free[machine] = max(paper.free[machine], end)


@njit(cache=True, nogil=True)
def _finish(state: JobShopState, lane: int, paper: Paper, future: int) -> int:
    """Completes the schedule on paper and returns its makespan."""
    jobs, operations = state.size[lane, 0], state.size[lane, 1]
    makespan = np.int64(0)
    for j in range(jobs):
        makespan = max(makespan, paper.ready[j])
    for _ in range(state.total[lane] - state.scheduled[lane] - 1):
        first, chosen, least = np.int64(2**62), -1, np.inf
        for j in range(jobs):
            k = paper.next_op[j]
            if k == operations:
                continue
            start = max(paper.ready[j], paper.free[state.machine[lane, j, k]])
            if start > first:
                continue
            remaining = max(paper.remaining[j], 1)
            priority = state.time[lane, j, k] * paper.noise[future, j, k] / (remaining * remaining)
            if start < first or priority < least:
                first, chosen, least = start, j, priority
        k = paper.next_op[chosen]
        end = first + state.time[lane, chosen, k]
        paper.ready[chosen] = end
        paper.free[state.machine[lane, chosen, k]] = end
        paper.remaining[chosen] -= state.time[lane, chosen, k]
        paper.next_op[chosen] = k + 1
        makespan = max(makespan, end)
    return int(makespan)
