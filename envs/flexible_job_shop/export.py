"""Schedules as JSON and as rows for a CSV file."""

from __future__ import annotations

from typing import Any

from envs.flexible_job_shop.types import FlexibleJobShopInstance, Schedule


def schedule_rows(instance: FlexibleJobShopInstance, schedule: Schedule) -> list[dict[str, Any]]:
    """Returns one row a scheduled operation: job, operation, machine, start and end, by start."""
    rows = []
    for job, count in enumerate(instance.operations.tolist()):
        for k in range(count):
            machine, start = int(schedule.machines[job, k]), int(schedule.starts[job, k])
            if start >= 0:
                end = start + int(instance.times[job, k, machine])
                rows.append({"job": job, "operation": k, "machine": machine, "start": start, "end": end})
    return sorted(rows, key=lambda row: (row["start"], row["machine"], row["end"]))


def schedule_json(instance: FlexibleJobShopInstance, schedule: Schedule) -> dict[str, Any]:
    """Returns the makespan and the operations."""
    rows = schedule_rows(instance, schedule)
    return {"instance": instance.name, "makespan": max((row["end"] for row in rows), default=0), "operations": rows}
