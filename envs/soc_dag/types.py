"""What an instance of DAG scheduling on heterogeneous processors is, and what an execution of it looks like."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ARRIVALS = ("static", "open", "blocking")
TRANSFERS = ("direct", "shared_memory")
OBJECTIVES = ("makespan", "mean_latency")


def _frozen(array: object, dtype: type, shape: tuple[int, ...], what: str) -> NDArray[np.generic]:
    values: NDArray[np.generic] = np.array(array, dtype)
    if values.shape != shape:
        raise UsageError(f"{what} has shape {values.shape}; expected {shape}")
    values.setflags(write=False)
    return values


@dataclass(frozen=True)
class OperatingPoint:
    """A frequency that a processing element (PE) can run at.

    Attributes:
        frequency: In MHz.
        voltage: In mV; None where it is not published.
        power: ``(n,)`` measured watts of all n PEs of the kind together with 1, 2, ..., n of them active; may be empty.
    """

    frequency: float
    voltage: float | None = None
    power: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Checks the ranges."""
        values = {"frequency": self.frequency, "voltage": self.voltage} | {
            f"power[{active}]": watts for active, watts in enumerate(self.power)
        }
        for name, value in values.items():
            if value is not None and not 0 < value < np.inf:
                raise UsageError(f"{name} of an operating point is {value}; expected more than 0")

    def comparable(self, other: OperatingPoint) -> bool:
        """True if the ratio of the two powers follows from measurements or from voltages."""
        measured = bool(self.power and other.power)
        return measured or None not in (self.voltage, other.voltage)


@dataclass(frozen=True, eq=False)
class Chip:
    """Processing elements and what lies between them.

    Attributes:
        name: Name for reports.
        processors: ``(P,)`` names of the processing elements (PEs), each of which runs one task at a time.
        kinds: ``(P,)`` kind (cluster) of each, e.g. "A15".
        bandwidth: ``(P, P)`` volume a time unit between two PEs; inf makes a transfer free, as on the diagonal.
        latency: ``(P, P)`` start-up time of a transfer; 0 on the diagonal.
        memory_bandwidth: ``(P,)`` volume a time unit between a PE and the shared memory; inf for a free transfer.
        active_power: ``(P,)`` power while running a task, in watts.
        idle_power: ``(P,)`` power otherwise, in watts.
        operating_points: ``(P,)`` of every PE the frequencies that it can run at, from low to high, none where that is
            not known; times and powers are those at the highest one. Empty for none at all.
    """

    name: str
    processors: tuple[str, ...]
    kinds: tuple[str, ...]
    bandwidth: Floats
    latency: Floats
    memory_bandwidth: Floats
    active_power: Floats
    idle_power: Floats
    operating_points: tuple[tuple[OperatingPoint, ...], ...] = ()

    def __post_init__(self) -> None:
        """Checks shapes and ranges; arrays become read-only."""
        count = len(self.processors)
        if count < 1 or len(self.kinds) != count:
            raise UsageError(f"chip {self.name} has {count} processors and {len(self.kinds)} kinds; expected as many")
        for name, shape in (
            ("bandwidth", (count, count)),
            ("latency", (count, count)),
            ("memory_bandwidth", (count,)),
            ("active_power", (count,)),
            ("idle_power", (count,)),
        ):
            values = _frozen(getattr(self, name), np.float64, shape, f"{name} of chip {self.name}")
            if np.isnan(values).any() or (values < 0).any():  # type: ignore[operator]
                raise UsageError(f"{name} of chip {self.name} has a negative or undefined value; expected at least 0")
            object.__setattr__(self, name, values)
        if (self.bandwidth <= 0).any() or (self.memory_bandwidth <= 0).any():
            raise UsageError(f"bandwidth of chip {self.name} is 0 somewhere; expected more than 0")
        object.__setattr__(self, "operating_points", self.operating_points or ((),) * count)
        self._check_operating_points()

    def _check_operating_points(self) -> None:
        if len(self.operating_points) != self.num_processors:
            raise UsageError(
                f"operating_points of chip {self.name} has {len(self.operating_points)} entries; "
                f"expected one for each of {self.num_processors} processors"
            )
        for processor, kind, points in zip(self.processors, self.kinds, self.operating_points, strict=True):
            where = f"operating_points of {processor} of chip {self.name}"
            frequencies = [point.frequency for point in points]
            if frequencies != sorted(set(frequencies)):
                raise UsageError(f"{where} has the frequencies {frequencies}; expected increasing ones")
            for point in points:
                if len(point.power) not in (0, self.kinds.count(kind)):
                    raise UsageError(
                        f"{where} has {len(point.power)} powers at {point.frequency:g} MHz; "
                        f"expected one for each number of active PEs, 1 to {self.kinds.count(kind)}"
                    )
                if not point.comparable(points[-1]):
                    raise UsageError(
                        f"{where} has neither voltage nor power in common at {point.frequency:g} and at "
                        f"{points[-1].frequency:g} MHz; expected one of them at both"
                    )

    @property
    def num_processors(self) -> int:
        """Number of processing elements P."""
        return len(self.processors)


