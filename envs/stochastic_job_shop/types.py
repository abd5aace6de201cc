"""The data types of the stochastic job shop: the instance, and the log of an execution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError

Floats = NDArray[np.float64]

LAWS = ("deterministic", "lognormal", "triangular", "pert")
"""Laws of the processing times, see `StochasticJobShopInstance.law`."""

OBJECTIVES = ("makespan", "flow_time", "tardiness", "weighted_tardiness")
"""What is minimised, see `StochasticJobShopInstance.objective`."""


@dataclass(frozen=True, eq=False)
class StochasticJobShopInstance:
    """A job shop whose processing times are known by their distribution only, and whose jobs may come over time.

    Attributes:
        name: Name for reports.
        machines: ``(jobs, operations)`` int32, the machine of each job's k-th operation, counted from 0.
        times: ``(jobs, operations, 3)`` float64: least, most likely and greatest processing time. For the laws
            "deterministic" and "lognormal" all three are the expected time; ``(jobs, operations)`` numbers will do.
        num_machines: Number of machines; every entry of ``machines`` is below it.
        law: "deterministic"; "lognormal" (expected time times a log-normal factor of mean 1); "triangular"; or "pert",
            the beta distribution of PERT on the same three times.
        sigma: Standard deviation of the factor's logarithm ("lognormal").
        releases: ``(jobs,)`` when each job becomes known and may start; by default all at 0.
        due_dates: ``(jobs,)`` due dates, infinite for none (the default).
        weights: ``(jobs,)`` weights of the tardiness, by default 1.
        time_to_failure: Mean time from the beginning, or from a repair, to a machine's next failure; 0 for none.
        repair_time: Mean time of a repair.
        objective: "makespan", "flow_time" (sum of completion minus release), "tardiness" (sum), or
            "weighted_tardiness" (weighted sum).
    """

    name: str
    machines: NDArray[np.int32]
    times: Floats
    num_machines: int
    law: str = "deterministic"
    sigma: float = 0.0
    releases: Floats = None  # type: ignore[assignment]  # becomes an array
    due_dates: Floats = None  # type: ignore[assignment]
    weights: Floats = None  # type: ignore[assignment]
    time_to_failure: float = 0.0
    repair_time: float = 0.0
    objective: str = "makespan"

    def __post_init__(self) -> None:
        """Freezes the arrays after checking shapes and ranges."""
        machines, times = np.array(self.machines, np.int32), np.array(self.times, np.float64)
        if times.ndim == 2:
            times = np.repeat(times[:, :, None], 3, axis=2)
        if machines.ndim != 2 or machines.size == 0 or times.shape != (*machines.shape, 3):
            raise UsageError(
                f"{self.name}: machines {machines.shape} and times {times.shape} do not agree; expected (jobs, "
                "operations) and (jobs, operations, 3), not empty"
            )
        if machines.min() < 0 or machines.max() >= self.num_machines:
            raise UsageError(
                f"{self.name}: machine numbers run from {machines.min()} to {machines.max()}; expected "
                f"0 to {self.num_machines - 1}"
            )
        self._check_words()
        self._check_times(times)
        jobs = len(machines)
        frozen: dict[str, NDArray[Any]] = {"machines": machines, "times": times}
        for field, default in (("releases", 0.0), ("due_dates", np.inf), ("weights", 1.0)):
            given = getattr(self, field)
            frozen[field] = np.full(jobs, default) if given is None else np.array(given, np.float64)
            self._check_column(field, frozen[field], jobs)
        for field, array in frozen.items():
            array.setflags(write=False)
            object.__setattr__(self, field, array)

    def _check_words(self) -> None:
        for field, known in (("law", LAWS), ("objective", OBJECTIVES)):
            if getattr(self, field) not in known:
                raise UsageError(
                    f"{self.name}: {field} is {getattr(self, field)!r}; expected one of {', '.join(known)}"
                )
        for field in ("sigma", "time_to_failure", "repair_time"):
            if not 0.0 <= getattr(self, field) < np.inf:
                raise UsageError(f"{self.name}: {field} is {getattr(self, field)}; expected a number of at least 0")
        if self.time_to_failure > 0 and self.repair_time <= 0:
            raise UsageError(
                f"{self.name}: repair_time is {self.repair_time}; expected more than 0 where machines fail"
            )
        if self.sigma > 0 and self.law != "lognormal":
            raise UsageError(f"{self.name}: sigma is {self.sigma} with law {self.law!r}; expected law 'lognormal'")

    def _check_times(self, times: Floats) -> None:
        if not (np.isfinite(times).all() and times.min() >= 0):
            raise UsageError(f"{self.name}: times run from {times.min()} to {times.max()}; expected finite, at least 0")
        if (np.diff(times, axis=2) < 0).any():
            raise UsageError(f"{self.name}: times are not in the order least, most likely, greatest")
        if self.law in ("deterministic", "lognormal") and np.ptp(times, axis=2).any():
            raise UsageError(f"{self.name}: times differ from least to greatest, which law {self.law!r} does not have")

    def _check_column(self, field: str, column: Floats, jobs: int) -> None:
        if column.shape != (jobs,):
            raise UsageError(f"{self.name}: {field} has shape {column.shape}; expected ({jobs},)")
        finite = np.isfinite(column) | ((field == "due_dates") & (column == np.inf))
        if not finite.all() or (field != "due_dates" and column.min() < 0):
            raise UsageError(f"{self.name}: {field} run from {column.min()} to {column.max()}; expected at least 0")

    @property
    def num_jobs(self) -> int:
        """Number of jobs."""
        return int(self.machines.shape[0])

    @property
    def num_operations(self) -> int:
        """Number of operations of each job."""
        return int(self.machines.shape[1])

    @property
    def expected(self) -> Floats:
        """``(jobs, operations)`` expected processing times."""
        least, mode, greatest = np.moveaxis(self.times, 2, 0)
        if self.law == "triangular":
            return np.asarray((least + mode + greatest) / 3)
        return np.asarray((least + 4 * mode + greatest) / 6) if self.law == "pert" else mode.copy()

    @property
    def is_stochastic(self) -> bool:
        """Whether anything is drawn at random while the instance runs."""
        spread = np.ptp(self.times, axis=2).any() or (self.sigma > 0 and self.times.any())
        return bool(spread) or self.time_to_failure > 0

    def _data(self) -> tuple[Any, ...]:
        arrays = (self.machines, self.times, self.releases, self.due_dates, self.weights)
        numbers = (self.num_machines, self.law, self.sigma, self.time_to_failure, self.repair_time, self.objective)
        return (*numbers, self.machines.shape, *(array.tobytes() for array in arrays))

    def __eq__(self, other: object) -> bool:
        """Compares the data; the name is a label only."""
        return isinstance(other, StochasticJobShopInstance) and self._data() == other._data()

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash(self._data())


@dataclass(frozen=True, eq=False)
class Execution:
    """The event log of an execution, finished or not; nan where something has not happened.

    Attributes:
        starts: ``(jobs, operations)`` when each operation started.
        ends: ``(jobs, operations)`` when it was completed.
        durations: ``(jobs, operations)`` processing time that was drawn for it, without interruptions; nan before its
            completion.
        failed_machines: ``(failures,)`` machine of each failure.
        failed_at: ``(failures,)`` when it failed.
        repaired_at: ``(failures,)`` when it was repaired; nan if it has not been.
    """

    starts: Floats
    ends: Floats
    durations: Floats
    failed_machines: NDArray[np.int64]
    failed_at: Floats
    repaired_at: Floats
