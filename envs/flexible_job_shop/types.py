"""What an instance and a schedule are: jobs of ordered operations, each with a choice of machines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError

Integers = NDArray[np.int64]

_LARGEST = 2**31 - 1
ABSENT = -1
"""Time of an operation on a machine that cannot do it, and machine and start of what has not been scheduled."""


@dataclass(frozen=True, eq=False)
class FlexibleJobShopInstance:
    """A flexible job shop.

    Attributes:
        name: Name for reports.
        operations: ``(jobs,)`` number of operations of each job, at least 1.
        times: ``(jobs, most operations, machines)`` processing times, `ABSENT` where a machine cannot do an operation,
            and everywhere behind a job's last operation. With set-up times they are at least 1, so that the order of
            what runs on a machine is plain.
        setups: ``(machines, jobs, jobs)`` time that a machine takes between an operation of one job and the next one,
            of another job; all 0 if left out. The first operation on a machine needs none.
    """

    name: str
    operations: Integers
    times: Integers
    setups: Integers = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Takes sequences for arrays and checks every number."""
        for column in ("operations", "times"):
            self._freeze(column)
        if self.times.ndim != 3 or self.operations.shape != self.times.shape[:1] or not self.times.size:
            raise UsageError(
                f"{self.name}: times has shape {self.times.shape} and operations {self.operations.shape}; "
                "expected (jobs, operations, machines) and (jobs,)"
            )
        jobs, most, machines = self.times.shape
        if self.setups is None:
            object.__setattr__(self, "setups", np.zeros((machines, jobs, jobs), np.int64))
        self._freeze("setups")
        if self.setups.shape != (machines, jobs, jobs):
            raise UsageError(f"{self.name}: setups has shape {self.setups.shape}; expected {(machines, jobs, jobs)}")
        if self.setups.min() < 0 or self.setups.max() > _LARGEST:
            raise UsageError(f"{self.name}: setups has a time outside 0 to {_LARGEST}")
        if self.setups.any() and (self.times == 0).any():
            raise UsageError(f"{self.name}: times has a 0 beside set-up times; expected at least 1 with those")
        if self.times.min() < ABSENT or self.times.max() > _LARGEST:
            raise UsageError(f"{self.name}: times has a time outside 0 to {_LARGEST}")
        for job, count in enumerate(self.operations.tolist()):
            if not 1 <= count <= most:
                raise UsageError(f"{self.name}: operations[{job}] is {count}; expected 1 to {most}")
            possible = (self.times[job] >= 0).any(axis=1)
            if not possible[:count].all():
                raise UsageError(f"{self.name}: no machine can do operation {possible.argmin()} of job {job}")
            if possible[count:].any():
                raise UsageError(f"{self.name}: job {job} has times behind its last operation {count - 1}")

    def _freeze(self, column: str) -> None:
        given = np.array(getattr(self, column))
        if given.dtype.kind not in "iu":
            raise UsageError(f"{self.name}: {column} holds something else than integers")
        array = given.astype(np.int64)
        array.flags.writeable = False
        object.__setattr__(self, column, array)

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return int(self.times.shape[0])

    @property
    def machines(self) -> int:
        """Number of machines."""
        return int(self.times.shape[2])

    def __eq__(self, other: object) -> bool:
        """Compares everything."""
        return (
            isinstance(other, FlexibleJobShopInstance)
            and self.name == other.name
            and all(
                np.array_equal(getattr(self, key), getattr(other, key)) for key in ("operations", "times", "setups")
            )
        )

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash((self.name, self.operations.tobytes(), self.times.tobytes(), self.setups.tobytes()))


@dataclass(frozen=True, eq=False)
class Schedule:
    """A solution: where and when every operation runs.

    Attributes:
        machines: ``(jobs, most operations)`` machines, `ABSENT` for what is not scheduled.
        starts: ``(jobs, most operations)`` start times, likewise.
    """

    machines: Integers
    starts: Integers

    def __eq__(self, other: object) -> bool:
        """Compares the schedules."""
        return (
            isinstance(other, Schedule)
            and np.array_equal(self.machines, other.machines)
            and np.array_equal(self.starts, other.starts)
        )

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash((self.machines.tobytes(), self.starts.tobytes()))
