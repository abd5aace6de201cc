"""Flexible job shops as text: the standard format (``.fjs``) and, for set-up times, JSON.

Standard format: a header ``jobs machines`` (a third number, the mean flexibility, is passed over), then one line a job:
the number of operations, and for each of them the number of machines that can do it with ``machine time`` pairs,
machines counted from 1 (from 0 in a text that has a machine 0). Text after ``#`` is a comment.

JSON is ``{"format": "flexible_job_shop/1", "machines": M, "jobs": [[[[machine, time], ...], ...], ...]}`` with machines
counted from 0, an optional ``name``, and optional ``setups``, a table by machine, job and next job.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.errors import UsageError
from envs.core.fields import naming, read_text, shorten
from envs.core.files import write_text
from envs.flexible_job_shop.types import ABSENT, FlexibleJobShopInstance

FORMAT = "flexible_job_shop/1"
_FIELDS = ("format", "name", "machines", "jobs", "setups")

Alternatives = Sequence[tuple[int, int]]


def read_instance(path: str | os.PathLike[str]) -> FlexibleJobShopInstance:
    """Reads an instance from either format, whichever it is.

    Raises:
        UsageError: The file cannot be read, or is malformed; the message names file and line.
    """
    path = Path(path)
    text = read_text(path)
    with naming(path):
        return _from_json(text, path.stem) if text.lstrip().startswith("{") else parse_standard(text, path.stem)


def write_instance(instance: FlexibleJobShopInstance, path: str | os.PathLike[str]) -> None:
    """Writes the whole instance as JSON, so that it is read back as it was."""
    data: dict[str, Any] = {"format": FORMAT, "name": instance.name, "machines": instance.machines}
    data["jobs"] = [
        [[[m, time] for m, time in enumerate(row) if time >= 0] for row in instance.times[job, :count].tolist()]
        for job, count in enumerate(instance.operations.tolist())
    ]
    if instance.setups.any():
        data["setups"] = instance.setups.tolist()
    write_text(path, json.dumps(data) + "\n")


def format_standard(instance: FlexibleJobShopInstance) -> str:
    """Returns the instance in the standard format, machines counted from 1; set-up times have no place there."""
    lines = [f"{instance.jobs} {instance.machines}"]
    for job, count in enumerate(instance.operations.tolist()):
        words = [count]
        for row in instance.times[job, :count].tolist():
            pairs = [(m + 1, time) for m, time in enumerate(row) if time >= 0]
            words += [len(pairs), *(number for pair in pairs for number in pair)]
        lines.append(" ".join(map(str, words)))
    return "\n".join(lines) + "\n"


def from_operations(
    name: str, machines: int, jobs: Sequence[Sequence[Alternatives]], setups: Any = None
) -> FlexibleJobShopInstance:
    """Builds an instance from the alternatives ``(machine, time)`` of every operation, machines counted from 0.

    Raises:
        UsageError: A machine does not exist or stands twice, or the instance is wrong in another way.
    """
    most = max((len(job) for job in jobs), default=0)
    times = np.full((len(jobs), most, machines), ABSENT, np.int64)
    for j, job in enumerate(jobs):
        for k, alternatives in enumerate(job):
            for machine, time in alternatives:
                if not 0 <= machine < machines:
                    raise UsageError(f"operation {k} of job {j} has machine {machine}; expected 0 to {machines - 1}")
                if times[j, k, machine] != ABSENT or time < 0:
                    raise UsageError(f"operation {k} of job {j} has machine {machine} twice, or a negative time")
                times[j, k, machine] = time
    return FlexibleJobShopInstance(name, np.array([len(job) for job in jobs], np.int64), times, setups)


def parse_standard(text: str, name: str) -> FlexibleJobShopInstance:
    """Reads an instance from text in the standard format.

    Raises:
        UsageError: The text does not hold one; the message names the line.
    """
    lines = [(number, line.partition("#")[0].split()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, words) for number, words in lines if words]
    if not lines or len(lines[0][1]) < 2:
        raise UsageError("holds no header; expected 'jobs machines'")
    number, header = lines[0]
    jobs, machines = (_integer(word, number, 1) for word in header[:2])
    if len(lines) != jobs + 1:
        raise UsageError(f"has {len(lines) - 1} lines after its header; expected {jobs}, one a job")
    parsed = [_parse_job(words, number) for number, words in lines[1:]]
    least = min(machine for job in parsed for operation in job for machine, _ in operation)
    shift = 0 if least == 0 else 1
    shifted = [[[(machine - shift, time) for machine, time in operation] for operation in job] for job in parsed]
    return from_operations(name, machines, shifted)


def _parse_job(words: Sequence[str], line: int) -> list[list[tuple[int, int]]]:
    numbers = [_integer(word, line, 0) for word in words]
    operations, place = [], 1
    for k in range(numbers[0]):
        count = numbers[place] if place < len(numbers) else 0
        pairs = numbers[place + 1 : place + 1 + 2 * count]
        if count < 1 or len(pairs) < 2 * count:
            raise UsageError(f"line {line}: operation {k} has no, or not all, of its 'machine time' pairs")
        operations.append(list(zip(pairs[::2], pairs[1::2], strict=True)))
        place += 1 + 2 * count
    if place != len(numbers) or not operations:
        raise UsageError(f"line {line}: has {len(numbers)} numbers; its {numbers[0]} operations take {place}")
    return operations


def _integer(word: str, line: int, least: int) -> int:
    try:
        value = int(word)
    except ValueError:
        raise UsageError(f"line {line}: expected an integer, found {shorten(word)}") from None
    if not least <= value < 2**31:
        raise UsageError(f"line {line}: {value} is out of range; expected {least} to {2**31 - 1}")
    return value


def _from_json(text: str, name: str) -> FlexibleJobShopInstance:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"expected a JSON file: {error}") from None
    if data.get("format") != FORMAT:
        raise UsageError(f"format is {shorten(data.get('format'))}; expected {FORMAT!r}")
    for key in data:
        if key not in _FIELDS:
            raise UsageError(f"unknown field {key!r}; expected some of {', '.join(_FIELDS)}")
    if not isinstance(data.get("machines"), int) or data["machines"] < 1:
        raise UsageError(f"machines is {shorten(data.get('machines'))}; expected an integer of at least 1")
    try:
        jobs = [[[(int(m), int(t)) for m, t in operation] for operation in job] for job in data["jobs"]]
        setups = None if data.get("setups") is None else np.array(data["setups"])
    except (KeyError, TypeError, ValueError):
        raise UsageError("jobs is no table of [machine, time] pairs by job and operation, or setups no table") from None
    return from_operations(str(data.get("name", name)), data["machines"], jobs, setups)
