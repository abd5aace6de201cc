"""Reading and writing instances: JSON, rows of numbers, and the collections that the field passes around.

JSON is ``{"format": "single_machine/1", "time": [...], "weight": [...], "due": [...], "release": [...]}`` with weights
1 and releases 0 by default, and an optional ``name``. A text file holds one instance as three or four rows of as many
numbers: times, weights, due dates and, if there are four, release times; text after ``#`` is a comment.

OR-Library's files of weighted tardiness hold many instances of one size, each as times, weights and due dates, with
line breaks anywhere (`read_orlib`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.errors import UsageError
from envs.core.fields import naming, read_text, shorten
from envs.core.files import write_text
from envs.single_machine.types import SingleMachineInstance

FORMAT = "single_machine/1"
_FIELDS = ("format", "name", "time", "weight", "due", "release")


def read_instance(path: str | os.PathLike[str]) -> SingleMachineInstance:
    """Reads an instance from JSON or from rows of numbers, whichever it is.

    Raises:
        UsageError: The file cannot be read, or is malformed.
    """
    path = Path(path)
    text = read_text(path)
    with naming(path):
        return _from_json(text, path.stem) if text.lstrip().startswith("{") else _from_rows(text, path.stem)


def write_instance(instance: SingleMachineInstance, path: str | os.PathLike[str]) -> None:
    """Writes the whole instance as JSON, so that it is read back as it was."""
    columns = {name: getattr(instance, name).tolist() for name in ("time", "weight", "due", "release")}
    write_text(path, json.dumps({"format": FORMAT, "name": instance.name, **columns}) + "\n")


def read_orlib(path: str | os.PathLike[str], jobs: int, prefix: str) -> list[SingleMachineInstance]:
    """Reads a file of OR-Library's weighted tardiness instances.

    Args:
        path: The file.
        jobs: Number of jobs of every instance.
        prefix: Instances are named ``prefix_1``, ``prefix_2``, ...

    Raises:
        UsageError: The file cannot be read, or its numbers do not make whole instances.
    """
    path = Path(path)
    with naming(path):
        numbers = [_integer(word, line) for line, words in _lines(read_text(path)) for word in words]
        if not numbers or len(numbers) % (3 * jobs):
            raise UsageError(f"holds {len(numbers)} numbers; expected a multiple of {3 * jobs} for {jobs} jobs")
        tables = np.array(numbers, np.int64).reshape(-1, 3, jobs)
        return [SingleMachineInstance(f"{prefix}_{i}", *table) for i, table in enumerate(tables, start=1)]


def from_record(record: Mapping[str, Any], name: str) -> SingleMachineInstance:
    """Builds an instance from lists called ``p``, ``d`` and, if they are there, ``w`` and ``r``.

    Raises:
        UsageError: A list is missing or holds something else than integers.
    """
    for key in ("p", "d"):
        if not isinstance(record.get(key), list):
            raise UsageError(f"{name}: {key} is {shorten(record.get(key))}; expected a list of integers, one a job")
    weights = record.get("w", [1] * len(record["p"]))
    return SingleMachineInstance(name, record["p"], weights, record["d"], record.get("r"))  # type: ignore[arg-type]


def _from_json(text: str, name: str) -> SingleMachineInstance:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"expected a JSON file: {error}") from None
    if data.get("format") != FORMAT:
        raise UsageError(f"format is {shorten(data.get('format'))}; expected {FORMAT!r}")
    for field in data:
        if field not in _FIELDS:
            raise UsageError(f"unknown field {field!r}; expected some of {', '.join(_FIELDS)}")
    if not isinstance(data.get("name", name), str):
        raise UsageError(f"name is {shorten(data['name'])}; expected a text")
    short = {"p": data.get("time"), "d": data.get("due")}
    optional = {key: data[field] for key, field in (("w", "weight"), ("r", "release")) if field in data}
    return from_record({**short, **optional}, data.get("name", name))


def _from_rows(text: str, name: str) -> SingleMachineInstance:
    rows = [[_integer(word, line) for word in words] for line, words in _lines(text)]
    if len(rows) not in (3, 4):
        raise UsageError(f"holds {len(rows)} rows of numbers; expected times, weights, due dates and maybe releases")
    return SingleMachineInstance(name, *rows)  # type: ignore[arg-type]


def _lines(text: str) -> list[tuple[int, list[str]]]:
    lines = ((number, line.partition("#")[0].split()) for number, line in enumerate(text.splitlines(), start=1))
    return [(number, words) for number, words in lines if words]


def _integer(word: str, line: int) -> int:
    try:
        return int(word)
    except ValueError:
        raise UsageError(f"line {line}: expected an integer, found {shorten(word)}") from None
