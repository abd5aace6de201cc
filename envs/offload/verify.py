"""The independent checker: plain Python on the event log, sharing no code with the dynamics."""

from __future__ import annotations

import math
from typing import NamedTuple

from envs.core.errors import UsageError
from envs.offload.types import EventLog, OffloadInstance

_TOLERANCE = 1e-6
"""Seconds by which an event of the log may differ from the recomputed one."""


class Costs(NamedTuple):
    """What an execution costs.

    Attributes:
        delay: Seconds from dispatch to completion, summed over the tasks.
        energy: Joules of all uploads and computations.
        tardiness: Seconds beyond the deadlines, summed.
    """

    delay: float
    energy: float
    tardiness: float


def verify(instance: OffloadInstance, log: EventLog) -> float:
    """Checks every event of a finished execution and returns its weighted cost.

    Raises:
        UsageError: A task was sent nowhere, or an event of the log is not what the model makes of the choices.
    """
    values = costs(instance, log)
    pairs = zip(instance.preference, instance.system.criteria, values, strict=True)
    return math.fsum(weight * criterion.scale * value for weight, criterion, value in pairs)


def costs(instance: OffloadInstance, log: EventLog) -> tuple[float, ...]:
    """Checks a finished execution and returns its cost by each criterion; see `verify`."""
    found = recompute(instance, log)
    return tuple(found)[: len(instance.system.criteria)]


def recompute(instance: OffloadInstance, log: EventLog) -> Costs:
    """Checks a finished execution and returns all its costs; see `verify`."""
    tasks, servers = len(instance.bits), len(instance.system.hertz)
    if len(log.server) != tasks:
        raise UsageError(f"{instance.name}: the log has {len(log.server)} tasks; expected {tasks}")
    for task, server in enumerate(log.server.tolist()):
        if not 0 <= server < servers:
            raise UsageError(f"{instance.name}, task {task}: server is {server}; expected 0..{servers - 1}")
    uploaded = _upload_ends(instance, log)
    _compare(instance, "uploaded", log.uploaded.tolist(), uploaded)
    completed = [0.0] * tasks
    for server in range(servers):
        mine = [task for task in range(tasks) if log.server[task] == server]
        completed = _share_processor(instance, server, mine, uploaded, completed)
    _compare(instance, "completed", log.completed.tolist(), completed)
    starts = [float(step) * instance.system.step_seconds for step in instance.dispatch]
    delays = [end - start for start, end in zip(starts, completed, strict=True)]
    late = [max(0.0, delay - deadline) for delay, deadline in zip(delays, instance.deadline.tolist(), strict=True)]
    return Costs(math.fsum(delays), _energy(instance, log), math.fsum(late))


def _upload_ends(instance: OffloadInstance, log: EventLog) -> list[float]:
    ends = []
    for task, server in enumerate(log.server.tolist()):
        rate = float(instance.bits_per_second[instance.user[task], server])
        ends.append(float(instance.dispatch[task]) * instance.system.step_seconds + float(instance.bits[task]) / rate)
    return ends


def _energy(instance: OffloadInstance, log: EventLog) -> float:
    system, parts = instance.system, []
    for task, server in enumerate(log.server.tolist()):
        bits = float(instance.bits[task])
        assert system.upload_watts is not None
        parts.append(system.upload_watts * bits / float(instance.bits_per_second[instance.user[task], server]))
        parts.append(system.energy_coefficient * system.cycles_per_bit * float(system.hertz[server]) ** 2 * bits)
    return math.fsum(parts)


def _share_processor(
    instance: OffloadInstance, server: int, mine: list[int], uploaded: list[float], completed: list[float]
) -> list[float]:
    """Plays a server event by event, task by task; returns ``completed`` with its tasks' ends."""
    speed = float(instance.system.hertz[server]) / instance.system.cycles_per_bit
    waiting = sorted(mine, key=lambda task: uploaded[task])
    left: dict[int, float] = {}
    now, ends = 0.0, list(completed)
    while waiting or left:
        joined = uploaded[waiting[0]] if waiting else math.inf
        first = min(left, key=lambda task: left[task]) if left else -1
        complete = now + left[first] * len(left) / speed if left else math.inf
        until = min(joined, complete)
        for task in left:
            left[task] -= (until - now) * speed / len(left)
        now = until
        if complete <= joined:
            ends[first] = now
            del left[first]
        else:
            task = waiting.pop(0)
            left[task] = float(instance.bits[task])
    return ends


def _compare(instance: OffloadInstance, what: str, logged: list[float], expected: list[float]) -> None:
    for task, (mine, true) in enumerate(zip(logged, expected, strict=True)):
        if not abs(mine - true) <= _TOLERANCE:
            raise UsageError(f"{instance.name}, task {task}: {what} at {mine:.9g} s; the model makes it {true:.9g} s")
