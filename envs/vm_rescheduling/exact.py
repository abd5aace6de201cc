"""Exact references: the type-aggregated integer programme on HiGHS, and on OR-Tools CP-SAT."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from envs.core.errors import UsageError
from envs.core.optional import import_cp_model, import_highspy
from envs.core.problem import Solver, SolverResult
from envs.vm_rescheduling.classes import Change, VmClasses, classes_of
from envs.vm_rescheduling.extraction import Extraction, extract
from envs.vm_rescheduling.highs import Optimum, solve_highs
from envs.vm_rescheduling.linear import LinearModel, Rescheduling
from envs.vm_rescheduling.live_placement import LivePlacement
from envs.vm_rescheduling.types import Floats, Plan, VmInstance, plan
from envs.vm_rescheduling.verify import verify

_TOLERANCE = 1e-7

Backend = Callable[[LinearModel, float, int, Floats | None], Optimum]
"""Minimises a model within so many seconds with a seed, from the values of a known solution."""


def highs(*, time_limit: float = 60.0, threads: int = 2) -> Solver:
    """Returns a solver with the type-aggregated integer programme on HiGHS, started from the greedy plan.

    The programme covers every objective and anti-affinity groups. It leaves out the order of the migrations, so its
    bound holds for every plan; the plan itself is one that can be carried out, and its status is "optimal" if it
    reaches the bound. Where VMs arrive and leave, the programme is that of the placement at the start, the plan keeps
    the migrations that can still be carried out, and there is no bound.

    Args:
        time_limit: Seconds of wall-clock time for HiGHS.
        threads: Threads of HiGHS.

    Returns:
        A solver.

    Raises:
        UsageError: An option is out of range, or highspy is not installed.
    """
    check_highs("highs", time_limit, threads)

    def backend(model: LinearModel, seconds: float, seed: int, start: Floats | None) -> Optimum:
        return solve_highs(model, time_limit=seconds, threads=threads, seed=seed, start=start)

    return _Exact(backend, float(time_limit))


def cp_sat(*, time_limit: float = 60.0, workers: int = 0) -> Solver:
    """Returns a solver with the same programme on OR-Tools CP-SAT.

    Args:
        time_limit: Seconds of wall-clock time for CP-SAT.
        workers: Parallel search workers; 0 takes one per core.

    Returns:
        A solver; see `highs`.

    Raises:
        UsageError: An option is out of range, or OR-Tools is not installed.
    """
    from envs.vm_rescheduling.cp_sat import solve_cp_sat

    check_options("cp_sat", time_limit, max(1, workers) if workers >= 0 else workers)
    import_cp_model("cp_sat")

    def backend(model: LinearModel, seconds: float, seed: int, start: Floats | None) -> Optimum:
        return solve_cp_sat(model, time_limit=seconds, workers=workers, seed=seed, start=start)

    return _Exact(backend, float(time_limit))


def check_highs(name: str, time_limit: float, threads: int) -> None:
    """Raises `UsageError` if an option of a solver on HiGHS is out of range, or highspy is not installed."""
    check_options(name, time_limit, threads)
    import_highspy(name)


def check_options(name: str, time_limit: float, threads: int) -> None:
    """Raises `UsageError` if a time limit or a number of threads is out of range."""
    if not time_limit > 0:
        raise UsageError(f"{name}: time_limit is {time_limit} seconds; expected more than 0")
    if threads < 1:
        raise UsageError(f"{name}: the number of threads is {threads}; expected 1 or more")


@dataclass(frozen=True)
class _Exact:
    backend: Backend
    time_limit: float

    def __call__(self, instance: VmInstance, /, *, seed: int = 0) -> SolverResult:
        classes = classes_of(instance)
        deadline = time.perf_counter() + self.time_limit
        start = greedy(classes)
        goal = instance.objective.goal
        changes: list[Change] = [start.change]
        bound = -math.inf
        if goal is not None:
            model = _whole(classes, goal)
            known = model.start(start.change) if start.reached <= goal + 1e-9 else None
            found = self.backend(model.model, deadline - time.perf_counter(), seed, known)
            bound = _integer_bound(model, found)
            if found.values is not None:
                changes.append(model.change(found.values))
        if goal is None or bound == math.inf:
            model = _whole(classes, None)
            seconds = max(0.05, deadline - time.perf_counter())
            found = self.backend(model.model, seconds, seed, model.start(start.change))
            bound = _integer_bound(model, found)
            if goal is not None:
                bound = instance.migration_limit + 1 + 100 * max(0.0, bound - goal)
            if found.values is not None:
                changes.append(model.change(found.values))
        plans = [start.plan] + [
            extract(classes, change, instance.migration_limit, seed=seed).plan for change in changes[1:]
        ]
        return result(instance, plans, bound)


def greedy(classes: VmClasses) -> Extraction:
    """Returns the plan of best single moves; with a goal it stops there."""
    placement, instance = LivePlacement(classes), classes.instance
    placement.improve(instance.migration_limit, instance.objective.goal)
    placement.settle()
    return Extraction(plan(placement.moves), 0, placement.value(), placement.counts - classes.counts)


def result(instance: VmInstance, plans: list[Plan], bound: float) -> SolverResult:
    """Returns the best of some plans as a solver's result.

    Under churn each is cut to what can be carried out. With a goal each ends where it is reached, and of a plan that
    misses it all beginnings count too.
    """
    if instance.changes or instance.objective.goal is not None:
        from envs.vm_rescheduling.execution import execute

        plans = [execute(instance, each) for each in plans]
    if instance.objective.goal is not None:
        plans = [beginning for each in plans for beginning in _beginnings(each)]
    values = [verify(instance, each) for each in plans]
    best = int(np.argmin(values))
    if instance.changes or not math.isfinite(bound):
        return SolverResult(plans[best], values[best], None, "feasible")
    proven = values[best] <= bound + _TOLERANCE
    return SolverResult(plans[best], values[best], min(bound, values[best]), "optimal" if proven else "feasible")


def _beginnings(moves: Plan) -> list[Plan]:
    return [Plan(moves.vm[:length], moves.numa[:length]) for length in range(len(moves.vm) + 1)]


def _whole(classes: VmClasses, goal: float | None) -> Rescheduling:
    machines = np.ones(len(classes.instance.machines.names), np.bool_)
    return Rescheduling(classes, classes.no_change(), machines, classes.instance.migration_limit, goal)


def _integer_bound(programme: Rescheduling, found: Optimum) -> float:
    """The bound in terms of the objective; costs that are whole numbers round it up."""
    if not math.isfinite(found.bound):
        return found.bound
    cost = math.ceil(found.bound - 1e-6) if programme.whole else found.bound
    return programme.model.constant + programme.model.scale * cost
