"""A problem of a few lines in which time passes and the environment itself draws: throw a die or wait two units.

Every throw takes the number of eyes, 1 to 6, that the lane's generator gives; with a fair instance every throw takes 3.
The objective is the time of the last decision, which is also the simulated time.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from envs.core import Feature, GraphSpec, NodeType, Problem, ProblemDefinition, Rule

THROW, WAIT = 0, 1


@dataclass(frozen=True)
class DiceInstance:
    """So many decisions; ``loaded`` instances have dice that always show 3."""

    name: str
    decisions: int
    loaded: bool = False


@dataclass(frozen=True)
class DiceConfig:
    """Most decisions of an episode; drawn instances have exactly so many."""

    max_decisions: int = 4
    illegal_action_penalty: float = 0.0


class DiceState(NamedTuple):
    """The dice of an episode are thrown when it begins, so that every policy meets the same."""

    generator: np.ndarray
    eyes: np.ndarray
    decisions: np.ndarray
    loaded: np.ndarray
    times: np.ndarray
    done: np.ndarray


class Dice(Problem):
    """The binding."""

    def __init__(self, config):
        self.most = config.max_decisions
        features = (Feature("done"), Feature("left"))
        self.spec = GraphSpec((NodeType("move", 2, dynamic=features),), (), ("move",))
        self.illegal_action_penalty = config.illegal_action_penalty

    def allocate(self, lanes):
        whole = np.zeros((lanes, self.most))
        ints = np.zeros(lanes, np.int64)
        return DiceState(
            np.zeros(lanes, np.uint64), whole, ints, np.zeros(lanes, bool), whole.copy(), np.zeros(lanes, np.int64)
        )

    def draw(self, state, lanes):
        for lane in lanes:
            self.load(state, int(lane), DiceInstance("drawn", self.most))

    def load(self, state, lane, instance):
        rng = np.random.default_rng(int(state.generator[lane]))
        state.generator[lane] = rng.integers(2**63)
        state.eyes[lane] = 3 if instance.loaded else rng.integers(1, 7, self.most)
        state.decisions[lane], state.loaded[lane] = instance.decisions, instance.loaded
        state.times[lane], state.done[lane] = 0, 0

    def step(self, state, actions, active):
        legal = active & (actions >= 0) & (actions < 2) & ~self.finished(state)
        for lane in np.flatnonzero(legal):
            at = state.done[lane]
            state.times[lane, at] = state.eyes[lane, at] if actions[lane] == THROW else 2
            state.done[lane] += 1
        return active & ~legal

    def observe(self, state, lanes, out, *, static):
        out["move_dynamic"][:, :, 0] = state.done[lanes, None]
        out["move_dynamic"][:, :, 1] = (state.decisions - state.done)[lanes, None]
        out["action_mask"][...] = ~self.finished(state)[lanes, None]
        out["counts"][...] = 2

    def finished(self, state):
        return state.done == state.decisions

    def objective(self, state):
        return state.times.sum(axis=1)

    def clock(self, state):
        return state.times.sum(axis=1)

    def reward_unit(self, state):
        return np.ones(len(state.done))

    def instance(self, state, lane):
        return DiceInstance("drawn", int(state.decisions[lane]), bool(state.loaded[lane]))

    def solution(self, state, lane):
        return tuple(state.times[lane, : state.done[lane]].tolist())

    def render(self, state, lane, mode):
        return str(self.solution(state, lane))


def _alternate(state):
    """Throws first, then waits, and so on."""
    odd = (state.done % 2).astype(float)
    return np.stack([odd, 1 - odd], axis=1)


DICE = ProblemDefinition(
    name="dice",
    env_id="dispatchlab/Dice-v0",
    config=DiceConfig,
    make=Dice,
    fit=lambda instances: {"max_decisions": max(instance.decisions for instance in instances)},
    verify=lambda instance, times: sum(times),
    read_instance=lambda path: DiceInstance(path.stem, 4),
    solution_to_json=lambda instance, times: list(times),
    solution_to_rows=lambda instance, times: [{"time": time} for time in times],
    rules=MappingProxyType(
        {
            "throw": Rule("throw", lambda state: np.tile([0.0, 1.0], (len(state.done), 1)), "none"),
            "alternate": Rule("alternate", _alternate, "none"),
        }
    ),
    solvers=MappingProxyType({}),
    benchmarks=MappingProxyType({}),
    variants=({},),
    objective_name="time",
    objective_unit="s",
    chart_html=lambda instance, times: "<p>dice</p>",
    metrics=lambda instance, times: {"longest": max(times), "waits": float(sum(time == 2 for time in times))},
    stochastic=lambda instance: not instance.loaded,
)
"""The catalogue entry; it is not registered."""
