"""What an execution is judged by beside its makespan."""

from __future__ import annotations

import numpy as np

from envs.blocking_job_shop.types import BlockingJobShopInstance, Execution


def metrics(instance: BlockingJobShopInstance, execution: Execution) -> dict[str, float]:
    """Returns the measures of a finished execution, shares of the makespan and means of the machines.

    - ``utilisation``: processing;
    - ``blocked_share``: holding a job that is processed;
    - ``shut_share``: shut down (overlapping shutdowns count twice).
    """
    makespan = float(execution.ends.max())
    length = max(makespan, 1e-9) * instance.num_machines
    opened = np.where(np.isnan(execution.opened_at), makespan, np.minimum(execution.opened_at, makespan))
    return {
        "utilisation": float(instance.times.sum() / length),
        "blocked_share": float((execution.starts[:, 1:] - execution.ends[:, :-1]).sum() / length),
        "shut_share": float(np.maximum(opened - execution.shut_at, 0.0).sum() / length),
    }
