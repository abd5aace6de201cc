"""Look-ahead over chains of migrations: a beam search in which moves that gain nothing yet may lead to ones that do."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.problem import Solver, SolverResult
from envs.vm_rescheduling.dynamics import PIECE, TINY, fits, objectives, step, weighted_sum
from envs.vm_rescheduling.execution import start
from envs.vm_rescheduling.state import VmState
from envs.vm_rescheduling.types import VmInstance, plan

_CLASSES = PIECE * PIECE
_GATHER = 0.3
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def lookahead(*, depth: int = 3, width: int = 24, time_limit: float = 60.0) -> Solver:
    """Returns a solver that looks ahead over chains of migrations whose moves gain only together.

    The plain local search stalls where no single migration gains. Here ``width`` placements are kept after every
    migration (beam search), and a placement stays as long as one of its last ``depth`` migrations has gained. Those
    with the smallest weighted sum are kept; in the unit of one more 16-core piece, up to 0.3 is added for gathering
    the free cores that are left: the sum of the squares of (free cores mod 16) / 16, since few large rests are sooner
    filled or cleared than many small ones. VMs of a type at places of equal rests are alike, so one of them is tried
    at the place where it gains most. Every migration is simulated, with what holds it up, arrivals and departures.

    Args:
        depth: Longest chain of migrations of which only the last gains.
        width: Placements kept after every migration.
        time_limit: Seconds of wall-clock time; the best plan by then counts.

    Raises:
        UsageError: An option is out of range.
    """
    for name, number in (("depth", depth), ("width", width)):
        if number < 1:
            raise UsageError(f"lookahead: {name} is {number}; expected 1 or more")
    if not time_limit > 0:
        raise UsageError(f"lookahead: time_limit is {time_limit:g}; expected more than 0")
    return _Lookahead(depth, width, float(time_limit))


@dataclass(frozen=True)
class _Lookahead:
    depth: int
    width: int
    time_limit: float

    def __call__(self, instance: VmInstance, /, *, seed: int = 0) -> SolverResult:
        deadline = time.perf_counter() + self.time_limit
        first = start(instance)
        lanes = 2 * self.width
        state = VmState._make(np.repeat(array, lanes, axis=0) for array in first)
        beam = _Beam(state, self.width, self.depth, np.random.default_rng(seed))
        while len(beam.lanes) and time.perf_counter() < deadline:
            beam.advance()
        return SolverResult(plan(beam.moves), beam.objective, None, "heuristic")


class _Beam:
    """The placements that are kept, in half of the lanes of ``state``; the next ones come into the other half."""

    def __init__(self, state: VmState, width: int, depth: int, rng: np.random.Generator) -> None:
        self.state, self.width, self.depth, self.rng = state, width, depth, rng
        self.lanes = np.zeros(1, np.int64)
        self.record = np.full(2 * width, weighted_sum(state, 0))
        self.idle = np.zeros(2 * width, np.int64)
        self.key = np.zeros(2 * width, np.uint64)
        self.half = 0
        self.moves: list[tuple[int, int]] = []
        self.objective = np.inf
        self._note(self.lanes)

    def _note(self, lanes: NDArray[np.int64]) -> None:
        values = np.empty(len(self.state.episode))
        objectives(self.state, values)
        lane = int(lanes[values[lanes].argmin()])
        if values[lane] < self.objective - TINY:
            self.objective = float(values[lane])
            moves = self.state.move[lane, : self.state.episode[lane]["migrations"]]
            self.moves = list(zip(moves["vm"].tolist(), moves["numa"].tolist(), strict=True))

    def advance(self) -> None:
        """Takes every placement that is kept one migration further."""
        state = self.state
        going = [lane for lane in self.lanes if state.episode[lane]["migrations"] < state.episode[lane]["limit"]]
        found = [best_migrations(state, int(lane), self.width, int(self.rng.integers(1 << 30))) for lane in going]
        if not sum(len(each[0]) for each in found):
            self.lanes = np.empty(0, np.int64)
            return
        parents = np.repeat(going, [len(each[0]) for each in found])
        vms, places, scores = (np.concatenate([each[i] for each in found]) for i in range(3))
        keys = np.concatenate([each[3] for each in found]) + self.key[parents]
        self.half = self.width - self.half
        kept: list[int] = []
        seen = set()
        for i in np.argsort(-scores, kind="stable"):
            if keys[i] in seen or len(kept) == self.width:
                continue
            seen.add(keys[i])
            lane, parent = self.half + len(kept), parents[i]
            if self._put(lane, parent, int(vms[i]), int(places[i])):
                self.key[lane] = keys[i]
                kept.append(lane)
        self.lanes = np.array(kept, np.int64)
        if kept:
            self._note(self.lanes)

    def _put(self, lane: int, parent: int, vm: int, place: int) -> bool:
        """Carries out a migration in a copy of a lane; returns False if its chain has become too long."""
        _copy_and_migrate(self.state, parent, lane, vm, place)
        reached = weighted_sum(self.state, lane)
        gained = reached < self.record[parent] - TINY
        self.record[lane] = min(reached, self.record[parent])
        self.idle[lane] = 0 if gained else self.idle[parent] + 1
        return bool(gained or self.idle[lane] < self.depth)


def _copy_and_migrate(state: VmState, parent: int, lane: int, vm: int, place: int) -> None:
    for array in state:
        array[lane] = array[parent]
    one = VmState._make(array[lane : lane + 1] for array in state)
    active, refused = np.ones(1, np.bool_), np.empty(1, np.bool_)
    step(one, np.array([vm]), active, refused)
    step(one, np.array([state.vm.shape[1] + 1 + place]), active, refused)


@njit(cache=True, nogil=True)
def _mix(number: np.uint64) -> np.uint64:
    """SplitMix64's mixer."""
    word = (number + np.uint64(1)) * _GOLDEN
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@njit(cache=True, nogil=True)
def _rest_class(state: VmState, lane: int, place: int, numas: int) -> int:
    rest = int(state.numa[lane, place].free_cores % PIECE)
    if numas == 2:
        rest = rest * PIECE + int(state.numa[lane, place + 1].free_cores % PIECE)
    return rest


