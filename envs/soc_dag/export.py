"""Executions as plain data, for JSON and CSV files."""

from __future__ import annotations

import math
from typing import Any

from envs.soc_dag.metrics import metrics
from envs.soc_dag.types import SocInstance, Trace


def trace_rows(instance: SocInstance, trace: Trace) -> list[dict[str, Any]]:
    """Returns one row a run of a task, ordered by processing element (PE) and start.

    Jobs, tasks and PEs are counted from 0, with their names beside; times are in the time unit of the instance.
    """
    kinds = instance.job_types
    rows = [
        {
            "job": int(job),
            "job_type": kinds[trace.job_type[job]].name,
            "task": int(task),
            "task_name": kinds[trace.job_type[job]].tasks[task],
            "processor": int(processor),
            "processor_name": instance.chip.processors[processor],
            "mapped": float(mapped),
            "start": float(start),
            "end": float(end),
            "lost": bool(lost),
        }
        for job, task, processor, mapped, start, end, lost in zip(
            trace.job, trace.task, trace.processor, trace.mapped, trace.start, trace.end, trace.lost, strict=True
        )
    ]
    return sorted(rows, key=lambda row: (row["processor"], row["start"], row["end"], row["job"], row["task"]))


def trace_json(instance: SocInstance, trace: Trace) -> dict[str, Any]:
    """Returns the execution as JSON-ready data: instance, metrics, jobs, and the rows of `trace_rows`.

    What is undefined, such as the completion of a job that was not completed, is null.
    """
    return {
        "instance": instance.name,
        "chip": instance.chip.name,
        "time_unit": instance.time_unit,
        "metrics": {name: _number(value) for name, value in metrics(instance, trace).items()},
        "jobs": [
            {
                "job": job,
                "job_type": instance.job_types[trace.job_type[job]].name,
                "arrived": float(trace.arrived[job]),
                "admitted": float(trace.admitted[job]),
                "completed": _number(float(trace.completed[job])),
            }
            for job in range(len(trace.job_type))
        ],
        "runs": trace_rows(instance, trace),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
