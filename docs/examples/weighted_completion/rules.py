"""Dispatching rules of the field, by their usual names, and the optimal sequence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.core import Rule, SolverResult
from envs.weighted_completion.dynamics import State
from envs.weighted_completion.instance import Sequence, WeightedCompletionInstance

SMITH = 'Smith, "Various optimizers for single-stage production", Naval Research Logistics Quarterly 3, 1956'


def shortest_time(state: State) -> NDArray[np.float64]:
    """Processing time."""
    return state.times.astype(np.float64)


def weighted_shortest_time(state: State) -> NDArray[np.float64]:
    """Processing time over weight; optimal for this problem."""
    return np.asarray(state.times / np.maximum(state.weights, 1))


RULES = {
    "spt": Rule("spt", shortest_time, SMITH),
    "wspt": Rule("wspt", weighted_shortest_time, SMITH),
}


class Smith:
    """Sorts the jobs by time over weight, which is optimal."""

    def __call__(self, instance: WeightedCompletionInstance, /, *, seed: int = 0) -> SolverResult:
        """Returns the optimal sequence; there is nothing random in it."""
        times, weights = np.array(instance.times), np.array(instance.weights)
        order = np.argsort(times / weights, kind="stable")
        completions = np.empty(len(times), np.int64)
        completions[order] = np.cumsum(times[order])
        objective = float(weights @ completions)
        return SolverResult(Sequence(completions), objective, objective, "optimal")
