"""The project's own JSON files, which hold a whole `VmInstance`, or a snapshot and what is to be done with it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from envs.core.errors import UsageError
from envs.core.fields import naming, shorten
from envs.core.files import write_text
from envs.vm_rescheduling.formats.columns import MACHINE_COLUMNS, VM_COLUMNS, Table, from_columns, to_columns
from envs.vm_rescheduling.formats.fields import Json, mapping, number, text, whole
from envs.vm_rescheduling.types import Objective, VmInstance

FORMAT = "vm_rescheduling/1"
_TIMES = ("delay", "migration_seconds")
_COUNTS = {"migration_limit": 1, "in_flight": 0}
_FIELDS = ("format", "name", "snapshot", "machines", "vms", *_COUNTS, "objective", *_TIMES)


def is_own(data: Json) -> bool:
    """Whether a JSON object is in the project's own format."""
    return "format" in data


def snapshot_path(path: Path, data: Json) -> Path | None:
    """Returns what the field ``snapshot`` names, relative to the folder of ``path``; None without the field."""
    if data.get("format") != FORMAT:
        raise UsageError(f"{path}: format is {shorten(data.get('format'))}; expected {FORMAT!r}")
    for field in data:
        if field not in _FIELDS:
            raise UsageError(f"{path}: unknown field {field!r}; expected some of {', '.join(_FIELDS)}")
    embedded = {"machines", "vms"} & set(data)
    if (len(embedded) != 2) if "snapshot" not in data else embedded:
        raise UsageError(f"{path}: expected either the field snapshot or the tables machines and vms")
    return path.parent / text(data, "snapshot", str(path)) if "snapshot" in data else None


def read_own(path: Path, data: Json, placement: VmInstance | None) -> VmInstance:
    """Returns the instance in a JSON object of the project's own format.

    Args:
        path: Its file.
        data: The object, which `snapshot_path` has checked.
        placement: What the field ``snapshot`` names; None for embedded tables.

    Raises:
        UsageError: A field is missing or wrong.
    """
    with naming(path):
        if placement is None:
            placement = from_columns(path.stem, *(_table(data, part) for part in ("machines", "vms")))
        settings: dict[str, Any] = {"name": text(data, "name", "the file") if "name" in data else path.stem}
        settings |= {field: whole(data[field], field, low) for field, low in _COUNTS.items() if field in data}
        settings |= {field: number(data[field], field) for field in _TIMES if field in data}
        if "objective" in data:
            settings["objective"] = _objective(mapping(data["objective"], "objective"))
        return replace(placement, **settings)


def _table(data: Json, part: str) -> Table:
    columns = mapping(data[part], part)
    for name, column in columns.items():
        if not isinstance(column, list):
            raise UsageError(f"{part}.{name} is {shorten(column)}; expected a list, one cell a row")
    return Table(columns, part, MACHINE_COLUMNS if part == "machines" else VM_COLUMNS)


def _objective(data: Json) -> Objective:
    for field in data:
        if field not in ("weights", "goal"):
            raise UsageError(f"unknown field objective.{field}; expected weights or goal")
    weights = mapping(data.get("weights", {"fr16": 1.0}), "objective.weights")
    goal = data.get("goal")
    return Objective(
        {term: number(weight, f"objective.weights.{term}") for term, weight in weights.items()},
        None if goal is None else number(goal, "objective.goal"),
    )


def write_json(instance: VmInstance, path: str | os.PathLike[str]) -> None:
    """Writes the whole instance to one JSON file."""
    machines, vms = to_columns(instance)
    data = {
        "format": FORMAT,
        "name": instance.name,
        "migration_limit": instance.migration_limit,
        "objective": {"weights": dict(instance.objective.weights), "goal": instance.objective.goal},
        "delay": instance.delay,
        "migration_seconds": instance.migration_seconds,
        "in_flight": instance.in_flight,
        "machines": machines,
        "vms": vms,
    }
    write_text(path, json.dumps(data, separators=(",", ":")) + "\n")
