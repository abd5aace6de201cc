"""Exact reference for static instances: the schedule as a constraint programme, solved by OR-Tools CP-SAT."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from envs.core.errors import UsageError
from envs.core.optional import import_cp_model
from envs.core.problem import Solver, SolverResult
from envs.soc_dag.static.graph import TaskGraph, task_graph
from envs.soc_dag.static.heft import heft
from envs.soc_dag.static.ranks import static_levels
from envs.soc_dag.static.timeline import Timeline
from envs.soc_dag.types import SocInstance, Trace
from envs.soc_dag.verify import verify

_EXACT_DIGITS = 6
_TICKS = 1e6


@dataclass(frozen=True)
class _Model:
    """The constraint programme and the variables that a solution is read from."""

    programme: Any
    starts: list[Any]
    on: list[dict[int, Any]]


@dataclass(frozen=True)
class _CpSat:
    time_limit: float
    workers: int

    def __call__(self, instance: SocInstance, /, *, seed: int = 0) -> SolverResult:
        cp_model = import_cp_model("cp_sat")
        graph = task_graph(instance)
        hint = heft(instance)
        scale, exact = _time_scale(graph, float(hint.completed.max()))
        ticks = _Ticks(graph, scale)
        model = _build(cp_model, ticks, hint)
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = self.time_limit
        solver.parameters.num_workers = self.workers
        solver.parameters.random_seed = seed
        status = solver.solve(model.programme)
        bound = _bound(graph, solver.best_objective_bound, scale)
        best, value = hint, verify(instance, hint)
        if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            found = _read(ticks, model, solver)
            found_value = verify(instance, found)
            if found_value < value:
                best, value = found, found_value
        resolution = 0.0 if exact else 2 * (graph.num_tasks + 1) / scale
        proven = value <= bound + resolution + 1e-9 * max(1.0, value)
        return SolverResult(best, value, min(bound, value), "optimal" if proven else "feasible")


def cp_sat(*, time_limit: float = 60.0, workers: int = 0) -> Solver:
    """Returns a solver of static instances with OR-Tools CP-SAT, for the makespan or the mean latency.

    One optional interval variable for every task and processing element (PE) that can run it, of which one is
    present; no overlap on a PE; the start of a task after the end of its predecessor plus the communication delay
    between the two PEs. The search starts from HEFT's schedule and never returns a worse one. It repeats exactly for
    the same seed when optimality is proven with one worker.

    CP-SAT wants integers. Times are multiplied by the smallest power of ten up to 10^6 that makes all of them integers,
    so that integer data is solved exactly; where none does, by the power of ten that cuts HEFT's makespan into 10^5 to
    10^6 ticks. Then durations and delays are rounded down, so that the bound holds for the true times, starts
    are moved to where the true times allow them in the order that was found, and "optimal" means proven within two
    ticks a task.

    Args:
        time_limit: Seconds of wall-clock time that the search may take.
        workers: Parallel search workers; 0 takes one per core.

    Returns:
        A solver. Its bound is the best proven one; it raises `UsageError` for an instance that is not static or has
        noise or failures, or if OR-Tools is not installed.

    Raises:
        UsageError: An option is out of range.
    """
    if not time_limit > 0:
        raise UsageError(f"cp_sat: time_limit is {time_limit} seconds; expected more than 0")
    if workers < 0:
        raise UsageError(f"cp_sat: workers is {workers}; expected 0 (one per core) or more")
    return _CpSat(float(time_limit), workers)


def _time_scale(graph: TaskGraph, horizon: float) -> tuple[float, bool]:
    """Returns the number of ticks in a time unit, and whether all times are whole numbers of ticks then."""
    times = np.array(sorted(_all_times(graph)))
    for digits in range(_EXACT_DIGITS + 1):
        ticks = times * 10.0**digits
        if (np.abs(ticks - np.round(ticks)) <= 1e-9 * np.maximum(1.0, ticks)).all():
            return 10.0**digits, True
    return 10.0 ** math.floor(math.log10(_TICKS / max(horizon, 1e-9))), False


def _all_times(graph: TaskGraph) -> set[float]:
    """All execution, transfer and release times that can occur."""
    instance, every = graph.instance, range(graph.num_processors)
    volumes = {volume for before in graph.predecessors for _, volume in before}
    times = set(graph.times[np.isfinite(graph.times)].tolist()) | set(graph.release.tolist())
    if instance.transfer == "shared_memory":
        return times | {instance.memory_time(volume, p) for volume in volumes for p in every}
    return times | {instance.transfer_time(volume, p, q) for volume in volumes for p in every for q in every}


class _Ticks:
    """The data of a task graph in whole ticks, rounded down."""

    def __init__(self, graph: TaskGraph, scale: float) -> None:
        self.graph = graph
        self.instance = graph.instance
        self.scale = scale
        self.shared = graph.instance.transfer == "shared_memory"

    def whole(self, time: float) -> int:
        """Ticks of a time; rounding errors do not cost one."""
        ticks = time * self.scale
        return math.floor(ticks + 1e-9 * max(1.0, ticks))

    def duration(self, task: int, processor: int) -> int:
        return self.whole(float(self.graph.times[task, processor]))

    def delay(self, volume: float, source: int, target: int) -> int:
        return self.whole(self.instance.transfer_time(volume, source, target))

    def memory_delay(self, volume: float, processor: int) -> int:
        return self.whole(self.instance.memory_time(volume, processor))

    def fetch(self, task: int, processor: int) -> int:
        """Way of the data of all predecessors from the shared memory to a PE."""
        return max((self.memory_delay(volume, processor) for _, volume in self.graph.predecessors[task]), default=0)


def _build(cp_model: Any, ticks: _Ticks, hint: Trace) -> _Model:
    programme, graph = cp_model.CpModel(), ticks.graph
    horizon = _horizon(ticks, hint)
    starts = [
        programme.new_int_var(ticks.whole(float(release)), horizon, f"start_{task}")
        for task, release in enumerate(graph.release)
    ]
    on = [
        {p: programme.new_bool_var(f"task_{task}_on_{p}") for p in graph.supported[task]}
        for task in range(graph.num_tasks)
    ]
    model = _Model(programme, starts, on)
    _add_processors(model, ticks)
    ends = [
        start + sum(ticks.duration(task, p) * chosen for p, chosen in on[task].items())
        for task, start in enumerate(starts)
    ]
    for task in range(graph.num_tasks):
        if ticks.shared:
            _add_memory_edges(model, ticks, ends, task)
        else:
            _add_direct_edges(model, ticks, ends, task)
    _add_objective(model, ticks, ends, horizon)
    for task, (processor, start) in enumerate(zip(hint.processor, hint.start, strict=True)):
        programme.add_hint(starts[task], ticks.whole(float(start)))
        for p, chosen in on[task].items():
            programme.add_hint(chosen, p == processor)
    return model


def _horizon(ticks: _Ticks, hint: Trace) -> int:
    """HEFT's makespan; where a later end may be better on average, the end if all tasks run one after the other."""
    latest = ticks.whole(float(hint.completed.max())) + 1
    if ticks.instance.objective == "makespan":
        return latest
    graph = ticks.graph
    times = np.where(np.isfinite(graph.times), graph.times, 0.0).max(axis=1).sum()
    transfers = 2 * sum(ticks.whole(time) + 1 for time in _all_times(graph)) * graph.num_tasks
    return latest + ticks.whole(float(times + graph.release.max())) + transfers


