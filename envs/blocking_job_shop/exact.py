"""Exact reference: the blocking job shop as a constraint programme, solved by OR-Tools CP-SAT.

A job holds its machine in the half-open interval from the start of an operation to the start of its next one, so that
jobs may change places at one moment. Without swap a hand-over takes one step more than its moment, with so many steps
to a time unit that all hand-overs together take less than one: jobs in a circle could not all be first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.blocking_job_shop.env import BlockingJobShop, BlockingJobShopConfig, fit
from envs.blocking_job_shop.state import BlockingState
from envs.blocking_job_shop.types import BlockingJobShopInstance, Floats, planned
from envs.core.errors import UnsolvedError, UsageError
from envs.core.optional import import_cp_model
from envs.core.problem import Solver, SolverResult
from envs.core.random import seed_words


@dataclass(frozen=True)
class _CpSat:
    time_limit: float
    workers: int

    def __call__(self, instance: BlockingJobShopInstance, /, *, seed: int = 0) -> SolverResult:
        cp_model = import_cp_model("cp_sat")
        steps = 1 if instance.swap else instance.jobs * instance.operations + 1
        programme, starts, makespan = _build(cp_model, instance, steps)
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = self.time_limit
        solver.parameters.num_workers = self.workers
        solver.parameters.random_seed = seed
        status = solver.solve(programme)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            raise UnsolvedError(f"{instance.name}: CP-SAT found no schedule within time_limit={self.time_limit:g} s")
        plan = np.array([[solver.value(start) // steps for start in job] for job in starts], np.float64)
        if instance.is_stochastic:
            return _execute(instance, plan, seed)
        objective = float(solver.value(makespan) // steps)
        bound = float(round(solver.best_objective_bound) // steps)
        verdict = "optimal" if bound == objective else "feasible"
        return SolverResult(planned(plan, instance.times), objective, bound, verdict)


def cp_sat(*, time_limit: float = 60.0, workers: int = 0) -> Solver:
    """Returns a solver that minimises the makespan with OR-Tools CP-SAT.

    For an instance with shutdowns, the plan without them is executed: a machine waits for the planned job.

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


def _build(cp_model: Any, instance: BlockingJobShopInstance, steps: int) -> tuple[Any, list[list[Any]], Any]:
    """The programme, the starts by job and operation, and the makespan, all in steps."""
    programme = cp_model.CpModel()
    horizon = int(instance.times.sum() + 1) * steps
    makespan = programme.new_int_var(0, horizon, "makespan")
    on_machine: list[list[Any]] = [[] for _ in range(instance.num_machines)]
    starts: list[list[Any]] = []
    over = 0 if steps == 1 else 1
    for j, (route, times) in enumerate(zip(instance.machines.tolist(), instance.times.tolist(), strict=True)):
        job = [programme.new_int_var(0, horizon, f"start_{j}_{k}") for k in range(len(route))]
        for k, (machine, time) in enumerate(zip(route, times, strict=True)):
            if k + 1 == len(route):
                on_machine[machine].append(programme.new_fixed_size_interval_var(job[k], time * steps, f"stay_{j}_{k}"))
                programme.add(makespan >= job[k] + time * steps)
                continue
            stay = programme.new_int_var(time * steps + over, horizon, f"length_{j}_{k}")
            interval = programme.new_interval_var(job[k], stay, job[k + 1] + over, f"stay_{j}_{k}")
            on_machine[machine].append(interval)
        starts.append(job)
    for intervals in on_machine:
        programme.add_no_overlap(intervals)
    programme.minimize(makespan)
    return programme, starts, makespan


def _execute(instance: BlockingJobShopInstance, plan: Floats, seed: int) -> SolverResult:
    """Carries out the planned order of the jobs on every machine, with the shutdowns of an episode."""
    problem = BlockingJobShop(BlockingJobShopConfig(graph="compact", **fit([instance])))
    state = problem.allocate(1)
    state.generator[:] = seed_words(np.array([seed], np.uint64))
    problem.load(state, 0, instance)
    while not problem.finished(state)[0]:
        problem.step(state, np.array([_next_action(instance, state, plan)]), np.ones(1, np.bool_))
    return SolverResult(problem.solution(state, 0), float(state.clock[0]), None, "heuristic")


def _next_action(instance: BlockingJobShopInstance, state: BlockingState, plan: Floats) -> int:
    """A legal move that is the next planned one on its machine; else waiting, else the legal move planned first."""
    first = np.full(instance.num_machines, np.inf)
    for job in range(instance.jobs):
        for k in range(state.job_next[0, job], instance.operations):
            first[instance.machines[job, k]] = min(first[instance.machines[job, k]], plan[job, k])
    legal = np.flatnonzero(state.mask[0, : instance.jobs])
    moments = [plan[job, state.job_next[0, job]] for job in legal]
    for job, moment in sorted(zip(legal.tolist(), moments, strict=True), key=lambda pair: pair[1]):
        if moment <= first[instance.machines[job, state.job_next[0, job]]]:
            return int(job)
    if state.mask[0, -1]:
        return int(state.mask.shape[1] - 1)
    return int(legal[int(np.argmin(moments))])
