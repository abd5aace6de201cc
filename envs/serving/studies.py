"""Comparisons of schedulers: the highest rate that keeps a promise, and one workload under many schedulers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.serving.metrics import gap_quantile, latencies, measures
from envs.serving.simulation import Outcome, simulate
from envs.serving.strategy import Strategy
from envs.serving.types import ServingInstance

Floats = NDArray[np.float64]
MakeInstance = Callable[[float, int], ServingInstance]
"""``(rate, seed)`` to an instance."""


@dataclass(frozen=True)
class Target:
    """What a scheduler has to keep for a load to count (Agrawal et al., "Sarathi-Serve", OSDI 2024).

    Attributes:
        tbt_p99: Seconds between tokens, 99th percentile over all gaps.
        median_delay: Seconds from arrival to admission, median.
    """

    tbt_p99: float
    median_delay: float = 2.0

    def kept(self, outcome: Outcome) -> bool:
        """Says whether a simulation keeps it."""
        delay = float(np.median(latencies(outcome).delay))
        return gap_quantile(outcome.histogram, 0.99) <= self.tbt_p99 and delay <= self.median_delay


def capacity(
    make: MakeInstance, strategy: Strategy, target: Target, seed: int, *, low: float = 0.02, precision: float = 0.01
) -> float:
    """Returns the highest rate, in requests a second, at which the target is kept, by bisection.

    Args:
        make: Makes the instance of a rate and a seed.
        strategy: The scheduler.
        target: What is to be kept.
        seed: Seed of the workload, the same at every rate.
        low: A rate at which to begin; 0 is returned if the target is missed there.
        precision: Relative width at which to stop.

    Raises:
        UsageError: The target is kept at any rate.
    """

    def kept(rate: float) -> bool:
        return target.kept(simulate(make(rate, seed), strategy, seed=seed))

    if not kept(low):
        return 0.0
    high = 2.0 * low
    while kept(high):
        low, high = high, 2.0 * high
        if high > _ABSURD:
            raise UsageError(f"the target is kept at {low:g} requests a second; expected a tighter one")
    while high - low > precision * low:
        middle = 0.5 * (low + high)
        if kept(middle):
            low = middle
        else:
            high = middle
    return low


_ABSURD = 1e5


def compare(
    make: MakeInstance, strategies: Mapping[str, Strategy], rate: float, seeds: Sequence[int]
) -> dict[str, list[Mapping[str, float]]]:
    """Returns the measures of every scheduler on the same workloads, one a seed."""
    result: dict[str, list[Mapping[str, float]]] = {name: [] for name in strategies}
    for seed in seeds:
        instance = make(rate, seed)
        for name, strategy in strategies.items():
            result[name].append(measures(simulate(instance, strategy, seed=seed), instance.service_level))
    return result


def validate(
    instance: ServingInstance, strategy: Strategy, measured: Mapping[str, Floats]
) -> list[dict[str, float | str]]:
    """Simulates a measured run and returns, for every statistic, both values and the error in percent.

    Args:
        instance: The requests of the run on the engine's replica.
        strategy: The engine's scheduler.
        measured: ``ttft``, ``tpot`` and ``latency`` of every request in seconds, in the order of the requests.
    """
    outcome = simulate(instance, strategy)
    row = outcome.requests
    simulated = {
        "ttft": row["first"] - row["arrival"],
        "tpot": (row["last"] - row["first"]) / np.where(row["output"] > 1, row["output"] - 1, np.nan),
        "latency": row["last"] - row["arrival"],
    }
    rows: list[dict[str, float | str]] = []
    for name, times in measured.items():
        for statistic, function in _STATISTICS.items():
            real, found = float(function(times)), float(function(simulated[name]))
            rows.append(
                {
                    "metric": f"{name}_{statistic}",
                    "measured": real,
                    "simulated": found,
                    "error_percent": 100.0 * (found / real - 1.0),
                }
            )
    return rows


_STATISTICS: Mapping[str, Callable[[Floats], Any]] = {
    "mean": np.nanmean,
    "p50": lambda times: np.nanpercentile(times, 50),
    "p90": lambda times: np.nanpercentile(times, 90),
    "p99": lambda times: np.nanpercentile(times, 99),
}
