"""Benchmarks of edge offloading: episodes of fixed systems and seeds, one group a system.

The objective of a row is the weighted cost under the instance's preference; fronts come from
``scripts/evaluate_front.py``, which runs the same episodes under many preferences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from envs.core.problem import Benchmark
from envs.offload.generators import episodes
from envs.offload.types import OffloadInstance, System

PUBLISHED = System()
"""Six edge servers of 2 GHz, a cloud of 4 GHz."""

_TEST_SEED, _VALIDATION_SEED, _TRANSFER_SEED = 1_000_000, 2_000_000, 3_000_000


def _edges(count: int, edge_ghz: float = 2.0, cloud_ghz: float = 4.0) -> System:
    return System(cloud_ghz * 1e9, (edge_ghz * 1e9,) * count)


SYSTEMS: Mapping[str, System] = MappingProxyType(
    {
        **{f"edges_{count}": _edges(count) for count in range(1, 11)},
        "cloud_3": _edges(6, cloud_ghz=3.0),
        "cloud_5": _edges(6, cloud_ghz=5.0),
        "edge_1.5": _edges(6, edge_ghz=1.5),
        "edge_2.5": _edges(6, edge_ghz=2.5),
        "edge_mixed": System(4e9, (1.5e9, 1.7e9, 1.9e9, 2.1e9, 2.3e9, 2.5e9)),
    }
)
"""Systems of the benchmark "generalisation". The paper trains on one to eight edge servers of 1.75 to 2.25 GHz and a
cloud of 3.5 to 4.5 GHz, and tests on one to ten, 1.5 to 2.5 GHz and 3 to 5 GHz."""


def _one_system(name: str, system: System, seed: int, count: int) -> Callable[[], Benchmark]:
    def make() -> Benchmark:
        instances = episodes(system, seed, count, name)
        return Benchmark(name, instances, {}, {instance.name: name for instance in instances})

    return make


def generalisation() -> Benchmark:
    """Returns 40 episodes of every one of `SYSTEMS`."""
    instances: list[OffloadInstance] = []
    groups: dict[str, str] = {}
    for place, (name, system) in enumerate(SYSTEMS.items()):
        own = episodes(system, _TRANSFER_SEED + 1000 * place, 40, name)
        instances.extend(own)
        groups.update({instance.name: name for instance in own})
    return Benchmark("generalisation", tuple(instances), {}, groups)


BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = MappingProxyType(
    {
        "published": _one_system("published", PUBLISHED, _TEST_SEED, 300),
        "published_validation": _one_system("published_validation", PUBLISHED, _VALIDATION_SEED, 100),
        "physical": _one_system("physical", System(channel="physical"), _TEST_SEED, 100),
        "deadlines": _one_system("deadlines", System(deadline_factor=4.0), _TEST_SEED, 100),
        "generalisation": generalisation,
    }
)
"""Benchmark factories by name."""
