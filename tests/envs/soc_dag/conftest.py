"""Instances that several tests share."""

import json
from pathlib import Path

import numpy as np
import pytest

from envs.soc_dag.types import Arrivals, JobType, SocInstance, make_chip, single_dag

VECTORS = Path(__file__).parent / "vectors"


@pytest.fixture(scope="session")
def vector_instance():
    """Builds the instance of a stored vector by its name."""

    def build(name):
        vector = json.loads((VECTORS / f"{name}.json").read_text())
        times, edges = np.array(vector["comp"]), np.array(vector["edges"])
        processors = times.shape[1]
        bandwidth = np.array(np.broadcast_to(vector["bandwidth_offdiag"], (processors, processors)), float)
        np.fill_diagonal(bandwidth, np.inf)
        chip = make_chip("chip", tuple(f"P{p + 1}" for p in range(processors)), bandwidth=bandwidth)
        tasks = tuple(str(task) for task in range(len(times)))
        return single_dag(name, chip, JobType(name, tasks, times, edges[:, 0], edges[:, 1], edges[:, 2]))

    return build


@pytest.fixture(scope="session")
def random_instance():
    """Builds a small static instance: unsupported pairs, times of 0, latencies, several jobs with releases."""

    def build(seed, *, tasks=6, jobs=3, whole=False, **options):
        rng = np.random.default_rng(seed)
        processors = int(rng.integers(1, 5))
        bandwidth = rng.choice([0.5, 1.0, 3.0, np.inf], size=(processors, processors))
        chip = make_chip(
            "chip",
            tuple(f"P{p}" for p in range(processors)),
            bandwidth=1.0 if whole else bandwidth,
            latency=rng.integers(0, 3, size=(processors, processors)).astype(float),
            memory_bandwidth=1.0 if whole else rng.choice([1.0, 2.5, np.inf], size=processors),
            active_power=rng.uniform(0.1, 3.0, size=processors),
            idle_power=0.1,
        )
        kinds = tuple(
            _random_job(rng, f"type_{k}", int(rng.integers(1, tasks + 1)), processors, whole) for k in range(2)
        )
        releases = tuple((int(rng.integers(2)), float(rng.integers(0, 20))) for _ in range(rng.integers(1, jobs + 1)))
        return SocInstance(f"random_{seed}", chip, kinds, Arrivals(releases=releases), **options)

    return build


def _random_job(rng, name, tasks, processors, whole):
    times = rng.integers(0, 9, size=(tasks, processors)).astype(float)
    if not whole:
        times += rng.choice([0.0, 0.37], size=times.shape)
    unsupported = rng.random(times.shape) < 0.3
    unsupported[np.arange(tasks), rng.integers(processors, size=tasks)] = False
    times[unsupported] = np.inf
    edges = [(i, j) for j in range(tasks) for i in range(j) if rng.random() < 0.4]
    sources, targets = (np.array([edge[end] for edge in edges], np.int64) for end in (0, 1))
    volumes = rng.integers(0, 12, size=len(edges)).astype(float)
    return JobType(name, tuple(f"t{task}" for task in range(tasks)), times, sources, targets, volumes)
