"""The independent checker of executions: streaming runs and static schedules.

It shares no code with the dynamics and uses plain Python numbers. Jobs, tasks and processing elements (PEs) are counted
from 0 in its messages. Times that were added up in another order may differ by rounding errors, which it tolerates.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise
from typing import NamedTuple

from envs.core.errors import UsageError
from envs.soc_dag.types import JobType, SocInstance, Trace

_TOLERANCE = 1e-9
_MOST_SIGMAS = 10.0


class _Run(NamedTuple):
    """One start of a task."""

    job: int
    task: int
    processor: int
    mapped: float
    start: float
    end: float
    lost: bool

    def __str__(self) -> str:
        return f"task {self.task} of job {self.job} on PE {self.processor} [{self.start:g}, {self.end:g})"


class _Job(NamedTuple):
    """One admitted job."""

    kind: int
    arrived: float
    admitted: float
    completed: float


def verify(instance: SocInstance, trace: Trace) -> float:
    """Checks an execution against the problem's definition and recomputes its objective.

    Checked are: how jobs arrive and get their places; that tasks run on PEs that support them, one at a time and to the
    end, as long as the instance says; that they are mapped after their predecessors are done and start after their data
    is there; that what was lost to a failure is run again; when jobs are completed.

    Data of an edge is on PE q at ``end of the predecessor + latency + volume / bandwidth``, at once on the same PE
    ("direct"), or in the memory at ``end + volume / memory bandwidth of its PE``, and after that and the mapping on q
    after the largest ``volume / memory bandwidth of q`` of the task's edges ("shared_memory"); with whole ticks every
    transfer time is cut. A task that is mapped anew may get its data later than that, or, on the PE it had before,
    earlier than counted from the last mapping; so, of the way from the memory, the start is only checked against the
    moment when the data was in the memory.

    Args:
        instance: What was run.
        trace: The execution: of a static instance complete, of a stream up to the end of its window.

    Returns:
        The makespan, or the mean latency: mean of completion minus arrival (with blocking arrivals minus admission)
        over the jobs completed within the window and admitted at or after the warm-up; where there are none, the
        window, or the makespan of a static instance.

    Raises:
        UsageError: A constraint is violated; the message names the first one found.
    """
    jobs, runs = _jobs(instance, trace), _runs(instance, trace)
    slack = _TOLERANCE * max(1.0, *(abs(run.end) for run in runs), *(job.admitted for job in jobs))
    if instance.arrivals.mode == "static":
        _check_releases(instance, jobs)
    else:
        _check_stream(instance, trace, jobs, runs, slack)
    of_task: dict[tuple[int, int], list[_Run]] = defaultdict(list)
    for run in runs:
        _check_run(instance, jobs, run, slack)
        of_task[run.job, run.task].append(run)
    _check_processors(instance, runs, slack)
    for attempts in of_task.values():
        _check_attempts(instance, attempts, slack)
    done = {key: attempts[-1] for key, attempts in of_task.items() if not attempts[-1].lost}
    for run in runs:
        _check_data(instance, jobs, run, done, slack)
    for number, job in enumerate(jobs):
        _check_completion(instance, number, job, done, slack)
    return _objective(instance, jobs)


def _fail(instance: SocInstance, message: str) -> UsageError:
    return UsageError(f"{instance.name}: {message}")


def _jobs(instance: SocInstance, trace: Trace) -> list[_Job]:
    columns = [trace.job_type, trace.arrived, trace.admitted, trace.completed]
    if len({len(column) for column in columns}) != 1:
        raise _fail(
            instance, f"the columns of the jobs have {[len(column) for column in columns]} rows; expected as many"
        )
    jobs = [_Job(int(k), float(a), float(b), float(c)) for k, a, b, c in zip(*columns, strict=True)]
    for number, job in enumerate(jobs):
        if not 0 <= job.kind < len(instance.job_types):
            raise _fail(instance, f"job {number} has the type {job.kind}; there are {len(instance.job_types)}")
        if not (0 <= job.arrived <= job.admitted < math.inf):
            raise _fail(instance, f"job {number} arrived at {job.arrived:g} and was admitted at {job.admitted:g}")
    return jobs


def _runs(instance: SocInstance, trace: Trace) -> list[_Run]:
    columns = [trace.job, trace.task, trace.processor, trace.mapped, trace.start, trace.end, trace.lost]
    if len({len(column) for column in columns}) != 1:
        raise _fail(
            instance, f"the columns of the runs have {[len(column) for column in columns]} rows; expected as many"
        )
    runs = [
        _Run(int(j), int(t), int(p), float(m), float(s), float(e), bool(lost))
        for j, t, p, m, s, e, lost in zip(*columns, strict=True)
    ]
    for run in runs:
        if not 0 <= run.job < len(trace.job_type):
            raise _fail(instance, f"a run is of job {run.job}; there are {len(trace.job_type)}")
        if not 0 <= run.task < _kind(instance, trace, run.job).num_tasks:
            raise _fail(instance, f"a run is of task {run.task} of job {run.job}, which does not exist")
        if not 0 <= run.processor < instance.chip.num_processors:
            raise _fail(instance, f"{run}: there are {instance.chip.num_processors} PEs")
        if not all(map(math.isfinite, (run.mapped, run.start, run.end))):
            raise _fail(instance, f"{run}: times of a run are finite")
    return runs


def _kind(instance: SocInstance, trace: Trace, job: int) -> JobType:
    return instance.job_types[int(trace.job_type[job])]


def _check_releases(instance: SocInstance, jobs: list[_Job]) -> None:
    """Every job of the releases is there, and is admitted when it is released."""
    expected = Counter((kind, float(release)) for kind, release in instance.arrivals.releases)
    found = Counter((job.kind, job.arrived) for job in jobs)
    for (kind, release), count in (expected - found).items():
        raise _fail(instance, f"{count} job(s) of type {kind} released at {release:g} are missing")
    for (kind, release), count in (found - expected).items():
        raise _fail(instance, f"{count} job(s) of type {kind} at {release:g} are not among the releases")
    for number, job in enumerate(jobs):
        if job.admitted != job.arrived:
            raise _fail(instance, f"job {number} was admitted at {job.admitted:g}, released at {job.arrived:g}")


def _check_stream(instance: SocInstance, trace: Trace, jobs: list[_Job], runs: list[_Run], slack: float) -> None:
    """Run to the end of the window; arrivals within it, in order; as many jobs in the system as there are places."""
    if trace.until < instance.arrivals.window - slack:
        raise _fail(instance, f"was run up to {trace.until:g}; its window ends at {instance.arrivals.window:g}")
    arrivals = instance.arrivals
    freed = sorted(job.completed for job in jobs if not math.isnan(job.completed))
    for number, job in enumerate(jobs):
        if job.admitted > arrivals.window + slack:
            raise _fail(
                instance, f"job {number} was admitted at {job.admitted:g}, after the window {arrivals.window:g}"
            )
        if number and (job.arrived < jobs[number - 1].arrived or job.admitted < jobs[number - 1].admitted):
            raise _fail(
                instance, f"job {number} came before job {number - 1}; jobs are admitted first come, first served"
            )
        if instance.whole_ticks and arrivals.mode == "open" and abs(job.arrived - round(job.arrived)) > slack:
            raise _fail(instance, f"job {number} arrived at {job.arrived:g}; pauses are whole numbers")
        completed = number - arrivals.limit
        place_at = 0.0 if completed < 0 else freed[completed] if completed < len(freed) else math.inf
        place = f"there is a place for it at {place_at:g}"
        if job.admitted < place_at - slack:
            raise _fail(instance, f"job {number} was admitted at {job.admitted:g}; {place}")
        if arrivals.mode == "open" and job.admitted > max(job.arrived, place_at) + slack:
            raise _fail(
                instance, f"job {number} arrived at {job.arrived:g} and was admitted at {job.admitted:g}; {place}"
            )
        if arrivals.mode == "blocking":
            _check_blocking(instance, number, job, slack)
    if arrivals.mode == "blocking" and len(jobs) < arrivals.limit:
        raise _fail(instance, f"{len(jobs)} jobs were admitted; expected {arrivals.limit} at the start")
    for run in runs:
        if run.start > arrivals.window + slack:
            raise _fail(instance, f"{run} starts after the window {arrivals.window:g}")


def _check_blocking(instance: SocInstance, number: int, job: _Job, slack: float) -> None:
    if job.admitted != job.arrived:
        raise _fail(instance, f"job {number} was admitted at {job.admitted:g}, but blocked jobs arrive when admitted")
    if number < instance.arrivals.limit and job.admitted > 0:
        raise _fail(
            instance, f"job {number} was admitted at {job.admitted:g}; the first {instance.arrivals.limit} come at 0"
        )
    if instance.whole_ticks and abs(job.admitted - round(job.admitted)) > slack:
        raise _fail(instance, f"job {number} was admitted at {job.admitted:g}; pauses are whole numbers")


def _check_run(instance: SocInstance, jobs: list[_Job], run: _Run, slack: float) -> None:
    """The PE supports the task, the times are in order, and the duration is one that the instance allows."""
    mean = float(instance.job_types[jobs[run.job].kind].times[run.task, run.processor])
    if not math.isfinite(mean):
        raise _fail(instance, f"{run}: that PE cannot run the task")
    if run.mapped < jobs[run.job].admitted - slack:
        raise _fail(instance, f"{run} was mapped at {run.mapped:g}, before its job came at {jobs[run.job].admitted:g}")
    if not run.mapped - slack <= run.start <= run.end:
        raise _fail(instance, f"{run} was mapped at {run.mapped:g}; expected mapping, start and end in this order")
    low, high = _durations(instance, mean)
    duration = run.end - run.start
    if run.lost:
        if instance.failures.between <= 0:
            raise _fail(instance, f"{run} was lost, but no PE fails")
        if duration > high + slack:
            raise _fail(instance, f"{run} was lost after {duration:g}; it takes at most {high:g}")
        return
    if not low - slack <= duration <= high + slack:
        raise _fail(instance, f"{run} took {duration:g}; expected {_range(low, high)}")
    drawn = instance.noise > 0 and mean > 0
    if drawn and instance.whole_ticks and abs(duration - round(duration)) > slack:
        raise _fail(instance, f"{run} took {duration:g}; expected a whole number of ticks")


def _durations(instance: SocInstance, mean: float) -> tuple[float, float]:
    if instance.noise == 0 or mean == 0:
        return mean, mean
    spread = _MOST_SIGMAS * instance.noise * mean
    if instance.whole_ticks:
        return max(mean - spread - 0.5, 1.0), max(mean + spread + 0.5, 1.0)
    return max(mean - spread, 0.01 * mean), mean + spread


def _range(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _check_processors(instance: SocInstance, runs: list[_Run], slack: float) -> None:
    """No two runs on a PE at a time."""
    on_processor: dict[int, list[_Run]] = defaultdict(list)
    for run in runs:
        on_processor[run.processor].append(run)
    for row in on_processor.values():
        # Sorted by start and then end, all pairs are disjoint exactly when all neighbours are.
        for first, second in pairwise(sorted(row, key=lambda run: (run.start, run.end))):
            if second.start < first.end - slack:
                raise _fail(instance, f"{first} and {second} are at the same time")


def _check_attempts(instance: SocInstance, attempts: list[_Run], slack: float) -> None:
    """Only what was lost is run again, after the loss."""
    attempts.sort(key=lambda run: (run.start, run.end))
    for first, second in pairwise(attempts):
        if not first.lost:
            raise _fail(instance, f"{second} runs a task again that {first} did already")
        if second.mapped < first.end - slack:
            raise _fail(instance, f"{second} was mapped at {second.mapped:g}, before {first} was lost")


def _check_data(
    instance: SocInstance, jobs: list[_Job], run: _Run, done: dict[tuple[int, int], _Run], slack: float
) -> None:
    """Predecessors are done before the mapping, and the data is there before the start."""
    kind = instance.job_types[jobs[run.job].kind]
    shared = instance.transfer == "shared_memory"
    ready = data = fetch = 0.0
    for before, volume in kind.predecessors[run.task]:
        sender = done.get((run.job, before))
        if sender is None:
            raise _fail(instance, f"{run} starts, but its predecessor {before} has not been run")
        if shared:
            ready = max(ready, sender.end + _memory_time(instance, volume, sender.processor))
            fetch = max(fetch, _memory_time(instance, volume, run.processor))
        else:
            ready = max(ready, sender.end)
            data = max(data, sender.end + _direct_time(instance, volume, sender.processor, run.processor))
    if run.mapped < ready - slack:
        raise _fail(instance, f"{run} was mapped at {run.mapped:g}, before it was ready at {ready:g}")
    if run.start < max(data, ready + fetch) - slack:
        raise _fail(instance, f"{run} starts before its data is there at {max(data, ready + fetch):g}")


def _direct_time(instance: SocInstance, volume: float, source: int, target: int) -> float:
    if source == target:
        return 0.0
    chip = instance.chip
    time = float(chip.latency[source, target]) + volume / float(chip.bandwidth[source, target])
    return float(math.floor(time)) if instance.whole_ticks else time


def _memory_time(instance: SocInstance, volume: float, processor: int) -> float:
    time = volume / float(instance.chip.memory_bandwidth[processor])
    return float(math.floor(time)) if instance.whole_ticks else time


def _check_completion(
    instance: SocInstance, number: int, job: _Job, done: dict[tuple[int, int], _Run], slack: float
) -> None:
    """A job is completed when its last task ends, if that is within the window; in a static instance it must be."""
    static = instance.arrivals.mode == "static"
    window = math.inf if static else instance.arrivals.window
    ends = [
        done[number, task].end
        for task in range(instance.job_types[job.kind].num_tasks)
        if (number, task) in done and done[number, task].end <= window + slack
    ]
    missing = instance.job_types[job.kind].num_tasks - len(ends)
    if missing:
        if static:
            raise _fail(instance, f"job {number} has {missing} task(s) that were not run")
        if not math.isnan(job.completed):
            raise _fail(instance, f"job {number} was completed at {job.completed:g} without {missing} of its tasks")
    elif not abs(job.completed - max(ends)) <= slack:
        raise _fail(instance, f"job {number} was completed at {job.completed:g}; its last task ends at {max(ends):g}")


def _objective(instance: SocInstance, jobs: list[_Job]) -> float:
    arrivals = instance.arrivals
    makespan = max((job.completed for job in jobs if not math.isnan(job.completed)), default=0.0)
    if instance.objective == "makespan":
        return makespan
    latencies = [
        job.completed - job.arrived
        for job in jobs
        if not math.isnan(job.completed) and job.admitted >= arrivals.warm_up
    ]
    if latencies:
        return math.fsum(latencies) / len(latencies)
    return makespan if arrivals.mode == "static" else arrivals.window
