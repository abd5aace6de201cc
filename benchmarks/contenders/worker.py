"""The process a contender runs in: pinned to one core, told by JSON lines on standard input what to measure.

Imports the standard library only, since it runs in every contender's virtual environment.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """What is measured: a problem size and a number of episodes side by side.

    Attributes:
        jobs: Number of jobs.
        machines: Number of machines, and of operations of each job.
        lanes: Number of episodes side by side.
        seed: Seed of instances and policy.
    """

    jobs: int
    machines: int
    lanes: int
    seed: int = 0


@dataclass
class Progress:
    """What a contender got done.

    Attributes:
        steps: Environment steps, summed over the lanes.
        decisions: Operations dispatched, summed over the lanes.
        finished: Schedules finished.
    """

    steps: int = 0
    decisions: int = 0
    finished: int = 0

    def add(self, other: Progress) -> None:
        """Adds what was done in another stretch of work."""
        self.steps += other.steps
        self.decisions += other.decisions
        self.finished += other.finished


class Contender(ABC):
    """An environment under a uniform random choice among the legal actions; episodes restart by themselves."""

    @abstractmethod
    def advance(self) -> Progress:
        """Takes a batch of steps, the smallest that costs no measurable overhead, going on where the last ended."""


def serve(make: Callable[[Cell], Contender]) -> None:
    """Answers the commands of the parent process until standard input closes.

    Commands: ``{"prepare": {cell}}`` builds, compiles and warms up; ``{"measure": seconds}`` works at least so long;
    ``{"finish": schedules, "limit": seconds}`` works until so many schedules are finished.

    Args:
        make: Imports the contender's libraries and builds it.
    """
    pin(*json.loads(os.environ.get("BENCHMARK_LIMITS", "[null, null]")))
    answers = _private_stdout()
    contender: Contender | None = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if "prepare" in command:
                started = time.perf_counter()
                contender = make(Cell(**command["prepare"]))
                contender.advance()
                answer: dict[str, Any] = {"seconds": time.perf_counter() - started}
            else:
                assert contender is not None
                answer = _work(contender, command)
        except (MemoryError, RuntimeError, AssertionError) as error:
            answer = {"error": _describe(error)}
        answers.write(json.dumps({**answer, "peak_mebibytes": peak_mebibytes()}) + "\n")
        answers.flush()


def pin(core: int | None, memory_gibibytes: float | None) -> None:
    """Confines this process to one core and, where the system can, to so much memory."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    if memory_gibibytes is not None:
        limit = int(memory_gibibytes * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def peak_mebibytes() -> float:
    """Returns the largest resident set that this process has had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _describe(error: Exception) -> str:
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return "does not fit into the memory allowed"
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def _work(contender: Contender, command: dict[str, Any]) -> dict[str, Any]:
    total = Progress()
    started, started_cpu = time.perf_counter(), time.process_time()
    for _ in _until(command, total, started):
        total.add(contender.advance())
    wall_seconds = time.perf_counter() - started
    return {**asdict(total), "core_seconds": time.process_time() - started_cpu, "wall_seconds": wall_seconds}


def _until(command: dict[str, Any], total: Progress, started: float) -> Iterator[None]:
    yield
    limit = command["limit"] if "finish" in command else command["measure"]
    schedules = command.get("finish")
    while time.perf_counter() - started < limit and (schedules is None or total.finished < schedules):
        yield


def _private_stdout() -> Any:
    """Keeps standard output for answers; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers
