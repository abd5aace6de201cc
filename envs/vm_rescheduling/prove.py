"""Writes the best-known values of the benchmarks: optima, or values and bounds, by the exact model.

    python -m envs.vm_rescheduling.prove medium_h_mnl50 ordering --time-limit 60
    python -m envs.vm_rescheduling.prove large --solver lns --time-limit 60
    python -m envs.vm_rescheduling.prove medium_h_mnl50 --instances h_0 --solver per_vm --table other.csv

Rows of the table ``data/references.csv`` for the instances of the named benchmarks are replaced where the new value or
the new bound is better; the others stay. Values are those of plans that the verifier has accepted.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envs.core.errors import UsageError
from envs.core.files import write_text
from envs.vm_rescheduling.benchmarks import BENCHMARKS
from envs.vm_rescheduling.references import TABLE
from envs.vm_rescheduling.solvers import SOLVERS
from envs.vm_rescheduling.types import VmInstance
from envs.vm_rescheduling.verify import verify

_PATH = Path(__file__).parent / "data" / TABLE
_COLUMNS = ("instance", "value", "lower_bound", "source")


@dataclass(frozen=True)
class Known:
    """What is known of an instance.

    Attributes:
        value: Objective of the best plan.
        lower_bound: Proven lower bound.
        source: How the value was found.
    """

    value: float
    lower_bound: float
    source: str


def solve(instance: VmInstance, solver: str, time_limit: float, threads: int) -> Known:
    """Returns what a solver finds; the bound is 0, which no objective is below, where it proves no better."""
    result = SOLVERS[solver](time_limit=time_limit, threads=threads)(instance)
    value = verify(instance, result.solution)
    return Known(value, max(0.0, result.bound or 0.0), f"this project: {solver}, {time_limit:g} s")


def better(old: Known | None, new: Known) -> Known:
    """Returns the better value with the better bound."""
    if old is None:
        return new
    best = min(old, new, key=lambda known: known.value)
    return Known(best.value, max(old.lower_bound, new.lower_bound), best.source)


def read_table(path: Path) -> dict[str, Known]:
    """Returns the rows of a table by instance; none if there is no file."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["instance"]: Known(float(row["value"]), float(row["lower_bound"]), row["source"])
            for row in csv.DictReader(file)
        }


def write_table(path: Path, known: dict[str, Known]) -> None:
    """Writes the rows in the order of the names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name, each in sorted(known.items()):
        writer.writerow([name, f"{each.value:.9g}", f"{each.lower_bound:.9g}", each.source])
    write_text(path, text.getvalue())


def main(argv: Sequence[str] | None = None) -> None:
    """Solves the instances of the named benchmarks, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", nargs="+", choices=tuple(BENCHMARKS), metavar="BENCHMARK")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds for each instance (default 60)")
    parser.add_argument("--solver", choices=("highs", "lns", "per_vm"), default="highs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--instances", nargs="+", metavar="NAME", help="names of the instances; all by default")
    parser.add_argument("--table", type=Path, default=_PATH)
    options = parser.parse_args(argv)
    try:
        for name in options.benchmarks:
            benchmark = BENCHMARKS[name]()
            for instance in (benchmark.select(options.instances) if options.instances else benchmark).instances:
                found = solve(instance, options.solver, options.time_limit, options.threads)
                known = read_table(options.table)
                known[instance.name] = better(known.get(instance.name), found)
                write_table(options.table, known)
                print(f"{instance.name}: {found.value:.6f}, bound {found.lower_bound:.6f}", flush=True)
    except UsageError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
