"""The independent checker of migration plans.

It replays what happens, event by event, with plain Python numbers and shares no code with the environment, the solvers
or the objective's own implementation. VMs, machines and NUMA nodes are named as in the instance, moves are counted from
0.
"""

from __future__ import annotations

from collections import deque

from envs.core.errors import UsageError
from envs.vm_rescheduling.types import Plan, VmInstance

_TOLERANCE = 1e-9


def verify(instance: VmInstance, plan: Plan) -> float:
    """Replays a plan against the problem's definition and recomputes its objective.

    Move ``i`` begins at ``delay + i * migration_seconds``. Everything that is due by then has happened: VMs left, VMs
    arrived and were placed or turned away by best fit, in the order of time, departures first. The room that a VM
    leaves behind is free again once ``in_flight`` further moves have begun; until then it counts as taken, also for
    arriving VMs, unless the VM itself leaves. The objective is that of the placement at
    ``delay + moves * migration_seconds``, with nothing held any more. With a goal a plan ends with the first move after
    which the goal is reached.

    Args:
        instance: The placement and the rules.
        plan: The migrations.

    Returns:
        The weighted sum of the objective's terms; with a goal the number of migrations, or
        ``migration_limit + 1 + 100 * excess`` if the goal is missed.

    Raises:
        UsageError: A move is not allowed, or comes after the goal; the message names the first one.
    """
    moves = list(zip(plan.vm.tolist(), plan.numa.tolist(), strict=True))
    if len(moves) > instance.migration_limit:
        raise UsageError(
            f"{instance.name}: the plan has {len(moves)} moves; expected at most migration_limit "
            f"{instance.migration_limit}"
        )
    replay = _Replay(instance)
    for number, (vm, numa) in enumerate(moves):
        replay.advance(instance.delay + number * instance.migration_seconds)
        if number and instance.objective.goal is not None and _reaches(instance, replay.weighted_sum()):
            raise UsageError(
                f"{instance.name}: the plan goes on with move {number} although move {number - 1} reached the goal "
                f"{instance.objective.goal:g}; expected it to end there"
            )
        replay.migrate(number, vm, numa)
    replay.advance(instance.delay + len(moves) * instance.migration_seconds)
    return _value(instance, replay.weighted_sum(), len(moves))


