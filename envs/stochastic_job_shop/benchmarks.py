"""Benchmarks of the stochastic and dynamic job shop; the seeds of a run decide what is drawn while it runs.

There are no best-known values: references would need the optimal policy. Validation sets have the same make-up and
other instances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np

from envs.core.problem import Benchmark
from envs.stochastic_job_shop.generators import spread_triangular, taillard_instance
from envs.stochastic_job_shop.types import StochasticJobShopInstance

_TEST_SEED, _VALIDATION_SEED = 1_000_000, 2_000_000


def taillard_triangular() -> Benchmark:
    """Returns ta11 to ta30 (20 x 15, 20 x 20) with triangular times around Taillard's, as Wheatley's generator does.

    The published program draws most likely times itself; here Taillard's take their place.
    """
    names = [f"ta{number}" for number in range(11, 31)]
    return _grouped(
        "taillard_triangular",
        [
            spread_triangular(taillard_instance(name), np.random.default_rng(_TEST_SEED + i))
            for i, name in enumerate(names)
        ],
    )


def taillard_lognormal(sigma: float) -> Benchmark:
    """Returns ta11 to ta30 with log-normal times of Taillard's means."""
    instances = [replace(taillard_instance(f"ta{number}"), law="lognormal", sigma=sigma) for number in range(11, 31)]
    return _grouped(f"taillard_lognormal_{sigma:g}", instances)


def lognormal(sigma: float, seed: int, name: str, count: int = 20) -> Benchmark:
    """Returns random instances of 10 x 10 with log-normal times around means uniform on 1..99."""
    instances = [
        replace(_uniform(10, 10, np.random.default_rng(seed + i), f"{name}_{i:02}"), law="lognormal", sigma=sigma)
        for i in range(count)
    ]
    return _grouped(name, instances)


def dynamic_tardiness(seed: int, name: str, count: int = 20) -> Benchmark:
    """Returns instances of 50 jobs on 10 machines that come over time, to be finished by their due dates.

    Poisson arrivals that load the machines to 90 percent, due dates by total work content with factors uniform on 2 to
    4, weights 1, 2 and 4 for 20, 60 and 20 percent of the jobs, log-normal times (sigma 0.3); weighted tardiness.
    """
    instances = []
    for i in range(count):
        rng = np.random.default_rng(seed + i)
        shop = _uniform(50, 10, rng, f"{name}_{i:02}")
        work = shop.expected.sum(axis=1)
        releases = np.cumsum(rng.exponential(shop.expected.mean() / 0.9, len(work)))
        instances.append(
            replace(
                shop,
                law="lognormal",
                sigma=0.3,
                releases=releases,
                due_dates=releases + rng.uniform(2.0, 4.0, len(work)) * work,
                weights=rng.choice([1.0, 2.0, 4.0], len(work), p=[0.2, 0.6, 0.2]),
                objective="weighted_tardiness",
            )
        )
    return _grouped(name, instances)


def breakdowns(seed: int, name: str, count: int = 20) -> Benchmark:
    """Returns instances of 10 x 10 whose machines fail: up for 20 and repaired within 2 mean processing times."""
    instances = []
    for i in range(count):
        shop = _uniform(10, 10, np.random.default_rng(seed + i), f"{name}_{i:02}")
        mean = float(shop.expected.mean())
        instances.append(replace(shop, time_to_failure=20 * mean, repair_time=2 * mean, law="lognormal", sigma=0.1))
    return _grouped(name, instances)


def _uniform(jobs: int, machines: int, rng: np.random.Generator, name: str) -> StochasticJobShopInstance:
    """Times uniform on 1..99, each route a uniform permutation."""
    times = rng.integers(1, 99, size=(jobs, machines), endpoint=True)
    routes = rng.permuted(np.tile(np.arange(machines), (jobs, 1)), axis=1)
    return StochasticJobShopInstance(name, routes.astype(np.int32), times.astype(np.float64), machines)


def _grouped(name: str, instances: list[StochasticJobShopInstance]) -> Benchmark:
    groups = {one.name: f"{one.num_jobs}x{one.num_machines}" for one in instances}
    return Benchmark(name, tuple(instances), {}, groups)


def _pair(make: Callable[[int, str], Benchmark], name: str) -> dict[str, Callable[[], Benchmark]]:
    """The test and the validation set of one make-up."""
    return {
        name: partial(make, _TEST_SEED, name),
        f"{name}_validation": partial(make, _VALIDATION_SEED, f"{name}_validation"),
    }


BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = MappingProxyType(
    {
        "taillard_triangular": taillard_triangular,
        "taillard_lognormal_0.3": partial(taillard_lognormal, 0.3),
        **_pair(partial(lognormal, 0.1), "lognormal_0.1"),
        **_pair(partial(lognormal, 0.3), "lognormal_0.3"),
        **_pair(dynamic_tardiness, "dynamic_tardiness"),
        **_pair(breakdowns, "breakdowns"),
    }
)
"""Benchmark factories by name."""
