"""The benchmark of multi-user fairness: the published workloads, each with and without runtime partitioning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from envs.core.problem import Benchmark
from envs.spark.generators import WORKLOADS, WorkloadSize
from envs.spark.partition import partition

UWFQ_SEEDS: Mapping[str, int] = MappingProxyType(
    {"power_small": 5, "large_small": 5, "large": 1, "super_small": 1, "homo_like": 2, "hetero_like": 2}
)
"""Instances of every workload in the benchmark ``uwfq``; two of them have nothing random."""


def uwfq() -> Benchmark:
    """Returns the workloads of Kazemaks et al. (arXiv 2510.15485) on 32 cores, and the same cut into 0.5 s tasks.

    There are no best-known values: the objective is the mean response time, and what schedulers are compared by is
    this and their fairness (`envs.spark.metrics`).
    """
    plain = [WORKLOADS[name](seed, WorkloadSize()) for name, count in UWFQ_SEEDS.items() for seed in range(count)]
    instances = (*plain, *(partition(instance) for instance in plain))
    groups = {i.name: i.name.removesuffix("_p").rpartition("_")[0] + "_p" * i.name.endswith("_p") for i in instances}
    return Benchmark("uwfq", instances, {}, groups)


BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = MappingProxyType({"uwfq": uwfq})
"""Benchmark factories by name."""
