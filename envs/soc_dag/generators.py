"""Random task graphs and chips, and the families of instances that training episodes are drawn from.

Graphs: Topcuoglu's layered graphs, Gaussian elimination, FFT, trees and chains, with the costs of Topcuoglu, Hariri
and Wu, "Performance-effective and low-complexity task scheduling for heterogeneous computing", IEEE TPDS 13(3), 2002,
section 6.1. All randomness comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from envs.core.errors import UsageError
from envs.soc_dag.profiles import load_profile
from envs.soc_dag.types import Arrivals, Chip, Floats, Integers, JobType, SocInstance, make_chip, single_dag

ALPHAS = (0.5, 1.0, 2.0)
OUT_DEGREES = (1, 2, 3, 4, 5)
CCRS = (0.1, 0.5, 1.0, 5.0, 10.0)
BETAS = (0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class Graph:
    """The precedence structure of a job.

    Attributes:
        tasks: Number of tasks.
        sources: ``(E,)`` predecessor of every edge.
        targets: ``(E,)`` successor of every edge.
    """

    tasks: int
    sources: Integers
    targets: Integers


def _graph(tasks: int, edges: list[tuple[int, int]]) -> Graph:
    ends = np.array(edges, np.int64).reshape(-1, 2)
    return Graph(tasks, ends[:, 0], ends[:, 1])


def layered(rng: Generator, *, tasks: int, alpha: float, out_degree: int) -> Graph:
    """Draws a layered graph with Topcuoglu's shape parameters.

    The height is drawn uniformly with mean sqrt(tasks) / alpha (at least 2, so that there are edges), the widths of
    the levels uniformly with mean alpha sqrt(tasks) and then scaled to the number of tasks. Every task gets
    ``out_degree`` successors in the next level (all of it, if that is smaller), chosen uniformly; a task that would be
    left without a predecessor gets one from the level before. So the longest path has as many tasks as there are
    levels. Tasks are numbered level by level.

    Args:
        rng: Source of randomness.
        tasks: Number of tasks v, at least 1.
        alpha: Shape: below 1 long and thin, above 1 short and wide.
        out_degree: Successors of a task; as many as there are tasks for a dense graph.

    Raises:
        UsageError: A parameter is out of range.
    """
    if tasks < 1 or not alpha > 0 or out_degree < 1:
        raise UsageError(f"tasks={tasks}, alpha={alpha}, out_degree={out_degree}; expected more than 0 each")
    root = float(np.sqrt(tasks))
    highest = max(round(2 * root / alpha) - 2, 2)
    height = min(int(rng.integers(2, highest + 1)), tasks)
    weights = rng.uniform(1.0, max(2 * alpha * root - 1, 1.0), height)
    widths = 1 + rng.multinomial(tasks - height, weights / weights.sum())
    starts = np.concatenate([[0], np.cumsum(widths)])
    sources: list[Integers] = []
    targets: list[Integers] = []
    for level in range(height - 1):
        width, following = int(widths[level]), int(widths[level + 1])
        here, there = int(starts[level]), int(starts[level + 1])
        degree = min(out_degree, following)
        chosen = rng.random((width, following)).argsort(axis=1)[:, :degree]
        orphans = np.flatnonzero(np.bincount(chosen.ravel(), minlength=following) == 0)
        sources += [np.repeat(np.arange(here, here + width), degree), here + rng.integers(0, width, len(orphans))]
        targets += [there + chosen.ravel(), there + orphans]
    if not sources:
        return _graph(tasks, [])
    return Graph(tasks, np.concatenate(sources), np.concatenate(targets))


def gaussian_elimination(size: int) -> Graph:
    """Returns the graph of Gaussian elimination on a matrix of ``size`` rows.

    Step k has a pivot task and an update task for each later column j; the pivot precedes the updates of its step, the
    update of column j the task of column j in the next step: (m^2 + m - 2) / 2 tasks for m rows (Topcuoglu et al.,
    section 6.2.1).
    """
    if size < 2:
        raise UsageError(f"size is {size}; expected at least 2")
    index: dict[tuple[int, int], int] = {}
    for step in range(size - 1):
        for column in range(step, size):
            index[step, column] = len(index)
    edges = []
    for (step, column), task in index.items():
        if column == step:
            edges += [(task, index[step, later]) for later in range(step + 1, size)]
        elif (step + 1, column) in index:
            edges.append((task, index[step + 1, column]))
    return _graph(len(index), edges)


def fft(points: int) -> Graph:
    """Returns the graph of the fast Fourier transform of ``points`` (a power of 2) points.

    A binary tree of 2 m - 1 recursive calls, then log2 m levels of m butterfly tasks, each after two of the level
    before: 2 m - 1 + m log2 m tasks for m points (Topcuoglu et al., section 6.2.2).
    """
    if points < 2 or points & (points - 1):
        raise UsageError(f"points is {points}; expected a power of 2, at least 2")
    edges = [((child - 1) // 2, child) for child in range(1, 2 * points - 1)]
    above = points - 1
    tasks = 2 * points - 1
    span = 1
    while span < points:
        for position in range(points):
            edges += [(above + position, tasks + position), (above + (position ^ span), tasks + position)]
        above, tasks, span = tasks, tasks + points, 2 * span
    return _graph(tasks, edges)


def out_tree(levels: int, branching: int) -> Graph:
    """Returns the complete tree whose edges lead away from the root, with ``levels`` levels."""
    if levels < 1 or branching < 1:
        raise UsageError(f"levels={levels}, branching={branching}; expected at least 1 each")
    tasks = sum(branching**level for level in range(levels))
    return _graph(tasks, [((child - 1) // branching, child) for child in range(1, tasks)])


def in_tree(levels: int, branching: int) -> Graph:
    """Returns the complete tree whose edges lead to the root; the tasks are numbered from the leaves."""
    tree = out_tree(levels, branching)
    last = tree.tasks - 1
    return Graph(tree.tasks, last - tree.targets, last - tree.sources)


def chains(count: int, length: int) -> Graph:
    """Returns ``count`` parallel chains of ``length`` tasks between a first and a last task."""
    if count < 1 or length < 1:
        raise UsageError(f"count={count}, length={length}; expected at least 1 each")
    last = count * length + 1
    edges = []
    for chain in range(count):
        path = [0, *range(1 + chain * length, 1 + (chain + 1) * length), last]
        edges += list(pairwise(path))
    return _graph(last + 1, edges)


def weighted(
    rng: Generator, graph: Graph, *, ccr: float, beta: float, processors: int, mean_time: float = 20.0, name: str
) -> JobType:
    """Draws Topcuoglu's costs for a graph.

    The mean time of a task is U(0, 2 mean_time), its time on a PE U(mean (1 - beta/2), mean (1 + beta/2)); the volume
    of an edge is U(0, 2 ccr mean_time), so that at a bandwidth of 1 the mean transfer takes ``ccr`` mean times.

    Args:
        rng: Source of randomness.
        graph: The graph.
        ccr: Communication-to-computation ratio.
        beta: Heterogeneity, 0 to 2.
        processors: Number of PEs.
        mean_time: Mean execution time.
        name: Name of the job type.
    """
    mean = rng.uniform(0.0, 2.0 * mean_time, (graph.tasks, 1))
    times = mean * rng.uniform(1.0 - beta / 2, 1.0 + beta / 2, (graph.tasks, processors))
    volumes = rng.uniform(0.0, 2.0 * ccr * mean_time, len(graph.sources))
    return JobType(name, _names(graph.tasks), times, graph.sources, graph.targets, volumes)


def topcuoglu(
    rng: Generator,
    *,
    tasks: int,
    alpha: float,
    out_degree: int,
    ccr: float,
    beta: float,
    processors: int,
    mean_time: float = 20.0,
    name: str = "random",
) -> JobType:
    """Draws a random task graph with Topcuoglu's parameters, see `layered` and `weighted`."""
    graph = layered(rng, tasks=tasks, alpha=alpha, out_degree=out_degree)
    return weighted(rng, graph, ccr=ccr, beta=beta, processors=processors, mean_time=mean_time, name=name)


