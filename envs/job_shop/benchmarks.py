"""The classical job shop benchmarks with best-known values.

Taillard's and Demirkol's instances are generated, Fisher and Thompson's are part of the package. The other sets are
read from the user's files in the folder that the environment variable ``DISPATCHLAB_DATA`` names:

- ``$DISPATCHLAB_DATA/jobshop/la01.txt`` (or ``la01``), one file an instance in the standard or Taillard's format, or
- ``$DISPATCHLAB_DATA/jobshop/jobshop_242_instances.jsonl``, one JSON object a line with ``name`` (``"la01"``),
  ``machine`` (jobs by operations, counted from 0) and ``duration`` (likewise).

The digest of every instance is known, so that a gap is never taken against the best-known value of other data.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from envs.core.errors import UsageError
from envs.core.problem import Benchmark, Reference
from envs.core.taillard import taillard_seeds
from envs.job_shop import generators
from envs.job_shop.instance import format_standard, parse_instance, read_instance, read_text
from envs.job_shop.types import JobShopInstance

DATA_VARIABLE = "DISPATCHLAB_DATA"
COLLECTED = "ScheduleOpt/benchmarks, 2026-08-19"
COLLECTION_NAME = "jobshop_242_instances.jsonl"


@dataclass(frozen=True)
class BestKnown:
    """What is known about a classical instance.

    Attributes:
        jobs: Number of jobs.
        machines: Number of machines.
        lower_bound: Best proven lower bound of the makespan.
        upper_bound: Best known makespan.
        source: Who reported the best known makespan.
        date: When, ISO 8601.
        sha256: Digest of the instance, see `digest`.
    """

    jobs: int
    machines: int
    lower_bound: int
    upper_bound: int
    source: str
    date: str
    sha256: str

    @property
    def reference(self) -> Reference:
        """The reference value that gaps are taken against."""
        return Reference(
            value=self.upper_bound,
            source=f"{self.source} {self.date} ({COLLECTED})",
            is_bound=self.lower_bound < self.upper_bound,
            lower_bound=self.lower_bound,
        )


def digest(instance: JobShopInstance) -> str:
    """Returns the SHA-256 digest of the instance in the standard text format, in hexadecimal digits."""
    return hashlib.sha256(format_standard(instance).encode("ascii")).hexdigest()


@cache
def best_known() -> Mapping[str, BestKnown]:
    """Returns what is known about the 242 classical instances, by name."""
    return MappingProxyType(
        {
            row["instance"]: BestKnown(
                jobs=int(row["jobs"]),
                machines=int(row["machines"]),
                lower_bound=int(row["lower_bound"]),
                upper_bound=int(row["upper_bound"]),
                source=row["source"],
                date=row["date"],
                sha256=row["sha256"],
            )
            for row in _table("best_known.csv")
        }
    )


@cache
def taillard() -> Benchmark:
    """Taillard's 80 instances ta01 to ta80, 15 x 15 to 100 x 20, generated from their published seeds."""
    return _benchmark(
        "taillard",
        (
            generators.taillard(one.jobs, one.machines, one.time_seed, one.machine_seed, one.name)
            for one in taillard_seeds()
        ),
    )


def taillard_every_fifth() -> Benchmark:
    """Sixteen of Taillard's instances, two of each size (ta01, ta06, ta11, ...), for methods that take minutes each."""
    names = [instance.name for instance in taillard().instances[::5]]
    return replace(taillard().select(names), name="taillard_every_fifth")


@cache
def demirkol() -> Benchmark:
    """The 80 instances dmu01 to dmu80 of Demirkol, Mehta and Uzsoy, generated from their published seeds."""
    rows = _table("demirkol.csv")
    return _benchmark("demirkol", map(_demirkol_instance, rows))


@cache
def fisher_thompson() -> Benchmark:
    """The three instances ft06, ft10 and ft20 of Fisher and Thompson (1963)."""
    names = ("ft06", "ft10", "ft20")
    return _benchmark("fisher_thompson", (parse_instance(_text(f"{name}.txt"), name, name) for name in names))


def from_files(name: str, instances: Iterable[str]) -> Benchmark:
    """Reads a benchmark from the user's files, see the module's text for the layout.

    Args:
        name: Name of the benchmark.
        instances: Names of its instances.

    Raises:
        UsageError: An instance is not there, or is not the published one.
    """
    names = tuple(instances)
    folder = _data_folder(name)
    collection = folder / COLLECTION_NAME
    collected = _read_collection(collection) if collection.is_file() else {}
    return _benchmark(name, (_checked(_find(folder, one, collected), one) for one in names))


