"""Dataclasses of plain settings, built from what a user wrote."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from numbers import Integral, Real
from typing import Any, TypeVar

from envs.core.errors import UsageError

SettingsT = TypeVar("SettingsT")

_WORDS = {
    "int": "a whole number",
    "float": "a finite number",
    "str": "text",
    "bool": "true or false",
    "None": "null",
}


def build_settings(cls: type[SettingsT], values: Mapping[str, Any], where: str) -> SettingsT:
    """Builds a dataclass; values of its plain fields (numbers, text, truth values) are checked against their types.

    A whole number is taken for a ``float`` field, and a float without a fraction, such as ``2e6``, for an ``int``.

    Args:
        cls: The dataclass.
        values: Its fields by name.
        where: What the message calls the whole; names of fields are appended after a point. Empty for a whole without
            a name.

    Raises:
        UsageError: A field does not exist, is missing, or has a value of another type.
    """
    whole, prefix = where or "the configuration", f"{where}." if where else ""
    if not isinstance(values, Mapping):
        raise UsageError(f"{whole} is {values!r}; expected fields by name")
    known: dict[str, Field[Any]] = {field.name: field for field in fields(cls) if field.init}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise UsageError(f"{whole} has no field {name!r}; it has {', '.join(known)}")
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise UsageError(f"{whole} lacks the field {name!r}")
    return cls(**{name: _checked(value, known[name], prefix + name) for name, value in values.items()})


def _checked(value: Any, field: Field[Any], where: str) -> Any:
    annotation = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", "")
    kinds = [kind.strip() for kind in annotation.split("|")]
    if not set(kinds) <= set(_WORDS):
        return value
    for kind in kinds:
        if (value is None and kind == "None") or (isinstance(value, str) and kind == "str"):
            return value
        if kind == "bool" and isinstance(value, bool):
            return value
        if kind in ("int", "float") and isinstance(value, Real) and not isinstance(value, bool):
            if kind == "float" and math.isfinite(value):
                return float(value)
            if kind == "int" and isinstance(value, Integral):
                return int(value)
            if kind == "int" and float(value).is_integer():
                return int(float(value))
    raise UsageError(f"{where} is {value!r}; expected {' or '.join(_WORDS[kind] for kind in kinds)}")