def random_chip(
    rng: Generator, *, processors: int, spread: float = 0.0, latency: float = 0.0, name: str | None = None
) -> Chip:
    """Draws a chip.

    Args:
        rng: Source of randomness.
        processors: Number of PEs.
        spread: Bandwidths are U(1 - spread / 2, 1 + spread / 2), the same in both directions.
        latency: Start-up times are U(0, 2 latency), the same in both directions.
        name: Name of the chip.
    """
    bandwidth = _symmetric(rng.uniform(1.0 - spread / 2, 1.0 + spread / 2, (processors, processors)))
    start_up = _symmetric(rng.uniform(0.0, 2.0 * latency, (processors, processors)))
    active = rng.uniform(0.05, 2.0, processors)
    return make_chip(
        name or f"random_p{processors}",
        tuple(f"P{index + 1}" for index in range(processors)),
        bandwidth=bandwidth,
        latency=start_up,
        memory_bandwidth=2.0,
        active_power=active,
    )


def _symmetric(matrix: Floats) -> Floats:
    upper = np.triu(matrix, 1)
    symmetric: Floats = upper + upper.T + np.diag(np.diag(matrix))
    return symmetric


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"task_{index + 1}" for index in range(count))


@dataclass(frozen=True)
class Scenario:
    """A family of random instances.

    Attributes:
        draw: Draws an instance.
        capacity: Most that any of them needs of every kind of place in the environment's state: job types, kernels
            and edges (of all job types), processors, tasks (of a job), places, jobs and runs (of an episode).
    """

    draw: Callable[[Generator], SocInstance]
    capacity: Mapping[str, int]

    def __call__(self, rng: Generator) -> SocInstance:
        """Draws an instance."""
        return self.draw(rng)


