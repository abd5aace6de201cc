"""Benchmarks on the published channel draws; see `envs.binary_offload.draws` for where they come from.

References are the optima by enumeration rather than the published ones: of the 30,000 draws with ten devices 15 have
published modes that are not optimal, by up to 0.18 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType

import numpy as np

from envs.binary_offload.draws import instance_of, test_split
from envs.binary_offload.env import BITS
from envs.binary_offload.solvers import highest_rate
from envs.core.problem import Benchmark, Reference

SUBSET = 500
"""Draws of the benchmarks that take an evenly spread part of the test split."""

SOURCE = "this project: enumeration"


@cache
def droo() -> Benchmark:
    """Five hundred draws with ten devices, spread evenly over the published test split."""
    return _benchmark("droo", 10, _spread(test_split(10)))


@cache
def droo_test() -> Benchmark:
    """The whole published test split with ten devices, 6,000 draws."""
    return _benchmark("droo_test", 10, test_split(10))


@cache
def droo_5() -> Benchmark:
    """Five hundred draws with five devices, spread evenly over the last fifth."""
    return _benchmark("droo_5", 5, _spread(test_split(5)))


BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = MappingProxyType(
    {"droo": droo, "droo_test": droo_test, "droo_5": droo_5}
)
"""Benchmark factories by name."""


def _spread(split: range) -> list[int]:
    return [split[i] for i in np.linspace(0, len(split), SUBSET, endpoint=False).astype(int).tolist()]


def _benchmark(name: str, devices: int, draws: Iterable[int]) -> Benchmark:
    instances, references = [], {}
    for draw in draws:
        best, _ = highest_rate(instance_of(devices, draw))
        instance = instance_of(devices, draw, best)
        instances.append(instance)
        references[instance.name] = Reference(BITS / best, SOURCE, is_bound=False, lower_bound=BITS / best)
    return Benchmark(name, tuple(instances), references, {i.name: f"{devices} devices" for i in instances})
