"""Episodes side by side without those that are over: what collecting and replaying have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core import Observation, Problem

State = tuple[NDArray[Any], ...]


class Lanes:
    """Runs episodes from given states; forced decisions are left to the environment.

    Unlike a vector environment it observes the running lanes alone, side by side, so that networks spend nothing on
    episodes that are over.

    Attributes:
        state: The state of all lanes.
        running: Lanes whose episodes go on, ascending.

    Args:
        problem: The problem's binding to the protocol.
        start: States to begin with, one a row.
        rows: ``(lanes,)`` row that each lane begins with.
    """

    def __init__(self, problem: Problem[Any, Any, Any], start: State, rows: NDArray[np.int64]) -> None:
        """Copies the states."""
        self.problem = problem
        self.state = problem.allocate(len(rows))
        for array, saved in zip(self.state, start, strict=True):
            array[...] = saved[rows]
        self._active = np.ones(len(rows), np.bool_)
        self._actions = np.zeros(len(rows), np.int64)
        self.running = np.flatnonzero(~problem.finished(self.state))
        self._out = problem.spec.allocate(len(rows))

    def observe(self, lanes: NDArray[np.int64], *, static: bool = False) -> Observation:
        """Returns the observations of ``lanes`` side by side, in arrays that the next call overwrites."""
        out = {key: array[: len(lanes)] for key, array in self._out.items()}
        self.problem.observe(self.state, lanes, out, static=static)
        return out

    def step(self, actions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Takes one action in every running lane and returns which of them were refused; those are over."""
        lanes = self.running
        self._active[...] = False
        self._active[lanes] = True
        self._actions[lanes] = actions
        refused = self.problem.step_to_choice(self.state, self._actions, self._active)[lanes]
        self.running = lanes[~(self.problem.finished(self.state)[lanes] | refused)]
        return refused

    def move(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        """Copies the states of some lanes to others, all at once."""
        for array in self.state:
            array[targets] = array[sources]


def rows_of(state: Sequence[NDArray[Any]], rows: NDArray[np.int64]) -> State:
    """Copies some rows of a state."""
    return tuple(array[rows] for array in state)
