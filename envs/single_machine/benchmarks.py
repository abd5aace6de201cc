"""Benchmarks of the single machine: drawn instances with their optima, and the published collections.

The collections are read from the user's files in the folder that the environment variable ``DISPATCHLAB_DATA`` names:

- weighted tardiness of OR-Library: ``$DISPATCHLAB_DATA/single_machine/wt40.txt`` with the best-known values, one a
  line, in ``wtopt40.txt`` (also 50, and 100 with ``wtbest100.txt``), or ``$DISPATCHLAB_DATA/jobshop/orlib_wt.jsonl``,
  one JSON object a line with ``set``, ``i``, ``p``, ``w``, ``d`` and ``best``;
- total tardiness of Shang et al. and Cetinkaya et al.: ``$DISPATCHLAB_DATA/jobshop/smtt_instances.jsonl``, one JSON
  object a line with ``set``, ``i``, ``rdd``, ``tf``, ``p``, ``d`` and ``opt``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from envs.core.errors import UsageError
from envs.core.fields import naming, read_text
from envs.core.problem import Benchmark, Reference
from envs.single_machine.generators import potts_van_wassenhove
from envs.single_machine.instance import from_record, read_orlib
from envs.single_machine.subsets import dynamic_programming
from envs.single_machine.types import SingleMachineInstance

DATA_VARIABLE = "DISPATCHLAB_DATA"

_OPTIMUM = "this project: dynamic programming over subsets"
_ORLIB = "OR-Library: Crauwels, Potts and Van Wassenhove 1998, INFORMS J. Computing 10(3)"
_SHANG = "Shang, T'Kindt and Della Croce 2021, Computers and Operations Research 137"
_CETINKAYA = "Cetinkaya et al. 2025, arXiv 2510.24013"

_SETS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "tardiness_20": ("data_20_800_new_", _CETINKAYA),
        "tardiness_20_first": ("data_20_800", _CETINKAYA),
        "tardiness_20_normal": ("data_20_800_normal_solved", _CETINKAYA),
        "tardiness_100": ("data_100_200", _SHANG),
        "tardiness_200": ("data_200_200", _SHANG),
        "tardiness_500": ("data_500_200", _SHANG),
    }
)
"""Benchmark to set and source, of the collection of total tardiness."""

_FACTORS, _RANGES = (0.2, 0.4, 0.6, 0.8), (0.2, 0.4, 0.6, 0.8, 1.0)
_DRAWN_JOBS, _DRAWN_EACH, _DRAWN_SEED = 15, 5, 1_000_000


@cache
def drawn(largest_weight: int, name: str) -> Benchmark:
    """A hundred drawn instances of fifteen jobs, five of each class, with their optima."""
    instances, references, groups = [], {}, {}
    for factor in _FACTORS:
        for spread in _RANGES:
            for number in range(_DRAWN_EACH):
                seed = (_DRAWN_SEED, int(10 * factor), int(10 * spread), number)
                instance = potts_van_wassenhove(
                    _DRAWN_JOBS,
                    factor,
                    spread,
                    np.random.default_rng(seed),
                    name=f"{name}_{factor:g}_{spread:g}_{number}",
                    largest_weight=largest_weight,
                )
                best = dynamic_programming()(instance).objective
                instances.append(instance)
                references[instance.name] = Reference(best, _OPTIMUM, is_bound=False, lower_bound=best)
                groups[instance.name] = f"TF {factor:g}"
    return Benchmark(name, tuple(instances), references, groups)


def weighted_tardiness(jobs: int) -> Benchmark:
    """The 125 instances of weighted tardiness of OR-Library with so many jobs, in classes of five.

    Raises:
        UsageError: The files are not there, or hold something else.
    """
    name = f"wt{jobs}"
    own = _folder(name) / "single_machine" / f"{name}.txt"
    pairs = _orlib_files(own, jobs) if own.is_file() else _orlib_records(name)
    # Classes come by the range of due dates, and within it by the tardiness factor.
    return _benchmark(name, pairs, _ORLIB, lambda i, _: f"TF {(i // 5 % 5 + 1) / 5:g}")


def total_tardiness(name: str) -> Benchmark:
    """A set of the published collection of total tardiness.

    Of the set with normally distributed times, 125 of 800 instances have times of 0 or less, and are left out.

    Raises:
        UsageError: The collection is not there, or lacks the set.
    """
    key, source = _SETS[name]
    records = [
        record
        for record in _records(_collection(name, "smtt_instances.jsonl"))
        if record.get("set") == key and min(record.get("p", [])) >= 1
    ]
    pairs = [(from_record(record, f"{name}_{record['i']}"), int(record["opt"])) for record in records]
    return _benchmark(name, pairs, source, lambda i, _: f"TF {records[i]['tf']:g}")


BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = MappingProxyType(
    {
        "drawn_tardiness": partial(drawn, 1, "drawn_tardiness"),
        "drawn_weighted_tardiness": partial(drawn, 10, "drawn_weighted_tardiness"),
        **{f"wt{jobs}": partial(weighted_tardiness, jobs) for jobs in (40, 50, 100)},
        **{name: partial(total_tardiness, name) for name in _SETS},
    }
)
"""Benchmark factories by name."""


def _benchmark(
    name: str,
    pairs: list[tuple[SingleMachineInstance, int]],
    source: str,
    group: Callable[[int, SingleMachineInstance], str],
) -> Benchmark:
    if not pairs:
        raise UsageError(f"benchmark {name}: the collection has no instance of it")
    return Benchmark(
        name,
        tuple(instance for instance, _ in pairs),
        {one.name: Reference(float(best), source, is_bound=False, lower_bound=float(best)) for one, best in pairs},
        {one.name: group(i, one) for i, (one, _) in enumerate(pairs)},
    )


def _orlib_files(path: Path, jobs: int) -> list[tuple[SingleMachineInstance, int]]:
    instances = read_orlib(path, jobs, f"wt{jobs}")
    optima = path.with_name(f"wtbest{jobs}.txt" if jobs == 100 else f"wtopt{jobs}.txt")
    words = read_text(optima).split()
    if len(words) != len(instances) or not all(word.isdigit() for word in words):
        raise UsageError(f"{optima}: holds {len(words)} words; expected {len(instances)} integers, one an instance")
    return list(zip(instances, map(int, words), strict=True))


def _orlib_records(name: str) -> list[tuple[SingleMachineInstance, int]]:
    records = (record for record in _records(_collection(name, "orlib_wt.jsonl")) if record.get("set") == name)
    return [(from_record(record, f"{name}_{record['i']}"), int(record["best"])) for record in records]


def _folder(benchmark: str) -> Path:
    if DATA_VARIABLE not in os.environ:
        raise UsageError(
            f"benchmark {benchmark} is read from your files: set the environment variable {DATA_VARIABLE} to a folder; "
            "see envs/single_machine/benchmarks.py for what is looked for there"
        )
    return Path(os.environ[DATA_VARIABLE])


def _collection(benchmark: str, name: str) -> Path:
    path = _folder(benchmark) / "jobshop" / name
    if not path.is_file():
        raise UsageError(f"benchmark {benchmark} is read from your files, but {path} is not a file")
    return path


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        with naming(f"{path}, line {number}"):
            try:
                record = json.loads(line)
            except ValueError:
                raise UsageError("expected a JSON object") from None
            yield record