class _Replay:
    """The placement as it changes."""

    def __init__(self, instance: VmInstance) -> None:
        machines, vms = instance.machines, instance.vms
        self.instance = instance
        self.machine = machines.machine_of_numa.tolist()
        self.cluster = machines.cluster.tolist()
        self.nodes: list[list[int]] = [[] for _ in machines.names]
        for numa, machine in enumerate(self.machine):
            self.nodes[machine].append(numa)
        self.cores, self.memory = machines.cores.tolist(), machines.memory.tolist()
        self.need = [
            (int(c) // int(k), int(m) // int(k)) for c, m, k in zip(vms.cores, vms.memory, vms.numa_count, strict=True)
        ]
        self.width, self.group = vms.numa_count.tolist(), vms.group.tolist()
        self.home, self.movable = vms.home.tolist(), vms.movable.tolist()
        self.place: dict[int, int] = {}
        self.held: deque[tuple[int, int, int]] = deque()  # number of the move, VM, NUMA node that it left
        for vm, host in enumerate(vms.host.tolist()):
            if host >= 0:
                self.place[vm] = host
                self._take(vm, host, 1)
        self.events = deque(_events(instance))

    def _span(self, vm: int, numa: int) -> range:
        """NUMA nodes that a VM takes if its first is ``numa``."""
        return range(numa, numa + self.width[vm])

    def _take(self, vm: int, numa: int, sign: int) -> None:
        for node in self._span(vm, numa):
            self.cores[node] -= sign * self.need[vm][0]
            self.memory[node] -= sign * self.need[vm][1]

    def _fits(self, vm: int, numa: int) -> bool:
        cores, memory = self.need[vm]
        return all(self.cores[node] >= cores and self.memory[node] >= memory for node in self._span(vm, numa))

    def _rival(self, vm: int, machine: int) -> int | None:
        """Another VM of the same group on a machine."""
        if self.group[vm] < 0:
            return None
        for other, numa in self.place.items():
            if other != vm and self.group[other] == self.group[vm] and self.machine[numa] == machine:
                return other
        return None

    def advance(self, time: float) -> None:
        """Lets everything happen that is due by ``time``."""
        while self.events and self.events[0][0] <= time:
            _, kind, vm = self.events.popleft()
            if kind == 1:
                self._arrive(vm)
            elif vm in self.place:
                self._take(vm, self.place.pop(vm), -1)
                for entry in [entry for entry in self.held if entry[1] == vm]:
                    self._take(vm, entry[2], -1)
                    self.held.remove(entry)

    def _arrive(self, vm: int) -> None:
        best, fewest = -1, None
        for machine, nodes in enumerate(self.nodes):
            if self.cluster[machine] != self.home[vm] or self._rival(vm, machine) is not None:
                continue
            if self.width[vm] == 2 and len(nodes) != 2:
                continue
            for numa in nodes if self.width[vm] == 1 else nodes[:1]:
                free = sum(self.cores[node] for node in self._span(vm, numa))
                if self._fits(vm, numa) and (fewest is None or free < fewest):
                    best, fewest = numa, free
        if best >= 0:
            self.place[vm] = best
            self._take(vm, best, 1)

    def migrate(self, number: int, vm: int, numa: int) -> None:
        """Carries out one move, if it is allowed."""
        self._check(number, vm, numa)
        source = self.place[vm]
        self.place[vm] = numa
        self._take(vm, numa, 1)
        self.held.append((number, vm, source))
        self.release(number - self.instance.in_flight)

    def release(self, latest: int) -> None:
        """Gives back what is held for the moves up to number ``latest``."""
        while self.held and self.held[0][0] <= latest:
            _, vm, source = self.held.popleft()
            self._take(vm, source, -1)

    def _check(self, number: int, vm: int, numa: int) -> None:
        instance = self.instance
        name = instance.vms.names[vm] if 0 <= vm < len(self.width) else None
        if name is None:
            raise UsageError(f"{instance.name}: move {number} has VM {vm}; there are {len(self.width)}")
        if not 0 <= numa < len(self.machine):
            raise UsageError(
                f"{instance.name}: move {number} takes VM {name} to NUMA node {numa}; there are {len(self.machine)}"
            )
        machine = self.machine[numa]
        problem = self._problem(vm, numa, machine)
        if problem:
            node = numa - self.nodes[machine][0]
            raise UsageError(
                f"{instance.name}: move {number} takes VM {name} to NUMA node {node} of machine "
                f"{instance.machines.names[machine]}, but {problem}"
            )

    def _problem(self, vm: int, numa: int, machine: int) -> str | None:
        """What forbids a move."""
        if vm not in self.place:
            return "the VM does not run then"
        if not self.movable[vm]:
            return "the VM may not be migrated"
        if self.cluster[machine] != self.home[vm]:
            return f"the VM belongs to cluster {self.home[vm]} and the machine to cluster {self.cluster[machine]}"
        if self.width[vm] == 2 and (len(self.nodes[machine]) != 2 or numa != self.nodes[machine][0]):
            return "a VM on two NUMA nodes goes to the first of a machine with two"
        if self.place[vm] == numa:
            return "the VM runs there already"
        for node in self._span(vm, numa):
            for what, need, free in (
                ("cores", self.need[vm][0], self.cores[node]),
                ("MB of memory", self.need[vm][1], self.memory[node]),
            ):
                if need > free:
                    return f"needs {need} {what} where {free} are free"
        rival = self._rival(vm, machine)
        return None if rival is None else f"VM {self.instance.vms.names[rival]} of its group runs on that machine"

    def weighted_sum(self) -> float:
        """The weighted sum of the objective's terms, where what is held counts as free."""
        free_cores, free_memory = self.cores.copy(), self.memory.copy()
        for _, vm, source in self.held:
            for node in self._span(vm, source):
                free_cores[node] += self.need[vm][0]
                free_memory[node] += self.need[vm][1]
        cores, memory = sum(free_cores), sum(free_memory)
        pieces = sum(64 * min(free_cores[n] // 32 for n in nodes) for nodes in self.nodes if len(nodes) == 2)
        occupied = {self.machine[numa] for numa in self.place.values()}
        terms = {
            "fr16": sum(free % 16 for free in free_cores) / cores if cores else 0.0,
            "fr64": (cores - pieces) / cores if cores else 0.0,
            "memory64": sum(free % 65536 for free in free_memory) / memory if memory else 0.0,
            "occupied_hosts": len(occupied) / len(self.nodes) if self.nodes else 0.0,
        }
        return sum(weight * terms[name] for name, weight in self.instance.objective.weights.items())


def _events(instance: VmInstance) -> list[tuple[float, int, int]]:
    """Departures (0) and arrivals (1) as (time, kind, VM), in the order in which they happen."""
    vms = instance.vms
    leaving = [(time, 0, vm) for vm, time in enumerate(vms.departure.tolist()) if time != float("inf")]
    coming = [(time, 1, vm) for vm, time in enumerate(vms.arrival.tolist()) if vms.host[vm] < 0]
    return sorted(leaving + coming)


def _reaches(instance: VmInstance, reached: float) -> bool:
    goal = instance.objective.goal
    return goal is not None and reached - goal <= _TOLERANCE


def _value(instance: VmInstance, reached: float, moves: int) -> float:
    goal = instance.objective.goal
    if goal is None:
        return reached
    if _reaches(instance, reached):
        return float(moves)
    return instance.migration_limit + 1 + 100 * (reached - goal)
