"""Executions as plain data, for JSON and CSV files."""

from __future__ import annotations

from typing import Any

from envs.offload.metrics import measures
from envs.offload.types import EventLog, OffloadInstance


def log_rows(instance: OffloadInstance, log: EventLog) -> list[dict[str, Any]]:
    """Returns one row a dispatched task; times in seconds, servers counted from the cloud, 0."""
    rows = []
    for task, server in enumerate(log.server.tolist()):
        if server >= 0:
            rows.append(
                {
                    "task": task,
                    "user": int(instance.user[task]),
                    "bits": float(instance.bits[task]),
                    "server": server,
                    "dispatched": float(instance.dispatch_seconds[task]),
                    "uploaded": float(log.uploaded[task]),
                    "completed": float(log.completed[task]),
                }
            )
    return rows


def log_json(instance: OffloadInstance, log: EventLog) -> dict[str, Any]:
    """Returns a finished execution as JSON-ready data: instance, measures, and the rows of tasks."""
    return {
        "instance": instance.name,
        "preference": list(instance.preference),
        **measures(instance, log),
        "tasks": log_rows(instance, log),
    }
