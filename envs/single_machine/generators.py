"""Random instances after Potts and Van Wassenhove, with weights and release times as options.

Potts and Van Wassenhove, "A decomposition algorithm for the single machine total tardiness problem", Operations
Research Letters 1(5), 1982: due dates are uniform on ``P (1 - TF - RDD/2) .. P (1 - TF + RDD/2)`` for the sum of
processing times P, the tardiness factor TF and the relative range of due dates RDD.
"""

from __future__ import annotations

import numpy as np

from envs.core.errors import UsageError
from envs.single_machine.types import SingleMachineInstance

TIMES = ("uniform", "normal")


def potts_van_wassenhove(
    jobs: int,
    tardiness_factor: float,
    due_date_range: float,
    generator: np.random.Generator,
    *,
    name: str = "drawn",
    times: str = "uniform",
    largest_weight: int = 1,
    release_range: float = 0.0,
) -> SingleMachineInstance:
    """Draws an instance.

    Args:
        jobs: Number of jobs.
        tardiness_factor: TF, about the share of jobs that are late in a random order.
        due_date_range: RDD.
        generator: Source of randomness.
        name: Name of the instance.
        times: "uniform" on 1 to 100, or "normal" with mean 60 and standard deviation 20, at least 1.
        largest_weight: Weights are uniform on 1 to this.
        release_range: Release times are uniform on 0 to this share of the sum of processing times.

    Raises:
        UsageError: ``times`` is none of the two.
    """
    if times not in TIMES:
        raise UsageError(f"times is {times!r}; expected one of {', '.join(TIMES)}")
    if times == "uniform":
        time = generator.integers(1, 100, jobs, endpoint=True)
    else:
        time = np.maximum(np.rint(generator.normal(60.0, 20.0, jobs)), 1).astype(np.int64)
    total = int(time.sum())
    weight = generator.integers(1, largest_weight, jobs, endpoint=True)
    middle, half = 1.0 - tardiness_factor, 0.5 * due_date_range
    due = np.floor(generator.uniform(total * (middle - half), total * (middle + half), jobs)).astype(np.int64)
    release = np.zeros(jobs, np.int64)
    if release_range > 0.0:
        release = np.floor(generator.uniform(0.0, release_range * total, jobs)).astype(np.int64)
        due += release
    return SingleMachineInstance(name, time, weight, due, release)
