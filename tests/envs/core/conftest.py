"""A problem of a few lines, so that the shells are tested without any real one."""

from typing import NamedTuple

import numpy as np
import pytest

from envs.core import Feature, GraphSpec, GraphVectorEnv, NodeType, Problem


class PileState(NamedTuple):
    """One pile of stones a lane."""

    generator: np.ndarray
    left: np.ndarray
    taken: np.ndarray


class Pile(Problem):
    """Take one, two or three stones a decision until none is left; the objective is the number of decisions."""

    def __init__(self, illegal_action_penalty=0.25):
        self.spec = GraphSpec((NodeType("take", 3, dynamic=(Feature("stones", "stone", 0, 9),)),), (), ("take",))
        self.illegal_action_penalty = illegal_action_penalty

    def allocate(self, lanes):
        return PileState(np.zeros(lanes, np.uint64), np.zeros(lanes, np.int64), np.zeros(lanes, np.int64))

    def draw(self, state, lanes):
        for lane in lanes:
            state.generator[lane] += np.uint64(1)
            self.load(state, int(lane), 4 + int(state.generator[lane] % np.uint64(6)))

    def load(self, state, lane, instance):
        state.left[lane], state.taken[lane] = instance, 0

    def step(self, state, actions, active):
        legal = (actions >= 0) & (actions < 3) & (actions < state.left) & active
        state.left[legal] -= actions[legal] + 1
        state.taken[legal] += 1
        return active & ~legal

    def observe(self, state, lanes, out, *, static):
        out["take_dynamic"][:, :, 0] = state.left[lanes, None]
        out["action_mask"][...] = np.arange(3) < state.left[lanes, None]
        out["counts"][...] = 3

    def finished(self, state):
        return state.left == 0

    def objective(self, state):
        return state.taken.astype(float)

    def reward_unit(self, state):
        return np.ones(len(state.left))

    def instance(self, state, lane):
        return int(state.left[lane])

    def solution(self, state, lane):
        return int(state.taken[lane])

    def render(self, state, lane, mode):
        return "o" * int(state.left[lane])


@pytest.fixture
def pile():
    """The problem."""
    return Pile()


@pytest.fixture
def make(pile):
    """Makes vector environments of it."""
    return lambda lanes=2, **arguments: GraphVectorEnv(pile, lanes, **arguments)
