"""What an instance of edge offloading is, and what an execution of it looks like.

Tasks of users arrive over a horizon of steps; each is sent whole to the cloud (server 0) or to one of the edge servers.
It is uploaded at the rate between its user and the server, and then shares the server's processor equally with all
tasks that run there. The model and its constants are those of Yang et al. (GMORL), arXiv 2509.10474, section III.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.trade_off import Criterion, Weights, check_weights

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

CHANNELS = ("as_published", "physical")


@dataclass(frozen=True)
class System:
    """Servers, users and load: everything that an episode is drawn from.

    Attributes:
        cloud_hertz: Clock frequency of the cloud.
        edge_hertz: Clock frequency of each edge server.
        users: Number of users.
        horizon: Steps in which tasks arrive and are dispatched, at most one dispatch a step.
        step_seconds: Length of a step.
        arrivals_per_user: Mean arrivals of a user in a step.
        load_peak: Amplitude, from 0 to 1, of the sine that modulates the arrivals; 0 for a constant load.
        load_period: Steps of a period of that sine.
        mean_megabits: Mean of the exponential task sizes before they are cut; None puts the *balanced* one here, at
            which the tasks of a step bring as many bits as all servers together process in it.
        least_megabits: Smaller sizes are raised to this.
        most_megabits: Larger sizes are cut to this.
        cycles_per_bit: Processor cycles that a bit needs.
        energy_coefficient: Effective capacitance; a bit on a server of frequency f costs this times cycles times f²
            joules.
        channel: "as_published" or "physical" (see `envs.offload.channel`).
        bandwidth_hertz: Bandwidth of a user's channel.
        upload_watts: Transmission power of a user; None puts 0.01 ("as_published") or 0.2 ("physical") here.
        backhaul_megabits: Megabits a second between base stations and cloud; only for "physical".
        deadline_factor: A task's deadline after its dispatch, as a multiple of the time that it would take alone on an
            edge server of mean frequency (on the cloud where there is none); 0 for no deadlines.
        scales: What a second of delay, a joule, and (with deadlines) a second of tardiness are worth in the objective.
    """

    cloud_hertz: float = 4e9
    edge_hertz: tuple[float, ...] = (2e9,) * 6
    users: int = 10
    horizon: int = 100
    step_seconds: float = 1.0
    arrivals_per_user: float = 0.1
    load_peak: float = 0.0
    load_period: float = 100.0
    mean_megabits: float | None = None
    least_megabits: float = 0.1
    most_megabits: float = 100.0
    cycles_per_bit: float = 1000.0
    energy_coefficient: float = 5e-31
    channel: str = "as_published"
    bandwidth_hertz: float = 16.6e6
    upload_watts: float | None = None
    backhaul_megabits: float = 1000.0
    deadline_factor: float = 0.0
    scales: tuple[float, float, float] = (0.01, 50.0, 0.01)

    def __post_init__(self) -> None:
        """Checks every value; sequences become tuples."""
        object.__setattr__(self, "edge_hertz", tuple(float(hertz) for hertz in self.edge_hertz))
        object.__setattr__(self, "scales", tuple(float(scale) for scale in self.scales))
        if self.channel not in CHANNELS:
            raise UsageError(f"channel is {self.channel!r}; expected one of {', '.join(CHANNELS)}")
        if len(self.scales) != 3:
            raise UsageError(f"scales is {list(self.scales)}; expected three, for delay, energy and tardiness")
        for name in ("users", "horizon"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("load_peak", "deadline_factor"):
            _check_range(name, getattr(self, name), 0.0, 1.0 if name == "load_peak" else math.inf)
        for name in _POSITIVE:
            _check_positive(name, getattr(self, name))
        for name in ("edge_hertz", "scales"):
            for number in getattr(self, name):
                _check_positive(name, number)
        derived = {"mean_megabits": self._balanced_megabits(), "upload_watts": _WATTS[self.channel]}
        for name, value in derived.items():
            object.__setattr__(self, name, value if getattr(self, name) is None else float(getattr(self, name)))
            _check_positive(name, getattr(self, name))
        if self.most_megabits < self.least_megabits:
            raise UsageError(f"most_megabits is {self.most_megabits:g}; expected at least least_megabits")

    @property
    def hertz(self) -> Floats:
        """Frequencies of all servers, ``(S,)``; the cloud is server 0."""
        return np.array([self.cloud_hertz, *self.edge_hertz])

    def _balanced_megabits(self) -> float:
        arrivals = self.arrivals_per_user * self.users
        return float(self.step_seconds * self.hertz.sum() / self.cycles_per_bit / arrivals / 1e6)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """What an execution costs; tardiness only where tasks have deadlines."""
        pairs = (("delay", "s"), ("energy", "J"), ("tardiness", "s"))
        known = tuple(Criterion(*pair, scale) for pair, scale in zip(pairs, self.scales, strict=True))
        return known if self.deadline_factor > 0.0 else known[:2]


_WATTS = {"as_published": 0.01, "physical": 0.2}

_POSITIVE = (
    "cloud_hertz",
    "step_seconds",
    "arrivals_per_user",
    "load_period",
    "least_megabits",
    "most_megabits",
    "cycles_per_bit",
    "energy_coefficient",
    "bandwidth_hertz",
    "backhaul_megabits",
)


@dataclass(frozen=True, eq=False)
class OffloadInstance:
    """One episode: the tasks of a horizon and the channels they are sent over.

    N tasks in the order of dispatch, U users, S servers.

    Attributes:
        name: Name for reports.
        system: What the episode was drawn from.
        bits_per_second: ``(U, S)`` upload rates, constant over the episode.
        arrival: ``(N,)`` step in which each task arrives.
        dispatch: ``(N,)`` step in which it is dispatched, strictly rising: tasks wait in one line, one leaves a step.
        bits: ``(N,)`` sizes.
        user: ``(N,)`` users.
        preference: Weight of each of ``system.criteria``.
        deadline: ``(N,)`` seconds from dispatch, infinite without deadlines; derived.
    """

    name: str
    system: System
    bits_per_second: Floats
    arrival: Indices
    dispatch: Indices
    bits: Floats
    user: Indices
    preference: Weights
    deadline: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Checks every value; arrays become read-only copies."""
        system, tasks = self.system, len(self.dispatch)
        for name, kind, shape in (
            ("bits_per_second", np.float64, (system.users, len(system.hertz))),
            ("arrival", np.int64, (tasks,)),
            ("dispatch", np.int64, (tasks,)),
            ("bits", np.float64, (tasks,)),
            ("user", np.int64, (tasks,)),
        ):
            array = np.array(getattr(self, name), kind)
            if array.shape != shape:
                raise UsageError(f"{self.name}: {name} has the shape {array.shape}; expected {shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "preference", check_weights(self.name, self.preference, len(system.criteria)))
        deadline = task_deadlines(system, self.bits)
        deadline.setflags(write=False)
        object.__setattr__(self, "deadline", deadline)
        self._check()

    def _check(self) -> None:
        if not len(self.dispatch):
            raise UsageError(f"{self.name}: there are no tasks; expected at least one")
        before = np.concatenate([[-1], self.dispatch[:-1]])
        for task in range(len(self.dispatch)):
            where = f"{self.name}, task {task}"
            if not before[task] < self.dispatch[task] < self.system.horizon:
                raise UsageError(
                    f"{where}: dispatch is step {self.dispatch[task]}; expected one after {before[task]} and below the "
                    f"horizon {self.system.horizon}"
                )
            if not 0 <= self.arrival[task] <= self.dispatch[task]:
                raise UsageError(f"{where}: arrival is step {self.arrival[task]}; expected 0..{self.dispatch[task]}")
            if not 0 <= self.user[task] < self.system.users:
                raise UsageError(f"{where}: user is {self.user[task]}; expected 0..{self.system.users - 1}")
            _check_positive(f"{where}: bits", float(self.bits[task]))
        if not (np.isfinite(self.bits_per_second).all() and (self.bits_per_second > 0.0).all()):
            raise UsageError(f"{self.name}: bits_per_second has an entry that is not a finite number above 0")

    @property
    def dispatch_seconds(self) -> Floats:
        """``(N,)`` times of the dispatches."""
        return np.asarray(self.dispatch * self.system.step_seconds, np.float64)

    def __eq__(self, other: object) -> bool:
        """Compares the data; the name is a label only."""
        return (
            isinstance(other, OffloadInstance)
            and (self.system, self.preference) == (other.system, other.preference)
            and all(np.array_equal(getattr(self, name), getattr(other, name)) for name in _ARRAYS)
        )

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash((self.system, self.preference, self.bits.tobytes()))


_ARRAYS = ("bits_per_second", "arrival", "dispatch", "bits", "user")


@dataclass(frozen=True, eq=False)
class EventLog:
    """What happened to every task; -1 where it has not happened.

    Attributes:
        server: ``(N,)`` server that the task was sent to.
        uploaded: ``(N,)`` time in seconds at which its upload ended and it began to run.
        completed: ``(N,)`` time in seconds at which it was complete.
    """

    server: Indices
    uploaded: Floats
    completed: Floats

    def __eq__(self, other: object) -> bool:
        """Compares all events."""
        return isinstance(other, EventLog) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("server", "uploaded", "completed")
        )

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash((self.server.tobytes(), self.completed.tobytes()))


def task_deadlines(system: System, bits: Floats) -> Floats:
    """Returns the deadlines, in seconds from dispatch, of tasks of so many bits."""
    if system.deadline_factor == 0.0:
        return np.full(len(bits), np.inf, np.float64)
    edges = system.edge_hertz
    hertz = sum(edges) / len(edges) if edges else system.cloud_hertz
    deadlines: Floats = bits * (system.deadline_factor * system.cycles_per_bit / hertz)
    return deadlines


def criteria_of(instance: OffloadInstance) -> tuple[Criterion, ...]:
    """Returns what the executions of an instance cost."""
    return instance.system.criteria


def preference_of(instance: OffloadInstance) -> Weights:
    """Returns the weights that an instance carries."""
    return instance.preference


def prefer(instance: OffloadInstance, weights: Sequence[float]) -> OffloadInstance:
    """Returns the same instance under another preference."""
    return replace(instance, preference=tuple(weights))


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise UsageError(f"{name} is {value}; expected a finite number above 0")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not (low <= value <= high and math.isfinite(value)):
        limits = f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"a finite number of at least {low:g}"
        raise UsageError(f"{name} is {value}; expected {limits}")
