"""The two data types of the job shop: the instance and the schedule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError


@dataclass(frozen=True, eq=False)
class JobShopInstance:
    """A job shop: every job is a fixed sequence of operations, each on one machine for a fixed time.

    Attributes:
        name: Name for reports, e.g. ``"ta01"``.
        machines: ``(jobs, operations)`` int32, the machine of each job's k-th operation, counted from 0.
        times: ``(jobs, operations)`` int32, processing times, at least 0.
        num_machines: Number of machines; every entry of ``machines`` is below it.
    """

    name: str
    machines: NDArray[np.int32]
    times: NDArray[np.int32]
    num_machines: int

    def __post_init__(self) -> None:
        """Freezes the arrays after checking shapes and ranges."""
        machines = np.array(self.machines, np.int32)
        times = np.array(self.times, np.int32)
        if machines.ndim != 2 or machines.size == 0 or machines.shape != times.shape:
            raise UsageError(
                f"{self.name}: machines {machines.shape} and times {times.shape} must be equal, non-empty "
                "(jobs, operations) arrays"
            )
        if machines.min() < 0 or machines.max() >= self.num_machines:
            raise UsageError(
                f"{self.name}: machine numbers run from {machines.min()} to {machines.max()}; expected "
                f"0 to {self.num_machines - 1}"
            )
        if times.min() < 0:
            raise UsageError(f"{self.name}: processing time {times.min()} is negative")
        machines.setflags(write=False)
        times.setflags(write=False)
        object.__setattr__(self, "machines", machines)
        object.__setattr__(self, "times", times)

    @property
    def num_jobs(self) -> int:
        """Number of jobs."""
        return int(self.machines.shape[0])

    @property
    def num_operations(self) -> int:
        """Number of operations of each job."""
        return int(self.machines.shape[1])

    @property
    def lower_bound(self) -> int:
        """The larger of the longest job and the largest machine load."""
        loads = np.bincount(self.machines.ravel(), weights=self.times.ravel(), minlength=self.num_machines)
        return int(max(self.times.sum(axis=1).max(), loads.max()))

    def __eq__(self, other: object) -> bool:
        """Compares the data; the name is a label only."""
        return (
            isinstance(other, JobShopInstance)
            and self.num_machines == other.num_machines
            and np.array_equal(self.machines, other.machines)
            and np.array_equal(self.times, other.times)
        )

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash((self.num_machines, self.machines.tobytes(), self.times.tobytes()))


@dataclass(frozen=True, eq=False)
class Schedule:
    """Start times of the operations of a job shop.

    Attributes:
        starts: ``(jobs, operations)`` int64; -1 where an operation is not scheduled.
    """

    starts: NDArray[np.int64]
