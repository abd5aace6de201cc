"""The independent checker: plain Python, no code shared with the dynamics."""

from __future__ import annotations

from envs.core import UsageError
from envs.weighted_completion.instance import Sequence, WeightedCompletionInstance


def verify(instance: WeightedCompletionInstance, solution: Sequence) -> float:
    """Returns the total weighted completion time.

    Raises:
        UsageError: A job is missing, starts before time 0, or overlaps another.
    """
    completions = [int(value) for value in solution.completions]
    if len(completions) != len(instance.times):
        raise UsageError(f"{instance.name}: {len(completions)} completion times for {len(instance.times)} jobs")
    free_at = 0
    for completion, job in sorted((completion, job) for job, completion in enumerate(completions)):
        if completion - instance.times[job] < free_at:
            raise UsageError(f"{instance.name}: job {job} completes at {completion} but cannot start before {free_at}")
        free_at = completion
    return float(sum(weight * time for weight, time in zip(instance.weights, completions, strict=True)))
