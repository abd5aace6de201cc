"""The classical flexible job shops with best-known values, read from the user's files.

They are looked for in the folder that the environment variable ``DISPATCHLAB_DATA`` names:

- ``$DISPATCHLAB_DATA/flexible_job_shop/mk01.fjs`` (or ``.txt``), one file an instance in the standard format, or
- ``$DISPATCHLAB_DATA/jobshop/fjsp_instances.jsonl``, one JSON object a line with ``name``, ``machines`` and ``ops``
  (alternatives ``[machine, time]`` by job and operation, machines counted from 0).

The digest of every instance is known, so that a gap is never taken against the best-known value of other data.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from envs.core.errors import UsageError
from envs.core.fields import naming, read_text
from envs.core.problem import Benchmark, Reference
from envs.flexible_job_shop.instance import format_standard, from_operations, read_instance
from envs.flexible_job_shop.types import FlexibleJobShopInstance

DATA_VARIABLE = "DISPATCHLAB_DATA"
COLLECTED = "ScheduleOpt/benchmarks, 2026-08-19"
COLLECTION = "fjsp_instances.jsonl"

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "brandimarte": "Brandimarte 1993: 15 instances, 10 to 30 jobs",
        "hurink_edata": "Hurink, Jurisch and Thole 1994, few machines an operation: 66 instances",
        "hurink_rdata": "Hurink, Jurisch and Thole 1994, about two machines an operation: 66 instances",
        "hurink_vdata": "Hurink, Jurisch and Thole 1994, half of the machines an operation: 66 instances",
        "dauzere": "Dauzere-Peres and Paulli 1997: 18 instances",
        "barnes": "Barnes and Chambers 1996: 21 instances",
        "kacem": "Kacem, Hammadi and Borne 2002: 4 instances",
        "fattahi": "Fattahi, Mehrabad and Jolai 2007: 20 instances",
        "behnke": "Behnke and Geiger 2012: 60 instances",
    }
)
"""The families, each a benchmark of its name."""


class BestKnown(NamedTuple):
    """What is known about a classical instance.

    Attributes:
        family: Key of `FAMILIES`.
        lower_bound: Best proven lower bound of the makespan.
        upper_bound: Best known makespan.
        sha256: Digest of the instance, see `digest`.
    """

    family: str
    lower_bound: int
    upper_bound: int
    sha256: str

    @property
    def reference(self) -> Reference:
        """The reference value that gaps are taken against."""
        open_ = self.lower_bound < self.upper_bound
        return Reference(float(self.upper_bound), COLLECTED, is_bound=open_, lower_bound=float(self.lower_bound))


def digest(instance: FlexibleJobShopInstance) -> str:
    """Returns the SHA-256 digest of the instance in the standard format, in hexadecimal digits."""
    return hashlib.sha256(format_standard(instance).encode("ascii")).hexdigest()


@cache
def best_known() -> Mapping[str, BestKnown]:
    """Returns what is known about the classical instances, by name."""
    text = files("envs.flexible_job_shop").joinpath("data", "best_known.csv").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            row["instance"]: BestKnown(row["family"], int(row["lower_bound"]), int(row["upper_bound"]), row["sha256"])
            for row in csv.DictReader(text.splitlines())
        }
    )


def family(name: str) -> Benchmark:
    """Reads a family from the user's files, see the module's text for the layout.

    Raises:
        UsageError: An instance is not there, or is not the published one.
    """
    folder = _folder(name)
    wanted = [instance for instance, known in best_known().items() if known.family == name]
    collected = _collection(folder / "jobshop" / COLLECTION)
    instances = tuple(_checked(_find(folder, one, collected), one) for one in wanted)
    return Benchmark(
        name,
        instances,
        {one.name: best_known()[one.name].reference for one in instances},
        {one.name: f"{one.jobs}x{one.machines}" for one in instances},
    )


BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = MappingProxyType({name: partial(family, name) for name in FAMILIES})
"""Benchmark factories by name."""


def _folder(benchmark: str) -> Path:
    if DATA_VARIABLE not in os.environ:
        raise UsageError(
            f"benchmark {benchmark} is read from your files: set the environment variable {DATA_VARIABLE} to a folder "
            f"with flexible_job_shop/<name>.fjs files or jobshop/{COLLECTION}"
        )
    return Path(os.environ[DATA_VARIABLE])


def _find(folder: Path, name: str, collected: Mapping[str, FlexibleJobShopInstance]) -> FlexibleJobShopInstance:
    for suffix in (".fjs", ".txt"):
        path = folder / "flexible_job_shop" / f"{name}{suffix}"
        if path.is_file():
            return read_instance(path)
    if name not in collected:
        raise UsageError(
            f"{folder} has no instance {name}: expected flexible_job_shop/{name}.fjs, or a line of {COLLECTION}"
        )
    return collected[name]


@cache
def _collection(path: Path) -> Mapping[str, FlexibleJobShopInstance]:
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        with naming(f"{path}, line {number}"):
            try:
                record = json.loads(line)
                name, machines, jobs = str(record["name"]), int(record["machines"]), record["ops"]
                alternatives = [[[(int(m), int(t)) for m, t in each] for each in job] for job in jobs]
            except (KeyError, TypeError, ValueError):
                raise UsageError("expected a JSON object with name, machines and ops") from None
            found[name] = from_operations(name, machines, alternatives)
    return found


def _checked(instance: FlexibleJobShopInstance, name: str) -> FlexibleJobShopInstance:
    expected = best_known()[name].sha256
    if digest(instance) != expected:
        raise UsageError(
            f"instance {name} differs from the published one: SHA-256 {digest(instance)} instead of {expected}"
        )
    return FlexibleJobShopInstance(name, instance.operations, instance.times, instance.setups)
