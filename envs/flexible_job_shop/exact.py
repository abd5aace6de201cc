"""Exact reference: the flexible job shop as a constraint programme, solved by OR-Tools CP-SAT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.core.errors import UnsolvedError, UsageError
from envs.core.optional import import_cp_model
from envs.core.problem import Solver, SolverResult
from envs.flexible_job_shop.types import ABSENT, FlexibleJobShopInstance, Schedule


@dataclass(frozen=True)
class _Model:
    """The constraint programme; ``choices`` are by job and operation: machine, presence, start."""

    programme: Any
    choices: list[list[list[tuple[int, Any, Any]]]]
    makespan: Any


@dataclass(frozen=True)
class _CpSat:
    time_limit: float
    workers: int

    def __call__(self, instance: FlexibleJobShopInstance, /, *, seed: int = 0) -> SolverResult:
        cp_model = import_cp_model("cp_sat")
        model = _build(cp_model, instance)
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = self.time_limit
        solver.parameters.num_workers = self.workers
        solver.parameters.random_seed = seed
        status = solver.solve(model.programme)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            raise UnsolvedError(f"{instance.name}: CP-SAT found no schedule within time_limit={self.time_limit:g} s")
        machines = np.full(instance.times.shape[:2], ABSENT, np.int64)
        starts = machines.copy()
        for j, job in enumerate(model.choices):
            for k, alternatives in enumerate(job):
                for machine, present, start in alternatives:
                    if solver.value(present):
                        machines[j, k], starts[j, k] = machine, solver.value(start)
        verdict = "optimal" if status == cp_model.OPTIMAL else "feasible"
        bound = float(round(solver.best_objective_bound))
        return SolverResult(Schedule(machines, starts), float(solver.value(model.makespan)), bound, verdict)


def cp_sat(*, time_limit: float = 60.0, workers: int = 0) -> Solver:
    """Returns a solver that minimises the makespan with OR-Tools CP-SAT.

    An optional interval for every operation and machine that can do it; with set-up times a circuit a machine.

    Args:
        time_limit: Seconds of wall-clock time.
        workers: Parallel search workers; 0 takes one per core.

    Raises:
        UsageError: An option is out of range.
    """
    if not time_limit > 0:
        raise UsageError(f"cp_sat: time_limit is {time_limit} seconds; expected more than 0")
    if workers < 0:
        raise UsageError(f"cp_sat: workers is {workers}; expected 0 (one per core) or more")
    return _CpSat(float(time_limit), workers)


def _build(cp_model: Any, instance: FlexibleJobShopInstance) -> _Model:
    programme = cp_model.CpModel()
    longest = instance.times.max(axis=2).sum() + instance.setups.max() * instance.operations.sum()
    horizon = int(longest + (instance.times.max(axis=2) < 0).sum())
    makespan = programme.new_int_var(0, horizon, "makespan")
    on_machine: list[list[tuple[int, Any, Any, Any]]] = [[] for _ in range(instance.machines)]
    choices: list[list[list[tuple[int, Any, Any]]]] = []
    for j, count in enumerate(instance.operations.tolist()):
        job, ready = [], None
        for k in range(count):
            start = programme.new_int_var(0, horizon, f"start_{j}_{k}")
            end = programme.new_int_var(0, horizon, f"end_{j}_{k}")
            alternatives = []
            for m, time in enumerate(instance.times[j, k].tolist()):
                if time < 0:
                    continue
                present = programme.new_bool_var(f"on_{j}_{k}_{m}")
                interval = programme.new_optional_interval_var(start, time, end, present, f"run_{j}_{k}_{m}")
                on_machine[m].append((j, present, interval, (start, end)))
                alternatives.append((m, present, start))
            programme.add_exactly_one(present for _, present, _ in alternatives)
            if ready is not None:
                programme.add(start >= ready)
            ready = end
            job.append(alternatives)
        programme.add(makespan >= ready)
        choices.append(job)
    for m, runs in enumerate(on_machine):
        programme.add_no_overlap([interval for _, _, interval, _ in runs])
        if instance.setups[m].any():
            _add_setups(programme, instance.setups[m].tolist(), runs)
    programme.minimize(makespan)
    return _Model(programme, choices, makespan)


def _add_setups(programme: Any, setups: list[list[int]], runs: list[tuple[int, Any, Any, Any]]) -> None:
    """Orders what runs on a machine by a circuit, with a set-up between neighbours."""
    arcs = [(0, 0, programme.new_bool_var("idle"))]
    for i, (job, present, _, (_, end)) in enumerate(runs, start=1):
        arcs.append((i, i, present.negated()))
        arcs.extend([(0, i, programme.new_bool_var("first")), (i, 0, programme.new_bool_var("last"))])
        for other, (next_job, _, _, (start, _)) in enumerate(runs, start=1):
            if other != i:
                follows = programme.new_bool_var("follows")
                arcs.append((i, other, follows))
                setup = setups[job][next_job] if job != next_job else 0
                programme.add(start >= end + setup).only_enforce_if(follows)
    programme.add_circuit(arcs)
