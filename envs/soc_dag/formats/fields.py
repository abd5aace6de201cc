"""Fields of parsed files, checked: every mistake becomes one sentence that names field and value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envs.core.errors import UsageError
from envs.core.fields import shorten


def number(value: object, field: str, *, low: float = 0.0, infinite: bool = False) -> float:
    """Returns ``value`` as a number of at least ``low``.

    Raises:
        UsageError: It is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{field} is {shorten(value)}; expected a number")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if math.isnan(result) or result < low or (math.isinf(result) and not infinite):
        raise UsageError(f"{field} is {shorten(value)}; expected a number of at least {low:g}")
    return result


def parse_number(text: str, field: str, *, low: float = 0.0) -> float:
    """Returns the number that ``text`` spells, see `number`."""
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{field} is {shorten(text)}; expected a number") from None
    return number(value, field, low=low)


@dataclass(frozen=True)
class Fields:
    """A mapping read from a file, and what messages call it.

    Attributes:
        values: The mapping.
        where: Path of field names from the top of the file, empty at the top.
    """

    values: Mapping[str, Any]
    where: str = ""

    @classmethod
    def of(cls, value: object, where: str = "") -> Fields:
        """Returns ``value`` as fields.

        Raises:
            UsageError: It is no mapping with text keys.
        """
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise UsageError(f"{where or 'the file'} is {shorten(value)}; expected a mapping of fields")
        return cls(value, where)

    def name(self, field: str) -> str:
        """Returns the path of ``field``."""
        return f"{self.where}.{field}" if self.where else field

    def check_known(self, known: Sequence[str]) -> None:
        """Raises a `UsageError` for a field that is none of ``known``."""
        for field in self.values:
            if field not in known:
                raise UsageError(f"unknown field {self.name(field)}; expected one of {', '.join(known)}")

    def has(self, field: str) -> bool:
        """True if ``field`` is there and not null."""
        return self.values.get(field) is not None

    def raw(self, field: str) -> Any:
        """Returns the value of ``field`` as it is.

        Raises:
            UsageError: It is missing.
        """
        if not self.has(field):
            raise UsageError(f"field {self.name(field)} is missing")
        return self.values[field]

    def text(self, field: str, default: str | None = None) -> str:
        """Returns ``field``, a text or a whole number that stands for one."""
        value = self.raw(field) if default is None else self.values.get(field, default)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise UsageError(f"{self.name(field)} is {shorten(value)}; expected a text")
        return str(value)

    def flag(self, field: str, default: bool) -> bool:
        """Returns ``field``, true or false."""
        value = self.values.get(field, default)
        if not isinstance(value, bool):
            raise UsageError(f"{self.name(field)} is {shorten(value)}; expected true or false")
        return value

    def number(self, field: str, default: float | None = None, *, low: float = 0.0, infinite: bool = False) -> float:
        """Returns ``field``, a number of at least ``low``."""
        value = self.raw(field) if default is None else self.values.get(field, default)
        return number(value, self.name(field), low=low, infinite=infinite)

    def integer(self, field: str, default: int | None = None, *, low: int = 0) -> int:
        """Returns ``field``, a whole number of at least ``low``."""
        value = self.raw(field) if default is None else self.values.get(field, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise UsageError(f"{self.name(field)} is {shorten(value)}; expected a whole number of at least {low}")
        return value

    def fields(self, field: str) -> Fields:
        """Returns ``field``, a mapping."""
        return Fields.of(self.raw(field), self.name(field))

    def items(self, field: str) -> list[Any]:
        """Returns ``field``, a list; empty where it is missing."""
        value = self.values.get(field)
        if value is None:
            return []
        if not isinstance(value, list):
            raise UsageError(f"{self.name(field)} is {shorten(value)}; expected a list")
        return value

    def entries(self, field: str) -> list[Fields]:
        """Returns ``field``, a list of mappings; empty where it is missing."""
        return [Fields.of(each, f"{self.name(field)}[{index}]") for index, each in enumerate(self.items(field))]
