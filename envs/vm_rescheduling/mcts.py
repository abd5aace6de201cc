"""Monte-Carlo tree search over migrations, with the exact simulator."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.problem import Solver, SolverResult
from envs.vm_rescheduling.dynamics import TINY, best_gain, fits, gain_of_move, gains_add_up, objectives, step
from envs.vm_rescheduling.execution import start
from envs.vm_rescheduling.lookahead import best_migrations
from envs.vm_rescheduling.state import VmState
from envs.vm_rescheduling.types import VmInstance, plan

Move = tuple[int, int]


def mcts(
    *, time_limit: float = 5.0, iterations: int | None = None, width: int = 12, exploration: float = 0.5
) -> Solver:
    """Returns a Monte-Carlo tree search: UCT (Kocsis and Szepesvári, ECML 2006) with progressive widening.

    A node of the tree is a placement, an edge a migration. A node visited n times has up to ``1 + sqrt(n)`` children,
    at most ``width``, in the order of `envs.vm_rescheduling.lookahead.best_migrations`: by what they gain and how they
    gather the free cores that are left, so that migrations without a gain come after those with one. A new child is
    played to the end by the migration that gains most, until none gains. The reward is the decrease of the objective
    as a share of the largest one found so far. The result is the best episode seen.

    Args:
        time_limit: Seconds of wall-clock time.
        iterations: Most episodes; None for as many as the time allows. Results are the same again only if these, and
            not the time, end the search.
        width: Most children of a node.
        exploration: Weight of the exploration term.

    Raises:
        UsageError: An option is out of range.
    """
    if not time_limit > 0:
        raise UsageError(f"mcts: time_limit is {time_limit:g}; expected more than 0")
    if iterations is not None and iterations < 1:
        raise UsageError(f"mcts: iterations is {iterations}; expected 1 or more")
    if width < 1:
        raise UsageError(f"mcts: width is {width}; expected 1 or more")
    if not 0 <= exploration < math.inf:
        raise UsageError(f"mcts: exploration is {exploration:g}; expected 0 or more")
    return _Mcts(float(time_limit), iterations, width, float(exploration))


@dataclass
class _Node:
    """A placement: its migrations not tried yet, the best last, and its children."""

    untried: list[Move]
    children: dict[Move, _Node] = field(default_factory=dict)
    visits: int = 0
    total: float = 0.0


@dataclass(frozen=True)
class _Mcts:
    time_limit: float
    iterations: int | None
    width: int
    exploration: float

    def __call__(self, instance: VmInstance, /, *, seed: int = 0) -> SolverResult:
        deadline = time.perf_counter() + self.time_limit
        rng = np.random.default_rng(seed)
        first = start(instance)
        state = VmState._make(array.copy() for array in first)
        initial = best = _objective(first)
        moves: list[Move] = []
        root = self._node(state, rng)
        done = 0
        while self.iterations is None or done < self.iterations:
            if done and time.perf_counter() > deadline:
                break
            for array, origin in zip(state, first, strict=True):
                array[:] = origin
            path = self._descend(root, state, initial - best, rng)
            reached = _objective(state)
            if instance.objective.goal is None or reached > instance.migration_limit:
                _play(state)
                reached = _objective(state)
            if reached < best - TINY:
                best = reached
                played = state.move[0, : state.episode[0]["migrations"]]
                moves = list(zip(played["vm"].tolist(), played["numa"].tolist(), strict=True))
            for node in path:
                node.visits += 1
                node.total += initial - reached
            done += 1
        return SolverResult(plan(moves), best, None, "heuristic")

    def _node(self, state: VmState, rng: np.random.Generator) -> _Node:
        episode = state.episode[0]
        if episode["migrations"] >= episode["limit"]:
            return _Node([])
        vms, places, scores, _ = best_migrations(state, 0, self.width, int(rng.integers(1 << 30)))
        return _Node([(int(vms[i]), int(places[i])) for i in np.argsort(scores, kind="stable")])

    def _descend(self, root: _Node, state: VmState, span: float, rng: np.random.Generator) -> list[_Node]:
        """Goes down the tree to a new node, in ``state`` too; returns the nodes on the way."""
        path = [root]
        while True:
            node = path[-1]
            if node.untried and len(node.children) < 1 + math.sqrt(node.visits):
                move = node.untried.pop()
                _migrate(state, *move)
                node.children[move] = self._node(state, rng)
                return [*path, node.children[move]]
            if not node.children:
                return path
            move = max(node.children, key=lambda move: self._worth(node, node.children[move], span))
            _migrate(state, *move)
            path.append(node.children[move])

    def _worth(self, node: _Node, child: _Node, span: float) -> float:
        mean = child.total / child.visits / max(span, TINY)
        return mean + self.exploration * math.sqrt(math.log(node.visits) / child.visits)


def _objective(state: VmState) -> float:
    value: NDArray[np.float64] = np.empty(1)
    objectives(state, value)
    return float(value[0])


@njit(cache=True, nogil=True)
def _migrate(state: VmState, v: int, place: int) -> None:
    active, refused = np.ones(1, np.bool_), np.empty(1, np.bool_)
    step(state, np.array([v]), active, refused)
    step(state, np.array([state.vm.shape[1] + 1 + place]), active, refused)


@njit(cache=True, nogil=True)
def _play(state: VmState) -> None:
    """Carries out the migration that gains most until none gains, or the goal or the limit is reached."""
    episode, value = state.episode[0], np.empty(1)
    while episode.migrations < episode.limit:
        objectives(state, value)
        if episode.goal >= 0 and value[0] <= episode.limit:
            return
        picked, most = -1, TINY
        for v in range(episode.vms):
            gain = best_gain(state, 0, v) if state.mask[0, v] else -np.inf
            if gain > most:
                picked, most = v, gain
        if picked < 0:
            return
        _migrate(state, picked, _best_place(state, picked))


@njit(cache=True, nogil=True)
def _best_place(state: VmState, v: int) -> int:
    place, most, add_up = -1, -np.inf, gains_add_up(state, 0)
    for n in range(state.episode[0].numas):
        if fits(state, 0, v, n):
            gain = state.gain[0, state.vm[0, v].type, n] if add_up else gain_of_move(state, 0, v, n)
            if gain > most:
                place, most = n, gain
    return place