def _add_processors(model: _Model, ticks: _Ticks) -> None:
    """Every task runs on one PE, and on every PE one task at a time."""
    intervals: list[list[Any]] = [[] for _ in range(ticks.graph.num_processors)]
    for task, (start, on) in enumerate(zip(model.starts, model.on, strict=True)):
        model.programme.add_exactly_one(on.values())
        for p, chosen in on.items():
            duration = ticks.duration(task, p)
            name = f"interval_{task}_{p}"
            intervals[p].append(model.programme.new_optional_fixed_size_interval_var(start, duration, chosen, name))
    for row in intervals:
        model.programme.add_no_overlap(row)


def _add_direct_edges(model: _Model, ticks: _Ticks, ends: list[Any], task: int) -> None:
    start, here = model.starts[task], model.on[task]
    for before, volume in ticks.graph.predecessors[task]:
        model.programme.add(start >= ends[before])
        for p, sends in model.on[before].items():
            delays = {q: ticks.delay(volume, p, q) for q in here if q != p}
            if len(set(delays.values())) == 1:
                delay = next(iter(delays.values()))
                apart = [sends, here[p].negated()] if p in here else [sends]
                model.programme.add(start >= ends[before] + delay).only_enforce_if(apart)
                continue
            for q, delay in delays.items():
                model.programme.add(start >= ends[before] + delay).only_enforce_if([sends, here[q]])


