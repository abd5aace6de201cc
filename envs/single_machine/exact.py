"""Exact references: a time-indexed integer programme on HiGHS, and a constraint programme on OR-Tools CP-SAT."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.core.errors import UnsolvedError, UsageError
from envs.core.optional import import_cp_model, import_highspy, new_highs, run_highs
from envs.core.problem import Solver, SolverResult
from envs.single_machine.heuristics import augmented
from envs.single_machine.types import JobOrder, SingleMachineInstance

MOST_VARIABLES = 200_000


def horizon(instance: SingleMachineInstance) -> int:
    """Returns a moment by which some optimal order is finished: there is no reason to idle after all releases."""
    return int(instance.release.max() + instance.time.sum())


@dataclass(frozen=True)
class _Highs:
    time_limit: float
    workers: int

    def __call__(self, instance: SingleMachineInstance, /, *, seed: int = 0) -> SolverResult:
        highspy = import_highspy("highs")
        end = horizon(instance)
        starts = [range(release, end - time + 1) for release, time in _pairs(instance)]
        if sum(map(len, starts)) > MOST_VARIABLES:
            raise UsageError(
                f"{instance.name} needs {sum(map(len, starts))} time-indexed variables; highs takes {MOST_VARIABLES}"
            )
        solver = new_highs(highspy, threads=self.workers, seed=seed)
        solver.setOptionValue("mip_abs_gap", 0.999)
        solver.setOptionValue("time_limit", self.time_limit)
        solver.passModel(_time_indexed(highspy, instance, starts, end))
        guess = augmented(rule="wmdd")(instance)
        run_highs(highspy, solver)
        info = solver.getInfo()
        bound = max(0.0, float(math.ceil(info.mip_dual_bound - 1e-6))) if math.isfinite(info.mip_dual_bound) else 0.0
        if not math.isfinite(info.objective_function_value) or info.primal_solution_status != _FEASIBLE:
            return SolverResult(guess.solution, guess.objective, min(bound, guess.objective), "feasible")
        values = np.array(solver.getSolution().col_value)
        begun, offset = np.empty(instance.jobs), 0
        for job, moments in enumerate(starts):
            begun[job] = moments[int(values[offset : offset + len(moments)].argmax())]
            offset += len(moments)
        order = np.argsort(begun, kind="stable")
        cost = float(round(info.objective_function_value))
        proven = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal or bound >= cost
        return SolverResult(JobOrder(order), cost, cost if proven else bound, "optimal" if proven else "feasible")


_FEASIBLE = 2
"""What HiGHS calls a feasible solution."""


def _pairs(instance: SingleMachineInstance) -> list[tuple[int, int]]:
    return list(zip(instance.release.tolist(), instance.time.tolist(), strict=True))


def _time_indexed(highspy: Any, instance: SingleMachineInstance, starts: list[range], end: int) -> Any:
    """A binary variable for every job and start: each job starts once, and one job at most runs at every moment."""
    jobs = range(instance.jobs)
    cost, columns, begins, rows = [], [], [0], []
    for job in jobs:
        time, weight, due = int(instance.time[job]), int(instance.weight[job]), int(instance.due[job])
        for start in starts[job]:
            cost.append(float(weight * max(0, start + time - due)))
            columns.append([job, *range(instance.jobs + start, instance.jobs + start + time)])
    for column in columns:
        rows.extend(column)
        begins.append(len(rows))
    linear = highspy.HighsLp()
    linear.num_col_, linear.num_row_ = len(cost), instance.jobs + end
    linear.col_cost_ = np.array(cost)
    linear.col_lower_, linear.col_upper_ = np.zeros(len(cost)), np.ones(len(cost))
    linear.row_lower_ = np.concatenate([np.ones(instance.jobs), np.zeros(end)])
    linear.row_upper_ = np.ones(instance.jobs + end)
    linear.integrality_ = [highspy.HighsVarType.kInteger] * len(cost)
    linear.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    linear.a_matrix_.start_ = np.array(begins)
    linear.a_matrix_.index_ = np.array(rows)
    linear.a_matrix_.value_ = np.ones(len(rows))
    model = highspy.HighsModel()
    model.lp_ = linear
    return model


@dataclass(frozen=True)
class _CpSat:
    time_limit: float
    workers: int

    def __call__(self, instance: SingleMachineInstance, /, *, seed: int = 0) -> SolverResult:
        cp_model = import_cp_model("cp_sat")
        programme, end = cp_model.CpModel(), horizon(instance)
        starts, intervals, terms = [], [], []
        for job, (release, time) in enumerate(_pairs(instance)):
            start = programme.new_int_var(release, end - time, f"start_{job}")
            late = programme.new_int_var(0, max(0, end - int(instance.due[job])), f"tardiness_{job}")
            programme.add(late >= start + time - int(instance.due[job]))
            starts.append(start)
            intervals.append(programme.new_fixed_size_interval_var(start, time, f"job_{job}"))
            terms.append(int(instance.weight[job]) * late)
        programme.add_no_overlap(intervals)
        programme.minimize(sum(terms))
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = self.time_limit
        solver.parameters.num_workers = self.workers
        solver.parameters.random_seed = seed
        status = solver.solve(programme)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            raise UnsolvedError(f"{instance.name}: CP-SAT found no order within time_limit={self.time_limit:g} s")
        order = np.argsort([solver.value(start) for start in starts], kind="stable")
        verdict = "optimal" if status == cp_model.OPTIMAL else "feasible"
        bound = max(0.0, float(round(solver.best_objective_bound)))
        return SolverResult(JobOrder(order), float(round(solver.objective_value)), bound, verdict)


def highs(*, time_limit: float = 60.0, workers: int = 1) -> Solver:
    """Returns a solver by the time-indexed integer programme (Sousa and Wolsey 1992) on HiGHS.

    It takes a variable for every job and moment, so that it is for some dozens of jobs; its bound is tight.

    Args:
        time_limit: Seconds of wall-clock time.
        workers: Threads; 0 takes as many as there are.

    Raises:
        UsageError: An option is out of range.
    """
    _check("highs", time_limit, workers)
    return _Highs(time_limit, workers)


def cp_sat(*, time_limit: float = 60.0, workers: int = 0) -> Solver:
    """Returns a solver by a constraint programme with an interval a job on OR-Tools CP-SAT.

    Args:
        time_limit: Seconds of wall-clock time.
        workers: Parallel search workers; 0 takes one per core.

    Raises:
        UsageError: An option is out of range.
    """
    _check("cp_sat", time_limit, workers)
    return _CpSat(time_limit, workers)


def _check(name: str, time_limit: float, workers: int) -> None:
    if not time_limit > 0.0:
        raise UsageError(f"{name}: time_limit is {time_limit} seconds; expected more than 0")
    if workers < 0:
        raise UsageError(f"{name}: workers is {workers}; expected 0 (one per core) or more")
