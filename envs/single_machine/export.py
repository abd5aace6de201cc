"""Orders as JSON and as rows for a CSV file."""

from __future__ import annotations

from typing import Any

from envs.single_machine.types import JobOrder, SingleMachineInstance
from envs.single_machine.verify import timetable


def order_rows(instance: SingleMachineInstance, order: JobOrder) -> list[dict[str, Any]]:
    """Returns one row a job, in the order: job, start, end, due date, weight and weighted tardiness."""
    return [
        {
            "job": job,
            "start": start,
            "end": end,
            "due": int(instance.due[job]),
            "weight": int(instance.weight[job]),
            "weighted_tardiness": cost,
        }
        for job, start, end, cost in timetable(instance, order)
    ]


def order_json(instance: SingleMachineInstance, order: JobOrder) -> dict[str, Any]:
    """Returns the total weighted tardiness and the jobs."""
    rows = order_rows(instance, order)
    total = sum(row["weighted_tardiness"] for row in rows)
    return {"instance": instance.name, "total_weighted_tardiness": total, "jobs": rows}
