"""The classical job shops without buffers, with and without shutdowns.

Fisher and Thompson's and Taillard's instances come with the package. The others are read from the user's files in the
folder that the environment variable ``DISPATCHLAB_DATA`` names:

- ``$DISPATCHLAB_DATA/jobshop/la01.txt``, one file an instance in the standard or Taillard's format, or
- ``$DISPATCHLAB_DATA/jobshop/jobshop_242_instances.jsonl``, one JSON object a line with ``name``, ``machine`` (jobs by
  operations, counted from 0) and ``duration``.

The digest of every instance is known, so that a gap is never taken against the best-known value of other data. Best
known values are of blocking with swap. With shutdowns they are still a lower bound on every execution, where proven:
a shutdown only keeps jobs on their machines for longer.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from envs.blocking_job_shop.instance import parse_text, read_instance
from envs.blocking_job_shop.types import BlockingJobShopInstance
from envs.core.errors import UsageError
from envs.core.fields import naming, read_text
from envs.core.problem import Benchmark, Reference
from envs.core.taillard import taillard_matrices, taillard_seeds

DATA_VARIABLE = "DISPATCHLAB_DATA"
COLLECTED = "ScheduleOpt/optalcp-benchmarks, adcef157"
COLLECTION = "jobshop_242_instances.jsonl"
PROBABILITIES = (0.0, 0.05, 0.1, 0.15, 0.2)
"""Probabilities of a shutdown during an operation in the benchmark ``interrupted``."""

REPAIR_TIME = 2.0
"""Mean time of a repair there, in mean processing times of the instance."""

SHOPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "fisher_thompson": ("ft06", "ft10", "ft20"),
        "lawrence": tuple(f"la{i:02}" for i in range(1, 41)),
        "adams": tuple(f"abz{i}" for i in range(5, 10)),
        "applegate_cook": tuple(f"orb{i:02}" for i in range(1, 11)),
        "taillard": tuple(f"ta{i:02}" for i in range(1, 81)),
    }
)
"""Names of the instances by benchmark."""

_INTERRUPTED = ("ft06", "ft10", *(f"la{i:02}" for i in range(1, 21)), "abz5", "abz6", *SHOPS["applegate_cook"])


class BestKnown(NamedTuple):
    """What is known about a classical instance.

    Attributes:
        lower_bound: Best proven lower bound of the makespan with swap.
        upper_bound: Best known makespan.
        sha256: Digest of the instance, see `digest`.
    """

    lower_bound: int
    upper_bound: int
    sha256: str

    @property
    def reference(self) -> Reference:
        """The reference value that gaps are taken against."""
        open_ = self.lower_bound < self.upper_bound
        return Reference(float(self.upper_bound), COLLECTED, is_bound=open_, lower_bound=float(self.lower_bound))


def digest(instance: BlockingJobShopInstance) -> str:
    """Returns the SHA-256 digest of sizes, machines and times, in hexadecimal digits."""
    header = f"{instance.jobs} {instance.operations} {instance.num_machines}\n"
    pairs = np.stack([instance.machines, instance.times], axis=2).reshape(instance.jobs, -1)
    rows = "".join(" ".join(map(str, row)) + "\n" for row in pairs.tolist())
    return hashlib.sha256((header + rows).encode("ascii")).hexdigest()


@cache
def best_known() -> Mapping[str, BestKnown]:
    """Returns what is known about the classical instances, by name."""
    rows = csv.DictReader(_text("best_known.csv").splitlines())
    return MappingProxyType(
        {row["instance"]: BestKnown(int(row["lower_bound"]), int(row["upper_bound"]), row["sha256"]) for row in rows}
    )


def shops(name: str) -> Benchmark:
    """Returns the job shops of a set without buffers, with swap and without shutdowns.

    Raises:
        UsageError: An instance that is read from files is not there, or is not the published one.
    """
    instances = tuple(_shop(name, one) for one in SHOPS[name])
    return Benchmark(
        name,
        instances,
        {one.name: best_known()[one.name].reference for one in instances},
        {one.name: f"{one.jobs}x{one.num_machines}" for one in instances},
    )


def interrupted() -> Benchmark:
    """Returns 34 classical instances of up to 10 machines, each with five probabilities of a shutdown.

    Gaps are against the best makespan without shutdowns.

    Raises:
        UsageError: An instance that is read from files is not there, or is not the published one.
    """
    instances, references, groups = [], {}, {}
    for probability in PROBABILITIES:
        for name in _INTERRUPTED:
            shop = _shop("interrupted", name)
            one = replace(
                shop,
                name=f"{name}_{probability:g}",
                shutdown=probability,
                repair_time=REPAIR_TIME * float(shop.times.mean()),
            )
            instances.append(one)
            known = best_known()[name]
            references[one.name] = Reference(
                float(known.upper_bound),
                COLLECTED,
                is_bound=probability > 0.0 or known.lower_bound < known.upper_bound,
                lower_bound=float(known.lower_bound),
            )
            groups[one.name] = f"p={probability:g}"
    return Benchmark("interrupted", tuple(instances), references, groups)


def drawn(seed: int, name: str, swap: bool) -> Benchmark:
    """Returns 30 random instances of 10 x 10 with Taillard's times; ten each of shutdowns 0, 0.1 and 0.2."""
    instances = []
    for i in range(30):
        rng = np.random.default_rng(seed + i)
        times = rng.integers(1, 99, size=(10, 10), endpoint=True)
        routes = rng.permuted(np.tile(np.arange(10), (10, 1)), axis=1)
        shutdown = (0.0, 0.1, 0.2)[i % 3]
        repair_time = REPAIR_TIME * float(times.mean())
        instances.append(
            BlockingJobShopInstance(
                f"{name}_{i:02}", routes, times, 10, swap, shutdown=shutdown, repair_time=repair_time
            )
        )
    return Benchmark(name, tuple(instances), {}, {one.name: f"p={one.shutdown:g}" for one in instances})


BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = MappingProxyType(
    {
        **{name: partial(shops, name) for name in SHOPS},
        "interrupted": interrupted,
        "drawn": partial(drawn, 1_000_000, "drawn", True),
        "drawn_validation": partial(drawn, 2_000_000, "drawn_validation", True),
        "drawn_no_swap": partial(drawn, 3_000_000, "drawn_no_swap", False),
    }
)
"""Benchmark factories by name."""


@cache
def _shop(benchmark: str, name: str) -> BlockingJobShopInstance:
    if name.startswith("ft"):
        instance = parse_text(_text(f"{name}.txt"), name, f"{name}.txt")
    elif name.startswith("ta"):
        seeds = next(one for one in taillard_seeds() if one.name == name)
        machines, times = taillard_matrices(seeds.jobs, seeds.machines, seeds.time_seed, seeds.machine_seed)
        instance = BlockingJobShopInstance(name, machines.astype(np.int64), times.astype(np.int64), seeds.machines)
    else:
        instance = _from_files(benchmark, name)
    expected = best_known()[name].sha256
    if digest(instance) != expected:
        raise UsageError(
            f"instance {name} differs from the published one: SHA-256 {digest(instance)} instead of {expected}"
        )
    return instance


def _from_files(benchmark: str, name: str) -> BlockingJobShopInstance:
    if DATA_VARIABLE not in os.environ:
        raise UsageError(
            f"benchmark {benchmark} is read from your files: set the environment variable {DATA_VARIABLE} to a folder "
            f"with jobshop/<name>.txt files or jobshop/{COLLECTION}"
        )
    folder = Path(os.environ[DATA_VARIABLE]) / "jobshop"
    path = folder / f"{name}.txt"
    if path.is_file():
        return read_instance(path)
    collected = _collection(folder / COLLECTION)
    if name not in collected:
        raise UsageError(f"{folder} has no instance {name}: expected {name}.txt, or a line of {COLLECTION}")
    return collected[name]


@cache
def _collection(path: Path) -> Mapping[str, BlockingJobShopInstance]:
    if not path.is_file():
        return {}
    wanted = {name for names in SHOPS.values() for name in names}
    found = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        with naming(f"{path}, line {number}"):
            try:
                record = json.loads(line)
                name, machines, times = str(record["name"]), np.array(record["machine"]), np.array(record["duration"])
            except (KeyError, TypeError, ValueError):
                raise UsageError("expected a JSON object with name, machine and duration") from None
            if name in wanted:
                found[name] = BlockingJobShopInstance(name, machines, times, int(machines.max()) + 1)
    return found


def _text(name: str) -> str:
    return files("envs.blocking_job_shop").joinpath("data", name).read_text(encoding="utf-8")
