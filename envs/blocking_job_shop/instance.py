"""Instances as files: JSON, and the text formats of the job shop with lines for what they lack.

Text: a job shop in the standard or in Taillard's format (`envs.core.shop_text`), and anywhere between its lines
``swap yes`` or ``swap no``, ``shutdown`` and a probability, ``shutdown_rate`` and a rate, ``repair_time`` and a time.
JSON: an object with the fields of `BlockingJobShopInstance`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from envs.blocking_job_shop.types import BlockingJobShopInstance
from envs.core.errors import UsageError
from envs.core.fields import naming, read_text, shorten
from envs.core.files import write_text
from envs.core.shop_text import parse_shop

_NUMBERS = ("shutdown", "shutdown_rate", "repair_time")
_REQUIRED = ("machines", "times", "num_machines")
_SWAPS = {"yes": True, "no": False}


def read_instance(path: str | os.PathLike[str]) -> BlockingJobShopInstance:
    """Reads an instance: JSON if the text begins with a brace, else a text format.

    Raises:
        UsageError: The file cannot be read or does not hold an instance; the message names file, field and value.
    """
    path = Path(path)
    text = read_text(path)
    with naming(path):
        if text.lstrip().startswith("{"):
            return _from_json(text, path.stem)
        return parse_text(text, path.stem, str(path))


def parse_text(text: str, name: str, source: str) -> BlockingJobShopInstance:
    """Reads an instance from text in one of the text formats.

    Raises:
        UsageError: The text does not hold an instance; the message names source, line and value.
    """
    options: dict[str, Any] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].lower().split()
        if not words or words[0] not in ("swap", *_NUMBERS):
            continue
        if words[0] in options:
            raise UsageError(f"{source}, line {number}: a second line {words[0]!r}; expected one")
        options[words[0]] = _option(words, f"{source}, line {number}")
        lines[number - 1] = ""
    shop = parse_shop("\n".join(lines), source)
    machines, times = shop.machines.astype(np.int64), shop.times.astype(np.int64)
    return BlockingJobShopInstance(name, machines, times, shop.num_machines, **options)


def write_instance(instance: BlockingJobShopInstance, path: str | os.PathLike[str]) -> None:
    """Writes an instance to ``path`` as JSON, whole or not at all."""
    write_text(path, json.dumps(instance_json(instance), indent=1) + "\n")


def instance_json(instance: BlockingJobShopInstance) -> dict[str, Any]:
    """Returns an instance as JSON-ready data."""
    return {
        "name": instance.name,
        "num_machines": instance.num_machines,
        "swap": instance.swap,
        **{field: getattr(instance, field) for field in _NUMBERS},
        "machines": instance.machines.tolist(),
        "times": instance.times.tolist(),
    }


def _option(words: list[str], source: str) -> bool | float:
    field, values = words[0], words[1:]
    if field == "swap":
        if len(values) != 1 or values[0] not in _SWAPS:
            raise UsageError(f"{source}: swap is {shorten(' '.join(values))}; expected yes or no")
        return _SWAPS[values[0]]
    try:
        (number,) = map(float, values)
    except ValueError:
        raise UsageError(f"{source}: {field} is {shorten(' '.join(values))}; expected a number") from None
    return number


def _from_json(text: str, name: str) -> BlockingJobShopInstance:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"line {error.lineno} is no JSON: {error.msg}") from None
    known = ("name", "swap", *_REQUIRED, *_NUMBERS)
    for field in data:
        if field not in known:
            raise UsageError(f"has a field {field!r}; expected some of {', '.join(known)}")
    for field in _REQUIRED:
        if field not in data:
            raise UsageError(f"lacks the field {field!r}")
    if not isinstance(data.get("swap", True), bool):
        raise UsageError(f"swap is {shorten(data['swap'])}; expected true or false")
    for field in (*_NUMBERS, "num_machines"):
        kinds = (int,) if field == "num_machines" else (int, float)
        if not isinstance(data.get(field, 0), kinds) or isinstance(data.get(field), bool):
            raise UsageError(f"{field} is {shorten(data[field])}; expected a number")
    for field in ("machines", "times"):
        try:
            data[field] = np.array(data[field])
        except ValueError:
            raise UsageError(f"{field} is {shorten(data[field])}; expected rows of one length") from None
        if data[field].dtype.kind not in "iu":
            raise UsageError(f"{field} is {shorten(data[field].tolist())}; expected rows of whole numbers")
    return BlockingJobShopInstance(**{"name": name, **data})