def classical() -> Benchmark:
    """The 82 instances of the older sets, grouped by set: all the classical ones but Taillard's and Demirkol's.

    Raises:
        UsageError: An instance of the sets that are read from files is not there, or is not the published one.
    """
    sets = [fisher_thompson(), *(from_files(name, instances) for name, instances in _FROM_FILES.items())]
    return Benchmark(
        "classical",
        tuple(instance for one in sets for instance in one.instances),
        references={name: reference for one in sets for name, reference in one.references.items()},
        groups={instance.name: one.name for one in sets for instance in one.instances},
    )


_FROM_FILES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lawrence": tuple(f"la{i:02}" for i in range(1, 41)),
        "adams": tuple(f"abz{i}" for i in range(5, 10)),
        "applegate_cook": tuple(f"orb{i:02}" for i in range(1, 11)),
        "storer": tuple(f"swv{i:02}" for i in range(1, 21)),
        "yamada_nakano": tuple(f"yn{i}" for i in range(1, 5)),
    }
)

BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = MappingProxyType(
    {
        "taillard": taillard,
        "taillard_every_fifth": taillard_every_fifth,
        "demirkol": demirkol,
        "fisher_thompson": fisher_thompson,
        **{name: partial(from_files, name, instances) for name, instances in _FROM_FILES.items()},
        "classical": classical,
    }
)
"""Benchmark factories by name."""


def _benchmark(name: str, instances: Iterable[JobShopInstance]) -> Benchmark:
    drawn = tuple(instances)
    return Benchmark(
        name,
        drawn,
        references={one.name: best_known()[one.name].reference for one in drawn},
        groups={one.name: f"{one.num_jobs}x{one.num_machines}" for one in drawn},
    )


def _demirkol_instance(row: Mapping[str, str]) -> JobShopInstance:
    routing = cast("Any", row["routing"])
    return generators.demirkol(int(row["jobs"]), int(row["machines"]), int(row["seed"]), routing, row["instance"])


def _data_folder(benchmark: str) -> Path:
    layout = f"put <name>.txt files or {COLLECTION_NAME} into its folder 'jobshop'"
    if DATA_VARIABLE not in os.environ:
        raise UsageError(
            f"benchmark {benchmark} is read from your files: set the environment variable {DATA_VARIABLE} to a "
            f"folder and {layout}"
        )
    folder = Path(os.environ[DATA_VARIABLE]) / "jobshop"
    if not folder.is_dir():
        raise UsageError(f"benchmark {benchmark} is read from your files, but {folder} is not a folder: {layout}")
    return folder


def _find(folder: Path, name: str, collected: Mapping[str, JobShopInstance]) -> JobShopInstance:
    for path in (folder / f"{name}.txt", folder / name):
        if path.is_file():
            return read_instance(path)
    if name not in collected:
        raise UsageError(f"{folder} has no instance {name}: expected {name}.txt, or a line of {COLLECTION_NAME}")
    return collected[name]


def _read_collection(path: Path) -> dict[str, JobShopInstance]:
    instances = [
        _parse_record(line, f"{path}, line {number}")
        for number, line in enumerate(read_text(path).splitlines(), start=1)
        if line.strip()
    ]
    return {instance.name: instance for instance in instances}


def _parse_record(line: str, source: str) -> JobShopInstance:
    try:
        record = json.loads(line)
        name, routes, times = record["name"], np.array(record["machine"]), np.array(record["duration"])
        if not isinstance(name, str) or routes.ndim != 2 or routes.dtype.kind != "i" or times.dtype.kind != "i":
            raise TypeError
    except (KeyError, TypeError, ValueError):
        expected = "a JSON object with 'name', and 'machine' and 'duration' as equal tables of integers"
        raise UsageError(f"{source}: expected {expected}") from None
    num_machines = max(routes.shape[-1], int(routes.max(initial=0)) + 1)
    try:
        return JobShopInstance(name, routes, times, num_machines)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None


def _checked(instance: JobShopInstance, name: str) -> JobShopInstance:
    known = best_known()[name]
    if digest(instance) != known.sha256:
        raise UsageError(
            f"instance {name} ({instance.num_jobs} x {instance.num_machines}) differs from the published one "
            f"({known.jobs} x {known.machines}): SHA-256 {digest(instance)} instead of {known.sha256}"
        )
    return instance


def _table(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(_text(name).splitlines()))


def _text(name: str) -> str:
    return files("envs.job_shop").joinpath("data", name).read_text(encoding="utf-8")
