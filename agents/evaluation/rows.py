"""Result rows and the files that hold them."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from envs.core import Reference, UsageError
from envs.core.files import atomic_path

KINDS = ("rule", "solver", "learned", "search")


class RunKey(NamedTuple):
    """What makes a run different from every other run of a benchmark."""

    instance: str
    method: str
    kind: str
    variant: str
    seed: int


@dataclass(frozen=True)
class ResultRow:
    """One run of one method on one instance.

    Attributes:
        instance: Name of the instance.
        method: Usual name of the method, lower case with underscores.
        kind: "rule", "solver", "learned" or "search".
        variant: Settings that change the result, as ``key=value`` joined by semicolons.
        seed: Seed of the run.
        objective: Objective of the verified solution.
        reference: Best-known objective, or None where nobody has one.
        reference_source: Who reported the reference and when.
        reference_is_bound: True where the reference is only the best value known, not proven optimal.
        gap_percent: ``100 (objective / reference - 1)``, or None without a reference.
        wall_seconds: Time of the run; an instance's share where several ran side by side.
        decisions: Decisions taken, over all samples; 0 for a solver.
        ms_per_decision: Milliseconds a decision, or None for a solver.
        verified: Whether the independent verifier accepted the solution; rows are not written otherwise.
        git_revision: Revision of the program.
        command: Command that produced the row.
        metrics: Further measures of the solution by name, in columns of their own after the fixed ones.
    """

    instance: str
    method: str
    kind: str
    variant: str
    seed: int
    objective: float
    reference: float | None
    reference_source: str
    reference_is_bound: bool
    gap_percent: float | None
    wall_seconds: float
    decisions: int
    ms_per_decision: float | None
    verified: bool
    git_revision: str
    command: str
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> RunKey:
        """Identity of the run."""
        return RunKey(self.instance, self.method, self.kind, self.variant, self.seed)

    def to_record(self) -> dict[str, Any]:
        """Returns the value of every column that the row has."""
        return {**{name: getattr(self, name) for name in COLUMNS}, **self.metrics}


_FIXED = tuple(field for field in fields(ResultRow) if field.name != "metrics")
COLUMNS = tuple(field.name for field in _FIXED)
"""The columns of every result file; the metrics follow them."""


def metric_names(rows: Iterable[ResultRow]) -> tuple[str, ...]:
    """Names of the metrics of all rows, in order of first appearance."""
    return tuple(dict.fromkeys(name for row in rows for name in row.metrics))


def gap_percent(objective: float, reference: Reference | None) -> float | None:
    """Excess of an objective over the best-known value, in percent of that value; None where it is undefined."""
    if reference is None or reference.value == 0:
        return None
    return round(100.0 * (objective / reference.value - 1.0), 4)


def read_csv(path: str | os.PathLike[str]) -> list[ResultRow]:
    """Reads rows back.

    Raises:
        UsageError: The file does not begin with the columns of `ResultRow`, or a value cannot be read.
    """
    with Path(path).open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        names = tuple(reader.fieldnames or ())
        if names[: len(COLUMNS)] != COLUMNS or len(set(names)) != len(names) or "" in names:
            raise UsageError(f"{path} has the columns {reader.fieldnames}; expected {', '.join(COLUMNS)}")
        metrics = names[len(COLUMNS) :]
        return [_parse(record, metrics, f"{path}, line {reader.line_num}") for record in reader]


def write_csv(path: str | os.PathLike[str], rows: Iterable[ResultRow]) -> None:
    """Writes rows as CSV, whole or not at all."""
    rows = list(rows)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        columns = (*COLUMNS, *metric_names(rows))
        writer.writerow(columns)
        for row in rows:
            record = row.to_record()
            writer.writerow([_format(record.get(name)) for name in columns])


def write_parquet(path: str | os.PathLike[str], rows: Sequence[ResultRow]) -> None:
    """Writes rows as Parquet, whole or not at all."""
    import pyarrow
    from pyarrow import parquet

    types = {"str": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64(), "bool": pyarrow.bool_()}
    fixed = [(field.name, types[_base_type(field.type)]) for field in _FIXED]
    schema = pyarrow.schema([*fixed, *((name, pyarrow.float64()) for name in metric_names(rows))])
    with atomic_path(path) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist([row.to_record() for row in rows], schema=schema), temporary)


def merge(old: Iterable[ResultRow], new: Iterable[ResultRow]) -> list[ResultRow]:
    """Joins two sets of rows: a new row takes the place of an old one of the same run."""
    merged = {row.key: row for row in old}
    merged.update({row.key: row for row in new})
    return list(merged.values())


class ResultStore:
    """The rows of one output folder, ``rows.csv`` and ``rows.parquet``; both are whole at every moment.

    Args:
        folder: The output folder; made with the first row.
        resume: Keep the rows that are there already; otherwise the first new row replaces them.
    """

    def __init__(self, folder: str | os.PathLike[str], *, resume: bool = True) -> None:
        """Reads the rows of an earlier run."""
        self.folder = Path(folder)
        self.csv_path = self.folder / "rows.csv"
        self.parquet_path = self.folder / "rows.parquet"
        self.rows = read_csv(self.csv_path) if resume and self.csv_path.exists() else []
        self._keys = {row.key for row in self.rows}

    def __contains__(self, key: RunKey) -> bool:
        """Whether the run is done."""
        return key in self._keys

    def append(self, rows: Sequence[ResultRow]) -> None:
        """Adds rows and writes the files."""
        self.rows.extend(rows)
        self._keys.update(row.key for row in rows)
        write_csv(self.csv_path, self.rows)
        write_parquet(self.parquet_path, self.rows)


def _base_type(annotation: Any) -> str:
    return str(annotation).split(" | ")[0]


def _format(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return str(value)


def _parse(record: dict[str, Any], metrics: Sequence[str], where: str) -> ResultRow:
    values = {field.name: _convert(str(field.type), record[field.name], field.name, where) for field in _FIXED}
    given = [name for name in metrics if record[name] != ""]
    return ResultRow(**values, metrics={name: _convert("float", record[name], name, where) for name in given})


def _convert(annotation: str, text: str, name: str, where: str) -> Any:
    if text == "" and annotation.endswith("| None"):
        return None
    types: dict[str, Callable[[str], Any]] = {
        "str": str,
        "int": int,
        "float": float,
        "bool": {"True": True, "False": False}.__getitem__,
    }
    try:
        return types[_base_type(annotation)](text)
    except (KeyError, ValueError, TypeError):
        raise UsageError(f"{where}: {name} is {text!r}; expected {annotation}") from None
