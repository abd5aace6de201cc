"""Plans by expected times: CP-SAT's, executed under the true times once (open loop) or made anew as time passes.

A plan is the order of the operations on every machine. Its execution keeps that order: a machine waits for the planned
operation even if another could start. For an instance without anything random the plan's own value and CP-SAT's bound
are the result; otherwise the objective is that of one execution, and nothing is proven of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UnsolvedError, UsageError
from envs.core.problem import Solver, SolverResult
from envs.core.random import seed_words
from envs.stochastic_job_shop.env import StochasticJobShop, StochasticJobShopConfig, fit
from envs.stochastic_job_shop.state import DONE, RUNNING, UNRELEASED, ShopState
from envs.stochastic_job_shop.types import OBJECTIVES, Floats, StochasticJobShopInstance
from envs.stochastic_job_shop.verify import verify

_FINE = 100
"""Steps of a time unit in plans where times are not whole."""


@dataclass(frozen=True)
class _Plan:
    """Planned starts of the operations, infinite for what is not planned, and what CP-SAT says of the objective."""

    starts: Floats
    bound: float
    optimal: bool


@dataclass(frozen=True)
class _CpSat:
    time_limit: float
    workers: int
    reactive: bool
    plans: dict[StochasticJobShopInstance, _Plan] = field(default_factory=dict, compare=False)

    def __call__(self, instance: StochasticJobShopInstance, /, *, seed: int = 0) -> SolverResult:
        problem = StochasticJobShop(StochasticJobShopConfig(wait=True, **fit([instance])))
        state = problem.allocate(1)
        state.generator[:] = seed_words(np.array([seed], np.uint64))
        problem.load(state, 0, instance)
        if instance not in self.plans:
            self.plans[instance] = self._plan(instance, state, everything=not self.reactive)
        plan = first = self.plans[instance]
        seen = 0.0
        while not problem.finished(state)[0]:
            if self.reactive and state.clock[0] > seen:
                plan = self._plan(instance, state, everything=False)
                seen = float(state.clock[0])
            problem.step(state, np.array([_next_action(state, plan.starts)]), np.ones(1, np.bool_))
        execution = problem.solution(state, 0)
        objective = verify(instance, execution)
        if instance.is_stochastic or self.reactive:
            return SolverResult(execution, objective, None, "heuristic")
        optimal = first.optimal and objective <= first.bound + 1e-6
        return SolverResult(execution, objective, min(first.bound, objective), "optimal" if optimal else "feasible")

    def _plan(self, instance: StochasticJobShopInstance, state: ShopState, everything: bool) -> _Plan:
        """Plans what has not started, of all jobs or of those released, from the state of lane 0 on."""
        try:
            from ortools.sat.python import cp_model
        except ImportError as error:
            raise UsageError(
                "cp_sat needs OR-Tools, which is not installed: pip install 'dispatchlab[solvers]'"
            ) from error
        model = _Model(cp_model, instance, state, everything)
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = self.time_limit
        solver.parameters.num_workers = self.workers
        status = solver.solve(model.programme)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            raise UnsolvedError(
                f"{instance.name}: CP-SAT found no plan within time_limit={self.time_limit:g} s; allow it more time"
            )
        starts = np.full(instance.machines.shape, np.inf)
        for (job, operation), start in model.starts.items():
            starts[job, operation] = solver.value(start)
        bound = solver.best_objective_bound / (model.scale * model.weight_scale)
        return _Plan(starts, bound if model.whole else -np.inf, bool(status == cp_model.OPTIMAL) and model.whole)


def cp_sat(*, time_limit: float = 60.0, workers: int = 0) -> Solver:
    """Returns a solver that plans once by expected times and executes the plan open loop.

    The plan is made at time 0 with all release times known, once an instance, and kept for further seeds.

    Args:
        time_limit: Seconds that the planning may take.
        workers: Parallel search workers; 0 takes one per core.

    Raises:
        UsageError: An option is out of range.
    """
    return _checked("cp_sat", time_limit, workers, reactive=False)


def cp_sat_reactive(*, time_limit: float = 1.0, workers: int = 0) -> Solver:
    """Returns a solver that plans anew whenever time has passed and a job can be dispatched.

    A plan knows the jobs released by then, and takes running operations to go on for their expected time.

    Args:
        time_limit: Seconds that each planning may take.
        workers: Parallel search workers; 0 takes one per core.

    Raises:
        UsageError: An option is out of range.
    """
    return _checked("cp_sat_reactive", time_limit, workers, reactive=True)


def _checked(name: str, time_limit: float, workers: int, reactive: bool) -> Solver:
    if not time_limit > 0:
        raise UsageError(f"{name}: time_limit is {time_limit} seconds; expected more than 0")
    if workers < 0:
        raise UsageError(f"{name}: workers is {workers}; expected 0 (one per core) or more")
    return _CpSat(float(time_limit), workers, reactive)


def _next_action(state: ShopState, starts: Floats) -> int:
    """Dispatches a legal job that is the next in the plan of its machine; waits if there is none and it is legal."""
    jobs, operations, _ = (int(n) for n in state.size[0])
    first: dict[int, tuple[float, int]] = {}
    for j in range(jobs):
        begun = int(state.job_next[0, j]) + int(state.job_status[0, j] == RUNNING)
        for k in range(begun, operations):
            place = (float(starts[j, k]), j)
            machine = int(state.machine[0, j, k])
            if np.isfinite(place[0]) and place < first.get(machine, (np.inf, jobs)):
                first[machine] = place
    mask = state.mask[0]
    for _, j in sorted(first.values()):
        if mask[j] and first[int(state.job_machine[0, j])][1] == j:
            return j
    return int(len(mask) - 1 if mask[-1] else mask.argmax())


class _Model:
    """The constraint programme of what has not started.

    Args:
        cp_model: CP-SAT's module.
        instance: The instance.
        state: The state, of which lane 0 is planned.
        everything: Plan jobs that are not released as well.
    """

    def __init__(self, cp_model: Any, instance: StochasticJobShopInstance, state: ShopState, everything: bool) -> None:
        """Builds variables, constraints and objective."""
        self.programme = cp_model.CpModel()
        self.starts: dict[tuple[int, int], Any] = {}
        parts = (instance.expected, instance.releases, instance.due_dates[np.isfinite(instance.due_dates)])
        self.whole = all(np.array_equal(part, np.rint(part)) for part in parts)
        self.scale = 1 if self.whole else _FINE
        weights = instance.weights if instance.objective == "weighted_tardiness" else np.ones(instance.num_jobs)
        self.whole_weights = np.array_equal(weights, np.rint(weights))
        self.weight_scale = 1 if self.whole_weights or instance.objective != "weighted_tardiness" else _FINE
        now = float(state.clock[0])
        free = [self._round(free_at) for free_at in _free_times(state)]
        times = np.rint(instance.expected * self.scale).astype(np.int64)
        latest = max(self._round(now), self._round(float(instance.releases.max())), *free)
        self.horizon = latest + int(times.sum())
        on_machine: list[list[Any]] = [[] for _ in range(instance.num_machines)]
        completions: dict[int, Any] = {}
        for j in range(instance.num_jobs):
            status = state.job_status[0, j]
            if status == DONE or (status == UNRELEASED and not everything):
                continue
            first = int(state.job_next[0, j])
            ready: Any = self._round(max(now, float(instance.releases[j])))
            if status == RUNNING:
                ready = free[int(state.job_machine[0, j])]
                first += 1
            completions[j] = self._add_job(instance, j, first, ready, times, free, on_machine)
        for intervals in on_machine:
            self.programme.add_no_overlap(intervals)
        self._add_objective(instance, completions, weights)

    def _round(self, time: float) -> int:
        return round(time * self.scale)

    def _add_job(
        self,
        instance: StochasticJobShopInstance,
        j: int,
        first: int,
        ready: Any,
        times: NDArray[np.int64],
        free: list[int],
        on_machine: list[list[Any]],
    ) -> Any:
        """Adds the operations from ``first`` on; returns the job's completion."""
        for k in range(first, instance.num_operations):
            m, time = int(instance.machines[j, k]), int(times[j, k])
            start = self.programme.new_int_var(free[m], self.horizon, f"start_{j}_{k}")
            self.programme.add(start >= ready)
            on_machine[m].append(self.programme.new_fixed_size_interval_var(start, time, f"interval_{j}_{k}"))
            self.starts[j, k] = start
            ready = start + time
        return ready

    def _add_objective(self, instance: StochasticJobShopInstance, completions: dict[int, Any], weights: Floats) -> None:
        programme, goal = self.programme, OBJECTIVES.index(instance.objective)
        if goal == 0:
            makespan = programme.new_int_var(0, self.horizon, "makespan")
            for completion in completions.values():
                programme.add(makespan >= completion)
            programme.minimize(makespan)
            return
        total: Any = 0
        for j, completion in completions.items():
            if goal == 1:
                total += completion - self._round(float(instance.releases[j]))
            elif np.isfinite(instance.due_dates[j]):
                late = programme.new_int_var(0, self.horizon, f"tardiness_{j}")
                programme.add(late >= completion - self._round(float(instance.due_dates[j])))
                total += round(float(weights[j]) * self.weight_scale) * late
        programme.minimize(total)


def _free_times(state: ShopState) -> list[float]:
    """When each machine of lane 0 is expected to be free."""
    times = []
    for m in range(int(state.size[0, 2])):
        now, expected = float(state.clock[0]), float(state.machine_expected[0, m])
        if not state.machine_up[0, m]:
            times.append(now + float(state.repair_time[0]) + expected)
        elif state.machine_job[0, m] < 0:
            times.append(now)
        else:
            times.append(max(float(state.machine_since[0, m]) + expected, now))
    return times
