"""The text formats of job shops: machines and times of every operation, read with line-precise errors.

Standard format: a header ``jobs machines``, then one line a job of ``machine time`` pairs, machines counted from 0.
Taillard's format: the same header (more numbers may follow, as the seeds and bounds of his files), then a matrix of
times and a matrix of machines, one line a job, machines counted from 1.

Both formats: text after ``#`` is a comment; lines of words ("Times", "Machines", "Nb of jobs, ...", "+++++") are
skipped. Every job has as many operations as there are machines; where it is another number, the header carries it as
``jobs machines operations`` (three numbers).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError

_INTEGER = re.compile(r"[+-]?[0-9]+")
_LARGEST = int(np.iinfo(np.int32).max)


class ShopTable(NamedTuple):
    """What a text in either format holds.

    Attributes:
        machines: ``(jobs, operations)`` int32, machines counted from 0.
        times: ``(jobs, operations)`` int32, at least 0.
        num_machines: Number of machines.
    """

    machines: NDArray[np.int32]
    times: NDArray[np.int32]
    num_machines: int


class _Row(NamedTuple):
    """The numbers of one line, and the line's number counted from 1."""

    line: int
    values: list[int]


@dataclass(frozen=True)
class _Header:
    """What the first line of numbers says."""

    line: int
    jobs: int
    machines: int
    operations: int
    is_taillard: bool


def parse_shop(text: str, source: str) -> ShopTable:
    """Reads a job shop from text in the standard or in Taillard's format, whichever it is.

    Args:
        text: The text.
        source: What error messages call the text, usually its path.

    Raises:
        UsageError: The text does not hold a job shop; the message names source, line and value.
    """
    rows = _rows(text, source)
    if not rows:
        raise UsageError(f"{source}: holds no numbers; expected a header 'jobs machines' and the operations")
    header = _header(rows[0], source)
    body = rows[1:]
    matrices = _taillard_matrices if _is_taillard(header, body) else _standard_matrices
    machines, times = matrices(header, body, source)
    return ShopTable(machines, times, header.machines)


def _rows(text: str, source: str) -> list[_Row]:
    rows = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        words = line.partition("#")[0].split()
        if words and not _is_wording(words):
            rows.append(_Row(number, [_integer(word, number, source) for word in words]))
    return rows


def _is_wording(words: list[str]) -> bool:
    """True for a line of plain words or ornaments: it starts with no number and has none in it."""
    starts_as_number = words[0][0].isdigit() or (len(words[0]) > 1 and words[0][0] in "+-." and words[0][1].isdigit())
    return not starts_as_number and not any(_INTEGER.fullmatch(word) for word in words)


def _integer(word: str, line: int, source: str) -> int:
    if not _INTEGER.fullmatch(word):
        raise UsageError(f"{source}, line {line}: expected an integer, found {_shorten(word)!r}")
    if len(word) > 18 or abs(int(word)) > _LARGEST:
        raise UsageError(f"{source}, line {line}: {_shorten(word)} is out of range; the largest value is {_LARGEST}")
    return int(word)


def _shorten(word: str) -> str:
    return word if len(word) <= 24 else f"{word[:24]}..."


def _header(row: _Row, source: str) -> _Header:
    if len(row.values) < 2:
        raise UsageError(f"{source}, line {row.line}: expected a header 'jobs machines', found {row.values[0]} alone")
    for what, value in zip(("jobs", "machines", "operations a job"), row.values, strict=False):
        if value < 1:
            raise UsageError(f"{source}, line {row.line}: number of {what} is {value}; expected at least 1")
    jobs, machines = row.values[:2]
    operations = row.values[2] if len(row.values) == 3 else machines
    return _Header(row.line, jobs, machines, operations, is_taillard=len(row.values) > 3)


def _is_taillard(header: _Header, body: list[_Row]) -> bool:
    """Tells the formats apart by the width of the first line, as 2k numbers and k numbers never agree."""
    return header.is_taillard or (bool(body) and len(body[0].values) == header.operations)


def _standard_matrices(header: _Header, body: list[_Row], source: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    expected = f"{header.operations} 'machine time' pairs"
    _check_shape(header, body, source, rows=header.jobs, width=2 * header.operations, expected=expected)
    for row in body:
        _check_machines(row.line, row.values[0::2], source, first=0, last=header.machines - 1)
        _check_times(row.line, row.values[1::2], source)
    pairs = np.array([row.values for row in body], np.int32)
    return pairs[:, 0::2], pairs[:, 1::2]


def _taillard_matrices(header: _Header, body: list[_Row], source: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    expected = f"{header.operations} numbers of a Taillard matrix"
    _check_shape(header, body, source, rows=2 * header.jobs, width=header.operations, expected=expected)
    for row in body[: header.jobs]:
        _check_times(row.line, row.values, source)
    for row in body[header.jobs :]:
        _check_machines(row.line, row.values, source, first=1, last=header.machines)
    matrices = np.array([row.values for row in body], np.int32)
    return matrices[header.jobs :] - 1, matrices[: header.jobs]


def _check_shape(header: _Header, body: list[_Row], source: str, *, rows: int, width: int, expected: str) -> None:
    for row in body:
        if len(row.values) != width:
            raise UsageError(
                f"{source}, line {row.line}: {len(row.values)} numbers; expected {width}: {expected}, "
                f"by the header of line {header.line}"
            )
    if len(body) != rows:
        raise UsageError(
            f"{source}: {len(body)} lines of numbers after the header of line {header.line}; expected {rows} "
            f"for {header.jobs} jobs"
        )


def _check_machines(line: int, machines: list[int], source: str, *, first: int, last: int) -> None:
    for machine in machines:
        if not first <= machine <= last:
            raise UsageError(f"{source}, line {line}: machine {machine} is out of range; expected {first} to {last}")


def _check_times(line: int, times: list[int], source: str) -> None:
    for time in times:
        if time < 0:
            raise UsageError(f"{source}, line {line}: processing time {time} is negative")
