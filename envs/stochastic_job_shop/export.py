"""Executions as plain data, for JSON and CSV files; jobs, operations and machines are counted from 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.stochastic_job_shop.types import Execution, StochasticJobShopInstance


def execution_rows(instance: StochasticJobShopInstance, execution: Execution) -> list[dict[str, Any]]:
    """Returns one row a completed operation, ordered by machine and start, in the time unit of the instance."""
    rows = [
        {
            "job": job,
            "operation": operation,
            "machine": int(instance.machines[job, operation]),
            "start": float(execution.starts[job, operation]),
            "end": float(execution.ends[job, operation]),
            "processing_time": float(execution.durations[job, operation]),
            "expected_processing_time": float(instance.expected[job, operation]),
        }
        for job, operation in np.argwhere(np.isfinite(execution.ends)).tolist()
    ]
    return sorted(rows, key=lambda row: (row["machine"], row["start"], row["end"], row["job"]))


def execution_json(instance: StochasticJobShopInstance, execution: Execution) -> dict[str, Any]:
    """Returns an execution as JSON-ready data: the jobs, the rows of `execution_rows` and the failures."""
    jobs = [
        {"release": release, "due_date": due if np.isfinite(due) else None, "weight": weight, "completion": end}
        for release, due, weight, end in zip(
            instance.releases.tolist(),
            instance.due_dates.tolist(),
            instance.weights.tolist(),
            [end if np.isfinite(end) else None for end in execution.ends[:, -1].tolist()],
            strict=True,
        )
    ]
    columns = (execution.failed_machines.tolist(), execution.failed_at.tolist(), execution.repaired_at.tolist())
    failures = [
        {"machine": machine, "failed_at": failed, "repaired_at": repaired if np.isfinite(repaired) else None}
        for machine, failed, repaired in zip(*columns, strict=True)
    ]
    return {
        "instance": instance.name,
        "objective": instance.objective,
        "jobs": jobs,
        "operations": execution_rows(instance, execution),
        "failures": failures,
    }
