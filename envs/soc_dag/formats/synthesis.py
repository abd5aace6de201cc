"""What files with one reference runtime a task leave open: how many processors, how fast each, how fast the links.

Workflow traces (WfCommons, Pegasus DAX) and task graphs (STG) give one time a task. The execution times on several
processors are drawn as Topcuoglu, Hariri and Wu (2002, section 6.1) draw theirs around a mean time:
``w[i, p] ~ U(w[i] (1 - heterogeneity / 2), w[i] (1 + heterogeneity / 2))``, independently (unrelated processors).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.core.errors import UsageError
from envs.soc_dag.types import JobType, SocInstance, make_chip, single_dag

GIGABIT = 1.25e8
"""Bytes a second on a link of 1 Gbit/s, the default bandwidth for files with volumes in bytes and times in seconds."""


@dataclass(frozen=True)
class Synthesis:
    """How to make a heterogeneous instance of a graph with one time a task.

    Attributes:
        processors: Number of processors.
        heterogeneity: Topcuoglu's beta, from 0 (identical processors) to 2.
        bandwidth: Volume a time unit between two processors; by default `GIGABIT`.
        ccr: Communication-to-computation ratio: mean transfer time over mean execution time. By default as the file
            and `bandwidth` have it. Where the file has volumes the bandwidth is set so that the ratio holds; where it
            has none (STG) they are drawn from U(0, 2 ccr mean time), with bandwidth 1.
        seed: Seed of all that is drawn.
    """

    processors: int = 8
    heterogeneity: float = 0.5
    bandwidth: float | None = None
    ccr: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every option."""
        if self.processors < 1:
            raise UsageError(f"processors is {self.processors}; expected at least 1")
        if not 0 <= self.heterogeneity <= 2:
            raise UsageError(f"heterogeneity is {self.heterogeneity}; expected 0 to 2")
        if self.bandwidth is not None and not self.bandwidth > 0:
            raise UsageError(f"bandwidth is {self.bandwidth}; expected more than 0")
        if self.ccr is not None and not 0 < self.ccr < np.inf:
            raise UsageError(f"ccr is {self.ccr}; expected more than 0")
        if self.bandwidth is not None and self.ccr is not None:
            raise UsageError("bandwidth and ccr are both set; expected one of them")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}; expected at least 0")

    def suffix(self) -> str:
        """What the options add to the name of an instance, seed included."""
        link = f"_b{self.bandwidth:g}" if self.bandwidth is not None else f"_ccr{self.ccr:g}" if self.ccr else ""
        return f"_p{self.processors}_h{self.heterogeneity:g}{link}_s{self.seed}"


def synthesise(
    name: str,
    tasks: Sequence[str],
    runtimes: Sequence[float],
    edges: Sequence[tuple[int, int, float]],
    synthesis: Synthesis,
    *,
    volumes_known: bool = True,
    time_unit: str = "s",
) -> SocInstance:
    """Returns the static instance of one job from a graph with one runtime a task.

    Args:
        name: Name of the graph; the instance's name adds the options.
        tasks: Names of the tasks.
        runtimes: Reference runtime of each.
        edges: ``(source, target, volume)`` of every edge.
        synthesis: What the file leaves open.
        volumes_known: Whether the volumes come from the file; otherwise they are drawn if a ratio is asked for.
        time_unit: Unit of the runtimes.
    """
    rng = np.random.default_rng(synthesis.seed)
    mean = np.asarray(runtimes, np.float64)
    half = synthesis.heterogeneity / 2
    times = mean[:, None] * rng.uniform(1 - half, 1 + half, (len(mean), synthesis.processors))
    volumes = np.array([volume for _, _, volume in edges], np.float64)
    bandwidth = synthesis.bandwidth or (GIGABIT if volumes_known else 1.0)
    if synthesis.ccr is not None and not volumes_known:
        volumes = rng.uniform(0.0, 2.0 * synthesis.ccr * float(times.mean()), len(edges))
    elif synthesis.ccr is not None and volumes.any() and times.any():
        bandwidth = float(volumes.mean()) / (synthesis.ccr * float(times.mean()))
    job_type = JobType(
        name,
        tuple(tasks),
        times,
        np.array([source for source, _, _ in edges], np.int64),
        np.array([target for _, target, _ in edges], np.int64),
        volumes,
    )
    processors = tuple(f"P{index + 1}" for index in range(synthesis.processors))
    chip = make_chip(f"unrelated_p{synthesis.processors}", processors, bandwidth=bandwidth)
    return single_dag(name + synthesis.suffix(), chip, job_type, time_unit=time_unit)
