"""How an engine decides: the strategy points of a scheduler and the named choices at each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from envs.core.errors import UsageError

STATIC, PREFILL_FIRST, MIXED, CHUNKED, ALTERNATING, LAYERED = range(6)
BATCHING = ("static", "prefill_first", "mixed", "chunked", "alternating", "layered")

FCFS, SHORTEST, PRIORITY, FAIR = range(4)
ORDERS = ("fcfs", "shortest", "priority", "fair")

RESERVE_CHUNK, RESERVE_INPUT, RESERVE_PROMPT, RESERVE_MAXIMUM = range(4)
RESERVES = ("chunk", "input", "prompt", "maximum")

LATEST, LOWEST_PRIORITY, LARGEST, SMALLEST = range(4)
VICTIMS = ("latest", "lowest_priority", "largest", "smallest")

RECOMPUTE, SWAP = range(2)
MODES = ("recompute", "swap")

ROUND_ROBIN, RANDOM, LEAST_REQUESTS, LEAST_TOKENS, FREENESS = range(5)
DISPATCHES = ("round_robin", "random", "least_requests", "least_tokens", "freeness")

PRIORITY_TRACES = ("none", "random", "markov")


class Codes(NamedTuple):
    """A `Strategy` as the compiled rules read it; names are positions in the tuples of this module."""

    batching: int
    order: int
    reserve: int
    victim: int
    mode: int
    dispatch: int
    budget: int
    decodes_first: int
    slack: float
    max_running: int
    max_length: int
    watermark: float
    priority_trace: int
    priority_period: int
    group_blocks: int
    asynchronous: int
    reuse: int
    migration_period: float
    migration_downtime: float


@dataclass(frozen=True)
class Strategy:
    """A scheduler: one choice at every strategy point.

    Attributes:
        batching: What an iteration is made of. "static": a batch is admitted when the last one is answered whole.
            "prefill_first": prompts alone while any fits, else decodes. "mixed": decodes and whole prompts.
            "chunked": decodes and chunks of prompts within the budget. "alternating": chunks alone and decodes alone,
            in turn. "layered": decodes, and one group of layers of the prompts.
        order: Who is admitted first: "fcfs", "shortest" (predicted output, then the prompt), "priority", or "fair" (the
            user with the least service so far: Sheng et al., "Fairness in serving large language models", OSDI 2024).
        reserve: Memory that admission asks for: "chunk" (what is computed now), "input" (the whole input must fit, the
            chunk is taken), "prompt" (the whole input is taken) or "maximum" (``max_length`` is taken).
        victim: Who is preempted when memory runs out: the "latest" arrival, the "lowest_priority", the "largest" or
            the "smallest" by blocks.
        mode: What becomes of the victim: "recompute" its tokens later, or "swap" its blocks to the host.
        dispatch: Replica of a new request: "round_robin", "random", "least_requests", "least_tokens" (fewest tokens to
            compute, by prediction) or "freeness" (free blocks less the demand of those who wait, a running request:
            Sun et al., "Llumnix", OSDI 2024).
        budget: Tokens of an iteration; whole prompts may exceed it when they are alone.
        decodes_first: Decodes take their share of the budget before chunks that have begun.
        slack: Where positive, a chunk is only as large as to end the iteration within so many seconds after the last
            token of the request that waits longest, found by bisection.
        max_running: Sequences of a batch at most.
        max_length: Tokens of a request at most, for "maximum".
        watermark: Share of the blocks that admission leaves free.
        priority_trace: How priorities of users change: "none", "random" (drawn anew) or "markov" (up or down a level).
        priority_period: Iterations between two changes.
        group_blocks: Blocks that one copy moves.
        asynchronous: Swapping goes on beside the iterations, which wait only for blocks that are still moving.
        reuse: Blocks whose copy on the host is still valid are not written again.
        migration_period: Seconds between two moves of a running request from the least free replica to the freest; 0
            for never (live migration: Sun et al., "Llumnix", OSDI 2024).
        migration_downtime: Seconds for which a moved request pauses; the rest of the copy goes on beside its decodes.
    """

    batching: str = "chunked"
    order: str = "fcfs"
    reserve: str = "input"
    victim: str = "latest"
    mode: str = "recompute"
    dispatch: str = "round_robin"
    budget: int = 2048
    decodes_first: bool = False
    slack: float = 0.0
    max_running: int = 128
    max_length: int = 8192
    watermark: float = 0.0
    priority_trace: str = "none"
    priority_period: int = 25
    group_blocks: int = 1
    asynchronous: bool = False
    reuse: bool = False
    migration_period: float = 0.0
    migration_downtime: float = 0.03

    def __post_init__(self) -> None:
        """Checks every choice."""
        for name, known in _NAMED.items():
            if getattr(self, name) not in known:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}")
        for name in ("budget", "max_running", "max_length", "priority_period", "group_blocks"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not 0.0 <= self.watermark < 1.0:
            raise UsageError(f"watermark is {self.watermark}; expected a share of at least 0 and below 1")
        for name in ("slack", "migration_period", "migration_downtime"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise UsageError(f"{name} is {value}; expected a finite number of at least 0")

    def codes(self) -> Codes:
        """Returns the choices as numbers."""
        values = {name: getattr(self, name) for name in Codes._fields}
        for name, known in _NAMED.items():
            values[name] = known.index(values[name])
        return Codes(**{name: kind(values[name]) for name, kind in _KINDS.items()})


_NAMED = {
    "batching": BATCHING,
    "order": ORDERS,
    "reserve": RESERVES,
    "victim": VICTIMS,
    "mode": MODES,
    "dispatch": DISPATCHES,
    "priority_trace": PRIORITY_TRACES,
}
_REAL = ("slack", "watermark", "migration_period", "migration_downtime")
_KINDS: dict[str, Any] = {name: float if name in _REAL else int for name in Codes._fields}
