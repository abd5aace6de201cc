"""Lays an instance out in the arrays of the state, with what the rules and features want to know of it in advance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from envs.core.errors import UsageError
from envs.soc_dag.state import BLOCKING, OPEN, STATIC, Capacity, SocState
from envs.soc_dag.types import Arrivals, Chip, Failures, Floats, Integers, JobType, SocInstance

_MODES = {"static": STATIC, "open": OPEN, "blocking": BLOCKING}
_MODE_NAMES = {code: name for name, code in _MODES.items()}


_GROUPS = {
    **dict.fromkeys(("share", "length"), "kind"),
    **dict.fromkeys(("least", "mean", "rank", "level", "tail"), "kernel"),
    **dict.fromkeys(("memory", "power", "idle"), "processor"),
}
"""Tables that are fields of a structured array of the state."""


class Tables(NamedTuple):
    """The instance-dependent arrays of one lane without padding; fields as in `SocState`."""

    offset: Integers
    share: Floats
    length: Floats
    time: Floats
    least: Floats
    mean: Floats
    rank: Floats
    level: Floats
    tail: Floats
    optimistic: Floats
    predecessor_from: Integers
    predecessor: Integers
    volume: Floats
    successor_from: Integers
    successor: Integers
    bandwidth: Floats
    latency: Floats
    memory: Floats
    power: Floats
    idle: Floats


def build_tables(instance: SocInstance) -> Tables:
    """Computes the tables of an instance."""
    chip, kinds = instance.chip, instance.job_types
    offset = np.concatenate([[0], np.cumsum([kind.num_tasks for kind in kinds])]).astype(np.int64)
    ranks = [_ranks(kind, chip) for kind in kinds]
    rank, level, tail = (np.concatenate([each[i] for each in ranks]) for i in range(3))
    optimistic = np.concatenate([each[3] for each in ranks])
    time = np.concatenate([kind.times for kind in kinds])
    predecessors = [[(offset[k] + i, v) for i, v in row] for k, kind in enumerate(kinds) for row in kind.predecessors]
    successors = [[offset[k] + i for i, _ in row] for k, kind in enumerate(kinds) for row in kind.successors]
    shares = np.array(instance.arrivals.probabilities or (1.0,) * len(kinds))
    return Tables(
        offset=offset,
        share=np.cumsum(shares / shares.sum()),
        length=np.array([each[2].max() for each in ranks]),
        time=time,
        least=time.min(axis=1),
        mean=mean_times(time),
        rank=rank,
        level=level,
        tail=tail,
        optimistic=optimistic,
        predecessor_from=_starts(predecessors),
        predecessor=np.array([i for row in predecessors for i, _ in row], np.int64),
        volume=np.array([v for row in predecessors for _, v in row], np.float64),
        successor_from=_starts(successors),
        successor=np.array([i for row in successors for i in row], np.int64),
        bandwidth=chip.bandwidth,
        latency=chip.latency,
        memory=chip.memory_bandwidth,
        power=chip.active_power,
        idle=chip.idle_power,
    )


def mean_times(times: Floats) -> Floats:
    """Returns the ``(T,)`` mean over the PEs that can run a task."""
    possible = np.isfinite(times)
    total: Floats = np.where(possible, times, 0.0).sum(axis=1)
    mean: Floats = total / possible.sum(axis=1)
    return mean


def load_tables(state: SocState, lane: int, instance: SocInstance, tables: Tables) -> None:
    """Writes an instance into one lane; the episode is begun by `envs.soc_dag.dynamics.begin`."""
    arrivals = instance.arrivals
    for name, values in zip(Tables._fields, tables, strict=True):
        group = _GROUPS.get(name)
        target = getattr(state, name)[lane] if group is None else getattr(state, group)[name][lane]
        target[tuple(slice(length) for length in values.shape)] = values
    state.episode["types"][lane] = len(instance.job_types)
    state.episode["kernels"][lane] = len(tables.time)
    state.episode["processors"][lane] = instance.chip.num_processors
    state.episode["edges"][lane] = len(tables.predecessor)
    state.episode["mode"][lane] = _MODES[arrivals.mode]
    state.episode["limit"][lane] = arrivals.limit if arrivals.mode != "static" else max(len(arrivals.releases), 1)
    state.episode["shared"][lane] = instance.transfer == "shared_memory"
    state.episode["whole"][lane] = instance.whole_ticks
    state.episode["latency_objective"][lane] = instance.objective == "mean_latency"
    state.episode["scale"][lane] = arrivals.scale
    state.episode["window"][lane] = np.inf if arrivals.mode == "static" else arrivals.window
    state.episode["warm_up"][lane] = arrivals.warm_up
    state.episode["noise"][lane] = instance.noise
    state.episode["failure_gap"][lane] = instance.failures.between
    state.episode["repair_time"][lane] = instance.failures.repair
    start_up, per_volume = mean_communication(instance.chip)
    volume = float(tables.volume.mean()) if len(tables.volume) else 0.0
    state.episode["supported"][lane] = np.isfinite(tables.time).sum()
    state.episode["start_up"][lane], state.episode["per_volume"][lane] = start_up, per_volume
    state.episode["mean_transfer"][lane] = start_up + per_volume * volume
    state.episode["typical_length"][lane] = max(float(np.diff(tables.share, prepend=0.0) @ tables.length), 1e-9)
    state.episode["unit"][lane] = max(float(tables.mean.mean()), 1e-9)
    state.episode["arrived_jobs"][lane] = 0
    if arrivals.mode == "static":
        releases = sorted(arrivals.releases, key=lambda release: release[1])
        state.episode["arrived_jobs"][lane] = len(releases)
        state.job["type"][lane, : len(releases)] = [kind for kind, _ in releases]
        state.job["arrived"][lane, : len(releases)] = [time for _, time in releases]


def read_tables(state: SocState, lane: int, name: str) -> SocInstance:
    """Returns the instance that a lane runs, with made-up names of its parts."""
    processors, types = int(state.episode["processors"][lane]), int(state.episode["types"][lane])
    labels = tuple(f"PE{p}" for p in range(processors))
    square = (lane, slice(processors), slice(processors))
    row = (lane, slice(processors))
    chip = Chip(
        f"{name}_chip",
        labels,
        labels,
        state.bandwidth[square],
        state.latency[square],
        state.processor["memory"][row],
        state.processor["power"][row],
        state.processor["idle"][row],
    )
    mode = _MODE_NAMES[int(state.episode["mode"][lane])]
    count = int(state.episode["arrived_jobs"][lane])
    releases = tuple(
        (int(kind), float(time))
        for kind, time in zip(state.job["type"][lane, :count], state.job["arrived"][lane, :count], strict=True)
    )
    shares = np.diff(state.kind["share"][lane, :types], prepend=0.0)
    stream = {
        "scale": float(state.episode["scale"][lane]),
        "window": float(state.episode["window"][lane]),
        "warm_up": float(state.episode["warm_up"][lane]),
        "limit": int(state.episode["limit"][lane]),
        "probabilities": tuple(float(share) for share in shares),
    }
    return SocInstance(
        name,
        chip,
        tuple(_read_type(state, lane, k) for k in range(types)),
        Arrivals(mode, releases=releases) if mode == "static" else Arrivals(mode, **stream),  # type: ignore[arg-type]
        noise=float(state.episode["noise"][lane]),
        transfer="shared_memory" if state.episode["shared"][lane] else "direct",
        whole_ticks=bool(state.episode["whole"][lane]),
        failures=Failures(float(state.episode["failure_gap"][lane]), float(state.episode["repair_time"][lane])),
        objective="mean_latency" if state.episode["latency_objective"][lane] else "makespan",
    )


def needed_capacity(instances: Iterable[SocInstance]) -> dict[str, int]:
    """Returns the lengths of the axes, without that of the offered tasks, under which all instances fit."""
    needed = [_needed(instance) for instance in instances]
    return {name: max(each[name] for each in needed) for name in needed[0]}


def check_fit(instance: SocInstance, capacity: Capacity) -> None:
    """Raises `UsageError` where an instance exceeds the capacity."""
    for name, count in _needed(instance).items():
        limit = getattr(capacity, name)
        if count > limit:
            raise UsageError(f"instance {instance.name} needs {count} {name}; the environment has max_{name}={limit}")


def _needed(instance: SocInstance) -> dict[str, int]:
    kinds, arrivals = instance.job_types, instance.arrivals
    static = arrivals.mode == "static"
    jobs = len(arrivals.releases) if static else _most_jobs(instance)
    tasks = max(kind.num_tasks for kind in kinds)
    reruns = 2 if instance.failures.between > 0 else 1
    return {
        "types": len(kinds),
        "kernels": sum(kind.num_tasks for kind in kinds),
        "edges": max(sum(len(kind.sources) for kind in kinds), 1),
        "processors": instance.chip.num_processors,
        "tasks": tasks,
        "places": max(jobs, 1) if static else arrivals.limit,
        "jobs": max(jobs, 1),
        "runs": max(jobs, 1) * tasks * reruns,
    }


def _most_jobs(instance: SocInstance) -> int:
    """Jobs that a stream can bring: what arrives, and what places and PEs can take if all goes as fast as it can."""
    arrivals = instance.arrivals
    chains = min(_ranks(kind, instance.chip)[2].max() for kind in instance.job_types)
    work = min(kind.times.min(axis=1).sum() for kind in instance.job_types)
    by_places = arrivals.limit * arrivals.window / max(chains, 1.0)
    by_work = instance.chip.num_processors * arrivals.window / max(work, 1.0)
    speed_up = 1.0 + 2.0 * instance.noise
    jobs = min(by_places, by_work) * speed_up
    if arrivals.mode == "open":
        mean = arrivals.window / arrivals.scale
        jobs = max(mean + 6.0 * np.sqrt(mean), 1.0)
    return int(np.ceil(jobs)) + arrivals.limit


def _read_type(state: SocState, lane: int, kind: int) -> JobType:
    first, last = (int(each) for each in state.offset[lane, kind : kind + 2])
    targets = np.repeat(np.arange(first, last), np.diff(state.predecessor_from[lane, first : last + 1]))
    edges = slice(int(state.predecessor_from[lane, first]), int(state.predecessor_from[lane, last]))
    processors = int(state.episode["processors"][lane])
    return JobType(
        f"type_{kind}",
        tuple(f"task_{i}" for i in range(last - first)),
        state.time[lane, first:last, :processors],
        state.predecessor[lane, edges].astype(np.int64) - first,
        targets - first,
        state.volume[lane, edges],
    )


def _starts(rows: list[list[int]] | list[list[tuple[int, float]]]) -> Integers:
    return np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)


def _ranks(kind: JobType, chip: Chip) -> tuple[Floats, Floats, Floats, Floats]:
    """Upward rank, static level, tail of smallest times and optimistic cost table of every task of a job type."""
    count, processors = kind.times.shape
    rank, level, tail, optimistic = np.zeros(count), np.zeros(count), np.zeros(count), np.zeros((count, processors))
    mean, least = mean_times(kind.times), kind.times.min(axis=1)
    start_up, per_volume = mean_communication(chip)
    for task in reversed(kind.order):
        for successor, volume in kind.successors[task]:
            transfer = start_up + per_volume * volume
            rank[task] = max(rank[task], transfer + rank[successor])
            level[task] = max(level[task], level[successor])
            tail[task] = max(tail[task], tail[successor])
            onward = optimistic[successor] + kind.times[successor]
            optimistic[task] = np.maximum(optimistic[task], np.minimum(onward, onward.min() + transfer))
        rank[task] += mean[task]
        level[task] += mean[task]
        tail[task] += least[task]
    return rank, level, tail, optimistic


def mean_communication(chip: Chip) -> tuple[float, float]:
    """Returns the mean start-up time and the mean time a volume unit between two different PEs."""
    if chip.num_processors == 1:
        return 0.0, 0.0
    apart = ~np.eye(chip.num_processors, dtype=bool)
    bandwidth = chip.bandwidth[apart]
    return float(chip.latency[apart].mean()), float(1.0 / bandwidth.mean())
