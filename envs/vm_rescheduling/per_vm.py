"""The published integer programme with binary variables for every VM, on HiGHS: slow, and the check of `exact`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from envs.core.problem import Solver, SolverResult
from envs.vm_rescheduling.classes import classes_of
from envs.vm_rescheduling.exact import check_highs, greedy, result
from envs.vm_rescheduling.extraction import extract
from envs.vm_rescheduling.highs import solve_highs
from envs.vm_rescheduling.linear import LinearModel
from envs.vm_rescheduling.types import MEMORY_PIECE, Floats, VmInstance


def per_vm(*, time_limit: float = 600.0, threads: int = 2) -> Solver:
    """Returns a solver with a binary variable for every VM and place, as the programme was published.

    ``x[vm, place]`` says where a VM ends (Yang et al., EuroSys 2025, section 3), a whole number how many pieces of
    free cores or memory every node or machine has. A VM that does not end where it began counts as one migration.

    Args:
        time_limit: Seconds of wall-clock time for HiGHS.
        threads: Threads of HiGHS.

    Returns:
        A solver; see `exact.highs` for what its results mean.

    Raises:
        UsageError: An option is out of range, or highspy is not installed.
    """
    check_highs("per_vm", time_limit, threads)
    return _PerVm(float(time_limit), threads)


@dataclass(frozen=True)
class _PerVm:
    time_limit: float
    threads: int

    def __call__(self, instance: VmInstance, /, *, seed: int = 0) -> SolverResult:
        classes, goal = classes_of(instance), instance.objective.goal
        plans = [greedy(classes).plan]
        bound = math.inf
        for form in (None,) if goal is None else (goal, None):
            programme = _Programme(instance, form)
            found = solve_highs(programme.model, time_limit=self.time_limit, threads=self.threads, seed=seed)
            bound = programme.model.constant + found.bound
            if form is None and goal is not None:
                bound = instance.migration_limit + 1 + 100 * max(0.0, bound - goal)
            elif form is not None and math.isfinite(bound):
                bound = math.ceil(bound - 1e-6)
            if found.values is not None:
                hosts = programme.hosts(found.values)
                change = classes.no_change()
                for (kind, place), members in classes.members.items():
                    for vm in members:
                        change[kind, place] -= 1
                        change[kind, hosts[vm]] += 1
                plans.append(extract(classes, change, instance.migration_limit, seed=seed).plan)
            if bound != math.inf:
                break
        return result(instance, plans, bound)


class _Programme:
    """The programme; it shares nothing with the aggregated one but the form that HiGHS takes."""

    def __init__(self, instance: VmInstance, goal: float | None) -> None:
        self.instance, self.model = instance, LinearModel()
        machines, vms = instance.machines, instance.vms
        self.present = np.flatnonzero(vms.host >= 0).tolist()
        self.place: dict[tuple[int, int], int] = {}
        self.on_node: list[list[tuple[int, float, float]]] = [[] for _ in machines.machine_of_numa]
        for vm in self.present:
            places = self._places(vm)
            for place in places:
                variable = self.place[vm, place] = self.model.variable(1.0)
                width = int(vms.numa_count[vm])
                need = (variable, float(vms.cores[vm] // width), float(vms.memory[vm] // width))
                for node in range(place, place + width):
                    self.on_node[node].append(need)
            self.model.row([(self.place[vm, place], 1.0) for place in places], 1.0, 1.0)
        stays = [(self.place[vm, int(vms.host[vm])], 1.0) for vm in self.present]
        self.model.row(stays, float(len(stays) - instance.migration_limit), math.inf)
        for use, capacity in ((1, machines.cores), (2, machines.memory)):
            for node, needs in enumerate(self.on_node):
                self.model.row([(need[0], need[use]) for need in needs], -math.inf, float(capacity[node]))
        self._add_groups()
        rewards = self._add_terms()
        weights = instance.objective.weights
        constant = weights.get("fr16", 0.0) * (self.cores > 0) + weights.get("fr64", 0.0) * (self.cores > 0)
        constant += weights.get("memory64", 0.0) * (self.memory > 0)
        if goal is None:
            self.model.constant = constant
            for variable, reward in rewards:
                self.model.cost[variable] -= reward
        else:
            self.model.row(rewards, constant - goal - 1e-9, math.inf)
            self.model.constant = float(len(stays))
            for variable, _ in stays:
                self.model.cost[variable] = -1.0

    def _places(self, vm: int) -> list[int]:
        machines, vms = self.instance.machines, self.instance.vms
        if not vms.movable[vm]:
            return [int(vms.host[vm])]
        places: list[int] = []
        for machine in np.flatnonzero(machines.cluster == vms.home[vm]).tolist():
            first, count = int(machines.first_numa[machine]), int(machines.numa_count[machine])
            if vms.numa_count[vm] == 1:
                places.extend(range(first, first + count))
            elif count == 2:
                places.append(first)
        return places

    def _add_groups(self) -> None:
        """A VM that moved to a machine is there without any other of its group."""
        machines, vms = self.instance.machines, self.instance.vms
        machine_of_numa = machines.machine_of_numa
        for group in np.unique(vms.group[vms.group >= 0]).tolist():
            members = [vm for vm in self.present if vms.group[vm] == group]
            for machine in range(len(machines.names)):
                here = {vm: [p for p in self._places(vm) if machine_of_numa[p] == machine] for vm in members}
                for vm in members:
                    come = [(self.place[vm, p], 1.0) for p in here[vm] if p != vms.host[vm]]
                    for other in members:
                        if other != vm and come and here[other]:
                            there = [(self.place[other, p], 1.0) for p in here[other]]
                            self.model.row([*come, *there], 0.0, 1.0)

    def _add_terms(self) -> list[tuple[int, float]]:
        """Adds the pieces and hosts that the objective counts; returns the decrease of the sum that each brings."""
        instance, machines = self.instance, self.instance.machines
        self.cores, self.memory = int(instance.free_cores.sum()), int(instance.free_memory.sum())
        rewards: list[tuple[int, float]] = []
        for term, weight in instance.objective.weights.items():
            for machine, first in enumerate(machines.first_numa.tolist()):
                nodes = list(range(first, first + int(machines.numa_count[machine])))
                if term == "fr16" and self.cores:
                    rewards.extend((self._pieces([n], 1, 16), weight * 16 / self.cores) for n in nodes)
                elif term == "fr64" and self.cores and len(nodes) == 2:
                    rewards.append((self._pieces(nodes, 1, 32), weight * 64 / self.cores))
                elif term == "memory64" and self.memory:
                    reward = weight * MEMORY_PIECE / self.memory
                    rewards.extend((self._pieces([n], 2, MEMORY_PIECE), reward) for n in nodes)
                elif term == "occupied_hosts":
                    occupied = self.model.variable(1.0)
                    for variable in {need[0] for n in nodes for need in self.on_node[n]}:
                        self.model.row([(occupied, 1.0), (variable, -1.0)], 0.0, math.inf)
                    rewards.append((occupied, -weight / len(machines.names)))
        return rewards

    def _pieces(self, nodes: list[int], use: int, size: int) -> int:
        """Adds the number of pieces of a size that fit on every one of some nodes."""
        machines = self.instance.machines
        capacity = (machines.cores if use == 1 else machines.memory)[nodes]
        pieces = self.model.variable(float(capacity.min() // size))
        for node, most in zip(nodes, capacity.tolist(), strict=True):
            taken = [(need[0], need[use]) for need in self.on_node[node]]
            self.model.row([*taken, (pieces, float(size))], -math.inf, float(most))
        return pieces

    def hosts(self, values: Floats) -> dict[int, int]:
        """Where every VM ends."""
        return {vm: place for (vm, place), variable in self.place.items() if values[variable] > 0.5}
