"""Runs a linear model on OR-Tools CP-SAT."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from envs.core.optional import import_cp_model
from envs.vm_rescheduling.highs import Optimum
from envs.vm_rescheduling.linear import LinearModel
from envs.vm_rescheduling.types import Floats

_SCALE = 2.0**30


def solve_cp_sat(
    model: LinearModel, *, time_limit: float, workers: int, seed: int, start: Floats | None = None
) -> Optimum:
    """Minimises a linear model in whole numbers.

    CP-SAT wants whole coefficients. Rows whose coefficients are none are scaled by 2^30 and rounded such that no
    solution is lost; costs that are none are scaled by 2^30 and rounded, and the bound allows for the error.

    Args:
        model: The model.
        time_limit: Seconds of wall-clock time.
        workers: Parallel search workers; 0 takes one per core.
        seed: Random seed.
        start: Values of a known solution.

    Returns:
        The best values found and the bound.
    """
    cp_model = import_cp_model("cp_sat")
    programme = cp_model.CpModel()
    variables = [programme.new_int_var(0, int(upper), "") for upper in model.upper]
    for indices, coefficients, low, high in model.rows:
        _add_row(cp_model, programme, [variables[i] for i in indices], coefficients, low, high)
    whole = all(float(cost).is_integer() for cost in model.cost)
    scale = 1.0 if whole else _SCALE
    costs = [round(cost * scale) for cost in model.cost]
    programme.minimize(cp_model.LinearExpr.weighted_sum(variables, costs))
    if start is not None:
        for variable, value in zip(variables, start.tolist(), strict=True):
            programme.add_hint(variable, int(value))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = max(0.01, time_limit)
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    status = solver.solve(programme)
    if status == cp_model.INFEASIBLE:
        return Optimum(None, math.inf, True)
    error = sum(abs(round(c * scale) - c * scale) * u for c, u in zip(model.cost, model.upper, strict=True))
    bound = (float(solver.best_objective_bound) - error) / scale
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Optimum(start, bound, False)
    values = np.array([solver.value(variable) for variable in variables], float)
    return Optimum(values, bound, status == cp_model.OPTIMAL)


def _add_row(
    cp_model: Any, programme: Any, variables: list[Any], coefficients: list[float], low: float, high: float
) -> None:
    """Adds a row; rounding outwards loses no solution, since no variable is negative."""
    bounds = [each for each in (low, high) if math.isfinite(each)]
    if all(float(each).is_integer() for each in (*coefficients, *bounds)):
        expression = cp_model.LinearExpr.weighted_sum(variables, [int(each) for each in coefficients])
        if math.isfinite(low):
            programme.add(expression >= int(low))
        if math.isfinite(high):
            programme.add(expression <= int(high))
        return
    scaled = [each * _SCALE for each in coefficients]
    if math.isfinite(low):
        expression = cp_model.LinearExpr.weighted_sum(variables, [math.ceil(each) for each in scaled])
        programme.add(expression >= math.floor(low * _SCALE))
    if math.isfinite(high):
        expression = cp_model.LinearExpr.weighted_sum(variables, [math.floor(each) for each in scaled])
        programme.add(expression <= math.ceil(high * _SCALE))
