"""Runs a linear model on HiGHS."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.core.optional import import_highspy, new_highs, run_highs
from envs.vm_rescheduling.linear import LinearModel
from envs.vm_rescheduling.types import Floats


@dataclass(frozen=True, eq=False)
class Optimum:
    """What a solver of linear models found.

    Attributes:
        values: Values of the variables; None if no solution was found.
        bound: Proven lower bound on the cost; ``-inf`` if there is none, ``inf`` if the model has no solution.
        proven: Whether the values are proven optimal, or that there is no solution.
    """

    values: Floats | None
    bound: float
    proven: bool


def solve_highs(
    model: LinearModel, *, time_limit: float, threads: int, seed: int, start: Floats | None = None
) -> Optimum:
    """Minimises a linear model in whole numbers.

    Args:
        model: The model.
        time_limit: Seconds of wall-clock time.
        threads: Threads of HiGHS.
        seed: Its random seed.
        start: Values of a known solution.

    Returns:
        The best values found and the bound.
    """
    highspy = import_highspy("highs")
    deadline = time.perf_counter() + time_limit
    solver = new_highs(highspy, threads=threads, seed=seed)
    solver.setOptionValue("mip_abs_gap", 1e-6 if all(float(cost).is_integer() for cost in model.cost) else 1e-9)
    solver.passModel(_problem(highspy, model))
    if start is not None:
        solution = highspy.HighsSolution()
        solution.col_value = start.tolist()
        solver.setSolution(solution)
    solver.setOptionValue("time_limit", max(0.01, deadline - time.perf_counter()))
    run_highs(highspy, solver)
    status, info = solver.getModelStatus(), solver.getInfo()
    if status == highspy.HighsModelStatus.kInfeasible:
        return Optimum(None, math.inf, True)
    found = math.isfinite(info.objective_function_value) and info.primal_solution_status == 2
    values = np.round(np.array(solver.getSolution().col_value)) if found else start
    bound = float(info.mip_dual_bound)
    proven = status == highspy.HighsModelStatus.kOptimal
    return Optimum(values, bound if math.isfinite(bound) else -math.inf, proven)


def _problem(highspy: Any, model: LinearModel) -> Any:
    problem = highspy.HighsLp()
    columns, rows = len(model.upper), len(model.rows)
    problem.num_col_, problem.num_row_ = columns, rows
    problem.col_cost_ = np.array(model.cost, float)
    problem.col_lower_ = np.zeros(columns)
    problem.col_upper_ = np.array(model.upper, float)
    problem.row_lower_ = np.array([low if math.isfinite(low) else -highspy.kHighsInf for _, _, low, _ in model.rows])
    problem.row_upper_ = np.array([high if math.isfinite(high) else highspy.kHighsInf for *_, high in model.rows])
    problem.integrality_ = [highspy.HighsVarType.kInteger] * columns
    problem.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lengths = [len(indices) for indices, *_ in model.rows]
    problem.a_matrix_.start_ = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    problem.a_matrix_.index_ = np.array([i for indices, *_ in model.rows for i in indices], np.int32)
    problem.a_matrix_.value_ = np.array([v for _, values, *_ in model.rows for v in values], float)
    return problem
