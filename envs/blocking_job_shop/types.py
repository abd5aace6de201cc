"""What an instance and an execution are: a job shop without buffers, whose machines may be shut down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_LARGEST = 2**31 - 1


@dataclass(frozen=True, eq=False)
class BlockingJobShopInstance:
    """A job shop without buffers: a job stays on its machine until the next one is free for it.

    Attributes:
        name: Name for reports.
        machines: ``(jobs, operations)`` machine of each job's k-th operation, counted from 0; neighbours differ.
        times: ``(jobs, operations)`` processing times, whole numbers of at least 0.
        num_machines: Number of machines; every entry of ``machines`` is below it.
        swap: Whether jobs that wait for each other's machines may change places at one moment (blocking with swap).
            Without it such a circle is a deadlock, which must not come about (blocking, no swap).
        shutdown: Probability that a machine is shut down once during an operation, at a moment that is uniform over
            its processing.
        shutdown_rate: Shutdowns of a machine per time unit in which it is not shut down, busy or not.
        repair_time: Mean time until a shut machine goes on; the times are exponential.
    """

    name: str
    machines: Integers
    times: Integers
    num_machines: int
    swap: bool = True
    shutdown: float = 0.0
    shutdown_rate: float = 0.0
    repair_time: float = 0.0

    def __post_init__(self) -> None:
        """Takes sequences for arrays and checks everything."""
        for column in ("machines", "times"):
            given = np.array(getattr(self, column))
            if given.dtype.kind not in "iu":
                raise UsageError(f"{self.name}: {column} holds something else than integers")
            array = given.astype(np.int64)
            array.flags.writeable = False
            object.__setattr__(self, column, array)
        if self.machines.ndim != 2 or not self.machines.size or self.machines.shape != self.times.shape:
            raise UsageError(
                f"{self.name}: machines has shape {self.machines.shape} and times {self.times.shape}; expected equal "
                "shapes (jobs, operations)"
            )
        if self.machines.min() < 0 or self.machines.max() >= self.num_machines:
            raise UsageError(
                f"{self.name}: machines run from {self.machines.min()} to {self.machines.max()}; expected 0 to "
                f"{self.num_machines - 1}"
            )
        if self.times.min() < 0 or self.times.max() > _LARGEST:
            raise UsageError(f"{self.name}: times has a time outside 0 to {_LARGEST}")
        same = np.argwhere(self.machines[:, 1:] == self.machines[:, :-1])
        if len(same):
            job, k = same[0].tolist()
            raise UsageError(
                f"{self.name}: operations {k} and {k + 1} of job {job} are on one machine; expected one operation"
            )
        if not 0.0 <= self.shutdown <= 1.0:
            raise UsageError(f"{self.name}: shutdown is {self.shutdown}; expected a probability")
        for field in ("shutdown_rate", "repair_time"):
            if not 0.0 <= getattr(self, field) < np.inf:
                raise UsageError(f"{self.name}: {field} is {getattr(self, field)}; expected a number of at least 0")
        if self.is_stochastic and self.repair_time <= 0.0:
            raise UsageError(
                f"{self.name}: repair_time is {self.repair_time}; expected more than 0 where machines are shut down"
            )

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return int(self.machines.shape[0])

    @property
    def operations(self) -> int:
        """Number of operations of each job."""
        return int(self.machines.shape[1])

    @property
    def is_stochastic(self) -> bool:
        """Whether machines are shut down."""
        return self.shutdown > 0.0 or self.shutdown_rate > 0.0

    def _data(self) -> tuple[Any, ...]:
        numbers = (self.num_machines, self.swap, self.shutdown, self.shutdown_rate, self.repair_time)
        return (*numbers, self.machines.shape, self.machines.tobytes(), self.times.tobytes())

    def __eq__(self, other: object) -> bool:
        """Compares the data; the name is a label only."""
        return isinstance(other, BlockingJobShopInstance) and self._data() == other._data()

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash(self._data())


@dataclass(frozen=True, eq=False)
class Execution:
    """What has happened, finished or not; nan where something has not happened.

    Attributes:
        starts: ``(jobs, operations)`` when each job came to the operation's machine and its processing began.
        ends: ``(jobs, operations)`` when the processing was finished. The job then stays until its next start.
        shut_machines: ``(shutdowns,)`` machine of each shutdown.
        shut_at: ``(shutdowns,)`` when it was shut down.
        opened_at: ``(shutdowns,)`` when it went on; nan if it has not.
    """

    starts: Floats
    ends: Floats
    shut_machines: Integers
    shut_at: Floats
    opened_at: Floats

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return (self.starts, self.ends, self.shut_machines, self.shut_at, self.opened_at)

    def __eq__(self, other: object) -> bool:
        """Compares the moments."""
        return isinstance(other, Execution) and all(
            np.array_equal(one, two, equal_nan=True) for one, two in zip(self._columns(), other._columns(), strict=True)
        )

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash(tuple(column.tobytes() for column in self._columns()))


def planned(starts: Floats, times: Integers) -> Execution:
    """Returns the execution that starts every operation as given, without any shutdown."""
    none = np.empty(0)
    return Execution(
        np.array(starts, np.float64), np.array(starts + times, np.float64), none.astype(np.int64), none, none
    )