def _pick(rng: Generator, values: tuple[float, ...]) -> float:
    return values[int(rng.integers(len(values)))]


def _noise(rng: Generator) -> float:
    """No noise in two of three episodes, otherwise up to 0.5."""
    return 0.0 if rng.random() < 2 / 3 else float(rng.uniform(0.05, 0.5))


def draw_canonical(rng: Generator) -> SocInstance:
    """Draws a stream on the canonical chip.

    One job type alone (often the first), or 4 to 10 of the ten in any order; 3 to 5 jobs in the system; mean time
    between arrivals 25 to 200, often 25; window 1500 to 3000; noise in a third of the episodes.
    """
    profile = load_profile("canonical")
    known = profile.job_types
    count = 1 if rng.random() < 0.3 else int(rng.integers(4, len(known) + 1))
    if count == 1:
        chosen = [0 if rng.random() < 0.5 else int(rng.integers(len(known)))]
    else:
        chosen = rng.permutation(len(known))[:count].tolist()
    limit = int(rng.integers(3, 6))
    scale = 25.0 if rng.random() < 0.5 else float(rng.uniform(25.0, 200.0))
    return SocInstance(
        name=f"canonical_{count}_q{limit}",
        chip=profile.chip,
        job_types=tuple(known[index] for index in chosen),
        arrivals=Arrivals(mode="blocking", scale=scale, window=float(rng.uniform(1500.0, 3000.0)), limit=limit),
        noise=_noise(rng),
        whole_ticks=True,
        objective="mean_latency",
    )


_STREAM_KERNELS, _STREAM_JOBS, _STREAM_EDGES_A_TASK = 80, 60, 2


