"""The solution of a serving task: what the engines did, with the times of every request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.serving.simulation import Log, Outcome
from envs.serving.strategy import Strategy
from envs.serving.types import ServingInstance


@dataclass(frozen=True, eq=False)
class Trace:
    """An execution.

    Attributes:
        strategy: The scheduler that took the decisions which no policy took.
        outcome: Requests, replicas and log as they stand.
        decided: Whether a policy took part in the order of admission, so that no order is promised.
    """

    strategy: Strategy
    outcome: Outcome
    decided: bool

    @property
    def log(self) -> Log:
        """The log."""
        assert self.outcome.log is not None
        return self.outcome.log


def trace_rows(instance: ServingInstance, trace: Trace) -> list[dict[str, Any]]:
    """Returns one row a request, by arrival; times in seconds, -1 for what has not happened."""
    columns = trace.outcome.requests
    return [
        {
            "request": r,
            "user": int(row["user"]),
            "replica": int(row["replica"]),
            "arrival": float(row["arrival"]),
            "prompt": int(row["prompt"]),
            "output": int(row["output"]),
            "admitted": float(row["admitted"]),
            "first_token": float(row["first"]),
            "last_token": float(row["last"]),
            "longest_gap": float(row["longest_gap"]),
            "preemptions": int(row["preemptions"]),
        }
        for r, row in enumerate(columns[: len(instance.requests)])
    ]


def trace_json(instance: ServingInstance, trace: Trace) -> dict[str, Any]:
    """Returns an execution as JSON-ready data; ``traceEvents`` is what chrome://tracing and Perfetto show."""
    return {
        "instance": instance.name,
        "replicas": [replica.name for replica in instance.replicas],
        "requests": trace_rows(instance, trace),
        "traceEvents": chrome_events(instance, trace.log),
        "displayTimeUnit": "ms",
    }


def chrome_events(instance: ServingInstance, log: Log) -> list[Mapping[str, Any]]:
    """Returns the iterations as complete events of the Trace Event Format, a process a replica."""
    events: list[Mapping[str, Any]] = [
        {"name": "process_name", "ph": "M", "pid": k, "tid": 0, "args": {"name": replica.name}}
        for k, replica in enumerate(instance.replicas)
    ]
    place = 0
    for iteration in log.iterations:
        entries = log.entries[place : place + int(iteration["entries"])]
        place += len(entries)
        events.append(
            {
                "name": f"{len(entries)} sequences",
                "cat": "iteration",
                "ph": "X",
                "pid": int(iteration["replica"]),
                "tid": 0,
                "ts": 1e6 * float(iteration["start"]),
                "dur": 1e6 * float(iteration["end"] - iteration["start"]),
                "args": {"sequences": len(entries), "tokens": int(entries["tokens"].sum())},
            }
        )
    return events


def busy_tokens(instance: ServingInstance, log: Log) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Returns, for every replica, the starts of its iterations and their tokens."""
    ends = np.cumsum(log.iterations["entries"])
    sums = np.concatenate([[0], np.cumsum(log.entries["tokens"])])
    tokens = sums[ends] - sums[ends - log.iterations["entries"]]
    chosen = [log.iterations["replica"] == k for k in range(len(instance.replicas))]
    return [(log.iterations["start"][mask], tokens[mask].astype(np.int64)) for mask in chosen]
