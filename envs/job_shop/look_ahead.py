"""Rules that value candidates by roll-outs.

`pilot` takes the best of several rules' roll-outs, and with it keeps to the best schedule in sight as long as there is
none better. `look_ahead` averages roll-outs with noise, so that a value says more about the choice than about the one
schedule that happens to follow on it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.core.handle import Handle
from envs.core.problem import Floats
from envs.core.random import stream_uniform
from envs.job_shop.dynamics import JobShopState, state_handle
from envs.job_shop.roll_outs import RULES, Paper, paper_for, roll_out, write_priorities
from envs.job_shop.types import JobShopInstance, Schedule

RULE, FUTURES, NOISE = "spt_mwkr_squared", 16, 0.2
"""Rule that goes on, roll-outs of every candidate, and the standard deviation of the logarithm of the noise on its
priorities."""


def look_ahead(state: JobShopState) -> Floats:
    """Returns the ``(lanes, actions)`` mean makespans; infinite for what is not legal and for waiting.

    An action without an alternative is not rolled out: its value is the bound.
    """
    out = np.full(state.mask.shape, np.inf)
    _values(state_handle(state), RULES.index(RULE), FUTURES, NOISE, out)
    return out


def pilot(state: JobShopState) -> Floats:
    """Returns the ``(lanes, actions)`` least makespans over `RULES`, ties in favour of the least mean.

    Infinite for what is not legal and for waiting; an action without an alternative is worth the bound.
    """
    out = np.full(state.mask.shape, np.inf)
    _best(state_handle(state), out)
    return out


def pilot_schedule(instance: JobShopInstance) -> Schedule:
    """Returns the schedule that `pilot` builds in the active builder."""
    from envs.job_shop.env import JobShop, JobShopConfig, fit

    problem = JobShop(JobShopConfig(builder="active", **fit([instance])))
    state = problem.allocate(1)
    problem.load(state, 0, instance)
    while not problem.finished(state)[0]:
        problem.step_to_choice(state, pilot(state).argmin(axis=1), np.ones(1, np.bool_))
    return problem.solution(state, 0)


_TIE = 1e-4
"""Weight of the mean over the rules beside their minimum."""


@njit(cache=True, nogil=True)
def _best(handle: Handle[JobShopState], out: Floats) -> None:
    state = handle.arrays
    rules = len(RULES)
    paper = paper_for(state, rules)
    for lane in range(out.shape[0]):
        choice = state.mask[lane].sum() > 1
        if choice:
            for rule in range(rules):
                write_priorities(state, lane, rule, paper, rule)
            roll_out(state, lane, paper)
        for action in range(out.shape[1]):
            if state.mask[lane, action] and not choice:
                out[lane, action] = state.bound[lane]
            elif state.mask[lane, action] and action < paper.makespan.shape[1]:
                values = paper.makespan[:, action]
                out[lane, action] = values.min() + _TIE * values.mean()


@njit(cache=True, nogil=True)
def _values(handle: Handle[JobShopState], rule: int, futures: int, noise: float, out: Floats) -> None:
    state = handle.arrays
    paper = paper_for(state, futures)
    for lane in range(out.shape[0]):
        choice = state.mask[lane].sum() > 1
        if choice:
            for future in range(futures):
                write_priorities(state, lane, rule, paper, future)
                _add_noise(state, lane, paper, future, noise)
            roll_out(state, lane, paper)
        for action in range(out.shape[1]):
            if state.mask[lane, action] and not choice:
                out[lane, action] = state.bound[lane]
            elif state.mask[lane, action] and action < paper.makespan.shape[1]:
                out[lane, action] = paper.makespan[:, action].mean()


@njit(cache=True, nogil=True)
def _add_noise(state: JobShopState, lane: int, paper: Paper, future: int, noise: float) -> None:
    """Multiplies the priorities by noise that follows from the lane's generator and progress."""
    width = noise * np.sqrt(12.0)
    counter = 0
    for j in range(state.size[lane, 0]):
        for k in range(state.next_op[lane, j], state.size[lane, 1]):
            uniform = stream_uniform(state.generator[lane], state.scheduled[lane] * 4096 + future, counter)
            paper.priority[future, j, k] *= np.exp(width * (uniform - 0.5))
            counter += 1
