"""Instances as files: our own JSON, task tables of a cluster trace, and workload lists of the UWFQ experiments.

Our JSON is an object with ``name``, ``cores``, ``moving_delay`` (optional) and ``jobs``; a job has ``user``,
``arrival``, ``after`` (optional) and ``stages``; a stage has ``durations``, and optionally ``parents``, ``estimate``,
``first_wave`` and ``fresh``, as in `envs.spark.types`.

A task table is a CSV file with the columns ``workflow_id``, ``ts_submit_seconds``, ``user_id`` and
``resource_run_time`` (core-milliseconds), one row a task of the trace. A workload list is a JSON list of objects with
``user`` and ``workloads``, each of those with ``workloadName``, ``startTimeMs`` and ``params`` that hold
``task_runtime_s`` (core-seconds). In both a workflow is a job, and each of its tasks is a stage, cut into as many equal
tasks as there are cores.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from envs.core.errors import UsageError
from envs.core.files import write_text
from envs.spark.types import Job, SparkInstance, Stage

CORES = 32
"""Cores of the published experiments, for files that do not name a number."""

_COLUMNS = ("workflow_id", "ts_submit_seconds", "user_id", "resource_run_time")
ValueT = TypeVar("ValueT")


def read_instance(path: str | os.PathLike[str]) -> SparkInstance:
    """Reads an instance in any of the formats, whichever it is.

    Raises:
        UsageError: The file is missing or does not hold an instance; the message names file, field and value.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot read the instance file: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: expected a text file with an instance, found binary data") from None
    if path.suffix.lower() == ".csv":
        return parse_task_table(text, path.stem, str(path))
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}: expected JSON; line {error.lineno}: {error.msg}") from None
    if isinstance(data, list):
        return parse_workloads(data, path.stem, str(path))
    return from_json(data, path.stem, str(path))


def write_instance(instance: SparkInstance, path: str | os.PathLike[str]) -> None:
    """Writes the instance to ``path`` as JSON, whole or not at all."""
    write_text(path, json.dumps(to_json(instance), indent=1) + "\n")


def to_json(instance: SparkInstance) -> dict[str, Any]:
    """Returns the instance as JSON-ready data; values at their defaults are left out."""
    jobs = [
        {
            "user": job.user,
            "arrival": job.arrival,
            **({"after": job.after} if job.after >= 0 else {}),
            "stages": [_stage_json(stage) for stage in job.stages],
        }
        for job in instance.jobs
    ]
    return {"name": instance.name, "cores": instance.cores, "moving_delay": instance.moving_delay, "jobs": jobs}


def from_json(data: Any, name: str, source: str) -> SparkInstance:
    """Builds an instance from the data of our JSON.

    Args:
        data: What the file holds.
        name: Name of the instance if the data has none.
        source: What error messages call the data, usually its path.

    Raises:
        UsageError: A field is missing or wrong.
    """
    fields = _Fields(data, source)
    jobs = tuple(_read_job(_Fields(job, f"{source}, jobs[{j}]")) for j, job in enumerate(fields.sequence("jobs")))
    label, cores, delay = fields.text("name", name), fields.whole("cores"), fields.number("moving_delay", 0.0)
    fields.check_all_known(("name", "cores", "moving_delay", "jobs"))
    return _named(source, lambda: SparkInstance(label, cores, jobs, delay))


def parse_task_table(text: str, name: str, source: str, *, cores: int = CORES, scale: float = 1.0) -> SparkInstance:
    """Builds an instance from a task table; the first submission is time 0.

    Args:
        text: The CSV text.
        name: Name of the instance.
        source: What error messages call the text.
        cores: Cores of the cluster.
        scale: Factor on every run time.

    Raises:
        UsageError: A column is missing or a value is not a number.
    """
    reader = csv.DictReader(text.splitlines())
    for column in _COLUMNS:
        if column not in (reader.fieldnames or ()):
            raise UsageError(f"{source}: the column {column!r} is missing; expected {', '.join(_COLUMNS)}")
    rows = []
    for row in reader:
        where = f"{source}, line {reader.line_num}"
        time, work = (_real(row[column], f"{where}, {column}") for column in ("ts_submit_seconds", "resource_run_time"))
        rows.append((str(row["workflow_id"]), str(row["user_id"]), time, scale * work / 1000.0))
    return _from_tasks(rows, name, source, cores)


