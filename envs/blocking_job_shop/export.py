"""Executions as JSON and as rows for a CSV file; jobs, operations and machines are counted from 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.blocking_job_shop.types import BlockingJobShopInstance, Execution


def execution_rows(instance: BlockingJobShopInstance, execution: Execution) -> list[dict[str, Any]]:
    """Returns one row an operation that has been processed, by machine and start.

    ``leave`` is when the job left the machine, None if it has not.
    """
    rows = []
    for job, k in np.argwhere(np.isfinite(execution.ends)).tolist():
        end = float(execution.ends[job, k])
        after = end if k + 1 == instance.operations else float(execution.starts[job, k + 1])
        rows.append(
            {
                "job": job,
                "operation": k,
                "machine": int(instance.machines[job, k]),
                "start": float(execution.starts[job, k]),
                "end": end,
                "leave": after if np.isfinite(after) else None,
            }
        )
    return sorted(rows, key=lambda row: (row["machine"], row["start"], row["end"], row["job"]))


def execution_json(instance: BlockingJobShopInstance, execution: Execution) -> dict[str, Any]:
    """Returns the makespan, the operations and the shutdowns."""
    ends = execution.ends[np.isfinite(execution.ends)]
    columns = (execution.shut_machines.tolist(), execution.shut_at.tolist(), execution.opened_at.tolist())
    return {
        "instance": instance.name,
        "makespan": float(ends.max(initial=0.0)),
        "operations": execution_rows(instance, execution),
        "shutdowns": [
            {"machine": machine, "shut_at": shut, "opened_at": opened if np.isfinite(opened) else None}
            for machine, shut, opened in zip(*columns, strict=True)
        ],
    }
