"""Instances as files: JSON with the replicas, the requests and the promise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.errors import UsageError
from envs.core.files import write_text
from envs.core.settings import build_settings
from envs.serving.execution import Execution
from envs.serving.hardware import replica
from envs.serving.types import Replica, Requests, ServiceLevel, ServingInstance, make_requests

_COLUMNS = tuple(field.name for field in fields(Requests))


def read_instance(path: Path) -> ServingInstance:
    """Reads an instance.

    The file is a JSON object of ``name``, ``replicas``, ``requests`` and ``service_level``. A replica is a list of all
    fields, or ``{"model": ..., "device": ...}`` with the options of `envs.serving.hardware.replica`; requests are lists
    of equal length, of which ``arrival``, ``prompt`` and ``output`` are needed.

    Raises:
        UsageError: The file is not such an object.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path}: found {type(document).__name__}; expected an object")
    for name in ("replicas", "requests"):
        if name not in document:
            raise UsageError(f"{path}: there is no field {name!r}")
    try:
        replicas = tuple(_replica(entry) for entry in document["replicas"])
        level = build_settings(ServiceLevel, document.get("service_level", {}), "service_level")
        return ServingInstance(
            str(document.get("name", Path(path).stem)), replicas, _requests(document["requests"]), level
        )
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{path}: {' '.join(str(error).split())}") from error


def write_instance(instance: ServingInstance, path: Path) -> None:
    """Writes an instance as `read_instance` reads it."""
    document = {
        "name": instance.name,
        "replicas": [asdict(each) for each in instance.replicas],
        "requests": {name: getattr(instance.requests, name).tolist() for name in _COLUMNS},
        "service_level": asdict(instance.service_level),
    }
    write_text(path, json.dumps(document))


def _replica(entry: Any) -> Replica:
    if not isinstance(entry, Mapping):
        raise UsageError(f"a replica is {entry!r}; expected an object")
    values = dict(entry)
    if "execution" not in values:
        for name in ("model", "device"):
            if name not in values:
                raise UsageError(f"a replica lacks {name!r}; expected model and device, or execution")
        return replica(values.pop("model"), values.pop("device"), **values)
    values["execution"] = build_settings(Execution, values["execution"], "execution")
    return build_settings(Replica, values, "replica")


def _requests(columns: Any) -> Requests:
    if not isinstance(columns, Mapping):
        raise UsageError(f"requests is {type(columns).__name__}; expected lists by name")
    for name in columns:
        if name not in _COLUMNS:
            raise UsageError(f"requests has no column {name!r}; it has {', '.join(_COLUMNS)}")
    for name in ("arrival", "prompt", "output"):
        if name not in columns:
            raise UsageError(f"requests lacks the column {name!r}")
    given: dict[str, Any] = {name: np.asarray(values, np.float64) for name, values in columns.items()}
    for name in ("prompt", "output", "user", "follows"):
        if name in given:
            if not np.isfinite(given[name]).all() or (given[name] % 1.0 != 0.0).any():
                raise UsageError(f"requests.{name} has fractions; expected whole numbers")
            given[name] = given[name].astype(np.int64)
    return make_requests(given.pop("arrival"), given.pop("prompt"), given.pop("output"), **given)