def draw_random_stream(rng: Generator) -> SocInstance:
    """Draws a stream of random job types on a random chip.

    2 to 8 PEs, of which up to half run only some tasks (each task with probability 0.4); 1 to 6 job types of 5 to 20
    tasks, at most 80 in all, with random shape, ratio and heterogeneity; 2 to 6 jobs in the system, blocking (four of
    five episodes) or open arrivals that the PEs can about keep up with; whole ticks in half of the episodes; 20 to 60
    jobs at the most.
    """
    processors = int(rng.integers(2, 9))
    whole = bool(rng.random() < 0.5)
    general = processors - int(rng.integers(0, processors // 2 + 1))
    ccr, beta = _pick(rng, (0.1, 0.5, 1.0, 2.0, 5.0)), _pick(rng, BETAS)
    sizes = rng.integers(5, 21, int(rng.integers(1, 7)))
    sizes = sizes[np.cumsum(sizes) <= _STREAM_KERNELS]
    job_types = tuple(
        _stream_job(rng, int(size), ccr, beta, processors, general, whole, f"job_{index + 1}")
        for index, size in enumerate(sizes)
    )
    noise, limit = _noise(rng), int(rng.integers(2, 7))
    work = min(float(job_type.times.min(axis=1).sum()) for job_type in job_types)
    busy = max(work, 1.0) / processors
    window = float(rng.uniform(20.0, _STREAM_JOBS)) * busy / (1.0 + 2.0 * noise)
    blocking = bool(rng.random() < 0.8)
    scale = busy * float(rng.uniform(0.2, 4.0) if blocking else rng.uniform(2.5, 6.0))
    return SocInstance(
        name=f"stream_{len(job_types)}_p{processors}_q{limit}",
        chip=random_chip(rng, processors=processors, spread=_pick(rng, (0.0, 0.0, 0.5, 1.0))),
        job_types=job_types,
        arrivals=Arrivals(mode="blocking" if blocking else "open", scale=scale, window=window, limit=limit),
        noise=noise,
        whole_ticks=whole,
        objective="mean_latency",
    )


def _stream_job(
    rng: Generator, size: int, ccr: float, beta: float, processors: int, general: int, whole: bool, name: str
) -> JobType:
    graph = _bounded(rng, size, _pick(rng, ALPHAS), int(rng.integers(1, 4)), _STREAM_EDGES_A_TASK)
    mean = rng.uniform(2.0, 30.0, (size, 1))
    times = mean * rng.uniform(1.0 - beta / 2, 1.0 + beta / 2, (size, processors))
    times[:, general:][rng.random((size, processors - general)) < 0.6] = np.inf
    volumes = rng.uniform(0.0, 2.0 * ccr * 16.0, len(graph.sources))
    if whole:
        times, volumes = np.maximum(np.round(times), 1.0), np.round(volumes)
    return JobType(name, _names(size), times, graph.sources, graph.targets, volumes)


def _bounded(rng: Generator, tasks: int, alpha: float, out_degree: int, edges_a_task: int) -> Graph:
    """A layered graph of at most ``edges_a_task`` (2 or more) edges a task: a thin one where the first has more."""
    graph = layered(rng, tasks=tasks, alpha=alpha, out_degree=out_degree)
    if len(graph.sources) <= edges_a_task * tasks:
        return graph
    return layered(rng, tasks=tasks, alpha=alpha, out_degree=1)


_DAG_TASKS, _DAG_EDGES_A_TASK = 60, 5


def draw_random_dag(rng: Generator) -> SocInstance:
    """Draws one job with Topcuoglu's parameters: 20 to 60 tasks, 3 to 8 PEs, every value of his grids."""
    tasks, processors = int(rng.integers(20, _DAG_TASKS + 1)), int(rng.integers(3, 9))
    graph = _bounded(rng, tasks, _pick(rng, ALPHAS), int(_pick(rng, OUT_DEGREES)), _DAG_EDGES_A_TASK)
    ccr, beta = _pick(rng, CCRS), _pick(rng, BETAS)
    name = f"dag_{tasks}_p{processors}"
    job_type = weighted(rng, graph, ccr=ccr, beta=beta, processors=processors, name=name)
    return single_dag(name, random_chip(rng, processors=processors), job_type, time_unit="time")


def _capacity(**counts: int) -> Mapping[str, int]:
    return MappingProxyType(counts)


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "canonical": Scenario(
            draw_canonical,
            _capacity(types=10, kernels=100, edges=140, processors=3, tasks=10, places=5, jobs=203, runs=2030),
        ),
        "random_stream": Scenario(
            draw_random_stream,
            _capacity(
                types=6,
                kernels=_STREAM_KERNELS,
                edges=_STREAM_EDGES_A_TASK * _STREAM_KERNELS,
                processors=8,
                tasks=20,
                places=6,
                jobs=_STREAM_JOBS + 6,
                runs=20 * (_STREAM_JOBS + 6),
            ),
        ),
        "random_dag": Scenario(
            draw_random_dag,
            _capacity(
                types=1,
                kernels=_DAG_TASKS,
                edges=_DAG_EDGES_A_TASK * _DAG_TASKS,
                processors=8,
                tasks=_DAG_TASKS,
                places=1,
                jobs=1,
                runs=_DAG_TASKS,
            ),
        ),
    }
)
"""Families of instances that the environment draws episodes from, by name."""
