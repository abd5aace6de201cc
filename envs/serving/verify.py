"""The independent checker: replays the log of a simulation in plain Python, and shares no code with the engine.

It checks that tokens are conserved (every prompt computed once, or again after a recompute; every output token handed
out once), that the cache never holds more blocks than there are, that nothing happens before its time, that every
iteration takes as long as the formula says, that batches are what the scheduler promises, and that admission is in
order where first come, first served is promised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from envs.core.errors import UsageError
from envs.serving.execution import Execution
from envs.serving.simulation import Outcome
from envs.serving.strategy import Strategy
from envs.serving.trace import Trace
from envs.serving.types import Replica, ServingInstance

_KINDS = ("arrived", "admitted", "preempted", "swapped_out", "swapped_in", "finished", "migrated")
_TOLERANCE = 1e-9


@dataclass
class _Request:
    arrival: float
    prompt: int
    output: int
    place: str = "away"
    replica: int = -1
    computed: int = 0
    generated: int = 0
    layers: float = 0.0
    swapped: bool = False
    admitted: float = -1.0
    first: float = -1.0
    last: float = -1.0
    late: float = 0.0
    paused: float = 0.0


@dataclass
class _Engine:
    replica: Replica
    residents: set[int] = field(default_factory=set)
    queue: set[int] = field(default_factory=set)
    pending: tuple[float, float, list[tuple[int, int]]] | None = None
    end: float = 0.0


def verify_trace(instance: ServingInstance, trace: Trace) -> float:
    """Checks a finished execution of a serving task and recomputes the loss of goodput.

    Raises:
        UsageError: It is not finished, or contradicts the definition; the message says where.
    """
    return verify(instance, trace.strategy, trace.outcome, in_order=not trace.decided)


def verify(instance: ServingInstance, strategy: Strategy, outcome: Outcome, *, in_order: bool = True) -> float:
    """Checks a recorded simulation.

    Args:
        instance: The instance.
        strategy: What the scheduler promises.
        outcome: The simulation.
        in_order: Whether the order of admission is promised too.

    Returns:
        The loss of goodput: the mean over requests (or over users) of half the lateness of the first token and half
        the mean lateness of the gaps between tokens.

    Raises:
        UsageError: The log is missing or contradicts the definition; the message says where.
    """
    if outcome.log is None:
        raise UsageError(f"{instance.name}: nothing was recorded; expected a simulation with record=True")
    replay = _Replay(instance, strategy, in_order)
    events = outcome.log.events.tolist()
    entries = outcome.log.entries.tolist()
    names = outcome.log.events.dtype.names
    place, position = 0, 0
    assert names is not None
    for number, iteration in enumerate(outcome.log.iterations.tolist()):
        while position < len(events) and events[position][names.index("iteration")] <= number:
            replay.event(*events[position][:5])
            position += 1
        replay.iteration(iteration, entries[place : place + iteration[1]])
        place += iteration[1]
    for event in events[position:]:
        replay.event(*event[:5])
    replay.end(outcome.requests)
    return replay.loss(instance)


class _Replay:
    """The state of the replay."""

    def __init__(self, instance: ServingInstance, strategy: Strategy, in_order: bool) -> None:
        requests = instance.requests
        self.name = instance.name
        self.strategy = strategy
        self.in_order = in_order and strategy.order == "fcfs"
        self.promise = instance.service_level
        self.follows = requests.follows.tolist()
        self.requests = [
            _Request(arrival, prompt, output)
            for arrival, prompt, output in zip(
                requests.arrival.tolist(), requests.prompt.tolist(), requests.output.tolist(), strict=True
            )
        ]
        self.engines = [_Engine(replica) for replica in instance.replicas]
        self.now = 0.0

    def fail(self, message: str) -> None:
        raise UsageError(f"{self.name}: at {self.now:.6f} s {message}")

    def check(self, holds: bool, message: str) -> None:
        if not holds:
            self.fail(message)

    def advance(self, moment: float) -> None:
        """Applies every iteration that has ended by now."""
        self.check(moment >= self.now - _TOLERANCE, f"the log goes back to {moment:.6f} s")
        self.now = moment
        for engine in self.engines:
            if engine.pending is not None and engine.pending[0] <= moment:
                end, share, entries = engine.pending
                engine.pending = None
                for r, tokens in entries:
                    self.compute(r, tokens, share, end)

    def compute(self, r: int, tokens: int, share: float, end: float) -> None:
        request = self.requests[r]
        if not _decodes(request):
            request.layers += share
            if request.layers < 1.0 - _TOLERANCE:
                return
        request.layers = 0.0
        request.computed += tokens
        if request.computed == request.prompt + request.generated:
            request.generated += 1
            if request.generated == 1:
                request.first = end
            else:
                request.late += _lateness(end - request.last, self.promise.between_tokens)
            request.last = end

    def event(self, moment: float, kind: int, r: int, k: int, blocks: int) -> None:
        self.advance(moment)
        request = self.requests[r]
        getattr(self, "_" + _KINDS[kind])(r, request, k)
        self.check(0 <= blocks <= self.engines[k].replica.kv_blocks, f"request {r} holds {blocks} blocks")

    def _arrived(self, r: int, request: _Request, k: int) -> None:
        due = request.arrival
        if self.follows[r] >= 0:
            before = self.requests[self.follows[r]]
            self.check(before.place == "finished", f"request {r} arrives before the turn that it follows has ended")
            due = request.arrival = before.last + request.arrival
        self.check(request.place == "away", f"request {r} arrives again")
        self.check(abs(due - self.now) <= _TOLERANCE + 1e-12 * due, f"request {r} arrives instead of at {due:.6f} s")
        request.place, request.replica = "waiting", k
        self.engines[k].queue.add(r)

    def _admitted(self, r: int, request: _Request, k: int) -> None:
        engine = self.engines[k]
        self.check(request.place == "waiting", f"request {r} is admitted while it is {request.place}")
        self.check(request.replica == k, f"request {r} changes from replica {request.replica} to {k}")
        self.check(engine.pending is None, f"replica {k} admits while it computes")
        if self.in_order and not request.swapped:
            earlier = [o for o in engine.queue if self.requests[o].arrival < request.arrival]
            self.check(not earlier, f"request {r} is admitted before {earlier[:3]}, which came first")
        request.place = "running"
        request.admitted = self.now if request.admitted < 0.0 else request.admitted
        request.swapped = False
        engine.queue.discard(r)
        engine.residents.add(r)
        self.check(
            len(engine.residents) <= self.strategy.max_running,
            f"replica {k} runs {len(engine.residents)} requests; expected at most {self.strategy.max_running}",
        )

    def _preempted(self, r: int, request: _Request, k: int) -> None:
        self.leave(r, request, k)
        request.computed, request.layers = 0, 0.0
        self.engines[k].queue.add(r)

    def _swapped_out(self, r: int, request: _Request, k: int) -> None:
        self.check(self.strategy.mode == "swap", f"request {r} is swapped out, but the mode is {self.strategy.mode}")
        self.leave(r, request, k)
        request.swapped, request.layers = True, 0.0
        self.engines[k].queue.add(r)

    def _swapped_in(self, r: int, request: _Request, k: int) -> None:
        self.check(self.strategy.mode == "swap", f"request {r} is swapped in, but the mode is {self.strategy.mode}")
        if request.computed == 0:  # the turns before, of which whole blocks were kept
            before = self.requests[self.follows[r]] if self.follows[r] >= 0 else None
            self.check(before is not None, f"request {r} is swapped in, but was never on the host")
            assert before is not None
            size = self.engines[k].replica.block_size
            request.computed = min(before.computed // size * size, request.prompt - 1)

    def _finished(self, r: int, request: _Request, k: int) -> None:
        self.leave(r, request, k)
        request.place = "finished"
        self.check(
            request.generated == request.output,
            f"request {r} ends with {request.generated} tokens; expected {request.output}",
        )

    def _migrated(self, r: int, request: _Request, k: int) -> None:
        self.check(self.strategy.migration_period > 0.0, f"request {r} moves, but the strategy never migrates")
        self.check(request.replica != k, f"request {r} moves to replica {k}, where it is")
        self.check(_decodes(request), f"request {r} moves before its prompt is computed")
        self.check(self.engines[request.replica].pending is None, f"request {r} moves while it is computed")
        self.leave(r, request, request.replica)
        request.place, request.replica = "running", k
        request.paused = self.now + self.strategy.migration_downtime
        self.engines[k].residents.add(r)

    def leave(self, r: int, request: _Request, k: int) -> None:
        engine = self.engines[k]
        self.check(r in engine.residents, f"request {r} leaves replica {k}, where it is not")
        engine.residents.remove(r)
        request.place = "waiting"

    def iteration(self, record: tuple[Any, ...], entries: list[tuple[int, int, int]]) -> None:
        k, _, share, planned, start, end = record
        self.advance(planned)
        engine = self.engines[k]
        self.check(engine.pending is None, f"replica {k} begins an iteration while it computes")
        self.check(planned <= start < end, f"replica {k} has an iteration from {start:.6f} s to {end:.6f} s")
        self.check(len({r for r, _, _ in entries}) == len(entries), f"replica {k} computes a request twice")
        for r, tokens, past in entries:
            request = self.requests[r]
            left = request.prompt + request.generated - request.computed
            self.check(r in engine.residents, f"replica {k} computes request {r}, which is not admitted")
            self.check(planned >= request.paused - _TOLERANCE, f"request {r} is computed while it moves")
            self.check(past == request.computed, f"request {r} goes on at {past}; expected {request.computed}")
            self.check(1 <= tokens <= left, f"request {r} computes {tokens} tokens of {left}")
        self.memory(engine, {r: tokens for r, tokens, _ in entries})
        self.batch(entries, share)
        expected = self.duration(engine.replica.execution, entries, share)
        self.check(
            math.isclose(end - start, expected, rel_tol=1e-6, abs_tol=1e-9),
            f"replica {k} computes for {end - start:.9f} s; expected {expected:.9f}",
        )
        engine.pending = end, share, [(r, tokens) for r, tokens, _ in entries]

    def memory(self, engine: _Engine, tokens: dict[int, int]) -> None:
        size = engine.replica.block_size
        used = 0
        for r in engine.residents:
            request = self.requests[r]
            held = request.computed + tokens.get(r, 0)
            if self.strategy.reserve == "maximum":
                longest = min(self.strategy.max_length, engine.replica.kv_blocks * size)
                held = max(longest, request.prompt + request.output)
            elif self.strategy.reserve == "prompt":
                held = max(held, request.prompt)
            used += -(-held // size)
        total = engine.replica.kv_blocks
        self.check(used <= total, f"replica {engine.replica.name} uses {used} blocks of {total}")

    def batch(self, entries: list[tuple[int, int, int]], share: float) -> None:
        """Checks what the kind of batching promises."""
        kind = self.strategy.batching
        decodes = [r for r, _, _ in entries if _decodes(self.requests[r])]
        chunks = [(r, tokens) for r, tokens, _ in entries if not _decodes(self.requests[r])]
        apart = kind in ("static", "prefill_first", "alternating")
        self.check(not (apart and decodes and chunks), f"a {kind} batch has decodes and chunks")
        total = sum(tokens for _, tokens, _ in entries)
        if kind in ("chunked", "alternating"):
            self.check(total <= self.strategy.budget, f"a batch has {total} tokens of {self.strategy.budget}")
        else:
            for r, tokens in chunks:
                request = self.requests[r]
                left = request.prompt + request.generated - request.computed
                self.check(tokens == left, f"request {r} computes {tokens} of {left} tokens; expected the whole prompt")
        self.check(kind == "layered" or share == 1.0, f"a {kind} batch goes through {share} of the layers")

    def duration(self, execution: Execution, entries: list[tuple[int, int, int]], share: float) -> float:
        decodes = [(r, tokens, past) for r, tokens, past in entries if _decodes(self.requests[r])]
        chunks = [entry for entry in entries if entry not in decodes]
        outputs = 0
        for r, tokens, past in entries:
            outputs += past + tokens == self.requests[r].prompt + self.requests[r].generated
        context = [past for _, _, past in decodes]
        whole = _seconds(execution, [(q, past) for _, q, past in chunks], context, outputs)
        if share < 1.0:
            alone = _seconds(execution, [], context, len(context))
            whole = alone + share * (whole - alone)
        return whole + (execution.cpu0 + execution.cpu1 * len(entries)) / 1e3

    def loss(self, instance: ServingInstance) -> float:
        """The loss of goodput."""
        costs: dict[int, list[float]] = {}
        for request, user in zip(self.requests, instance.requests.user.tolist(), strict=True):
            first = _lateness(request.first - request.arrival, self.promise.first_token)
            later = request.late / (request.output - 1) if request.output > 1 else 0.0
            costs.setdefault(user if self.promise.per_user else 0, []).append(0.5 * first + 0.5 * later)
        return sum(sum(each) / len(each) for each in costs.values()) / len(costs)

    def end(self, records: Any) -> None:
        """Checks that everybody was answered, at the times on record."""
        self.advance(math.inf)
        for r, request in enumerate(self.requests):
            self.check(request.place == "finished", f"request {r} is {request.place} at the end")
            for name in ("admitted", "first", "last"):
                found, expected = float(records[name][r]), getattr(request, name)
                self.check(found == expected, f"request {r} has {name} at {found:.6f} s; expected {expected:.6f}")


def _lateness(seconds: float, promised: float) -> float:
    """0 up to what was promised, then smoothly towards 1."""
    return 0.0 if seconds <= promised else 1.0 - promised / seconds


def _decodes(request: _Request) -> bool:
    return request.generated > 0 and request.prompt + request.generated - request.computed == 1


def _seconds(execution: Execution, chunks: list[tuple[int, int]], context: list[int], outputs: int) -> float:
    """Seconds of the device for a batch, straight from the formulas."""
    if not chunks and not context:
        return 0.0
    e, n, kv = execution, len(context), sum(context)
    q = sum(tokens for tokens, _ in chunks)
    total = q + n
    shared = e.comm0 + e.comm1 * total
    if e.form == "distserve":
        small = n < e.large_batch
        once, each, reading = (e.d0, e.d1, e.d2) if small else (e.m0, e.m1, e.m2)
        prefill = e.a + e.b * q + e.c * sum(tokens**2 for tokens, _ in chunks) if chunks else 0.0
        decode = (each * n + reading * kv + (0.0 if chunks else once)) if n else 0.0
        return (prefill + decode + shared) / 1e3
    if e.form == "splitwise":
        decode = e.d1 * n + e.d2 * kv
        if not chunks:
            return (e.d0 + decode) / 1e3
        return (e.a + e.c * q + (decode if n else 0.0)) * (1.1 if n else 1.0) / 1e3
    linear = (e.a**e.p + (e.b + e.c * total) ** e.p) ** (1.0 / e.p)
    if chunks:
        pairs = sum(tokens * (past + tokens / 2.0) for tokens, past in chunks)
        attention = e.m0 + e.m1 * q + e.m2 * sum(past for _, past in chunks) + e.m3 * pairs + e.m4 * n + e.m5 * kv
    else:
        attention = e.d0 + e.d1 * n + e.d2 * kv
    reached = 0.0
    if e.experts:
        reached = min(e.experts * (1.0 - math.exp(-((total / 33.0) ** 0.507))), e.experts_per_token * total)
    mixture = e.expert0 * reached + e.expert1 * total
    return (linear + attention + e.head0 + e.head1 * outputs + mixture + shared) / 1e3
