"""Reading columns of CSV files, with messages that say what is wrong and where."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError


def read_columns(path: Path, names: Sequence[str], text: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """Returns columns of a CSV file with a header: numbers as float64, text as it stands.

    Raises:
        UsageError: The file cannot be read, lacks a column, has no rows, or a value is no finite number.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            for name in (*names, *text):
                if name not in header:
                    raise UsageError(f"{path}: there is no column {name!r}; there are {', '.join(header)}")
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise UsageError(f"{path} has no rows")
    columns: dict[str, NDArray[Any]] = {name: np.array([row[name] for row in rows]) for name in text}
    for name in names:
        columns[name] = np.array([_number(path, line, name, row[name]) for line, row in enumerate(rows, 2)])
    return columns


def _number(path: Path, line: int, name: str, value: str | None) -> float:
    try:
        number = float(value or "")
    except ValueError:
        number = np.inf
    if not np.isfinite(number):
        raise UsageError(f"{path}, line {line}: {name} is {value!r}; expected a finite number")
    return number
