"""Simulated annealing over open-loop plans, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.handle import Handle
from envs.offload.dynamics import weigh
from envs.offload.simulation import plan_costs
from envs.offload.state import OffloadState


@njit(cache=True, nogil=True)
def anneal(
    handle: Handle[OffloadState],
    lanes: int,
    first: NDArray[np.int64],
    steps: NDArray[np.int64],
    servers: NDArray[np.int64],
    luck: NDArray[np.float64],
    temperature: float,
) -> NDArray[np.int64]:
    """Returns the best plan met.

    Args:
        handle: The state, whose first lanes hold the episodes that plans are judged on, of one preference.
        lanes: Their number.
        first: ``(horizon,)`` plan to begin with.
        steps: ``(proposals,)`` steps to change, in turn.
        servers: ``(proposals,)`` what to change them to.
        luck: ``(proposals,)`` uniform numbers that decide about worse plans.
        temperature: First temperature as a share of the first plan's cost; it falls to a thousandth of that.
    """
    plan = first.copy()
    best = plan.copy()
    cost = weigh(handle.arrays, 0, plan_costs(handle, lanes, plan))
    least = cost
    heat = temperature * cost
    cooling = 0.001 ** (1.0 / len(steps))
    for i in range(len(steps)):
        before = plan[steps[i]]
        if before != servers[i]:
            plan[steps[i]] = servers[i]
            new = weigh(handle.arrays, 0, plan_costs(handle, lanes, plan))
            if new <= cost or luck[i] < np.exp((cost - new) / heat):
                cost = new
                if cost < least:
                    least = cost
                    best[:] = plan
            else:
                plan[steps[i]] = before
        heat *= cooling
    return best
