"""Constructive heuristics that look at the whole instance: insertion (INSA) and the shifting bottleneck."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.problem import Solver, SolverResult
from envs.job_shop.disjunctive import delays, heads, tails, topological_order
from envs.job_shop.one_machine import solve_one_machine
from envs.job_shop.types import JobShopInstance, Schedule

Ints = NDArray[np.int64]

_EMPTY: Ints = np.empty(0, np.int64)


def insa() -> Solver:
    """Returns the insertion algorithm INSA, a deterministic heuristic (the seed has no effect).

    The job of largest total time is sequenced first. Every other operation, in order of decreasing time, is inserted
    into the sequence of its machine where the longest path through it comes out shortest, among the places that make
    no cycle.

    Source: E. Nowicki, C. Smutnicki, "A fast taboo search algorithm for the job shop problem", Management Science 42
    (1996) 797-813, section 5.
    """
    return _Insa()


def shifting_bottleneck(*, cycles: int = 3, node_limit: int = 2000) -> Solver:
    """Returns the shifting bottleneck procedure, a deterministic heuristic (the seed has no effect).

    One machine after another is sequenced, each time the one whose one-machine problem (heads and tails from the
    longest paths of the machines sequenced so far, delayed precedences where a path leads from one of its operations
    to another) has the largest optimum. After each, the machines sequenced so far are solved again in turn, the
    others held fixed; after the last one, until nothing improves.

    Sources: J. Adams, E. Balas, D. Zawack, "The shifting bottleneck procedure for job shop scheduling", Management
    Science 34 (1988) 391-401; delayed precedences as in Balas, Lenstra and Vazacopoulos (see `one_machine`).

    Args:
        cycles: Rounds of re-optimisation after each machine but the last; 0 leaves them out.
        node_limit: Nodes of branch and bound for each one-machine problem; nearly all are solved well before 2000.

    Returns:
        A solver; its bound is the largest lower bound of a single machine.

    Raises:
        UsageError: An option is out of range.
    """
    if cycles < 0:
        raise UsageError(f"shifting_bottleneck: cycles is {cycles}; expected 0 or more")
    if node_limit < 1:
        raise UsageError(f"shifting_bottleneck: node_limit is {node_limit}; expected 1 or more")
    return _ShiftingBottleneck(cycles, node_limit)


@dataclass(frozen=True)
class _Insa:
    def __call__(self, instance: JobShopInstance, /, *, seed: int = 0) -> SolverResult:
        del seed
        times = instance.times.ravel().astype(np.int64)
        first = int(instance.times.sum(axis=1, dtype=np.int64).argmax())
        by_time = np.argsort(-times, kind="stable")
        ranks = np.concatenate([by_time[by_time // instance.num_operations == first], by_time])
        _, unique = np.unique(ranks, return_index=True)
        insertions = ranks[np.sort(unique)].astype(np.int64)
        starts = _insert_all(
            times,
            instance.machines.ravel().astype(np.int64),
            instance.num_operations,
            instance.num_machines,
            insertions,
        )
        return _result(instance, starts, None)


@dataclass(frozen=True)
class _ShiftingBottleneck:
    cycles: int
    node_limit: int

    def __call__(self, instance: JobShopInstance, /, *, seed: int = 0) -> SolverResult:
        del seed
        machines = _PartialSequences(instance, self.node_limit)
        open_machines = [machine for machine, nodes in enumerate(machines.nodes) if nodes.size]
        sequenced: list[int] = []
        bound = 0
        while open_machines:
            solved = {machine: machines.solve(machine) for machine in open_machines}
            if not sequenced:
                bound = max(one.bound for one in solved.values())
            bottleneck = max(open_machines, key=lambda machine: solved[machine].value)
            open_machines.remove(bottleneck)
            machines.set_sequence(bottleneck, solved[bottleneck].sequence)
            sequenced.append(bottleneck)
            machines.reoptimise(sequenced, self.cycles if open_machines else None)
        return _result(instance, machines.heads(), float(max(bound, instance.lower_bound)))


@dataclass(frozen=True)
class _OneMachine:
    """A solved one-machine problem: the operations in order, the longest path through them, and its lower bound."""

    sequence: Ints
    value: int
    bound: int


class _PartialSequences:
    """A job shop in which some machines are sequenced."""

    def __init__(self, instance: JobShopInstance, node_limit: int) -> None:
        self._times = instance.times.ravel().astype(np.int64)
        self._operations = instance.num_operations
        self._previous = np.full(self._times.size, -1, np.int64)
        self._following = np.full(self._times.size, -1, np.int64)
        self._sequences: dict[int, Ints] = {}
        self._node_limit = node_limit
        machine_of = instance.machines.ravel()
        self.nodes = [np.flatnonzero(machine_of == machine) for machine in range(instance.num_machines)]

    def heads(self) -> Ints:
        """Returns the ``(n,)`` earliest starts of all operations."""
        order = topological_order(self._operations, self._previous, self._following)
        return heads(order, self._times, self._operations, self._previous)

    def set_sequence(self, machine: int, sequence: Ints) -> None:
        """Sequences a machine, anew if it was sequenced."""
        self._release(machine)
        self._previous[sequence[1:]] = sequence[:-1]
        self._following[sequence[:-1]] = sequence[1:]
        self._sequences[machine] = sequence

    def solve(self, machine: int) -> _OneMachine:
        """Solves the problem of a machine that is not sequenced, or of one that was just released."""
        nodes = self.nodes[machine]
        order = topological_order(self._operations, self._previous, self._following)
        head = heads(order, self._times, self._operations, self._previous)
        tail = tails(order, self._times, self._operations, self._following)
        delay = delays(order, self._times, self._operations, self._previous, nodes)
        incumbent = _EMPTY
        if machine in self._sequences:
            incumbent = np.searchsorted(nodes, self._sequences[machine])
        sequence, value, bound = solve_one_machine(
            head[nodes], self._times[nodes], tail[nodes], delay, incumbent, self._node_limit
        )
        return _OneMachine(nodes[sequence], int(value), int(bound))

    def reoptimise(self, sequenced: list[int], cycles: int | None) -> None:
        """Solves each sequenced machine again, the others held fixed, until nothing improves or ``cycles`` are done.

        Args:
            sequenced: The sequenced machines; the first cycle takes them in this order, later ones by decreasing
                value in the cycle before.
            cycles: Most cycles; None for no limit.
        """
        turn = list(sequenced)
        makespan = self._makespan()
        done = 0
        while cycles is None or done < cycles:
            values: dict[int, int] = {}
            for machine in turn:
                self._release(machine)
                solved = self.solve(machine)
                self.set_sequence(machine, solved.sequence)
                values[machine] = solved.value
            done += 1
            improved = self._makespan()
            if improved >= makespan:
                return
            makespan = improved
            turn.sort(key=lambda machine: -values[machine])

    def _release(self, machine: int) -> None:
        self._previous[self.nodes[machine]] = -1
        self._following[self.nodes[machine]] = -1

    def _makespan(self) -> int:
        return int((self.heads() + self._times).max())


def _result(instance: JobShopInstance, starts: Ints, bound: float | None) -> SolverResult:
    makespan = float((starts + instance.times.ravel()).max())
    return SolverResult(Schedule(starts.reshape(instance.times.shape)), makespan, bound, "heuristic")


@numba.njit(cache=True)
def _related(order: Ints, operations: int, previous: Ints, following: Ints, node: int) -> tuple[Ints, Ints]:
    """Marks with 1 the operations from which a path leads to ``node``, and those to which one leads from it."""
    ancestor = np.zeros(order.size, np.int64)
    descendant = np.zeros(order.size, np.int64)
    ancestor[node] = 1
    descendant[node] = 1
    for index in range(order.size):
        before = order[index]
        after = order[order.size - 1 - index]
        if descendant[before]:
            if before % operations < operations - 1:
                descendant[before + 1] = 1
            if following[before] >= 0:
                descendant[following[before]] = 1
        if ancestor[after]:
            if after % operations > 0:
                ancestor[after - 1] = 1
            if previous[after] >= 0:
                ancestor[previous[after]] = 1
    return ancestor, descendant


@numba.njit(cache=True)
def _best_place(
    node: int, first: int, times: Ints, operations: int, previous: Ints, following: Ints
) -> tuple[int, int]:
    """Returns the neighbours (-1: none) between which ``node`` lies on the shortest longest path.

    Args:
        node: Operation to insert.
        first: First operation on its machine so far, or -1.
        times: ``(n,)`` processing times.
        operations: Operations per job.
        previous: ``(n,)`` operation before each on its machine, or -1.
        following: ``(n,)`` operation after each on its machine, or -1.
    """
    order = topological_order(operations, previous, following)
    head = heads(order, times, operations, previous)
    tail = tails(order, times, operations, following)
    ancestor, descendant = _related(order, operations, previous, following, node)
    best = np.iinfo(np.int64).max
    place = (-1, -1)
    left = -1
    right = first
    while True:
        if right < 0 or not ancestor[right]:
            begin = head[node] if left < 0 else max(head[node], head[left] + times[left])
            rest = tail[node] if right < 0 else max(tail[node], tail[right] + times[right])
            if begin + times[node] + rest < best:
                best = begin + times[node] + rest
                place = (left, right)
        if right < 0 or descendant[right]:
            return place
        left = right
        right = following[left]


@numba.njit(cache=True)
def _insert_all(times: Ints, machines: Ints, operations: int, num_machines: int, insertions: Ints) -> Ints:
    """Inserts the operations in the given order; returns their ``(n,)`` earliest starts."""
    previous = np.full(times.size, -1, np.int64)
    following = np.full(times.size, -1, np.int64)
    first = np.full(num_machines, -1, np.int64)
    for node in insertions:
        machine = machines[node]
        left, right = _best_place(node, first[machine], times, operations, previous, following)
        previous[node] = left
        following[node] = right
        if left >= 0:
            following[left] = node
        else:
            first[machine] = node
        if right >= 0:
            previous[right] = node
    order = topological_order(operations, previous, following)
    return heads(order, times, operations, previous)
