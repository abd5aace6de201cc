"""Benchmarks of VM rescheduling: the published snapshots thinned from fixed seeds, and synthetic clusters.

All but "synthetic" need the snapshots, see `envs.vm_rescheduling.snapshots`. ``h_0`` is the snapshot Medium thinned to
the published level high with test seed 0 (`envs.vm_rescheduling.generators.thin`), ``m_0`` to the level medium,
``lh_0`` the snapshot Large thinned like ``h_0``. Initial fragment rates are about 0.55, 0.38 and 0.48.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

import numpy as np

from envs.core.problem import Benchmark
from envs.vm_rescheduling.generators import LEVELS, split_seeds, synthetic, thin, with_churn, with_groups
from envs.vm_rescheduling.references import best_known
from envs.vm_rescheduling.snapshots import load_snapshot
from envs.vm_rescheduling.types import Objective, VmInstance

LIMITS = (10, 20, 30, 40, 50)
"""Migration limits of the benchmark "ordering", those of the published comparison (Yang et al., EuroSys 2025)."""

AFFINITY_LEVELS = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Probabilities with which a VM is in an anti-affinity group of five."""

DELAYS = (0.0, 1.0, 5.0, 7.0, 20.0, 60.0, 300.0, 600.0)
"""Seconds that a plan takes to make, in the benchmark "churn"."""

CHURN_RATE = 1.0
"""Arrivals and departures a second in the benchmark "churn".

Chosen for the shape of the published effect of solver time: a plan that is some seconds old is nearly as good as a
fresh one, and one that is ten minutes old has lost most of its gain.
"""

GOALS = (0.45, 0.40, 0.35)
"""Fragment rates to be reached with the fewest migrations."""

OBJECTIVES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "fr64": MappingProxyType({"fr64": 1.0}),
        "mixed": MappingProxyType({"fr16": 0.5, "fr64": 0.5}),
        "memory64": MappingProxyType({"fr16": 0.5, "memory64": 0.5}),
        "occupied_hosts": MappingProxyType({"occupied_hosts": 1.0}),
    }
)
"""Weights of the other objectives, by name."""

SYNTHETIC_SIZES = (40, 100)
"""Machines of the synthetic clusters."""

_SEEDS, _FEW = 5, 3
_GROUP_SEED, _CHURN_SEED, _SYNTHETIC_SEED = 810_000, 820_000, 830_000


def high(seed: int) -> VmInstance:
    """Returns the snapshot Medium thinned to the level high, limit 50."""
    return replace(thin(load_snapshot("medium"), LEVELS["high"], seed), name=f"h_{seed}", migration_limit=50)


def medium(seed: int) -> VmInstance:
    """Returns the snapshot Medium thinned to the level medium, limit 100."""
    return replace(thin(load_snapshot("medium"), LEVELS["medium"], seed), name=f"m_{seed}", migration_limit=100)


@cache
def medium_h_mnl50() -> Benchmark:
    """Medium at the level high with 50 migrations, five test seeds."""
    return _benchmark("medium_h_mnl50", [(high(seed), "high") for seed in _test_seeds(_SEEDS)])


@cache
def validation() -> Benchmark:
    """Medium at the level high with 50 migrations, five validation seeds: to choose settings on."""
    return _benchmark("validation", [(high(seed), "high") for seed in split_seeds("validation")[:_SEEDS]])


@cache
def medium_m_mnl100() -> Benchmark:
    """Medium at the level medium with 100 migrations, five test seeds."""
    return _benchmark("medium_m_mnl100", [(medium(seed), "medium") for seed in _test_seeds(_SEEDS)])


@cache
def large() -> Benchmark:
    """The whole snapshot Large with 50 and 100 migrations, and three thinnings to 0.9 of its VMs with 50."""
    raw = load_snapshot("large")
    whole = [(replace(raw, name=f"large_mnl{limit}", migration_limit=limit), "whole") for limit in (50, 100)]
    thinned = [
        (replace(thin(raw, LEVELS["high"], seed), name=f"lh_{seed}", migration_limit=50), "thinned")
        for seed in _test_seeds(_FEW)
    ]
    return _benchmark("large", [*whole, *thinned])


