"""Simulating whole instances: loads them into a state, runs the engine, and keeps the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.random import seed_words
from envs.serving import decisions, engine
from envs.serving.state import Capacity, ServingState, allocate
from envs.serving.strategy import Codes, Strategy
from envs.serving.types import ServingInstance


@dataclass(frozen=True, eq=False)
class Log:
    """What happened; see `envs.serving.state` for the records.

    Attributes:
        iterations: Records of `ITERATION`, by start of their planning.
        entries: Records of `ENTRY`, iteration by iteration.
        events: Records of `EVENT`, in the order in which they happened.
    """

    iterations: NDArray[Any]
    entries: NDArray[Any]
    events: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Outcome:
    """A simulated instance.

    Attributes:
        requests: ``(N,)`` records of `REQUEST` at the end.
        replicas: ``(R,)`` records of `REPLICA` at the end.
        histogram: ``(H,)`` gaps between tokens; see `envs.serving.metrics`.
        seconds: When the last request was answered.
        log: What happened, where it was kept.
    """

    requests: NDArray[Any]
    replicas: NDArray[Any]
    histogram: NDArray[np.int64]
    seconds: float
    log: Log | None


def simulate(instance: ServingInstance, strategy: Strategy, *, seed: int = 0, record: bool = False) -> Outcome:
    """Runs an instance to its end under a strategy.

    Args:
        instance: The instance.
        strategy: The scheduler.
        seed: Seed of what the strategy draws (random dispatch, priorities).
        record: Keep the log; it takes 12 bytes a token.
    """
    codes = strategy.codes()
    running = min(codes.max_running, len(instance.requests))
    users = int(instance.requests.user.max()) + 1
    log = _LOG_ENTRIES + 64 * running if record else 0
    state = allocate(1, Capacity(len(instance.requests), len(instance.replicas), running, users, log))
    state.generator[0] = seed_words(np.array([seed], np.uint64))[0]
    load(state, 0, instance, codes)
    parts: list[tuple[NDArray[Any], ...]] = []
    iterations = 0
    actions, flags, budgets = np.zeros(1, np.int64), np.ones(1, np.bool_), np.empty(0, np.int64)
    while True:
        decisions.step(state, actions, flags, np.empty(1, np.bool_), budgets, 0, codes)
        if record:
            parts.append(drain(state, 0))
            parts[-1][2]["iteration"] += iterations
            iterations += len(parts[-1][0])
        if state.control[0]["done"]:
            break
    assert state.control[0]["done"] != engine.STUCK, "requests wait for ever"
    kept = Log(*(np.concatenate(each) for each in zip(*parts, strict=True))) if record else None
    return Outcome(state.request[0], state.replica[0], state.histogram[0], float(state.control[0]["clock"]), kept)


def load(state: ServingState, lane: int, instance: ServingInstance, codes: Codes) -> None:
    """Begins a new episode in a lane on an instance that fits into the state.

    The logs, most of the memory, stay as they are: of their entries, only those that are counted are ever read.
    """
    for name, array in state._asdict().items():
        if name not in _KEPT:
            array[lane] = np.zeros((), array.dtype)
    requests, count = instance.requests, len(instance.requests)
    for name in ("arrival", "prompt", "output", "predicted", "user", "follows"):
        state.request[lane][name][:count] = getattr(requests, name)
    state.request[lane]["given"][:count] = requests.arrival
    state.request[lane]["weight"][:count] = instance.weights()
    for k, replica in enumerate(instance.replicas):
        row = state.replica[lane][k]
        row["kv_blocks"], row["block_size"] = replica.kv_blocks, replica.block_size
        row["copy_seconds"] = replica.block_size * replica.kv_bytes / replica.swap_bandwidth
        row["launch_seconds"] = 2 * replica.layers * replica.swap_launch
        state.execution[lane, k] = replica.execution.record()
    state.level[lane] = instance.service_level.first_token, instance.service_level.between_tokens
    state.control[lane]["requests"] = count
    state.control[lane]["replicas"] = len(instance.replicas)
    engine.begin(state, lane, codes)


def drain(state: ServingState, lane: int) -> tuple[NDArray[Any], ...]:
    """Empties the log of a lane and returns its parts."""
    lengths = state.logged[lane].tolist()
    logs = (state.iteration_log, state.entry_log, state.event_log)
    parts = tuple(log[lane, :length].copy() for log, length in zip(logs, lengths, strict=True))
    state.logged[lane] = 0
    return parts


_LOG_ENTRIES = 1 << 16
_KEPT = ("generator", "label", "iteration_log", "entry_log", "event_log")
