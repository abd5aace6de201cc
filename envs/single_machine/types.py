"""What an instance and a solution are: jobs on a single machine, and the order in which it takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError

Integers = NDArray[np.int64]

_LARGEST = 2**31 - 1
_COLUMNS = ("time", "weight", "due", "release")


@dataclass(frozen=True, eq=False)
class SingleMachineInstance:
    """Jobs for one machine, which works on one of them at a time, without interruption.

    Attributes:
        name: Name for reports.
        time: ``(jobs,)`` processing times, at least 1.
        weight: ``(jobs,)`` what a unit of time of a job's tardiness costs, at least 0.
        due: ``(jobs,)`` due dates; those before 0 are late from the beginning.
        release: ``(jobs,)`` moments from which on a job can be started, at least 0; all 0 if left out.
    """

    name: str
    time: Integers
    weight: Integers
    due: Integers
    release: Integers = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Takes sequences for arrays and checks every number."""
        if not len(self.time):
            raise UsageError(f"{self.name}: time is empty; expected at least one job")
        if self.release is None:
            object.__setattr__(self, "release", np.zeros(len(self.time), np.int64))
        for column in _COLUMNS:
            given = np.array(getattr(self, column))
            if given.dtype.kind not in "iu" or given.ndim != 1:
                raise UsageError(f"{self.name}: {column} holds something else than a row of integers")
            array = given.astype(np.int64)
            array.flags.writeable = False
            object.__setattr__(self, column, array)
        for column, low in zip(_COLUMNS, (1, 0, -_LARGEST, 0), strict=True):
            array = getattr(self, column)
            if len(array) != len(self.time):
                raise UsageError(
                    f"{self.name}: {column} has {len(array)} numbers; expected {len(self.time)}, one a job"
                )
            for job in np.flatnonzero((array < low) | (array > _LARGEST))[:1].tolist():
                raise UsageError(f"{self.name}: {column}[{job}] is {array[job]}; expected {low} to {_LARGEST}")

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return len(self.time)

    @property
    def unit(self) -> float:
        """Mean processing time times the sum of the weights: what a job's length of tardiness of all jobs costs."""
        return max(float(self.time.mean() * self.weight.sum()), 1.0)

    def __eq__(self, other: object) -> bool:
        """Compares everything."""
        return (
            isinstance(other, SingleMachineInstance)
            and self.name == other.name
            and all(np.array_equal(getattr(self, column), getattr(other, column)) for column in _COLUMNS)
        )

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash((self.name, *(getattr(self, column).tobytes() for column in _COLUMNS)))


@dataclass(frozen=True, eq=False)
class JobOrder:
    """A solution: the order of the jobs, each of which starts as early as the one before it and its release allow.

    Attributes:
        jobs: ``(jobs,)`` the jobs, first to last.
    """

    jobs: Integers

    def __eq__(self, other: object) -> bool:
        """Compares the orders."""
        return isinstance(other, JobOrder) and np.array_equal(self.jobs, other.jobs)

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash(self.jobs.tobytes())