@cache
def ordering() -> Benchmark:
    """Medium at the level high with 10 to 50 migrations, five test seeds."""
    return _benchmark(
        "ordering",
        [
            (replace(high(seed), name=f"h_{seed}_mnl{limit}", migration_limit=limit), f"limit {limit}")
            for limit in LIMITS
            for seed in _test_seeds(_SEEDS)
        ],
    )


@cache
def affinity() -> Benchmark:
    """Medium at the level high with 0 to 100 % of the VMs in anti-affinity groups, three test seeds."""
    return _benchmark(
        "affinity",
        [
            (replace(_grouped(high(seed), level, seed), name=f"h_{seed}_affinity{level:g}"), f"affinity {level:g}")
            for level in AFFINITY_LEVELS
            for seed in _test_seeds(_FEW)
        ],
    )


@cache
def churn() -> Benchmark:
    """Medium at the level high while VMs come and go, with plans that take 0 to 600 seconds, three test seeds.

    The changes of a seed are the same for every delay, up to its end.
    """
    return _benchmark(
        "churn",
        [(delayed(high(seed), delay, seed), f"delay {delay:g} s") for delay in DELAYS for seed in _test_seeds(_FEW)],
    )


def delayed(instance: VmInstance, delay: float, seed: int) -> VmInstance:
    """Returns ``instance`` with churn at `CHURN_RATE` until its plan is ready after ``delay`` seconds."""
    changing = with_churn(instance, CHURN_RATE, delay, np.random.default_rng([_CHURN_SEED, seed]))
    return replace(changing, name=f"{instance.name}_delay{delay:g}", delay=delay)


@cache
def goal() -> Benchmark:
    """Medium at the level high: the fewest migrations, up to 50, to fragment rates of 0.45, 0.40 and 0.35."""
    return _benchmark(
        "goal",
        [
            (replace(high(seed), name=f"h_{seed}_goal{rate:g}", objective=Objective(goal=rate)), f"goal {rate:g}")
            for rate in GOALS
            for seed in _test_seeds(_SEEDS)
        ],
    )


@cache
def objectives() -> Benchmark:
    """Test seed 0 of Medium at the level high under the other objectives: see `OBJECTIVES`."""
    return _benchmark(
        "objectives",
        [
            (replace(high(0), name=f"h_0_{name}", objective=Objective(weights)), name)
            for name, weights in OBJECTIVES.items()
        ],
    )


@cache
def synthetic_clusters() -> Benchmark:
    """Clusters from scratch of 40 and 100 machines at the levels high and medium; needs no file.

    The migration limit is a tenth of the number of machines at the level high, twice that at the level medium, and at
    least 10; five seeds each.
    """
    return _benchmark(
        "synthetic",
        [
            (_synthetic(size, level, seed), f"{size} machines, {level}")
            for size in SYNTHETIC_SIZES
            for level in ("high", "medium")
            for seed in range(_SEEDS)
        ],
    )


BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = MappingProxyType(
    {
        "synthetic": synthetic_clusters,
        "medium_h_mnl50": medium_h_mnl50,
        "validation": validation,
        "medium_m_mnl100": medium_m_mnl100,
        "large": large,
        "ordering": ordering,
        "affinity": affinity,
        "churn": churn,
        "goal": goal,
        "objectives": objectives,
    }
)
"""Benchmark factories by name."""


def _test_seeds(count: int) -> range:
    return split_seeds("test")[:count]


def _grouped(instance: VmInstance, level: float, seed: int) -> VmInstance:
    return with_groups(instance, level, np.random.default_rng([_GROUP_SEED, seed]))


def _synthetic(machines: int, level: str, seed: int) -> VmInstance:
    rng = np.random.default_rng([_SYNTHETIC_SEED, machines, seed])
    limit = max(10, machines // 10 * (1 if level == "high" else 2))
    name = f"synthetic_{machines}_{level}_{seed}"
    return synthetic(machines, rng, keep=LEVELS[level], migration_limit=limit, name=name)


def _benchmark(name: str, instances: Iterable[tuple[VmInstance, str]]) -> Benchmark:
    listed = tuple(instances)
    known = best_known()
    return Benchmark(
        name,
        tuple(instance for instance, _ in listed),
        references={instance.name: known[instance.name] for instance, _ in listed if instance.name in known},
        groups={instance.name: group for instance, group in listed},
    )