def parse_workloads(data: Sequence[Any], name: str, source: str, *, cores: int = CORES) -> SparkInstance:
    """Builds an instance from a workload list; the first submission is time 0.

    Raises:
        UsageError: A field is missing or wrong.
    """
    rows = []
    for u, entry in enumerate(data):
        fields = _Fields(entry, f"{source}, entry {u}")
        for w, workload in enumerate(fields.sequence("workloads")):
            inner = _Fields(workload, f"{source}, entry {u}, workloads[{w}]")
            parameters = _Fields(inner.value("params"), f"{source}, entry {u}, workloads[{w}].params")
            time = _real(inner.value("startTimeMs"), f"{inner.where}.startTimeMs") / 1000.0
            rows.append((inner.text("workloadName"), fields.text("user"), time, parameters.number("task_runtime_s")))
    return _from_tasks(rows, name, source, cores)


def _from_tasks(rows: Sequence[tuple[str, str, float, float]], name: str, source: str, cores: int) -> SparkInstance:
    """Groups rows of workflow, user, submission and slot time into jobs."""
    if not rows:
        raise UsageError(f"{source}: holds no tasks; expected at least one")
    grouped: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for workflow, user, time, work in rows:
        grouped.setdefault((workflow, user), []).append((time, work))
    start = min(time for _, _, time, _ in rows)
    jobs = [
        Job(user, min(t for t, _ in tasks) - start, tuple(Stage((work / cores,) * cores) for _, work in tasks))
        for (_, user), tasks in grouped.items()
    ]
    return _named(source, lambda: SparkInstance(name, cores, tuple(sorted(jobs, key=lambda job: job.arrival))))


def _read_job(fields: _Fields) -> Job:
    stages = tuple(
        _read_stage(_Fields(stage, f"{fields.where}.stages[{k}]")) for k, stage in enumerate(fields.sequence("stages"))
    )
    job = Job(fields.text("user"), fields.number("arrival"), stages, fields.whole("after", -1))
    fields.check_all_known(("user", "arrival", "after", "stages"))
    return job


def _read_stage(fields: _Fields) -> Stage:
    durations = tuple(_real(d, f"{fields.where}.durations[{n}]") for n, d in enumerate(fields.sequence("durations")))
    parents = fields.sequence("parents", ())
    for parent in parents:
        if isinstance(parent, bool) or not isinstance(parent, int):
            raise UsageError(f"{fields.where}.parents has {parent!r}; expected numbers of stages")
    estimate = fields.number("estimate") if fields.has("estimate") else None
    stage = Stage(durations, tuple(parents), estimate, fields.number("first_wave", 1.0), fields.number("fresh", 1.0))
    fields.check_all_known(("durations", "parents", "estimate", "first_wave", "fresh"))
    return stage


def _stage_json(stage: Stage) -> dict[str, Any]:
    optional: dict[str, tuple[Any, Any]] = {
        "parents": (list(stage.parents), []),
        "estimate": (stage.estimate, None),
        "first_wave": (stage.first_wave, 1.0),
        "fresh": (stage.fresh, 1.0),
    }
    changed = {key: value for key, (value, default) in optional.items() if value != default}
    return {"durations": list(stage.durations), **changed}


def _named(source: str, build: Callable[[], SparkInstance]) -> SparkInstance:
    """Puts the file's name before a message about its content."""
    try:
        return build()
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None


def _real(value: Any, where: str) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError):
        raise UsageError(f"{where} is {value!r}; expected a number") from None


class _Fields:
    """The fields of a JSON object, read with checks."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise UsageError(f"{where} is {str(data)[:40]!r}; expected an object with fields")
        self._data = data
        self.where = where

    def has(self, name: str) -> bool:
        return name in self._data

    def value(self, name: str, default: Any = None) -> Any:
        if name not in self._data and default is None:
            raise UsageError(f"{self.where} lacks the field {name!r}")
        return self._data.get(name, default)

    def text(self, name: str, default: str | None = None) -> str:
        return self._checked(name, default, str, "text")

    def whole(self, name: str, default: int | None = None) -> int:
        return self._checked(name, default, int, "a whole number")

    def number(self, name: str, default: float | None = None) -> float:
        return _real(self.value(name, default), f"{self.where}.{name}")

    def sequence(self, name: str, default: Sequence[Any] | None = None) -> Sequence[Any]:
        value = self.value(name, default)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise UsageError(f"{self.where}.{name} is {value!r}; expected a list")
        return value

    def check_all_known(self, known: Sequence[str]) -> None:
        for name in self._data:
            if name not in known:
                raise UsageError(f"{self.where} has the unknown field {name!r}; expected {', '.join(known)}")

    def _checked(self, name: str, default: ValueT | None, kind: type[ValueT], expected: str) -> ValueT:
        value = self.value(name, default)
        if isinstance(value, bool) or not isinstance(value, kind):
            raise UsageError(f"{self.where}.{name} is {value!r}; expected {expected}")
        return value
