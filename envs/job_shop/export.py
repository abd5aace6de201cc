"""Schedules as plain data, for JSON and CSV files."""

from __future__ import annotations

from typing import Any

from envs.job_shop.types import JobShopInstance, Schedule


def schedule_rows(instance: JobShopInstance, schedule: Schedule) -> list[dict[str, Any]]:
    """Returns one row per scheduled operation, ordered by machine and start.

    Jobs, operations and machines are counted from 0; times are in the time unit of the instance.
    """
    rows = [
        {
            "job": job,
            "operation": operation,
            "machine": int(instance.machines[job, operation]),
            "start": int(schedule.starts[job, operation]),
            "end": int(schedule.starts[job, operation] + instance.times[job, operation]),
        }
        for job in range(instance.num_jobs)
        for operation in range(instance.num_operations)
        if schedule.starts[job, operation] >= 0
    ]
    return sorted(rows, key=lambda row: (row["machine"], row["start"], row["end"], row["job"]))


def schedule_json(instance: JobShopInstance, schedule: Schedule) -> dict[str, Any]:
    """Returns the schedule as JSON-ready data: instance name, sizes, makespan and the rows of `schedule_rows`."""
    rows = schedule_rows(instance, schedule)
    return {
        "instance": instance.name,
        "jobs": instance.num_jobs,
        "machines": instance.num_machines,
        "makespan": max((row["end"] for row in rows), default=0),
        "operations": rows,
    }