@njit(cache=True, nogil=True)
def _gathered(state: VmState, lane: int, place: int, numas: int, cores: int) -> float:
    """The growth of the sum of squares of a place's rests if ``cores`` more were free at each of its nodes."""
    total = 0.0
    for n in range(place, place + numas):
        free = state.numa[lane, n].free_cores
        total += ((free + cores) % PIECE) ** 2 - (free % PIECE) ** 2
    return total / (PIECE * PIECE)


@njit(cache=True, nogil=True)
def _best_places(state: VmState, lane: int, shift: np.uint64) -> NDArray[np.int64]:
    """Returns for every type and class of rests the place that gains most, -1 for none; ties go by a hash."""
    episode = state.episode[lane]
    best = np.full((episode.types, _CLASSES), -1, np.int64)
    rank = np.zeros((episode.types, _CLASSES), np.uint64)
    for t in range(episode.types):
        numas = state.type[lane, t].numas
        for n in range(episode.numas):
            gain = state.gain[lane, t, n]
            if gain == -np.inf:
                continue
            rest, tie = _rest_class(state, lane, n, numas), _mix(np.uint64(n) + shift)
            old = best[t, rest]
            if (
                old < 0
                or gain > state.gain[lane, t, old] + TINY
                or (gain > state.gain[lane, t, old] - TINY and tie > rank[t, rest])
            ):
                best[t, rest], rank[t, rest] = n, tie
    return best


@njit(cache=True, nogil=True)
def _best_sources(state: VmState, lane: int, shift: np.uint64) -> NDArray[np.bool_]:
    """Returns the flags of VMs to try: of each type and class of rests the one whose leaving gains most."""
    episode = state.episode[lane]
    best = np.full((episode.types, _CLASSES), -1, np.int64)
    rank = np.zeros((episode.types, _CLASSES), np.uint64)
    chosen = np.zeros(episode.vms, np.bool_)
    for v in range(episode.vms):
        vm = state.vm[lane, v]
        if not state.mask[lane, v]:
            continue
        if vm.peer != v:
            chosen[v] = True
            continue
        rest, tie = _rest_class(state, lane, vm.host, vm.numas), _mix(np.uint64(v) + shift)
        old = best[vm.type, rest]
        if (
            old < 0
            or vm.leave > state.vm[lane, old].leave + TINY
            or (vm.leave > state.vm[lane, old].leave - TINY and tie > rank[vm.type, rest])
        ):
            if old >= 0:
                chosen[old] = False
            best[vm.type, rest], rank[vm.type, rest] = v, tie
            chosen[v] = True
    return chosen


@njit(cache=True, nogil=True)
def best_migrations(
    state: VmState, lane: int, count: int, salt: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.uint64]]:
    """Returns VM, place, score and change of key of the up to ``count`` best migrations, one for each kind of it.

    The score of a flip within a machine adds up gains too, which is not exact for ``fr64`` and ``occupied_hosts``; it
    only ranks, what is reached is simulated. The key is the sum of hashes of types at places; plans that lead to the
    same placement have the same.
    """
    episode = state.episode[lane]
    shift = np.uint64(salt) << np.uint64(20)
    places, sources = _best_places(state, lane, shift), _best_sources(state, lane, shift)
    vms, to = np.empty(count, np.int64), np.empty(count, np.int64)
    scores = np.full(count, -np.inf)
    so_far = (episode.first - weighted_sum(state, lane)) / episode.unit
    filled = 0
    for v in range(episode.vms):
        if not sources[v]:
            continue
        vm = state.vm[lane, v]
        cores = vm.cores // vm.numas
        base = so_far + vm.leave + _GATHER * _gathered(state, lane, vm.host, vm.numas, cores)
        for rest in range(PIECE if vm.numas == 1 else _CLASSES):
            n = places[vm.type, rest]
            if n < 0 or not fits(state, lane, v, n):
                continue
            score = base + state.gain[lane, vm.type, n] + _GATHER * _gathered(state, lane, n, vm.numas, -cores)
            if filled < count:
                slot = filled
                filled += 1
            else:
                slot = int(scores.argmin())
                if score <= scores[slot]:
                    continue
            vms[slot], to[slot], scores[slot] = v, n, score
    keys = np.empty(filled, np.uint64)
    for i in range(filled):
        vm = state.vm[lane, vms[i]]
        kind = np.uint64(vm.type) << np.uint64(32)
        keys[i] = _mix(kind + np.uint64(to[i])) - _mix(kind + np.uint64(vm.host))
    return vms[:filled], to[:filled], scores[:filled], keys
