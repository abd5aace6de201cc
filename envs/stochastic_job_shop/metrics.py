"""What an execution is judged by beside its objective."""

from __future__ import annotations

import numpy as np

from envs.stochastic_job_shop.types import Execution, StochasticJobShopInstance


def metrics(instance: StochasticJobShopInstance, execution: Execution) -> dict[str, float]:
    """Returns the measures of a finished execution.

    - ``makespan``: latest completion;
    - ``mean_flow_time``: mean of completion minus release;
    - ``mean_tardiness``, ``max_tardiness``: of all jobs, those without a due date are never tardy;
    - ``mean_weighted_tardiness``: sum of weight times tardiness over the sum of weights;
    - ``tardy_share``: share of jobs that are tardy;
    - ``utilisation``: processing time over makespan, mean of the machines;
    - ``down_share``: share of the makespan that machines were down, mean of the machines;
    - ``time_ratio``: processing time over the expected one.
    """
    completion = execution.ends[:, -1]
    makespan = float(completion.max())
    tardiness = np.maximum(completion - instance.due_dates, 0.0)
    length = max(makespan, 1e-9) * instance.num_machines
    repaired = np.where(np.isnan(execution.repaired_at), makespan, np.minimum(execution.repaired_at, makespan))
    weights = max(float(instance.weights.sum()), 1e-9)
    return {
        "makespan": makespan,
        "mean_flow_time": float((completion - instance.releases).mean()),
        "mean_tardiness": float(tardiness.mean()),
        "max_tardiness": float(tardiness.max()),
        "mean_weighted_tardiness": float((instance.weights * tardiness).sum() / weights),
        "tardy_share": float((tardiness > 1e-9 * max(makespan, 1.0)).mean()),
        "utilisation": float(execution.durations.sum() / length),
        "down_share": float(np.maximum(repaired - execution.failed_at, 0.0).sum() / length),
        "time_ratio": float(execution.durations.sum() / max(instance.expected.sum(), 1e-9)),
    }
