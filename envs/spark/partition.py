"""Runtime partitioning: stages cut into tasks of about one length, so that no long task blocks a core.

Kazemaks et al., "User Weighted Fair Queueing", arXiv 2510.15485: a stage with the estimated slot time L is split into
floor(L / ATR) partitions, ATR being the advisory task runtime.
"""

from __future__ import annotations

from dataclasses import replace

from envs.core.errors import UsageError
from envs.spark.types import SparkInstance, Stage

ADVISORY_TASK_RUNTIME = 0.5
"""Advisory task runtime of the published partitioner, in seconds."""


def partition(instance: SparkInstance, atr: float = ADVISORY_TASK_RUNTIME) -> SparkInstance:
    """Returns the instance with every stage cut into ``max(1, floor(L / atr))`` equal tasks of the same total work.

    L is the stage's estimated slot time. The name gets the suffix ``_p``.

    Raises:
        UsageError: ``atr`` is not a positive number.
    """
    if not 0.0 < atr < float("inf"):
        raise UsageError(f"atr is {atr}; expected a finite number above 0")
    jobs = tuple(replace(job, stages=tuple(_cut(stage, atr) for stage in job.stages)) for job in instance.jobs)
    return SparkInstance(f"{instance.name}_p", instance.cores, jobs, instance.moving_delay)


def _cut(stage: Stage, atr: float) -> Stage:
    estimate = stage.work if stage.estimate is None else stage.estimate
    count = max(1, int(estimate / atr))
    return replace(stage, durations=(stage.work / count,) * count, estimate=estimate)
