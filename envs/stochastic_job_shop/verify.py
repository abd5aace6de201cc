"""The independent checker of executions of the stochastic job shop.

It shares no code with the dynamics. Jobs, operations and machines are counted from 0 in its messages. Sums of
hundreds of times are rounded: moments may differ by a billionth of the execution's length.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from envs.core.errors import UsageError
from envs.stochastic_job_shop.types import Execution, StochasticJobShopInstance

_RELATIVE = 1e-9
_MOST_SIGMAS = 9.0
"""The log-normal draws are built from 53-bit numbers, whose normal deviates are at most 8.6."""


class _Run(NamedTuple):
    start: float
    end: float
    job: int
    operation: int

    def __str__(self) -> str:
        return f"operation {self.operation} of job {self.job} [{self.start:g}, {self.end:g})"


def verify(instance: StochasticJobShopInstance, execution: Execution) -> float:
    """Checks a finished execution against the definition of the problem and recomputes its objective.

    Every operation starts at or after its job's release and the end of its predecessor, on a machine that is up;
    machines do one operation at a time; every operation ends when the machine was up for its processing time since its
    start; the processing time is one that the instance's law can give; and machines fail and are repaired in turn,
    where they fail at all.

    Args:
        instance: The job shop.
        execution: The event log.

    Returns:
        The instance's objective.

    Raises:
        UsageError: A constraint is violated; the message names the first one found.
    """
    shape = instance.machines.shape
    for name in ("starts", "ends", "durations"):
        array = np.asarray(getattr(execution, name))
        if array.shape != shape:
            raise UsageError(f"{instance.name}: {name} have shape {array.shape}; expected (jobs, operations) = {shape}")
        if not np.isfinite(array).all():
            raise UsageError(f"{instance.name}: the execution is not finished: some of {name} are missing")
    slack = _RELATIVE * max(float(np.max(execution.ends)), 1.0)
    down = _repairs(instance, execution, slack)
    on_machine: list[list[_Run]] = [[] for _ in range(instance.num_machines)]
    completions = []
    for job in range(shape[0]):
        free = float(instance.releases[job])
        for operation in range(shape[1]):
            run = _Run(float(execution.starts[job, operation]), float(execution.ends[job, operation]), job, operation)
            if run.start < free - slack:
                raise UsageError(f"{instance.name}: {run} starts before its job can at {free:g}")
            machine = int(instance.machines[job, operation])
            duration = float(execution.durations[job, operation])
            _check_duration(instance, run, duration, slack)
            _check_run(instance, run, machine, duration, down[machine], slack)
            on_machine[machine].append(run)
            free = run.end
        completions.append(free)
    for machine, runs in enumerate(on_machine):
        # Sorted by start and then end, all pairs are disjoint exactly when all neighbours are.
        for first, second in pairwise(sorted(runs)):
            if second.start < first.end - slack:
                raise UsageError(f"{instance.name}: machine {machine} does {first} and {second} at the same time")
    return _objective(instance, completions)


def _repairs(
    instance: StochasticJobShopInstance, execution: Execution, slack: float
) -> list[list[tuple[float, float]]]:
    """The times when each machine is down, in order."""
    down: list[list[tuple[float, float]]] = [[] for _ in range(instance.num_machines)]
    columns = (execution.failed_machines.tolist(), execution.failed_at.tolist(), execution.repaired_at.tolist())
    for machine, failed, repaired in sorted(zip(*columns, strict=True)):
        if instance.time_to_failure <= 0:
            raise UsageError(f"{instance.name}: machine {machine} failed at {failed:g}, but no machine of it fails")
        if not 0 <= machine < instance.num_machines:
            raise UsageError(f"{instance.name}: machine {machine} failed; it has {instance.num_machines}")
        last = down[machine][-1][1] if down[machine] else 0.0
        until = math.inf if math.isnan(repaired) else repaired
        if failed < last - slack or until < failed:
            raise UsageError(
                f"{instance.name}: machine {machine} failed at {failed:g} and was repaired at {until:g}; expected "
                f"{last:g} or later, in this order"
            )
        down[machine].append((failed, until))
    return down


def _check_duration(instance: StochasticJobShopInstance, run: _Run, duration: float, slack: float) -> None:
    """The law can give the duration."""
    least, _, greatest = (float(time) for time in instance.times[run.job, run.operation])
    if instance.law == "lognormal" and instance.sigma > 0:
        middle, spread = math.log(max(least, 1e-300)) - instance.sigma**2 / 2, _MOST_SIGMAS * instance.sigma
        least, greatest = (math.exp(middle - spread), math.exp(middle + spread)) if least > 0 else (0.0, 0.0)
    if not least - slack <= duration <= greatest + slack:
        raise UsageError(f"{instance.name}: {run} took {duration:g}; expected {least:g} to {greatest:g}")


def _check_run(
    instance: StochasticJobShopInstance,
    run: _Run,
    machine: int,
    duration: float,
    down: list[tuple[float, float]],
    slack: float,
) -> None:
    """The machine is up at the start, and from then on up for the duration until the end."""
    lost = 0.0
    for failed, repaired in down:
        if failed + slack < run.start < repaired - slack:
            raise UsageError(f"{instance.name}: {run} starts while machine {machine} is down from {failed:g}")
        lost += max(min(repaired, run.end) - max(failed, run.start), 0.0)
    if abs(run.end - run.start - lost - duration) > slack:
        raise UsageError(
            f"{instance.name}: {run} ran {run.end - run.start - lost:g} on machine {machine} beside interruptions; "
            f"its processing time is {duration:g}"
        )


def _objective(instance: StochasticJobShopInstance, completions: list[float]) -> float:
    if instance.objective == "makespan":
        return max(completions)
    if instance.objective == "flow_time":
        return math.fsum(c - r for c, r in zip(completions, instance.releases.tolist(), strict=True))
    weights = instance.weights.tolist() if instance.objective == "weighted_tardiness" else [1.0] * len(completions)
    due = instance.due_dates.tolist()
    return math.fsum(w * max(c - d, 0.0) for w, c, d in zip(weights, completions, due, strict=True))