def _add_memory_edges(model: _Model, ticks: _Ticks, ends: list[Any], task: int) -> None:
    fetch = sum(ticks.fetch(task, q) * chosen for q, chosen in model.on[task].items())
    for before, volume in ticks.graph.predecessors[task]:
        store = sum(ticks.memory_delay(volume, p) * chosen for p, chosen in model.on[before].items())
        model.programme.add(model.starts[task] >= ends[before] + store + fetch)


def _add_objective(model: _Model, ticks: _Ticks, ends: list[Any], horizon: int) -> None:
    """Minimises the makespan, or the sum of the completions of the jobs that count."""
    graph, programme = ticks.graph, model.programme
    jobs = list(pairwise(graph.offsets.tolist()))
    counted = _counted(ticks.instance)
    if not counted:
        makespan = programme.new_int_var(0, horizon, "makespan")
        for end in ends:
            programme.add(makespan >= end)
        for p in range(graph.num_processors):  # implied; helps the bound
            load = [ticks.duration(task, p) * on[p] for task, on in enumerate(model.on) if p in on]
            programme.add(makespan >= sum(load))
        programme.minimize(makespan)
        return
    completions = []
    for job in counted:
        completion = programme.new_int_var(0, horizon, f"completion_{job}")
        for task in range(*jobs[job]):
            programme.add(completion >= ends[task])
        completions.append(completion)
    programme.minimize(sum(completions))


def _counted(instance: SocInstance) -> list[int]:
    """Jobs whose latency counts; none if the objective is the makespan."""
    if instance.objective == "makespan":
        return []
    return [job for job, (_, release) in enumerate(instance.arrivals.releases) if release >= instance.arrivals.warm_up]


def _bound(graph: TaskGraph, ticks: float, scale: float) -> float:
    """The programme's bound in the terms of the objective, or the longest paths of smallest times if that is better."""
    lengths = static_levels(graph, graph.times.min(axis=1))
    finishes = [
        float((graph.release[first:last] + lengths[first:last]).max())
        for first, last in pairwise(graph.offsets.tolist())
    ]
    counted = _counted(graph.instance)
    if not counted:
        return max(ticks / scale, *finishes)
    releases = sum(graph.instance.arrivals.releases[job][1] for job in counted)
    return (max(ticks / scale, sum(finishes[job] for job in counted)) - releases) / len(counted)


def _read(ticks: _Ticks, model: _Model, solver: Any) -> Trace:
    """The schedule with the PEs and the order of the programme's, and true times."""
    starts = [solver.value(start) for start in model.starts]
    processors = [next(p for p, chosen in on.items() if solver.boolean_value(chosen)) for on in model.on]
    timeline = Timeline(ticks.graph)
    # A task of time 0 at the start of another goes before it.
    for task in sorted(ticks.graph.order, key=lambda task: (starts[task], ticks.duration(task, processors[task]))):
        timeline.place_earliest(task, processors[task], insertion=False)
    return timeline.trace()
