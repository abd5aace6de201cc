"""Instances in files: one JSON document an episode.

    {"name": "lunch_0",
     "system": {"cloud_hertz": 4e9, "edge_hertz": [2e9, 2e9], "users": 2, "horizon": 100, ...},
     "bits_per_second": [[4.1e8, 7.2e8, 7.0e8], [3.9e8, 7.3e8, 6.8e8]],
     "preference": [0.95, 0.05],
     "tasks": [{"arrival": 0, "dispatch": 0, "bits": 1.6e7, "user": 1}, ...]}

``system`` has the fields of `envs.offload.types.System`, those left out are the published ones; rates are one row a
user, the cloud first. Without ``dispatch`` tasks leave the line in the order of their arrival, one a step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from envs.core.errors import UsageError
from envs.core.files import write_text
from envs.core.settings import build_settings
from envs.offload.preferences import spread
from envs.offload.types import OffloadInstance, System

_TASK = {"arrival": int, "bits": float, "user": int}


def read_instance(path: Path) -> OffloadInstance:
    """Reads an episode.

    Raises:
        UsageError: The file cannot be read, or a field is missing or has a value that is not possible.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; expected a JSON file") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise UsageError(f"{path} holds {type(document).__name__}; expected an object with system and tasks")
    for name in ("system", "bits_per_second", "tasks"):
        if name not in document:
            raise UsageError(f"{path} lacks the field {name!r}")
    try:
        return _build(path, document)
    except UsageError as error:
        message = str(error)
        raise UsageError(message if message.startswith(str(path)) else f"{path}: {message}") from None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path} cannot be understood: {error}") from None


def write_instance(path: Path, instance: OffloadInstance) -> None:
    """Writes an episode so that `read_instance` gives it back exactly."""
    write_text(path, json.dumps(instance_json(instance), indent=1) + "\n")


def instance_json(instance: OffloadInstance) -> dict[str, Any]:
    """Returns an episode as JSON-ready data."""
    columns = (instance.arrival, instance.dispatch, instance.bits, instance.user)
    names = ("arrival", "dispatch", "bits", "user")
    return {
        "name": instance.name,
        "system": {**vars(instance.system), "edge_hertz": list(instance.system.edge_hertz)},
        "bits_per_second": instance.bits_per_second.tolist(),
        "preference": list(instance.preference),
        "tasks": [dict(zip(names, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True)],
    }


def _build(path: Path, document: dict[str, Any]) -> OffloadInstance:
    system = build_settings(System, document["system"], "system")
    tasks = document["tasks"]
    if not isinstance(tasks, list) or not tasks:
        raise UsageError(f"{path}: tasks is {tasks!r}; expected a list of at least one task")
    columns: dict[str, list[Any]] = {name: [] for name in (*_TASK, "dispatch")}
    last = -1
    for number, task in enumerate(tasks):
        for name in _TASK:
            columns[name].append(_number(f"tasks[{number}]", task, name))
        given = isinstance(task, dict) and "dispatch" in task
        last = _number(f"tasks[{number}]", task, "dispatch") if given else max(columns["arrival"][-1], last + 1)
        columns["dispatch"].append(last)
    default = (*spread(1)[0], 0.0)[: len(system.criteria)]
    return OffloadInstance(
        str(document.get("name", Path(path).stem)),
        system,
        document["bits_per_second"],
        columns["arrival"],  # type: ignore[arg-type]  # lists become arrays
        columns["dispatch"],  # type: ignore[arg-type]
        columns["bits"],  # type: ignore[arg-type]
        columns["user"],  # type: ignore[arg-type]
        tuple(document.get("preference", default)),
    )


def _number(where: str, task: Any, name: str) -> Any:
    if not isinstance(task, dict) or name not in task:
        raise UsageError(f"{where} is {task!r}; expected an object with {', '.join(_TASK)}")
    value = task[name]
    kind = _TASK.get(name, int)
    if isinstance(value, bool) or not isinstance(value, int | float) or (kind is int and value != int(value)):
        expected = "a whole number" if kind is int else "a number"
        raise UsageError(f"{where}.{name} is {value!r}; expected {expected}")
    return kind(value)
