"""What serving is measured by: latencies by request and by token, promises kept, fairness, and what memory cost.

TTFT is the time from arrival to the first token, TBT (or ITL) every gap between two tokens of a request, TPOT the mean
gap of a request, normalised latency the time from arrival to the last token over the number of tokens, JCT the time
from the first arrival of a conversation to its last token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.serving.simulation import Outcome
from envs.serving.state import HISTOGRAM, LONGEST_GAP, SHORTEST_GAP
from envs.serving.trace import Trace
from envs.serving.types import ServiceLevel, ServingInstance

Floats = NDArray[np.float64]

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, eq=False)
class Latencies:
    """Latencies in seconds.

    Attributes:
        ttft: ``(N,)`` time to the first token.
        tpot: ``(M,)`` mean gap of every request of several tokens.
        normalised: ``(N,)`` latency over tokens.
        latency: ``(N,)`` from arrival to the last token.
        delay: ``(N,)`` from arrival to the first admission.
        jct: ``(C,)`` from the first arrival of every conversation to its last token.
    """

    ttft: Floats
    tpot: Floats
    normalised: Floats
    latency: Floats
    delay: Floats
    jct: Floats


def latencies(outcome: Outcome) -> Latencies:
    """Returns the latencies of a simulated instance."""
    row = outcome.requests
    latency = row["last"] - row["arrival"]
    several = row["output"] > 1
    tpot = (row["last"] - row["first"])[several] / (row["output"][several] - 1)
    begin = row["arrival"].copy()
    for r in np.flatnonzero(row["follows"] >= 0):
        begin[r] = begin[row["follows"][r]]
    ends = row["next"] < 0
    return Latencies(
        row["first"] - row["arrival"],
        tpot,
        latency / row["output"],
        latency,
        row["admitted"] - row["arrival"],
        (row["last"] - begin)[ends],
    )


def gap_quantile(histogram: NDArray[np.int64], share: float) -> float:
    """Returns a quantile of all gaps between tokens, in seconds, to half of 0.56 %; not a number without gaps."""
    total = int(histogram.sum())
    if total == 0:
        return float("nan")
    place = int(np.searchsorted(np.cumsum(histogram), share * total))
    return float(SHORTEST_GAP * (LONGEST_GAP / SHORTEST_GAP) ** ((place + 0.5) / HISTOGRAM))


def gap_mean(outcome: Outcome) -> float:
    """Returns the mean of all gaps between tokens, in seconds; not a number without gaps."""
    row = outcome.requests
    gaps = int((row["output"] - 1).sum())
    return float((row["last"] - row["first"]).sum() / gaps) if gaps else float("nan")


def attainment(outcome: Outcome, promise: ServiceLevel) -> float:
    """Returns the share of requests whose TTFT and TPOT keep the promise (Zhong et al., "DistServe", OSDI 2024)."""
    row = outcome.requests
    tpot = (row["last"] - row["first"]) / np.maximum(row["output"] - 1, 1)
    kept = (row["first"] - row["arrival"] <= promise.first_token) & (tpot <= promise.between_tokens)
    return float(kept.mean())


def jain(values: Floats) -> float:
    """Returns Jain's index of fairness, 1 for equal shares and 1 / n for all to one."""
    total = float((values**2).sum())
    return float(values.sum() ** 2 / (len(values) * total)) if total > 0.0 else 1.0


def measures(outcome: Outcome, promise: ServiceLevel) -> Mapping[str, float]:
    """Returns all measures by name; times in seconds, rates a second, shares from 0 to 1."""
    times = latencies(outcome)
    result: dict[str, float] = {}
    for name in ("ttft", "tpot", "normalised", "latency", "delay", "jct"):
        values = getattr(times, name)
        result[f"{name}_mean"] = float(values.mean()) if len(values) else float("nan")
        for percentile in PERCENTILES:
            result[f"{name}_p{percentile}"] = float(np.percentile(values, percentile)) if len(values) else float("nan")
    result["tbt_mean"] = gap_mean(outcome)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999)):
        result[f"tbt_{name}"] = gap_quantile(outcome.histogram, share)
    row, replicas = outcome.requests, outcome.replicas
    kept = attainment(outcome, promise)
    tokens = np.bincount(row["user"], weights=(row["prompt"] + 2.0 * row["output"]))
    waited = np.bincount(row["user"], weights=times.latency)
    present = tokens > 0.0
    return {
        **result,
        "attainment": kept,
        "goodput": kept * len(row) / outcome.seconds,
        "requests_per_second": len(row) / outcome.seconds,
        "tokens_per_second": float(row["output"].sum()) / outcome.seconds,
        "fairness": jain(tokens[present] / waited[present]),
        "preemptions": float(replicas["preemptions"].sum()),
        "lost_tokens": float(replicas["lost_tokens"].sum()),
        "swapped_blocks": float(replicas["swapped_blocks"].sum()),
        "stall_seconds": float(replicas["stall_seconds"].sum()),
        "expert_bytes": float(replicas["expert_bytes"].sum()),
        "iterations": float(replicas["iterations"].sum()),
        "utilisation": float(replicas["busy_seconds"].mean()) / outcome.seconds,
    }


def task_measures(instance: ServingInstance, trace: Trace) -> Mapping[str, float]:
    """Returns the measures of a finished episode of a serving task, by name."""
    outcome = trace.outcome
    found = measures(outcome, instance.service_level)
    return {name: value for name, value in found.items() if name in TASK_MEASURES}


TASK_MEASURES = (
    "ttft_mean",
    "ttft_p50",
    "ttft_p99",
    "tbt_mean",
    "tbt_p99",
    "latency_mean",
    "latency_p99",
    "attainment",
    "goodput",
    "requests_per_second",
    "tokens_per_second",
    "fairness",
    "preemptions",
    "lost_tokens",
    "utilisation",
)
"""Measures of the serving tasks that result files hold."""
