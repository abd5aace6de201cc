"""The type-aggregated integer programme of VM rescheduling, independent of the solver that runs it.

For every class of interchangeable VMs and every place it has two whole numbers: VMs that leave (``out``) and VMs that
come (``in``). This is equivalent to one binary variable for every VM and place (Yang et al., EuroSys 2025, section 3):
which VMs of a class move is all that it leaves open. The order of the moves is not part of it; `extraction` finds one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from envs.vm_rescheduling.classes import Change, VmClasses, linear_objective
from envs.vm_rescheduling.types import MEMORY_PIECE, Floats, Integers


@dataclass(eq=False)
class LinearModel:
    """Minimises ``cost @ x`` over whole numbers ``x`` between bounds with ``low <= row @ x <= high``.

    The objective of the placement is ``constant + scale * cost @ x``.

    Attributes:
        upper: Largest value of every variable; the smallest is 0.
        cost: Cost of every variable.
        rows: Rows as (variables, coefficients, low, high).
        constant: See above.
        scale: See above.
    """

    upper: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    rows: list[tuple[list[int], list[float], float, float]] = field(default_factory=list)
    constant: float = 0.0
    scale: float = 1.0

    def variable(self, upper: float, cost: float = 0.0) -> int:
        """Adds a variable and returns its number."""
        self.upper.append(upper)
        self.cost.append(cost)
        return len(self.upper) - 1

    def row(self, terms: list[tuple[int, float]], low: float, high: float) -> None:
        """Adds a row."""
        self.rows.append(([index for index, _ in terms], [each for _, each in terms], low, high))


@dataclass(eq=False)
class Rescheduling:
    """The integer programme of an instance or of some of its machines.

    Attributes:
        classes: The classes of VMs.
        base: ``(classes, numas)`` change that stands on the machines that are not part of it.
        free: ``(machines,)`` whether a machine is part of it.
        limit: Most migrations, those on the other machines included.
        goal: Minimise the number of migrations such that the weighted sum is at most this; None to minimise the sum.
        move_cost: Cost of a migration in the model's costs, without a goal.
    """

    classes: VmClasses
    base: Change
    free: NDArray[np.bool_]
    limit: int
    goal: float | None = None
    move_cost: float = 0.0
    model: LinearModel = field(default_factory=LinearModel)

    def __post_init__(self) -> None:
        """Builds the programme."""
        classes, machines = self.classes, self.classes.instance.machines
        self.free_numa = self.free[machines.machine_of_numa]
        self.outside = np.where(self.free_numa, 0, self.base)
        self.linear = linear_objective(classes.instance)
        self.outs, self.ins = self._moves()
        self.uses: list[list[tuple[int, int, int]]] = [[] for _ in range(classes.numas)]  # variable, sign, class
        for variables, sign in ((self.outs, -1), (self.ins, 1)):
            for (kind, place), variable in variables.items():
                for node in range(place, place + int(classes.width[kind])):
                    self.uses[node].append((variable, sign, kind))
        self._add_flow()
        self._add_groups()
        self.pieces = self._add_capacity()
        self._add_objective()

    def _moves(self) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]:
        classes, model = self.classes, self.model
        cores, memory = classes.room
        totals = classes.counts.sum(axis=1)
        outs, ins = {}, {}
        for kind, place in zip(*np.nonzero(classes.counts * self.free_numa), strict=True):
            outs[int(kind), int(place)] = model.variable(float(classes.counts[kind, place]))
        for kind, place in zip(*np.nonzero(classes.allowed & self.free_numa), strict=True):
            nodes = slice(place, place + classes.width[kind])
            most = min(int(totals[kind]), int(cores[nodes].min() // classes.cores[kind]))
            if classes.memory[kind]:
                most = min(most, int(memory[nodes].min() // classes.memory[kind]))
            ins[int(kind), int(place)] = model.variable(float(most))
        return outs, ins

    def _add_flow(self) -> None:
        """As many VMs of a class come as leave, and not more than the limit leave."""
        model = self.model
        sums: list[list[tuple[int, float]]] = [[] for _ in self.classes.cores]
        for (kind, _), variable in self.ins.items():
            sums[kind].append((variable, 1.0))
        for (kind, _), variable in self.outs.items():
            sums[kind].append((variable, -1.0))
        for kind, terms in enumerate(sums):
            balance = -float(self.outside[kind].sum())
            model.row(terms, balance, balance)
        left = self.limit - int(np.maximum(-self.outside, 0).sum())
        model.row([(variable, 1.0) for variable in self.outs.values()], 0.0, float(left))

    def _add_groups(self) -> None:
        """A VM comes to a machine once the others of its group have left, and alone."""
        classes, machine = self.classes, self.classes.instance.machines.machine_of_numa
        coming: dict[tuple[int, int], list[int]] = {}
        for (kind, place), variable in self.ins.items():
            if classes.group[kind] >= 0:
                coming.setdefault((int(classes.group[kind]), int(machine[place])), []).append(variable)
        for key, variables in coming.items():
            most = 0.0 if key in classes.fixed_groups else 1.0
            self.model.row([(variable, 1.0) for variable in variables], 0.0, most)
        for (kind, place), leaving in self.outs.items():
            key = (int(classes.group[kind]), int(machine[place]))
            if key in coming:
                count = float(classes.counts[kind, place])
                self.model.row([(leaving, 1.0), *((each, -count) for each in coming[key])], 0.0, count)

    def _add_capacity(self) -> list[tuple[int, int, NDArray[np.int64]]]:
        """Capacities and the pieces that count; returns the pieces as (variable, term, machines or nodes)."""
        classes, model, instance = self.classes, self.model, self.classes.instance
        rewards = self.linear.rewards
        room_cores, room_memory = classes.room
        binding = self._memory_binds()
        pieces: list[tuple[int, int, NDArray[np.int64]]] = []
        pairs: dict[int, int] = {}
        if rewards[1]:
            for first in np.flatnonzero(classes.is_first & self.free_numa).tolist():
                most = int(min(room_cores[first : first + 2]) // 32)
                if most:
                    pairs[first] = pairs[first + 1] = model.variable(float(most))
                    pieces.append((pairs[first], 1, np.array([first, first + 1])))
        for node in np.flatnonzero(self.free_numa).tolist():
            cores = [(each, float(sign * classes.cores[kind])) for each, sign, kind in self.uses[node]]
            memory = [(each, float(sign * classes.memory[kind])) for each, sign, kind in self.uses[node]]
            free_cores, free_memory = float(instance.free_cores[node]), float(instance.free_memory[node])
            if rewards[0] and room_cores[node] >= 16:
                piece = model.variable(float(room_cores[node] // 16))
                pieces.append((piece, 0, np.array([node])))
                model.row([*cores, (piece, 16.0)], -math.inf, free_cores)
            elif node not in pairs:
                model.row(cores, -math.inf, free_cores)
            if node in pairs:
                model.row([*cores, (pairs[node], 32.0)], -math.inf, free_cores)
            if rewards[2] and room_memory[node] >= MEMORY_PIECE:
                piece = model.variable(float(room_memory[node] // MEMORY_PIECE))
                pieces.append((piece, 2, np.array([node])))
                memory = [*memory, (piece, float(MEMORY_PIECE))]
            elif not binding[node]:
                continue
            model.row(memory, -math.inf, free_memory)
        if rewards[3]:
            pieces.extend(self._add_occupied())
        return pieces

    def _memory_binds(self) -> NDArray[np.bool_]:
        """``(numas,)`` whether the memory could run out before the cores do."""
        classes = self.classes
        cores, memory = classes.room
        if not len(classes.cores):
            return np.zeros(classes.numas, np.bool_)
        ratio = float((classes.memory / classes.cores).max())
        return np.asarray(cores * ratio > memory)

    def _add_occupied(self) -> list[tuple[int, int, NDArray[np.int64]]]:
        classes, machines = self.classes, self.classes.instance.machines
        cores, _ = classes.room
        movable = np.bincount(machines.machine_of_numa, classes.counts.sum(axis=0), len(machines.names))
        pieces = []
        for machine in np.flatnonzero(self.free).tolist():
            first, width = int(machines.first_numa[machine]), int(machines.numa_count[machine])
            if movable[machine] < classes.occupants[machine]:
                continue  # a VM that stays
            occupied = self.model.variable(1.0)
            pieces.append((occupied, 3, np.arange(first, first + width)))
            for node in range(first, first + width):
                taken = [(each, float(sign * classes.cores[kind])) for each, sign, kind in self.uses[node]]
                used = float(cores[node] - classes.instance.free_cores[node])
                self.model.row([*taken, (occupied, -float(cores[node]))], -math.inf, -used)
        return pieces

    def _add_objective(self) -> None:
        """Costs are whole numbers where one term counts: bounds can be rounded then."""
        model, rewards = self.model, self.linear.rewards
        constant = self.linear.constant + self._earned_outside()
        if self.goal is not None:
            terms = [(variable, float(rewards[term])) for variable, term, _ in self.pieces]
            model.row(terms, constant - self.goal - 1e-9, math.inf)
            for variable in self.outs.values():
                model.cost[variable] = 1.0
            model.constant = float(np.maximum(-self.outside, 0).sum())
            return
        used = np.abs(rewards[rewards != 0])
        model.scale = float(used.max()) if len(used) else 1.0
        model.constant = constant
        for variable in self.outs.values():
            model.cost[variable] = self.move_cost
        for variable, term, _ in self.pieces:
            model.cost[variable] = float(-rewards[term] / model.scale)

    def _earned_outside(self) -> float:
        """What stands beside the variables in the weighted sum: the other machines, and hosts that stay occupied."""
        earned = machine_rewards(self.classes, self.outside)
        machines = self.classes.instance.machines
        total = -float(earned[~self.free].sum())
        movable = np.bincount(machines.machine_of_numa, self.classes.counts.sum(axis=0), len(machines.names))
        staying = self.free & (movable < self.classes.occupants)
        return total - float(self.linear.rewards[3]) * int(staying.sum())

    def start(self, change: Change) -> Floats:
        """Returns the variables' values for a change that equals the base outside."""
        classes, instance = self.classes, self.classes.instance
        values = np.zeros(len(self.model.upper))
        for (kind, place), variable in self.outs.items():
            values[variable] = max(0, -int(change[kind, place]))
        for (kind, place), variable in self.ins.items():
            values[variable] = max(0, int(change[kind, place]))
        cores, memory = classes.needs(change)
        cores, memory = instance.free_cores - cores, instance.free_memory - memory
        machine_of_numa = instance.machines.machine_of_numa
        occupants = classes.occupants + _per_machine(classes, change)
        for variable, term, nodes in self.pieces:
            values[variable] = (
                cores[nodes].min() // 16,
                cores[nodes].min() // 32,
                memory[nodes].min() // MEMORY_PIECE,
                float(occupants[machine_of_numa[nodes[0]]] > 0),
            )[term]
        return values

    def change(self, values: Floats) -> Change:
        """Returns the change that the variables' values stand for."""
        change = self.outside.copy()
        for variables, sign in ((self.outs, -1), (self.ins, 1)):
            for key, variable in variables.items():
                change[key] += sign * round(float(values[variable]))
        return change

    @cached_property
    def whole(self) -> bool:
        """Whether every cost is a whole number."""
        return all(float(each).is_integer() for each in self.model.cost)


def _per_machine(classes: VmClasses, change: Change) -> Integers:
    machines = classes.instance.machines
    counts = np.bincount(machines.machine_of_numa, change.sum(axis=0), len(machines.names))
    return np.rint(counts).astype(np.int64)


def machine_rewards(classes: VmClasses, change: Change) -> Floats:
    """Returns the ``(machines,)`` rewards of `LinearObjective` after a change."""
    instance = classes.instance
    cores, memory = classes.needs(change)
    cores, memory = instance.free_cores - cores, instance.free_memory - memory
    first, second = instance.machines.first_numa, instance.machines.numa_count == 2
    partner = first + second
    return linear_objective(instance).earned(
        cores[first],
        np.where(second, cores[partner], 0),
        memory[first],
        np.where(second, memory[partner], 0),
        classes.occupants + _per_machine(classes, change) > 0,
    )
