"""A placement that solvers change move by move: live capacity, classes of VMs, greedy improvement."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.vm_rescheduling.classes import VmClasses, linear_objective
from envs.vm_rescheduling.types import Floats


class ClassMove(NamedTuple):
    """A VM of a class goes from one place to another."""

    kind: int
    source: int
    target: int


class LivePlacement:
    """The placement at the start of an instance, and the moves made since.

    Attributes:
        classes: The classes of VMs.
        cores: ``(numas,)`` free cores; what is held for migrations under way is not free.
        memory: ``(numas,)`` free memory in MB.
        counts: ``(classes, numas)`` movable VMs.
        occupants: ``(machines,)`` VMs.
        members: Movable VMs by class and place.
        moves: ``(vm, numa)`` moves made.
    """

    def __init__(self, classes: VmClasses) -> None:
        """Takes up the placement at the start."""
        instance = classes.instance
        self.classes = classes
        self.machine = instance.machines.machine_of_numa
        self.cores, self.memory = instance.free_cores.copy(), instance.free_memory.copy()
        self.counts = classes.counts.copy()
        self.occupants = classes.occupants.copy()
        self.members = {place: list(here) for place, here in classes.members.items()}
        self.moves: list[tuple[int, int]] = []
        self._linear = linear_objective(instance)
        self._held: deque[tuple[int, int]] = deque()
        self._in_group = {group: self._group_counts(group) for group in set(classes.group.tolist()) if group >= 0}
        second = np.zeros(classes.numas, np.bool_)
        second[1:] = classes.is_first[:-1]
        step = np.where(classes.is_first, 1, np.where(second, -1, 0))
        self._partner = np.arange(classes.numas) + step
        self._alone = step == 0

    def _group_counts(self, group: int) -> NDArray[np.int64]:
        vms = self.classes.instance.vms
        hosts = vms.host[(vms.group == group) & (vms.host >= 0)]
        return np.bincount(self.machine[hosts], minlength=len(self.occupants))

    def legal(self, kind: int, source: int) -> NDArray[np.bool_]:
        """Returns the ``(numas,)`` places where a VM of a class at ``source`` may go now."""
        classes = self.classes
        legal: NDArray[np.bool_] = (self.cores >= classes.cores[kind]) & (self.memory >= classes.memory[kind])
        if classes.width[kind] == 2:
            legal &= legal[self._partner]
        legal &= classes.allowed[kind]
        legal[source] = False
        group = int(classes.group[kind])
        if group >= 0:
            others = self._in_group[group].copy()
            others[self.machine[source]] -= 1
            legal &= others[self.machine] == 0
        return legal

    def apply(self, move: ClassMove) -> None:
        """Carries out a move, which must be legal."""
        kind, source, target = move
        vm = self.members[kind, source].pop()
        self.members.setdefault((kind, target), []).append(vm)
        self.moves.append((vm, target))
        group = int(self.classes.group[kind])
        for place, sign in ((source, -1), (target, 1)):
            self.counts[kind, place] += sign
            self.occupants[self.machine[place]] += sign
            if group >= 0:
                self._in_group[group][self.machine[place]] += sign
        self._take(kind, target, 1)
        self._held.append((kind, source))
        self._release(self.classes.instance.in_flight)

    def settle(self) -> None:
        """Gives back everything that is held."""
        self._release(0)

    def _release(self, keep: int) -> None:
        while len(self._held) > keep:
            self._take(*self._held.popleft(), -1)

    def _take(self, kind: int, place: int, sign: int) -> None:
        nodes = slice(place, place + int(self.classes.width[kind]))
        self.cores[nodes] -= sign * self.classes.cores[kind]
        self.memory[nodes] -= sign * self.classes.memory[kind]

    def _earned(self, kind: int, sign: int) -> Floats:
        """``(numas,)`` rewards of the machines if a VM of a class comes (1) or leaves (-1)."""
        classes = self.classes
        cores, memory = sign * int(classes.cores[kind]), sign * int(classes.memory[kind])
        both = int(classes.width[kind]) == 2
        return self._linear.earned(
            self.cores - cores,
            np.where(self._alone, 0, self.cores[self._partner] - both * cores),
            self.memory - memory,
            np.where(self._alone, 0, self.memory[self._partner] - both * memory),
            self.occupants[self.machine] + sign > 0,
        )

    def _earns(self) -> Floats:
        """``(numas,)`` rewards of the machines as they are."""
        return self._linear.earned(
            self.cores,
            np.where(self._alone, 0, self.cores[self._partner]),
            self.memory,
            np.where(self._alone, 0, self.memory[self._partner]),
            self.occupants[self.machine] > 0,
        )

    def value(self) -> float:
        """Returns the weighted sum of the objective's terms; what is held counts as taken."""
        return self._linear.constant - float(self._earns()[self.classes.instance.machines.first_numa].sum())

    def best_move(self) -> ClassMove | None:
        """Returns the move to another machine that lowers the weighted sum most; None if none lowers it."""
        best, chosen, now = 1e-12, None, self._earns()
        for kind in range(len(self.counts)):
            leaving = np.where(self.counts[kind] > 0, self._earned(kind, -1) - now, -np.inf)
            source = int(leaving.argmax())
            if leaving[source] == -np.inf:
                continue
            coming = np.where(self.legal(kind, source), self._earned(kind, 1) - now, -np.inf)
            coming[self.machine == self.machine[source]] = -np.inf
            target = int(coming.argmax())
            gain = float(leaving[source] + coming[target])
            if gain > best:
                best, chosen = gain, ClassMove(kind, source, target)
        return chosen

    def improve(self, limit: int, goal: float | None = None) -> None:
        """Makes the best moves until ``limit`` moves are made, the goal is reached, or none helps."""
        while len(self.moves) < limit and (goal is None or self.value() > goal + 1e-9):
            move = self.best_move()
            if move is None:
                return
            self.apply(move)
