"""Benchmarks of the serving tasks: load levels and a trace that training does not see.

Training draws ShareGPT-like requests at random rates. The benchmarks have other seeds, rates at and beyond both ends of
the range, and another trace: lengths of the Azure conversation trace. There are no best-known values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from envs.core.problem import Benchmark
from envs.serving.env import ChunkConfig, PreemptConfig, RouteConfig, Serving, ServingConfig
from envs.serving.types import ServingInstance

_TEST_SEED, _VALIDATION_SEED = 1_000_000, 2_000_000
_EACH = 8

RATES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {"chunk": (1.5, 3.0, 6.0), "preempt": (0.8, 1.5, 3.0), "route": (6.0, 10.0, 20.0)}
)
"""Mean arrivals a second of the load levels with ShareGPT-like requests."""

AZURE_FACTOR = 2.5
"""Azure's conversation requests are shorter, so that its rates are larger by this factor."""


def serving_benchmark(kind: type[ServingConfig], seed: int, suffix: str) -> Benchmark:
    """Returns load levels of the training's lengths, and the same of the Azure conversation trace."""
    task = kind.task
    instances: list[ServingInstance] = []
    groups: dict[str, str] = {}
    for lengths, factor in (("sharegpt", 1.0), ("azure_conversation", AZURE_FACTOR)):
        for rate in RATES[task]:
            options: dict[str, Any] = {"lengths": lengths, "rates": (factor * rate, factor * rate)}
            drawer = Serving(kind(**options))
            for number in range(_EACH):
                group = f"{lengths}_{factor * rate:g}"
                drawn = drawer.random_instance(seed + number)
                name = f"{group}_{number}"
                instances.append(ServingInstance(name, drawn.replicas, drawn.requests, drawn.service_level))
                groups[name] = group
    return Benchmark(f"serving_{task}{suffix}", tuple(instances), {}, groups)


def benchmarks(kind: type[ServingConfig]) -> Mapping[str, Callable[[], Benchmark]]:
    """Returns the benchmark of a task and its validation set by name."""
    name = f"serving_{kind.task}"
    return MappingProxyType(
        {
            name: partial(serving_benchmark, kind, _TEST_SEED, ""),
            f"{name}_validation": partial(serving_benchmark, kind, _VALIDATION_SEED, "_validation"),
        }
    )


CHUNK_BENCHMARKS, PREEMPT_BENCHMARKS, ROUTE_BENCHMARKS = (
    benchmarks(kind) for kind in (ChunkConfig, PreemptConfig, RouteConfig)
)
"""Benchmark factories of every task by name."""
