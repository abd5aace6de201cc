"""Large neighbourhood search: parts of a schedule are dispatched anew by CP-SAT, the rest keeps its order.

Shaw, "Using constraint programming and local search methods to solve vehicle routing problems", CP 1998; the choice
among the operators learns from what they earn (Ropke and Pisinger, Transportation Science 40(4), 2006).

A *window* frees some operations. Operations that begin before the first of them are left where they are, those that
begin after the last end keep their order and stay behind; with that, only the operations between appear in the
constraint programme, and what follows on them is a tail (the longest path to the end) of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.optional import import_cp_model
from envs.core.problem import Solver, SolverResult
from envs.job_shop.types import JobShopInstance, Schedule
from envs.job_shop.verify import verify

Times = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FIRST_SIZE, _LEAST_SIZE = 80, 12
_GROWTH, _SHRINKAGE = 1.1, 0.8
_WINDOW_SECONDS = 3.0
_MEMORY, _FLOOR = 0.9, 0.15


class Window(NamedTuple):
    """What of a schedule is decided anew; ``(jobs, operations)`` masks.

    Attributes:
        free: Operations whose order is open.
        between: They and the operations between them, whose order stands.
        after: Operations that stay behind all of those.
    """

    free: Mask
    between: Mask
    after: Mask


Operator = Callable[[JobShopInstance, Times, int, np.random.Generator], Mask]
"""Chooses about so many operations of a schedule, given as start times, to free."""


def free_interval(instance: JobShopInstance, starts: Times, size: int, generator: np.random.Generator) -> Mask:
    """Frees the operations around a moment."""
    return _nearest(instance, starts, generator.uniform(0, _makespan(instance, starts)), size)


def free_critical(instance: JobShopInstance, starts: Times, size: int, generator: np.random.Generator) -> Mask:
    """Frees the operations around the start of a critical one, which cannot be delayed without delaying the end."""
    slack = _makespan(instance, starts) - starts - _tails(instance, starts)
    moments = starts[slack == 0]
    return _nearest(instance, starts, float(generator.choice(moments)), size)


def free_machines(instance: JobShopInstance, starts: Times, size: int, generator: np.random.Generator) -> Mask:
    """Frees the operations of some machines around a moment."""
    count = int(generator.integers(2, max(3, instance.num_machines // 2 + 1)))
    chosen = generator.choice(instance.num_machines, min(count, instance.num_machines), replace=False)
    moment = generator.uniform(0, _makespan(instance, starts))
    return _nearest(instance, starts, moment, size, np.isin(instance.machines, chosen))


def free_jobs(instance: JobShopInstance, starts: Times, size: int, generator: np.random.Generator) -> Mask:
    """Frees the operations of some jobs around a moment."""
    count = int(generator.integers(2, max(3, instance.num_jobs // 2 + 1)))
    chosen = generator.choice(instance.num_jobs, min(count, instance.num_jobs), replace=False)
    among = np.zeros(starts.shape, np.bool_)
    among[chosen] = True
    return _nearest(instance, starts, generator.uniform(0, _makespan(instance, starts)), size, among)


OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {"interval": free_interval, "critical": free_critical, "machines": free_machines, "jobs": free_jobs}
)
"""Operators by name."""


@dataclass
class Choice:
    """Chooses operators by what they earned a second, and sizes by what could be solved in time.

    Attributes:
        names: The operators.
        score: Gain a second of each, with exponential forgetting.
        size: Number of operations that each frees.
    """

    names: tuple[str, ...]
    score: dict[str, float] = field(init=False)
    size: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        """Starts with equal chances."""
        self.score = dict.fromkeys(self.names, 1.0)
        self.size = dict.fromkeys(self.names, float(_FIRST_SIZE))

    def draw(self, generator: np.random.Generator) -> str:
        """Draws an operator; even the poorest keeps a chance."""
        scores = np.array([self.score[name] for name in self.names])
        chances = scores / scores.sum() + _FLOOR
        return str(generator.choice(self.names, p=chances / chances.sum()))

    def learn(self, name: str, gain: float, seconds: float, proven: bool) -> None:
        """Takes in what a window of the operator brought."""
        earned = gain / max(seconds, 1e-3)
        for other in self.names:
            self.score[other] = max(self.score[other] * (_MEMORY if other == name else 1.0), 1e-6)
        self.score[name] += (1.0 - _MEMORY) * earned
        self.size[name] = max(self.size[name] * (_GROWTH if proven else _SHRINKAGE), _LEAST_SIZE)


@dataclass(frozen=True)
class _Search:
    time_limit: float
    workers: int
    operators: tuple[str, ...]
    hint: Schedule | None

    def __call__(self, instance: JobShopInstance, /, *, seed: int = 0) -> SolverResult:
        deadline = time.perf_counter() + self.time_limit
        cp_model = import_cp_model("lns")
        generator = np.random.default_rng(seed)
        starts = _first_schedule(instance, self.hint)
        choice = Choice(self.operators)
        bound = instance.lower_bound
        makespan = _makespan(instance, starts)
        while makespan > bound and (left := deadline - time.perf_counter()) > 0.01:
            name = choice.draw(generator)
            size = min(round(choice.size[name]), starts.size)
            window = _window(instance, starts, OPERATORS[name](instance, starts, size, generator))
            began = time.perf_counter()
            found, proven = _solve(
                cp_model,
                instance,
                starts,
                window,
                min(left, _WINDOW_SECONDS),
                self.workers,
                int(generator.integers(2**31 - 1)),
            )
            gain = makespan - _makespan(instance, found)
            choice.learn(name, float(gain), time.perf_counter() - began, proven)
            starts, makespan = found, makespan - gain
            if proven and window.free.all():
                bound = makespan
        verdict = "optimal" if makespan <= bound else "heuristic"
        return SolverResult(Schedule(starts), float(makespan), float(bound), verdict)


def lns(
    *,
    time_limit: float = 60.0,
    workers: int = 1,
    operators: tuple[str, ...] | str = tuple(OPERATORS),
    hint: Schedule | None = None,
) -> Solver:
    """Returns a large neighbourhood search that minimises the makespan.

    Args:
        time_limit: Seconds of wall-clock time.
        workers: Parallel search workers of CP-SAT.
        operators: Names of `OPERATORS` to choose among, or one name.
        hint: A finished schedule of the instance to start from; by default that of the rule "pilot" in the active
            builder. The result is never worse.

    Raises:
        UsageError: An option is out of range.
    """
    if not time_limit > 0:
        raise UsageError(f"lns: time_limit is {time_limit} seconds; expected more than 0")
    if workers < 1:
        raise UsageError(f"lns: workers is {workers}; expected at least 1")
    names = (operators,) if isinstance(operators, str) else tuple(operators)
    for name in names:
        if name not in OPERATORS:
            raise UsageError(f"lns: operators has {name!r}; expected some of {', '.join(OPERATORS)}")
    if not names:
        raise UsageError("lns: operators is empty; expected at least one")
    return _Search(float(time_limit), workers, names, hint)


def _first_schedule(instance: JobShopInstance, hint: Schedule | None) -> Times:
    if hint is None:
        from envs.job_shop.look_ahead import pilot_schedule

        hint = pilot_schedule(instance)
    verify(instance, hint)
    return _left_shifted(instance, np.lexsort((_positions(instance), hint.starts.ravel())))


def _positions(instance: JobShopInstance) -> Times:
    """Position within its job of every operation, ``(jobs * operations,)``."""
    return np.tile(np.arange(instance.num_operations), instance.num_jobs)


def _left_shifted(instance: JobShopInstance, order: Times) -> Times:
    """Starts every operation as early as the order of all operations allows."""
    starts = np.zeros(instance.times.shape, np.int64)
    ready = [0] * instance.num_jobs
    free = [0] * instance.num_machines
    machines, times = instance.machines.tolist(), instance.times.tolist()
    for operation in order.tolist():
        j, k = divmod(operation, instance.num_operations)
        m = machines[j][k]
        start = max(ready[j], free[m])
        starts[j, k] = start
        ready[j] = free[m] = start + times[j][k]
    return starts


def _makespan(instance: JobShopInstance, starts: Times) -> int:
    return int((starts[:, -1] + instance.times[:, -1]).max())


def _tails(instance: JobShopInstance, starts: Times, among: Mask | None = None) -> Times:
    """Longest path from the start of every operation (``among`` some) to the end, in the order that ``starts`` has."""
    tails = np.zeros(starts.shape, np.int64)
    after_job = [0] * instance.num_jobs
    after_machine = [0] * instance.num_machines
    machines, times = instance.machines.tolist(), instance.times.tolist()
    order = np.lexsort((_positions(instance), starts.ravel()))[::-1]
    if among is not None:
        order = order[among.ravel()[order]]
    for operation in order.tolist():
        j, k = divmod(operation, instance.num_operations)
        m = machines[j][k]
        tail = times[j][k] + max(after_job[j], after_machine[m])
        tails[j, k] = after_job[j] = after_machine[m] = tail
    return tails


def _nearest(instance: JobShopInstance, starts: Times, moment: float, size: int, among: Mask | None = None) -> Mask:
    """The operations, ``among`` some, whose middle is nearest to a moment."""
    distance = np.abs(starts + instance.times / 2 - moment)
    if among is not None:
        distance = np.where(among, distance, np.inf)
        size = min(size, int(among.sum()))
    free = np.zeros(starts.size, np.bool_)
    free[np.argsort(distance, axis=None, kind="stable")[:size]] = True
    return free.reshape(starts.shape)


def _window(instance: JobShopInstance, starts: Times, free: Mask) -> Window:
    first = starts[free].min()
    last = (starts + instance.times)[free].max()
    after = (starts >= last) & ~free
    return Window(free, (starts >= first) & ~after, after)


def _solve(
    cp_model: Any,
    instance: JobShopInstance,
    starts: Times,
    window: Window,
    seconds: float,
    workers: int,
    seed: int,
) -> tuple[Times, bool]:
    """Returns the best schedule found in the window, never a longer one, and whether it is proven to be the best."""
    makespan = _makespan(instance, starts)
    programme = cp_model.CpModel()
    variables, end = _build(programme, instance, starts, window, makespan)
    programme.minimize(end)
    for (j, k), variable in variables.items():
        programme.add_hint(variable, int(starts[j, k]))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    status = solver.solve(programme)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return starts, False
    found = starts.copy()
    for (j, k), variable in variables.items():
        found[j, k] = solver.value(variable)
    # Operations behind the window may have to begin before its new end: they come after it whatever their start was.
    order = np.lexsort((_positions(instance), found.ravel(), window.after.ravel()))
    shifted = _left_shifted(instance, order)
    return (shifted if _makespan(instance, shifted) <= makespan else starts), bool(status == cp_model.OPTIMAL)


def _build(
    programme: Any, instance: JobShopInstance, starts: Times, window: Window, makespan: int
) -> tuple[dict[tuple[int, int], Any], Any]:
    """Adds a start for every operation between, and the end of the whole schedule."""
    ready, free = _ends_before(instance, starts, window)
    job_tail, machine_tail = _tails_after(instance, starts, window)
    end = programme.new_int_var(0, makespan, "end")
    variables: dict[tuple[int, int], Any] = {}
    on_machine: list[list[Any]] = [[] for _ in range(instance.num_machines)]
    machines, times = instance.machines.tolist(), instance.times.tolist()
    for j, k in np.argwhere(window.between).tolist():
        m, p = machines[j][k], times[j][k]
        start = programme.new_int_var(max(ready[j], free[m]), makespan, f"start_{j}_{k}")
        variables[j, k] = start
        on_machine[m].append(programme.new_fixed_size_interval_var(start, p, f"interval_{j}_{k}"))
        if (j, k - 1) in variables:
            programme.add(start >= variables[j, k - 1] + times[j][k - 1])
        behind = machine_tail[m]
        if (k + 1 == instance.num_operations) or window.after[j, k + 1]:
            behind = max(behind, job_tail[j])
        programme.add(end >= start + p + behind)
    for intervals in on_machine:
        if len(intervals) > 1:
            programme.add_no_overlap(intervals)
    _keep_order(programme, instance, starts, window, variables)
    for j in range(instance.num_jobs):
        programme.add(end >= ready[j] + job_tail[j])
    for m in range(instance.num_machines):
        programme.add(end >= free[m] + machine_tail[m])
    return variables, end


def _ends_before(instance: JobShopInstance, starts: Times, window: Window) -> tuple[list[int], list[int]]:
    """Last completions before the window, of every job and on every machine."""
    before = ~window.between & ~window.after
    ends = np.where(before, starts + instance.times, 0)
    free = np.zeros(instance.num_machines, np.int64)
    np.maximum.at(free, instance.machines.ravel(), ends.ravel())
    return ends.max(axis=1).tolist(), free.tolist()


def _tails_after(instance: JobShopInstance, starts: Times, window: Window) -> tuple[list[int], list[int]]:
    """Longest paths to the end from the first operation behind the window, of every job and on every machine."""
    tails = _tails(instance, starts, window.after)
    behind = np.zeros(instance.num_machines, np.int64)
    np.maximum.at(behind, instance.machines.ravel(), tails.ravel())
    return tails.max(axis=1).tolist(), behind.tolist()


def _keep_order(
    programme: Any,
    instance: JobShopInstance,
    starts: Times,
    window: Window,
    variables: dict[tuple[int, int], Any],
) -> None:
    """Keeps the order of the operations between that are not free, machine by machine."""
    fixed = window.between & ~window.free
    last: dict[int, tuple[int, int]] = {}
    order = np.lexsort((_positions(instance), starts.ravel()))
    for operation in order[fixed.ravel()[order]].tolist():
        j, k = divmod(operation, instance.num_operations)
        m = int(instance.machines[j, k])
        if m in last:
            i, h = last[m]
            programme.add(variables[j, k] >= variables[i, h] + int(instance.times[i, h]))
        last[m] = (j, k)
