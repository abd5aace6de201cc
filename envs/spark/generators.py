"""Random instances: the published multi-user workloads, mixes like the Google trace's, DAGs like TPC-H's.

Multi-user workloads (Kazemaks et al., "User Weighted Fair Queueing", arXiv 2510.15485; 32 cores): jobs of three loop
lengths that power users submit in bursts, large users one after the other, and small users at random. The publication
gives submissions; what a job needs is inferred here from its stored averages: slot time from the total times of
saturated runs (184 Loop100 jobs in 142 s, 16 Loop1000 jobs in 56 s, 120 Loop20 jobs in 50 s on 32 cores), the number of
tasks and their spread from the isolated runtimes (2.21 s, 10.86 s, 0.85 s).

Google-like mixes follow the statistics of the two 500 s excerpts of that publication: numbers of jobs and users, load,
and the spread of work between users and between the jobs of a user. A stage has as many tasks as there are cores, or
fewer where they would be shorter than a quarter of a second.

TPC-H-like DAGs follow the statistics of the traces of Decima (Mao et al., SIGCOMM 2019): 2 to 18 stages (mean 9.2) with
8.5 edges, mean serial work from 203 s (2 GB of data) to 2209 s (100 GB), a few long stages and many short ones, a
moving delay of 2 s, and slower first tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from envs.spark.types import Floats, Job, SparkInstance, Stage


class WorkloadSize(NamedTuple):
    """What a workload may be scaled by; the multi-user and Google-like ones use ``cores`` only.

    Attributes:
        jobs: Number of jobs.
        users: Number of users that jobs are drawn from, uniformly.
        cores: Number of cores.
        mean_gap: Mean seconds between arrivals.
        tasks_per_job: Mean number of tasks of a job.
        waves: Slower first tasks and a moving delay.
    """

    jobs: int = 20
    users: int = 4
    cores: int = 32
    mean_gap: float = 25.0
    tasks_per_job: float = 900.0
    waves: bool = True


class Loop(NamedTuple):
    """A job of the multi-user workloads: side-by-side tasks, then one that collects.

    Attributes:
        work: Slot time of the tasks in core-seconds.
        tasks: Number of tasks.
        spread: The longest task is so much longer than the mean, the shortest so much shorter, as a share of it.
        collect: Seconds of the collecting task.
    """

    work: float
    tasks: int
    spread: float
    collect: float = 0.05

    def job(self, user: str, arrival: float, after: int = -1) -> Job:
        """Returns the job, submitted at ``arrival`` or so long after another's completion."""
        durations = self.work / self.tasks * (1.0 + self.spread * np.linspace(-1.0, 1.0, self.tasks))
        stages = (Stage(tuple(durations.tolist())), Stage((self.collect,), (0,)))
        return Job(user, arrival, stages, after)

    @property
    def isolated(self) -> float:
        """Runtime alone on a cluster with a core a task."""
        return self.work / self.tasks * (1.0 + self.spread) + self.collect


LOOP20 = Loop(13.4, 17, 0.02)
LOOP100 = Loop(24.6, 12, 0.05)
LOOP1000 = Loop(112.0, 12, 0.158)


def power_small(seed: int, size: WorkloadSize) -> SparkInstance:
    """Two power users with four bursts of 20 Loop100 jobs each, two small users with 12 Loop100 jobs at random."""
    generator = np.random.default_rng(seed)
    jobs = [
        LOOP100.job(f"power{user}", arrival)
        for user, offset in (("1", 0.0), ("2", 0.1))
        for burst in (0.1, 30.0, 60.0, 90.0)
        for arrival in [burst + offset] * 20
    ]
    for user, first in (("small3", 0.3), ("small4", 0.4)):
        jobs += [LOOP100.job(user, arrival) for arrival in _poisson(generator, first, 60.0 / 8.0, 12)]
    return SparkInstance(f"power_small_{seed}", size.cores, _by_arrival(jobs))


