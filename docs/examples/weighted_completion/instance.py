"""What an instance and a solution of the single-machine problem are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core import UsageError


@dataclass(frozen=True)
class WeightedCompletionInstance:
    """Jobs that one machine processes one after the other.

    Attributes:
        name: Name for reports.
        times: Processing time of each job, in time units, at least 1.
        weights: Cost of one time unit of delay of each job, at least 1.
    """

    name: str = field(compare=False)
    times: tuple[int, ...]
    weights: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Sequence:
    """A solution: completion times.

    Attributes:
        completions: ``(jobs,)`` int64 completion time of each job; -1 where a job is not scheduled.
    """

    completions: NDArray[np.int64]


def read_instance(path: Path) -> WeightedCompletionInstance:
    """Reads one ``time weight`` pair a line.

    Raises:
        UsageError: The file cannot be read, or a line does not hold two positive integers.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as text: {error}") from None
    jobs = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if len(words) != 2 or not all(word.isdecimal() and int(word) > 0 for word in words):
            raise UsageError(f"{path}: line {number} is {line!r}; expected a time and a weight, both positive integers")
        jobs.append((int(words[0]), int(words[1])))
    if not jobs:
        raise UsageError(f"{path} is empty; expected one line for each job")
    times, weights = zip(*jobs, strict=True)
    return WeightedCompletionInstance(path.stem, times, weights)


def to_rows(instance: WeightedCompletionInstance, solution: Sequence) -> list[dict[str, Any]]:
    """Returns one row for each job."""
    pairs = zip(instance.times, solution.completions.tolist(), strict=True)
    return [{"job": job, "start": end - time, "end": end} for job, (time, end) in enumerate(pairs)]
