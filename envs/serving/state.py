"""The state of running engines: what the compiled rules of `envs.serving` read and write.

Axes: L lanes, N requests, R replicas, B running sequences, U users, V visible requests,
A actions. Records keep what belongs together side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.serving.execution import EXECUTION

AWAY, WAITING, RUNNING, SWAPPED, LOADING, ANSWERED = range(6)
"""Stages of a request: not arrived, in a queue, in a batch, on the host, on its way back, finished."""

REQUEST = np.dtype(
    [  # what every iteration touches comes first, in one cache line
        ("prompt", np.int32),
        ("output", np.int32),
        ("computed", np.int32),  # tokens in the cache
        ("generated", np.int32),
        ("blocks", np.int32),  # blocks that it holds
        ("stage", np.int32),
        ("user", np.int32),
        ("replica", np.int32),  # -1 before it is dispatched
        ("last", np.float64),
        ("longest_gap", np.float64),
        ("weight", np.float64),  # share of the objective
        ("first", np.float64),
        ("arrival", np.float64),  # seconds; of a later turn, after the turn before until that is answered
        ("given", np.float64),  # arrival as the instance has it
        ("predicted", np.float64),
        ("follows", np.int32),
        ("next", np.int32),  # the turn after it, -1 for none
        ("copied", np.int32),  # blocks whose copy on the host is valid
        ("preemptions", np.int32),
        ("key", np.float64),  # place in its queue, smaller first
        ("loaded", np.float64),  # seconds at which its blocks are back
        ("admitted", np.float64),  # seconds of the first admission, -1 before; so for all that follow
    ]
)

REPLICA = np.dtype(
    [
        ("kv_blocks", np.int64),
        ("block_size", np.int64),
        ("copy_seconds", np.float64),  # seconds that the bytes of a block take
        ("launch_seconds", np.float64),  # seconds that starting the copies of a block or a group takes
        ("free", np.int64),
        ("moving", np.int64),  # blocks among the free ones that are still being written out
        ("channel", np.float64),  # seconds until which the transfers go on
        ("busy", np.int64),
        ("until", np.float64),  # end of the iteration
        ("stall", np.float64),  # seconds that the next iteration waits
        ("running", np.int64),
        ("waiting", np.int64),
        ("loading", np.int64),
        ("entries", np.int64),  # sequences of the iteration
        ("left", np.int64),  # tokens left of the budget
        ("chunks", np.int64),  # what the iteration holds, as in `envs.serving.execution.Batch`
        ("tokens", np.int64),
        ("past", np.float64),
        ("pairs", np.float64),
        ("squares", np.float64),
        ("decodes", np.int64),
        ("context", np.float64),
        ("outputs", np.int64),
        ("budget", np.int64),
        ("decided", np.int64),  # bits of what was asked for this iteration
        ("prefilled", np.int64),  # the last iteration had chunks
        ("group", np.int64),  # group of layers that the prompts have reached
        ("groups", np.int64),  # groups of layers, 0 for no prompts under way
        ("iterations", np.int64),
        ("busy_seconds", np.float64),
        ("stall_seconds", np.float64),
        ("swapped_blocks", np.int64),
        ("preemptions", np.int64),
        ("arrivals", np.int64),  # requests that came by migration
        ("expert_bytes", np.float64),
        ("chunk_tokens", np.int64),
        ("lost_tokens", np.int64),  # tokens computed that preemption threw away
        ("outstanding", np.float64),  # tokens to compute, by prediction
    ]
)

CONTROL = np.dtype(
    [
        ("clock", np.float64),
        ("requests", np.int64),
        ("replicas", np.int64),
        ("users", np.int64),
        ("following", np.int64),  # next request of those that follow none
        ("due", np.int64),  # later turns that wait for their time
        ("answered", np.int64),
        ("turn", np.int64),  # replica of round robin
        ("migrated", np.float64),  # seconds of the last migration
        ("asked", np.int64),  # what is asked for, 0 for nothing
        ("ask_replica", np.int64),
        ("ask_request", np.int64),
        ("done", np.int64),
        ("cost", np.float64),  # objective incurred
        ("full", np.int64),  # the log must be emptied before the engine can go on
    ]
)

ITERATION = np.dtype(
    [
        ("replica", np.int32),
        ("entries", np.int32),
        ("share", np.float64),  # share of the layers that the chunks go through
        ("planned", np.float64),
        ("start", np.float64),  # after a stall for swapping
        ("end", np.float64),
    ]
)
ENTRY = np.dtype([("request", np.int32), ("tokens", np.int32), ("past", np.int32)])
EVENT = np.dtype(
    [
        ("time", np.float64),
        ("kind", np.int32),
        ("request", np.int32),
        ("replica", np.int32),
        ("blocks", np.int32),  # blocks that it holds afterwards
        ("iteration", np.int32),  # iterations logged before
    ]
)
ARRIVED, ADMITTED, PREEMPTED, SWAPPED_OUT, SWAPPED_IN, FINISHED, MIGRATED = range(7)
"""Kinds of events."""

HISTOGRAM = 4096
SHORTEST_GAP, LONGEST_GAP = 1e-5, 1e5
"""Gaps between tokens are counted in bins of equal ratio, 0.56 % each."""


class ServingState(NamedTuple):
    """Arrays by lane; see the module for axes and records.

    Attributes:
        generator: (L,) generator word.
        label: (L,) number of the name, replicas and promise of the instance.
        control: (L,) records of the event loop.
        request: (L, N) records.
        replica: (L, R) records.
        execution: (L, R) coefficients.
        level: (L, 2) promised seconds to the first token, and between two tokens.
        running: (L, R, B) running sequences by admission.
        entry: (L, R, B) requests of the iteration under way.
        tokens: (L, R, B) their tokens.
        queue: (L, R, N) heaps of those that wait for admission.
        due: (L, N) heap of later turns by time.
        priority: (L, U) level of each user, larger is more urgent.
        service: (L, U) service that each user has got, in weighted tokens.
        present: (L, U) requests of each user in the system.
        histogram: (L, H) gaps between tokens.
        iteration_log, entry_log, event_log: (L, ·) what happened; of length 0 without a log.
        logged: (L, 3) lengths of the logs.
        visible: (L, V) requests that the observation shows, in the order of their rows.
        visible_count: (L,) number of them.
        mask: (L, A) legal actions.
    """

    generator: NDArray[np.uint64]
    label: NDArray[np.int64]
    control: NDArray[Any]
    request: NDArray[Any]
    replica: NDArray[Any]
    execution: NDArray[Any]
    level: NDArray[np.float64]
    running: NDArray[np.int32]
    entry: NDArray[np.int32]
    tokens: NDArray[np.int32]
    queue: NDArray[np.int32]
    due: NDArray[np.int32]
    priority: NDArray[np.float64]
    service: NDArray[np.float64]
    present: NDArray[np.int64]
    histogram: NDArray[np.int64]
    iteration_log: NDArray[Any]
    entry_log: NDArray[Any]
    event_log: NDArray[Any]
    logged: NDArray[np.int64]
    visible: NDArray[np.int64]
    visible_count: NDArray[np.int64]
    mask: NDArray[np.bool_]


class Capacity(NamedTuple):
    """Lengths of the padded axes; ``log`` is the number of iterations the log holds, 0 for none."""

    requests: int
    replicas: int
    running: int
    users: int
    log: int = 0
    visible: int = 0
    actions: int = 0


def allocate(lanes: int, capacity: Capacity) -> ServingState:
    """Returns the zeroed state of ``lanes`` lanes."""
    requests, replicas, running, users, log, visible, actions = capacity
    events = log and log + 8 * running
    return ServingState(
        generator=np.zeros(lanes, np.uint64),
        label=np.zeros(lanes, np.int64),
        control=np.zeros(lanes, CONTROL),
        request=np.zeros((lanes, requests), REQUEST),
        replica=np.zeros((lanes, replicas), REPLICA),
        execution=np.zeros((lanes, replicas), EXECUTION),
        level=np.zeros((lanes, 2)),
        running=np.zeros((lanes, replicas, running), np.int32),
        entry=np.zeros((lanes, replicas, running), np.int32),
        tokens=np.zeros((lanes, replicas, running), np.int32),
        queue=np.zeros((lanes, replicas, requests), np.int32),
        due=np.zeros((lanes, requests), np.int32),
        priority=np.zeros((lanes, users)),
        service=np.zeros((lanes, users)),
        present=np.zeros((lanes, users), np.int64),
        histogram=np.zeros((lanes, HISTOGRAM), np.int64),
        iteration_log=np.zeros((lanes, log), ITERATION),
        entry_log=np.zeros((lanes, events), ENTRY),
        event_log=np.zeros((lanes, events), EVENT),
        logged=np.zeros((lanes, 3), np.int64),
        visible=np.zeros((lanes, visible), np.int64),
        visible_count=np.zeros(lanes, np.int64),
        mask=np.zeros((lanes, actions), np.bool_),
    )
