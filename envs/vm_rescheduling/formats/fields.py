"""Fields of parsed files, checked: every mistake becomes one sentence that names field and value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envs.core.errors import UsageError
from envs.core.fields import read_text, shorten

Json = Mapping[str, Any]


def load_json(path: Path) -> Json:
    """Reads a JSON file that holds one object.

    Raises:
        UsageError: The file cannot be read or holds something else.
    """
    text = read_text(path)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}, line {error.lineno}: is not JSON: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        raise UsageError(f"{path}: is not JSON that can be read: {type(error).__name__}") from None
    return mapping(data, str(path))


def mapping(value: object, where: str) -> Json:
    """Returns ``value``, an object with named fields."""
    if not isinstance(value, dict):
        raise UsageError(f"{where} is {shorten(value)}; expected an object with named fields")
    return value


def items(data: Json, field: str, where: str) -> list[Any]:
    """Returns the list in ``field``; empty where it is missing."""
    value = data.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise UsageError(f"{where}.{field} is {shorten(value)}; expected a list")
    return value


def text(data: Json, field: str, where: str) -> str:
    """Returns the text in ``field``, or the whole number that stands for one."""
    value = data.get(field)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UsageError(f"{where}.{field} is {shorten(value)}; expected a text")
    return str(value)


def number(value: object, what: str, low: float = 0.0) -> float:
    """Returns a finite number of at least ``low``, given as one or as text."""
    try:
        result = math.nan if isinstance(value, bool) or value is None else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not low <= result < math.inf:
        raise UsageError(f"{what} is {shorten(value)}; expected a number of at least {low:g}")
    return result


def whole(value: object, what: str, low: int = 0) -> int:
    """Returns a whole number of at least ``low``, given as one, as a float like 16.0 or as text."""
    try:
        result = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    except ValueError:
        result = None
    if result is None:
        try:
            real = number(value, what, low)
        except UsageError:
            real = math.nan
        result = int(real) if real.is_integer() else None
    if result is None or not low <= result < 2**62:
        raise UsageError(f"{what} is {shorten(value)}; expected a whole number of at least {low}")
    return result
