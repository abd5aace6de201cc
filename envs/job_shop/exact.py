"""Exact reference: the job shop as a constraint programme, solved by OR-Tools CP-SAT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UnsolvedError, UsageError
from envs.core.optional import import_cp_model
from envs.core.problem import Solver, SolverResult
from envs.job_shop.types import JobShopInstance, Schedule
from envs.job_shop.verify import verify


@dataclass(frozen=True)
class _Model:
    """The constraint programme and the variables that a solution is read from."""

    programme: Any
    starts: list[list[Any]]
    makespan: Any


@dataclass(frozen=True)
class _CpSat:
    time_limit: float
    workers: int
    hint: Schedule | None

    def __call__(self, instance: JobShopInstance, /, *, seed: int = 0) -> SolverResult:
        cp_model = import_cp_model("cp_sat")
        hint_makespan = None if self.hint is None else round(verify(instance, self.hint))
        model = _build(cp_model, instance, self.hint, hint_makespan)
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = self.time_limit
        solver.parameters.num_workers = self.workers
        solver.parameters.random_seed = seed
        status = solver.solve(model.programme)
        bound = float(max(instance.lower_bound, round(solver.best_objective_bound)))
        if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            starts = np.array([[solver.value(start) for start in row] for row in model.starts], np.int64)
            verdict = "optimal" if status == cp_model.OPTIMAL else "feasible"
            return SolverResult(Schedule(starts), float(solver.value(model.makespan)), bound, verdict)
        if self.hint is None or hint_makespan is None:
            raise UnsolvedError(
                f"{instance.name}: CP-SAT found no schedule within time_limit={self.time_limit:g} s; "
                "allow it more time or give it a schedule as hint"
            )
        verdict = "optimal" if hint_makespan <= bound else "feasible"
        return SolverResult(self.hint, float(hint_makespan), min(bound, float(hint_makespan)), verdict)


def cp_sat(*, time_limit: float = 60.0, workers: int = 0, hint: Schedule | None = None) -> Solver:
    """Returns a solver that minimises the makespan with OR-Tools CP-SAT.

    One interval variable per operation, a no-overlap constraint per machine, precedences within jobs. The result
    repeats exactly for the same seed when the proof of optimality is reached with one worker; a run that the clock
    stops, or several workers, may end with another schedule.

    Args:
        time_limit: Seconds of wall-clock time that the search may take.
        workers: Parallel search workers; 0 takes one per core.
        hint: A finished schedule of the instance to start from; the result is never worse.

    Returns:
        A solver. It raises `UnsolvedError` if no schedule was found in time and there is no hint, `UsageError` if the
        hint is not a valid schedule or OR-Tools is not installed. Its bound is the best proven one.

    Raises:
        UsageError: An option is out of range.
    """
    if not time_limit > 0:
        raise UsageError(f"cp_sat: time_limit is {time_limit} seconds; expected more than 0")
    if workers < 0:
        raise UsageError(f"cp_sat: workers is {workers}; expected 0 (one per core) or more")
    return _CpSat(float(time_limit), workers, hint)


def _build(cp_model: Any, instance: JobShopInstance, hint: Schedule | None, hint_makespan: int | None) -> _Model:
    programme = cp_model.CpModel()
    times: list[list[int]] = instance.times.tolist()
    machines: list[list[int]] = instance.machines.tolist()
    horizon = int(instance.times.sum(dtype=np.int64)) if hint_makespan is None else hint_makespan
    makespan = programme.new_int_var(instance.lower_bound, horizon, "makespan")
    on_machine: list[list[Any]] = [[] for _ in range(instance.num_machines)]
    starts: list[list[Any]] = []
    for job, job_times in enumerate(times):
        row: list[Any] = []
        for operation, time in enumerate(job_times):
            start = programme.new_int_var(0, horizon, f"start_{job}_{operation}")
            on_machine[machines[job][operation]].append(
                programme.new_fixed_size_interval_var(start, time, f"interval_{job}_{operation}")
            )
            if row:
                programme.add(start >= row[-1] + job_times[operation - 1])
            row.append(start)
        programme.add(makespan >= row[-1] + job_times[-1])
        starts.append(row)
    for intervals in on_machine:
        programme.add_no_overlap(intervals)
    programme.minimize(makespan)
    if hint is not None:
        _add_hint(programme, starts, makespan, hint.starts, hint_makespan)
    return _Model(programme, starts, makespan)


def _add_hint(
    programme: Any, starts: list[list[Any]], makespan: Any, hint: NDArray[np.int64], hint_makespan: int | None
) -> None:
    for row, hint_row in zip(starts, hint.tolist(), strict=True):
        for variable, start in zip(row, hint_row, strict=True):
            programme.add_hint(variable, start)
    programme.add_hint(makespan, hint_makespan)