def large_small(seed: int, size: WorkloadSize) -> SparkInstance:
    """Two large users with four Loop1000 jobs one after the other, two small users with six Loop100 jobs at random."""
    generator = np.random.default_rng(seed)
    jobs = list(_sequences(("large1", "large2"), LOOP1000, 4))
    for user, first in (("small3", 0.15), ("small4", 0.25)):
        jobs += [LOOP100.job(user, arrival) for arrival in _poisson(generator, first, 60.0 / 15.0, 6)]
    return SparkInstance(f"large_small_{seed}", size.cores, tuple(jobs))


def large(seed: int, size: WorkloadSize) -> SparkInstance:
    """Four large users with four Loop1000 jobs each, one after the other; nothing is random."""
    users = ("large1", "large2", "large3", "large4")
    return SparkInstance(f"large_{seed}", size.cores, tuple(_sequences(users, LOOP1000, 4)))


def super_small(seed: int, size: WorkloadSize) -> SparkInstance:
    """Four users with a burst of 30 Loop20 jobs each, 0.1 s apart; nothing is random."""
    jobs = [LOOP20.job(f"tiny{user}", 0.1 * user) for user in range(1, 5) for _ in range(30)]
    return SparkInstance(f"super_small_{seed}", size.cores, _by_arrival(jobs))


class _Mix(NamedTuple):
    """Statistics of a Google-like mix.

    Attributes:
        jobs: Number of jobs.
        users: Number of users.
        horizon: Seconds within which jobs arrive, uniformly.
        load: Work over what the cores could do within the horizon.
        between: Standard deviation of the logarithm of the users' typical work of a job.
        within: Standard deviation of the logarithm of a job's work around its user's.
        several: Share of jobs with more than one stage.
        stages: Mean number of their stages.
    """

    jobs: int
    users: int
    horizon: float
    load: float
    between: float
    within: float
    several: float
    stages: float


_HOMOGENEOUS = _Mix(97, 22, 454.0, 0.99, 0.6, 1.2, 0.15, 8.5)
_HETEROGENEOUS = _Mix(125, 27, 483.0, 0.62, 1.7, 1.1, 0.15, 38.0)


def homo_like(seed: int, size: WorkloadSize) -> SparkInstance:
    """A Google-like mix of users with jobs of similar work, at full load."""
    return _mix(f"homo_like_{seed}", _HOMOGENEOUS, seed, size)


def hetero_like(seed: int, size: WorkloadSize) -> SparkInstance:
    """A Google-like mix in which a few users submit nearly all of the work, at 62 % load."""
    return _mix(f"hetero_like_{seed}", _HETEROGENEOUS, seed, size)


def tpch_like(seed: int, size: WorkloadSize) -> SparkInstance:
    """Jobs with DAGs like TPC-H queries of several users, with exponential gaps between arrivals."""
    generator = np.random.default_rng(seed)
    arrivals = np.concatenate([[0.0], np.cumsum(generator.exponential(max(size.mean_gap, 1e-9), size.jobs - 1))])
    jobs = []
    for arrival in arrivals.tolist():
        user = f"user{generator.integers(size.users)}"
        jobs.append(Job(user, arrival, _query(generator, size)))
    delay = _MOVING_DELAY if size.waves else 0.0
    return SparkInstance(f"tpch_like_{seed}", size.cores, tuple(jobs), delay)


WORKLOADS: Mapping[str, Callable[[int, WorkloadSize], SparkInstance]] = MappingProxyType(
    {
        "tpch_like": tpch_like,
        "power_small": power_small,
        "large_small": large_small,
        "large": large,
        "super_small": super_small,
        "homo_like": homo_like,
        "hetero_like": hetero_like,
    }
)
"""Generators by name: seed and size in, instance out."""

_SHORTEST_TASK = 0.25
_MOVING_DELAY = 2.0
_FIRST_WAVE = (1.0, 1.5)
_FRESH = (1.2, 2.0)


def _poisson(generator: np.random.Generator, first: float, gap: float, count: int) -> list[float]:
    """Arrivals of a Poisson process from ``first`` on."""
    listed: list[float] = (first + np.cumsum(generator.exponential(gap, count))).tolist()
    return listed


def _by_arrival(jobs: list[Job]) -> tuple[Job, ...]:
    return tuple(sorted(jobs, key=lambda job: job.arrival))


