"""Instances as files: our JSON, and the text formats of the job shop with lines of words for what they lack.

Text: a job shop in the standard or in Taillard's format (`envs.core.shop_text`), and anywhere between its lines

- ``releases``, ``due_dates`` or ``weights`` and one number a job (``inf``: no due date);
- ``law`` and the law's name, for ``lognormal`` also sigma;
- ``least`` or ``greatest``, the number of a job counted from 0, and one number an operation: the least or greatest
  processing times of the laws ``triangular`` and ``pert`` (without one: the most likely);
- ``breakdowns``, the mean time to failure and the mean time of a repair;
- ``objective`` and its name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.errors import UsageError
from envs.core.fields import naming, read_text, shorten
from envs.core.files import write_text
from envs.core.shop_text import parse_shop
from envs.stochastic_job_shop.types import StochasticJobShopInstance

_COLUMNS = ("releases", "due_dates", "weights")
_NUMBERS = ("sigma", "time_to_failure", "repair_time")
_WORDS = (*_COLUMNS, "law", "least", "greatest", "breakdowns", "objective")


def read_instance(path: str | os.PathLike[str]) -> StochasticJobShopInstance:
    """Reads an instance: our JSON if the text begins with a brace, else a text format.

    Raises:
        UsageError: The file cannot be read or does not hold an instance; the message names file, field and value.
    """
    path = Path(path)
    text = read_text(path)
    with naming(path):
        if text.lstrip().startswith("{"):
            return _from_json(text, path.stem)
        return parse_text(text, path.stem, str(path))


def write_instance(instance: StochasticJobShopInstance, path: str | os.PathLike[str]) -> None:
    """Writes an instance to ``path`` as JSON, whole or not at all."""
    write_text(path, json.dumps(instance_json(instance), indent=1) + "\n")


def instance_json(instance: StochasticJobShopInstance) -> dict[str, Any]:
    """Returns an instance as JSON-ready data; null stands for no due date."""
    due_dates = [date if np.isfinite(date) else None for date in instance.due_dates.tolist()]
    return {
        "name": instance.name,
        "objective": instance.objective,
        "law": instance.law,
        **{name: getattr(instance, name) for name in _NUMBERS},
        "num_machines": instance.num_machines,
        "machines": instance.machines.tolist(),
        "times": instance.times.tolist(),
        "releases": instance.releases.tolist(),
        "due_dates": due_dates,
        "weights": instance.weights.tolist(),
    }


def parse_text(text: str, name: str, source: str) -> StochasticJobShopInstance:
    """Reads an instance from text in one of the text formats.

    Raises:
        UsageError: The text does not hold an instance; the message names source, line and value.
    """
    words: dict[tuple[str, ...], list[str]] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines):
        parts = line.partition("#")[0].split()
        if parts and parts[0].lower() in _WORDS:
            word = parts[0].lower()
            key: tuple[str, ...] = (word, parts[1]) if word in ("least", "greatest") and len(parts) > 1 else (word,)
            if key in words:
                raise UsageError(f"{source}, line {number + 1}: a second line {' '.join(key)!r}; expected one")
            words[key] = parts[len(key) :]
            lines[number] = ""
    shop = parse_shop("\n".join(lines), source)
    times = np.repeat(shop.times[:, :, None].astype(np.float64), 3, axis=2)
    options: dict[str, Any] = {}
    for key, values in words.items():
        if key[0] in ("least", "greatest"):
            _put_row(times[:, :, 0 if key[0] == "least" else 2], key, values, source)
        else:
            options |= _OPTIONS[key[0]](key[0], values, source)
    return StochasticJobShopInstance(name, shop.machines, times, shop.num_machines, **options)


def _put_row(matrix: Any, key: tuple[str, ...], values: list[str], source: str) -> None:
    rows, columns = matrix.shape
    if len(key) < 2 or not key[1].isdigit() or int(key[1]) >= rows:
        raise UsageError(f"{source}: line {' '.join(key)!r}; expected a job of 0 to {rows - 1} after {key[0]!r}")
    if len(values) != columns:
        raise UsageError(f"{source}: line {' '.join(key)!r} has {len(values)} numbers; expected {columns}")
    matrix[int(key[1])] = _numbers(key[0], values, source)


def _numbers(word: str, values: list[str], source: str) -> list[float]:
    try:
        return [float(value) for value in values]
    except ValueError:
        raise UsageError(f"{source}: {word} is {shorten(' '.join(values))}; expected numbers") from None


def _column(word: str, values: list[str], source: str) -> dict[str, Any]:
    return {word: _numbers(word, values, source)}


def _law(word: str, values: list[str], source: str) -> dict[str, Any]:
    if len(values) not in (1, 2):
        raise UsageError(f"{source}: {word} is {shorten(' '.join(values))}; expected a name, and sigma for 'lognormal'")
    return {"law": values[0], "sigma": _numbers(word, values[1:], source)[0] if len(values) == 2 else 0.0}


def _breakdowns(word: str, values: list[str], source: str) -> dict[str, Any]:
    if len(values) != 2:
        raise UsageError(f"{source}: {word} has {len(values)} numbers; expected mean time to failure and repair time")
    return dict(zip(("time_to_failure", "repair_time"), _numbers(word, values, source), strict=True))


def _objective(word: str, values: list[str], source: str) -> dict[str, Any]:
    return {word: " ".join(values)}


_OPTIONS: Mapping[str, Callable[[str, list[str], str], dict[str, Any]]] = {
    **dict.fromkeys(_COLUMNS, _column),
    "law": _law,
    "breakdowns": _breakdowns,
    "objective": _objective,
}


def _from_json(text: str, name: str) -> StochasticJobShopInstance:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"line {error.lineno} is no JSON: {error.msg}") from None
    known = ("name", "objective", "law", *_NUMBERS, "num_machines", "machines", "times", *_COLUMNS)
    for field in data:
        if field not in known:
            raise UsageError(f"has a field {field!r}; expected some of {', '.join(known)}")
    for field in ("num_machines", "machines", "times"):
        if field not in data:
            raise UsageError(f"lacks the field {field!r}")
    if data.get("due_dates") is not None:
        data["due_dates"] = [np.inf if date is None else date for date in _list(data, "due_dates")]
    for field in _NUMBERS:
        if not isinstance(data.get(field, 0.0), int | float) or isinstance(data.get(field), bool):
            raise UsageError(f"{field} is {shorten(data[field])}; expected a number")
    if not isinstance(data["num_machines"], int):
        raise UsageError(f"num_machines is {shorten(data['num_machines'])}; expected a whole number")
    for field in ("machines", "times", *(column for column in _COLUMNS if data.get(column) is not None)):
        try:
            data[field] = np.array(_list(data, field), np.int32 if field == "machines" else np.float64)
        except (TypeError, ValueError, OverflowError):
            raise UsageError(
                f"{field} is {shorten(data[field])}; expected rows of numbers, all of one length"
            ) from None
    return StochasticJobShopInstance(**{"name": name, **data})


def _list(data: Mapping[str, Any], field: str) -> list[Any]:
    value = data[field]
    if not isinstance(value, list):
        raise UsageError(f"{field} is {shorten(value)}; expected a list")
    return value
