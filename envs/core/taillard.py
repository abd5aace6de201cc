"""What Taillard's shop scheduling instances are drawn with: his generator, to the bit, and his published seeds.

Source: E. Taillard, "Benchmarks for basic scheduling problems", European Journal of Operational Research 64 (1993).
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError

_MODULUS = 2**31 - 1
_MULTIPLIER = 16807


class LehmerGenerator:
    """The "minimal standard" generator ``x <- 16807 x mod (2^31 - 1)`` that both benchmark sets were drawn with.

    Args:
        seed: First word, 1 to 2^31 - 2.
    """

    def __init__(self, seed: int) -> None:
        """Checks the seed."""
        if not 1 <= seed < _MODULUS:
            raise UsageError(f"seed is {seed}; expected 1 to {_MODULUS - 1}")
        self._word = seed

    def next_word(self) -> int:
        """Returns the next word, 1 to 2^31 - 2."""
        self._word = self._word * _MULTIPLIER % _MODULUS
        return self._word

    def integer(self, low: int, high: int) -> int:
        """Returns an integer from ``low..high``, by Taillard's formula in double precision."""
        return low + int(self.next_word() / _MODULUS * (high - low + 1))

    def single_precision(self) -> float:
        """Returns a draw from 0 to 1: the word over 2^31, rounded to single precision."""
        return float(np.float32(self.next_word() / 2**31))


def taillard_matrices(
    jobs: int, machines: int, time_seed: int, machine_seed: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Draws a job shop as Taillard (1993), section 4: times uniform on 1..99, routes by swapping.

    Args:
        jobs: Number of jobs.
        machines: Number of machines, and of operations of each job.
        time_seed: Seed of the stream that draws the times, job by job.
        machine_seed: Seed of the stream that draws the routes, job by job.

    Returns:
        Machines, counted from 0, and times, ``(jobs, machines)`` each.
    """
    stream = LehmerGenerator(time_seed)
    times = [[stream.integer(1, 99) for _ in range(machines)] for _ in range(jobs)]
    stream = LehmerGenerator(machine_seed)
    routes = []
    for _ in range(jobs):
        route = list(range(machines))
        for i in range(machines):
            k = stream.integer(i, machines - 1)
            route[i], route[k] = route[k], route[i]
        routes.append(route)
    return np.array(routes, np.int32), np.array(times, np.int32)


class TaillardSeeds(NamedTuple):
    """One published instance: name, size, and the seeds of its times and routes."""

    name: str
    jobs: int
    machines: int
    time_seed: int
    machine_seed: int


@cache
def taillard_seeds() -> tuple[TaillardSeeds, ...]:
    """Returns the published seeds of the job shop instances ta01 to ta80."""
    text = files("envs.core").joinpath("data", "taillard.csv").read_text(encoding="utf-8")
    return tuple(
        TaillardSeeds(
            row["instance"], int(row["jobs"]), int(row["machines"]), int(row["time_seed"]), int(row["machine_seed"])
        )
        for row in csv.DictReader(text.splitlines())
    )