def make_chip(
    name: str,
    processors: tuple[str, ...],
    *,
    kinds: tuple[str, ...] | None = None,
    bandwidth: float | Floats = 1.0,
    latency: float | Floats = 0.0,
    memory_bandwidth: float | Floats = np.inf,
    active_power: float | Floats = 1.0,
    idle_power: float | Floats = 0.0,
    operating_points: tuple[tuple[OperatingPoint, ...], ...] = (),
) -> Chip:
    """Returns a chip; numbers stand for all pairs or PEs, and a transfer within one PE is always free."""
    count = len(processors)
    between = np.array(np.broadcast_to(bandwidth, (count, count)), np.float64)
    np.fill_diagonal(between, np.inf)
    delay = np.array(np.broadcast_to(latency, (count, count)), np.float64)
    np.fill_diagonal(delay, 0.0)
    memory, active, idle = (
        np.array(np.broadcast_to(each, (count,)), np.float64) for each in (memory_bandwidth, active_power, idle_power)
    )
    return Chip(name, processors, kinds or processors, between, delay, memory, active, idle, operating_points)


@dataclass(frozen=True, eq=False)
class JobType:
    """A kind of job: a DAG of tasks with their execution times.

    Attributes:
        name: Name for reports.
        tasks: ``(T,)`` names of the tasks.
        times: ``(T, P)`` execution time of every task on every PE, inf where the PE cannot run it.
        sources: ``(E,)`` predecessor of every edge.
        targets: ``(E,)`` successor of every edge.
        volumes: ``(E,)`` volume of data on every edge.
    """

    name: str
    tasks: tuple[str, ...]
    times: Floats
    sources: Integers
    targets: Integers
    volumes: Floats

    def __post_init__(self) -> None:
        """Checks that it is a DAG that some PE can run; arrays become read-only."""
        count = len(self.tasks)
        if count < 1:
            raise UsageError(f"job type {self.name} has no tasks; expected at least one")
        times = np.asarray(self.times, np.float64)
        if times.ndim != 2 or times.shape[0] != count:
            raise UsageError(f"times of job type {self.name} has shape {times.shape}; expected ({count}, PEs)")
        object.__setattr__(self, "times", _frozen(times, np.float64, times.shape, "times"))
        for task, row in zip(self.tasks, self.times, strict=True):
            if np.isnan(row).any() or (row < 0).any() or not np.isfinite(row).any():
                raise UsageError(f"task {task} of job type {self.name} has the times {row}; expected some PE to run it")
        edges = len(np.asarray(self.sources))
        for name, dtype in (("sources", np.int64), ("targets", np.int64), ("volumes", np.float64)):
            values = _frozen(getattr(self, name), dtype, (edges,), f"{name} of job type {self.name}")
            object.__setattr__(self, name, values)
        ends = np.concatenate([self.sources, self.targets])
        if len(ends) and not (ends.min() >= 0 and ends.max() < count):
            raise UsageError(f"an edge of job type {self.name} ends outside tasks 0..{count - 1}")
        if (self.volumes < 0).any() or not np.isfinite(self.volumes).all():
            raise UsageError(f"volumes of job type {self.name} has a negative or infinite value")
        if len(self.order) != count:
            raise UsageError(f"the edges of job type {self.name} form a cycle; expected an acyclic graph")

    @property
    def num_tasks(self) -> int:
        """Number of tasks T."""
        return len(self.tasks)

    @cached_property
    def predecessors(self) -> tuple[tuple[tuple[int, float], ...], ...]:
        """For every task its ``(predecessor, volume)`` pairs, in the order of the edges."""
        return self._neighbours(self.targets, self.sources)

    @cached_property
    def successors(self) -> tuple[tuple[tuple[int, float], ...], ...]:
        """For every task its ``(successor, volume)`` pairs, in the order of the edges."""
        return self._neighbours(self.sources, self.targets)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The tasks in a topological order, smaller index first; shorter than T if the graph has a cycle."""
        import heapq

        waiting = [len(each) for each in self.predecessors]
        ready = [task for task, count in enumerate(waiting) if count == 0]
        order = []
        while ready:
            task = heapq.heappop(ready)
            order.append(task)
            for successor, _ in self.successors[task]:
                waiting[successor] -= 1
                if waiting[successor] == 0:
                    heapq.heappush(ready, successor)
        return tuple(order)

    def _neighbours(self, at: Integers, other: Integers) -> tuple[tuple[tuple[int, float], ...], ...]:
        lists: list[list[tuple[int, float]]] = [[] for _ in self.tasks]
        for here, there, volume in zip(at, other, self.volumes, strict=True):
            lists[here].append((int(there), float(volume)))
        return tuple(tuple(each) for each in lists)


@dataclass(frozen=True)
class Arrivals:
    """How jobs come.

    Attributes:
        mode: "static": the jobs of ``releases``, all of which are run to the end, with the makespan as the usual
            objective; "open": a Poisson stream, jobs wait for one of ``limit`` places and the wait counts; "blocking":
            the "pseudo steady state" of DS3: ``limit`` jobs at time 0, then, while a place is free, one job, then a
            pause of Exp(``scale``); while none is free, pauses of 1 + Exp(``scale``), which do not count as latency.
        scale: Mean time between arrivals (open, blocking).
        window: Time at which a stream ends.
        warm_up: Jobs that were admitted earlier do not count in the objective.
        limit: Most jobs in the system at a time.
        probabilities: ``(K,)`` share of every job type in a stream; empty for equal shares.
        releases: ``(job type, release time)`` of every job (static).
    """

    mode: str = "static"
    scale: float = 25.0
    window: float = 5000.0
    warm_up: float = 0.0
    limit: int = 1
    probabilities: tuple[float, ...] = ()
    releases: tuple[tuple[int, float], ...] = ((0, 0.0),)

    def __post_init__(self) -> None:
        """Checks every field."""
        if self.mode not in ARRIVALS:
            raise UsageError(f"arrivals.mode is {self.mode!r}; expected one of {', '.join(ARRIVALS)}")
        if self.limit < 1:
            raise UsageError(f"arrivals.limit is {self.limit}; expected at least 1")
        if self.mode != "static" and not (0 < self.scale < np.inf and 0 < self.window < np.inf):
            raise UsageError(f"arrivals has scale {self.scale} and window {self.window}; expected more than 0")
        if any(share < 0 for share in self.probabilities):
            raise UsageError(f"arrivals.probabilities is {self.probabilities}; expected at least 0 each")


@dataclass(frozen=True)
class Failures:
    """Random failures of PEs: up for Exp(``between``), down for Exp(``repair``); 0 means that none occur.

    A task that runs when its PE fails is lost and has to be mapped and run again, as have those that wait there.
    """

    between: float = 0.0
    repair: float = 0.0


@dataclass(frozen=True, eq=False)
class SocInstance:
    """Jobs of some types that arrive at a chip.

    Attributes:
        name: Name for reports.
        chip: The processing elements.
        job_types: ``(K,)`` kinds of jobs.
        arrivals: How they come.
        noise: Standard deviation of a task's duration as a share of its mean: ``max(round(N(w, noise w)), 1)`` with
            whole ticks, ``max(N(w, noise w), 0.01 w)`` otherwise; tasks of time 0 take none.
        transfer: "direct": data goes from PE to PE when the producer ends; "shared_memory": it goes to the memory
            before the consumer is ready, and from there to the PE after the consumer has been mapped.
        whole_ticks: Transfer times and pauses between arrivals are cut to whole numbers, as on DS3's clock.
        failures: Failures of PEs.
        objective: "makespan", or "mean_latency": mean time from arrival (blocking: admission) to completion over the
            jobs completed within the window; the window where none is.
        time_unit: Unit of all times, e.g. "us".
    """

    name: str
    chip: Chip
    job_types: tuple[JobType, ...]
    arrivals: Arrivals = field(default_factory=Arrivals)
    noise: float = 0.0
    transfer: str = "direct"
    whole_ticks: bool = False
    failures: Failures = field(default_factory=Failures)
    objective: str = "makespan"
    time_unit: str = "us"

    def __post_init__(self) -> None:
        """Checks that the parts fit together."""
        if not self.job_types:
            raise UsageError(f"instance {self.name} has no job types; expected at least one")
        for job_type in self.job_types:
            if job_type.times.shape[1] != self.chip.num_processors:
                raise UsageError(
                    f"job type {job_type.name} has times for {job_type.times.shape[1]} PEs; "
                    f"chip {self.chip.name} has {self.chip.num_processors}"
                )
        if self.transfer not in TRANSFERS:
            raise UsageError(f"transfer is {self.transfer!r}; expected one of {', '.join(TRANSFERS)}")
        if self.objective not in OBJECTIVES:
            raise UsageError(f"objective is {self.objective!r}; expected one of {', '.join(OBJECTIVES)}")
        if self.objective == "makespan" and self.arrivals.mode != "static":
            raise UsageError(f"objective is 'makespan' with {self.arrivals.mode} arrivals; expected 'mean_latency'")
        if not 0 <= self.noise < np.inf:
            raise UsageError(f"noise is {self.noise}; expected a number of at least 0")
        shares = self.arrivals.probabilities
        if shares and (len(shares) != len(self.job_types) or sum(shares) <= 0):
            raise UsageError(
                f"arrivals.probabilities is {shares}; expected one for each of {len(self.job_types)} types"
            )
        for kind, release in self.arrivals.releases if self.arrivals.mode == "static" else ():
            if not (0 <= kind < len(self.job_types) and 0 <= release < np.inf):
                raise UsageError(f"arrivals.releases has ({kind}, {release}); expected a job type and a time >= 0")

    def transfer_time(self, volume: float, source: int, target: int) -> float:
        """Time that ``volume`` takes directly from one PE to another."""
        if source == target:
            return 0.0
        duration = self.chip.latency[source, target] + volume / self.chip.bandwidth[source, target]
        return float(np.floor(duration)) if self.whole_ticks else float(duration)

    def memory_time(self, volume: float, processor: int) -> float:
        """Time that ``volume`` takes between a PE and the shared memory."""
        duration = volume / self.chip.memory_bandwidth[processor]
        return float(np.floor(duration)) if self.whole_ticks else float(duration)

    def renamed(self, name: str) -> SocInstance:
        """Returns the same instance under another name."""
        return replace(self, name=name)


def single_dag(name: str, chip: Chip, job_type: JobType, **options: object) -> SocInstance:
    """Returns the static instance of one job, released at time 0."""
    return SocInstance(name, chip, (job_type,), **options)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Trace:
    """What was run: the jobs that were admitted, and every start of a task.

    Attributes:
        job_type: ``(J,)`` type of every job.
        arrived: ``(J,)`` time it arrived.
        admitted: ``(J,)`` time it got its place.
        completed: ``(J,)`` time its last task ended, nan if it did not within the window.
        job: ``(N,)`` job of every run.
        task: ``(N,)`` its task.
        processor: ``(N,)`` the PE that ran it.
        mapped: ``(N,)`` time of the decision that sent it there.
        start: ``(N,)`` time it began.
        end: ``(N,)`` time it ended, was lost, or would have ended after the window.
        lost: ``(N,)`` bool, ended by a failure of the PE.
        until: Time up to which all this was run: the window of a stream, once it is over.
    """

    job_type: Integers
    arrived: Floats
    admitted: Floats
    completed: Floats
    job: Integers
    task: Integers
    processor: Integers
    mapped: Floats
    start: Floats
    end: Floats
    lost: NDArray[np.bool_]
    until: float


def static_trace(instance: SocInstance, processors: list[Integers], starts: list[Floats]) -> Trace:
    """Returns the trace of a static schedule: for every job of the releases the PE and the start of every task."""
    types = np.array([kind for kind, _ in instance.arrivals.releases], np.int64)
    releases = np.array([release for _, release in instance.arrivals.releases], np.float64)
    times = [instance.job_types[kind].times for kind in types]
    durations = [row[np.arange(len(row)), chosen] for row, chosen in zip(times, processors, strict=True)]
    ends = [start + duration for start, duration in zip(starts, durations, strict=True)]
    job = np.repeat(np.arange(len(types)), [len(each) for each in starts])
    start = np.concatenate(starts)
    return Trace(
        job_type=types,
        arrived=releases,
        admitted=releases,
        completed=np.array([each.max() for each in ends]),
        job=job,
        task=np.concatenate([np.arange(len(each)) for each in starts]),
        processor=np.concatenate(processors).astype(np.int64),
        mapped=start.copy(),
        start=start,
        end=np.concatenate(ends),
        lost=np.zeros(len(start), np.bool_),
        until=float(max(each.max() for each in ends)),
    )
