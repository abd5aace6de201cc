"""Environment speed and memory beside Jumanji's JobShop and RL4CO's JSSP: one command, one core, one run.

    python -m benchmarks.environment_speed

Every contender takes uniform random legal actions on random job shops of the same size with times 1..99, features and
masks included, in a process of its own pinned to the same core. Repetitions alternate between the contenders, so that
whatever else the machine does hits all alike. See benchmarks/README.md for what is and is not alike.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import SINGLE_THREAD, describe, last_core
from benchmarks.measurements import Measurement, best_table, share_steps_per_schedule, speed_table
from benchmarks.peers import ROOT, peers_python

OURS = "dispatchlab"
CONTENDERS: dict[str, tuple[str, ...]] = {
    OURS: ("benchmarks.contenders.dispatchlab", "view"),
    "dispatchlab_copy": ("benchmarks.contenders.dispatchlab", "copy"),
    "jumanji": ("benchmarks.contenders.jumanji", "shipped"),
    "jumanji_same": ("benchmarks.contenders.jumanji", "same"),
    "jumanji_pool": ("benchmarks.contenders.jumanji", "pool"),
    "rl4co": ("benchmarks.contenders.rl4co",),
}
SIZES = ("6x6", "15x15", "30x20", "100x20")
LANES = (1, 64, 256, 1024)
RESULTS = ROOT / "benchmarks" / "results" / "environment_speed.json"


class Process:
    """A contender at work in its own process."""

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        """Starts the process, pinned to the core."""
        module, *options = CONTENDERS[name]
        python = sys.executable if name.startswith(OURS) else str(peers_python())
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process is
        pinning = json.dumps([arguments.core, arguments.memory])
        self._process = subprocess.Popen(
            [python, "-W", "ignore", "-m", module, *options],
            cwd=ROOT,
            env={**os.environ, **SINGLE_THREAD, "BENCHMARK_LIMITS": pinning},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Sends a command and waits for the answer; a process that died answers with an error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": self._last_words(), "peak_mebibytes": None}

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._log.close()

    def _last_words(self) -> str:
        status = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        return f"exit status {status}: {lines[-1][:200] if lines else 'no message'}"


def measure_cell(size: str, lanes: int, arguments: argparse.Namespace) -> list[Measurement]:
    """Measures all contenders at one size and number of lanes, repetitions alternating."""
    jobs, machines = (int(n) for n in size.split("x"))
    measurements = {name: Measurement(name, jobs, machines, lanes) for name in arguments.only}
    processes = {name: Process(name, arguments) for name in arguments.only}
    cell = {"jobs": jobs, "machines": machines, "lanes": lanes, "seed": arguments.seed}
    for name, process in processes.items():
        _note(measurements[name], process.ask({"prepare": cell}), "prepare_seconds")
    for _ in range(arguments.repetitions):
        for name, process in processes.items():
            if measurements[name].error is None and measurements[name].wall_seconds < arguments.budget:
                _note(measurements[name], process.ask({"measure": arguments.seconds}))
    if lanes == min(arguments.lanes):
        for name, process in processes.items():
            if measurements[name].error is None and not _one_step_an_operation(name):
                answer = process.ask({"finish": arguments.schedules * lanes, "limit": arguments.limit})
                if "error" not in answer and answer["finished"]:
                    share_steps_per_schedule([measurements[name]], answer["steps"], answer["finished"])
    for process in processes.values():
        process.close()
    return list(measurements.values())


def measure(arguments: argparse.Namespace) -> list[Measurement]:
    """Measures every cell, telling each on standard error as it is done."""
    measurements: list[Measurement] = []
    for size in arguments.sizes:
        of_size: list[Measurement] = []
        for lanes in sorted(arguments.lanes):
            of_size += measure_cell(size, lanes, arguments)
            done = {m.contender: m.steps_per_second and round(m.steps_per_second) for m in of_size if m.lanes == lanes}
            print(f"{size}, {lanes} lanes, steps/s: {done}", file=sys.stderr, flush=True)
        for m in of_size:
            m.steps_per_schedule = _steps_per_schedule(m, of_size)
        measurements += of_size
    return measurements


def _steps_per_schedule(measurement: Measurement, of_size: list[Measurement]) -> float | None:
    """One decision an operation; only Jumanji's episodes, a step a time unit, have a length that must be measured."""
    if _one_step_an_operation(measurement.contender):
        return measurement.jobs * measurement.machines
    known = [m.steps_per_schedule for m in of_size if m.contender == measurement.contender and m.steps_per_schedule]
    return known[0] if known else None


def _one_step_an_operation(contender: str) -> bool:
    return not contender.startswith("jumanji")


def _note(measurement: Measurement, answer: dict[str, Any], seconds_into: str | None = None) -> None:
    measurement.peak_mebibytes = answer.pop("peak_mebibytes") or measurement.peak_mebibytes
    if "error" in answer:
        measurement.error = answer["error"]
        measurement.repetitions.clear()
    elif seconds_into is not None:
        setattr(measurement, seconds_into, answer["seconds"])
    else:
        measurement.repetitions.append(answer)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="jobs x machines, as in 15x15")
    parser.add_argument("--lanes", nargs="+", type=int, default=list(LANES))
    parser.add_argument("--only", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="least duration of a repetition")
    parser.add_argument("--budget", type=float, default=15.0, help="seconds after which a contender is not repeated")
    parser.add_argument("--schedules", type=int, default=40, help="episodes a lane that give Jumanji's episode length")
    parser.add_argument("--limit", type=float, default=30.0, help="most seconds for those")
    parser.add_argument("--core", type=int, default=last_core(), help="core that all processes are pinned to")
    parser.add_argument("--memory", type=float, default=8.0, help="most memory of a process in GiB")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Measures, writes the results file and prints the tables."""
    arguments = parse(argv)
    if not all(name.startswith(OURS) for name in arguments.only):
        peers_python()
    machine = describe(("numpy", "numba", "gymnasium"))
    measurements = measure(arguments)
    settings = {**vars(arguments), "output": None}
    del settings["output"], settings["core"]
    result = {"machine": machine, "settings": settings, "measurements": [m.to_json() for m in measurements]}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if OURS in arguments.only:
        print(best_table(measurements, OURS), end="\n\n")
    print(speed_table(measurements, OURS))


if __name__ == "__main__":
    main()
