"""Executions as plain data, for JSON and CSV files."""

from __future__ import annotations

from typing import Any

from envs.spark.metrics import job_times, task_ends
from envs.spark.types import SparkInstance, Trace


def trace_rows(instance: SparkInstance, trace: Trace) -> list[dict[str, Any]]:
    """Returns one row a started task, ordered by core and start; everything is counted from 0, times in seconds."""
    ends = task_ends(instance, trace)
    rows = []
    for s, job in enumerate(instance.stage_job.tolist()):
        first = int(instance.task_from[s])
        stage = s - int((instance.stage_job < job).sum())
        for t in range(first, int(instance.task_from[s + 1])):
            if trace.starts[t] >= 0.0:
                rows.append(
                    {
                        "user": instance.jobs[job].user,
                        "job": job,
                        "stage": stage,
                        "task": t - first,
                        "core": int(trace.cores[t]),
                        "start": float(trace.starts[t]),
                        "end": float(ends[t]),
                    }
                )
    return sorted(rows, key=lambda row: (row["core"], row["start"]))


def trace_json(instance: SparkInstance, trace: Trace) -> dict[str, Any]:
    """Returns a finished execution as JSON-ready data: instance, jobs with their times, and the rows of tasks."""
    times = job_times(instance, trace)
    jobs = [
        {"user": job.user, "submission": float(s), "completion": float(c)}
        for job, s, c in zip(instance.jobs, times.submission, times.completion, strict=True)
    ]
    return {
        "instance": instance.name,
        "cores": instance.cores,
        "mean_response": float(times.response.mean()),
        "jobs": jobs,
        "tasks": trace_rows(instance, trace),
    }