def _sequences(users: tuple[str, ...], loop: Loop, count: int) -> list[Job]:
    """Each user submits ``count`` jobs, the next when the last is complete; the first ones 0.1 s apart."""
    rounds = [
        [
            loop.job(user, 0.1 * (u + 1)) if number == 0 else loop.job(user, 0.0, (number - 1) * len(users) + u)
            for u, user in enumerate(users)
        ]
        for number in range(count)
    ]
    return list(chain.from_iterable(rounds))


def _mix(name: str, mix: _Mix, seed: int, size: WorkloadSize) -> SparkInstance:
    generator = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, mix.users + 1)
    extra = generator.choice(mix.users, mix.jobs - mix.users, p=popularity / popularity.sum())
    owner = generator.permutation(np.concatenate([np.arange(mix.users), extra]))
    typical = mix.between * generator.standard_normal(mix.users)
    work = np.exp(typical[owner] + mix.within * generator.standard_normal(mix.jobs))
    work *= mix.load * size.cores * mix.horizon / work.sum()
    arrivals = np.sort(generator.uniform(0.0, mix.horizon, mix.jobs))
    jobs = []
    for user, arrival, slot_time in zip(owner.tolist(), arrivals.tolist(), work, strict=True):
        many = generator.random() < mix.several
        count = min(1 + int(generator.geometric(1.0 / (mix.stages - 1.0))), 200) if many else 1
        shares = generator.dirichlet(np.full(count, 20.0))
        stages = tuple(_equal_tasks(float(slot_time * share), size.cores) for share in shares)
        jobs.append(Job(f"user{user}", arrival, stages))
    return SparkInstance(name, size.cores, tuple(jobs))


def _equal_tasks(work: float, cores: int) -> Stage:
    count = min(cores, max(1, int(work / _SHORTEST_TASK)))
    return Stage((work / count,) * count)


def _query(generator: np.random.Generator, size: WorkloadSize) -> tuple[Stage, ...]:
    """Stages of one TPC-H-like job: every stage but the last feeds a later one, few feed two."""
    count = 2 + int(generator.binomial(16, 0.45))
    gigabytes = generator.choice((2.0, 5.0, 10.0, 20.0, 50.0, 80.0, 100.0))
    mean_work = 203.0 + (2209.0 - 203.0) * (gigabytes - 2.0) / 98.0
    work = mean_work * generator.lognormal(-0.18, 0.6)
    shares = generator.dirichlet(np.full(count, 0.5)) * 0.98 + 0.02 / count
    parents: list[list[int]] = [[] for _ in range(count)]
    for stage in range(count - 1):
        later = np.arange(stage + 1, count)
        nearness = 0.5 ** np.arange(len(later))
        parents[int(generator.choice(later, p=nearness / nearness.sum()))].append(stage)
    candidates = [(p, c) for c in range(2, count) for p in range(c - 1) if p not in parents[c]]
    if candidates and generator.random() < 0.3:
        parent, child = candidates[int(generator.integers(len(candidates)))]
        parents[child].append(parent)
    tasks = _task_counts(generator, shares, size.tasks_per_job)
    return tuple(
        _query_stage(generator, work * float(share), number, tuple(sorted(feeding)), size.waves)
        for share, number, feeding in zip(shares, tasks, parents, strict=True)
    )


def _task_counts(generator: np.random.Generator, shares: Floats, mean: float) -> list[int]:
    """Tasks of the stages, about ``mean`` together, in rough proportion to their work."""
    weights = shares * generator.lognormal(0.0, 0.5, len(shares))
    counts = np.maximum(1, np.round(mean * weights / weights.sum()))
    listed: list[int] = counts.astype(int).tolist()
    return listed


def _query_stage(
    generator: np.random.Generator, work: float, tasks: int, parents: tuple[int, ...], waves: bool
) -> Stage:
    spread = generator.lognormal(0.0, 0.2, tasks)
    durations = tuple((work * spread / spread.sum()).tolist())
    first_wave, fresh = (float(generator.uniform(*bounds)) if waves else 1.0 for bounds in (_FIRST_WAVE, _FRESH))
    return Stage(durations, parents, None, first_wave, fresh)
