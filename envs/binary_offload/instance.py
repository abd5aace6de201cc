"""Reading and writing instances as JSON, ``{"format": "binary_offload/1", ...}``.

===============  ===========================================================================================
``gains``        channel power gains of the devices, a list
``weights``      their weights, a list; by default all 1
``name``         name for reports; by default that of the file
``system``       constants by name, see `envs.binary_offload.types.System`; those left out have their defaults
``optimal_rate`` largest weighted rate in bit/s, where it is known
===============  ===========================================================================================

The published draws, thousands in a file, are read by `envs.binary_offload.draws`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from envs.binary_offload.types import BinaryOffloadInstance, System
from envs.core.errors import UsageError
from envs.core.files import write_text
from envs.core.settings import build_settings

FORMAT = "binary_offload/1"
_FIELDS = ("format", "name", "gains", "weights", "system", "optimal_rate")


def read_instance(path: str | os.PathLike[str]) -> BinaryOffloadInstance:
    """Reads an instance.

    Raises:
        UsageError: The file cannot be read, or is malformed.
    """
    path = Path(path)
    data = _load(path)
    if data.get("format") != FORMAT:
        raise UsageError(f"{path}: format is {_short(data.get('format'))}; expected {FORMAT!r}")
    for field in data:
        if field not in _FIELDS:
            raise UsageError(f"{path}: unknown field {field!r}; expected some of {', '.join(_FIELDS)}")
    gains = _numbers(path, data, "gains")
    weights = _numbers(path, data, "weights") if "weights" in data else [1.0] * len(gains)
    name, optimal = data.get("name", path.stem), data.get("optimal_rate")
    if not isinstance(name, str):
        raise UsageError(f"{path}: name is {_short(name)}; expected a text")
    if optimal is not None and not _is_number(optimal):
        raise UsageError(f"{path}: optimal_rate is {_short(optimal)}; expected a number")
    try:
        system = build_settings(System, data.get("system", {}), "system")
        return BinaryOffloadInstance(name, gains, weights, system, None if optimal is None else float(optimal))  # type: ignore[arg-type]
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def write_instance(instance: BinaryOffloadInstance, path: str | os.PathLike[str]) -> None:
    """Writes the whole instance, so that it is read back as it was."""
    data = {
        "format": FORMAT,
        "name": instance.name,
        "gains": instance.gains.tolist(),
        "weights": instance.weights.tolist(),
        "system": asdict(instance.system),
    }
    if instance.optimal_rate is not None:
        data["optimal_rate"] = instance.optimal_rate
    write_text(path, json.dumps(data) + "\n")


def _load(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path}: cannot read the instance file: {error.strerror}") from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{path}: expected a JSON file: {type(error).__name__}") from None
    if not isinstance(data, dict):
        raise UsageError(f"{path}: holds {_short(data)}; expected an object with named fields")
    return data


def _numbers(path: Path, data: Mapping[str, Any], field: str) -> list[float]:
    values = data.get(field)
    if not isinstance(values, list) or not all(_is_number(value) for value in values):
        raise UsageError(f"{path}: {field} is {_short(values)}; expected a list of numbers, one a device")
    return [float(value) for value in values]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."
