"""A pair of tables, ``<stem>.machines`` and ``<stem>.vms``, each a CSV or a Parquet file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from envs.core.errors import UsageError
from envs.core.fields import naming, read_text
from envs.core.files import atomic_path, write_text
from envs.vm_rescheduling.formats.columns import MACHINE_COLUMNS, VM_COLUMNS, Table, from_columns, to_columns
from envs.vm_rescheduling.types import VmInstance

PARTS = ("machines", "vms")
SUFFIXES = (".csv", ".parquet")


def is_table(path: Path) -> bool:
    """Whether the name of a file is that of one of a pair of tables."""
    return path.suffix.lower() in SUFFIXES


def read_tables(path: Path) -> VmInstance:
    """Reads a pair of tables.

    Args:
        path: Either file of the pair, or a folder that holds one pair.

    Raises:
        UsageError: A table is missing, cannot be read or is wrong.
    """
    folder, stem = (path, _stem_in(path)) if path.is_dir() else (path.parent, _stem_of(path))
    machines, vms = (_find(folder, stem, part) for part in PARTS)
    with naming(folder / stem):
        return from_columns(
            stem,
            Table(_read(machines), str(machines), MACHINE_COLUMNS),
            Table(_read(vms), str(vms), VM_COLUMNS),
        )


def write_tables(instance: VmInstance, folder: str | os.PathLike[str], *, suffix: str = ".csv") -> tuple[Path, Path]:
    """Writes the machines and VMs of an instance; its objective, limit and times are no part of the tables.

    Args:
        instance: The instance; its name is the stem of the files.
        folder: Folder for the files.
        suffix: ".csv" or ".parquet".

    Returns:
        Paths of the two files.

    Raises:
        UsageError: There is no such format.
    """
    if suffix not in SUFFIXES:
        raise UsageError(f"suffix is {suffix!r}; expected one of {', '.join(SUFFIXES)}")
    paths = [Path(folder) / f"{instance.name}.{part}{suffix}" for part in PARTS]
    for path, columns in zip(paths, to_columns(instance), strict=True):
        if suffix == ".csv":
            write_text(path, _csv_text(columns))
        else:
            with atomic_path(path) as temporary:
                _arrow("parquet").write_table(_arrow().table(columns), temporary)
    return paths[0], paths[1]


def _stem_of(path: Path) -> str:
    stem, part = os.path.splitext(path.stem)
    if part.lower() not in (".machines", ".vms"):
        raise UsageError(f"{path}: expected a name like <name>.machines.csv or <name>.vms.parquet")
    return stem


def _stem_in(folder: Path) -> str:
    files = [path for suffix in SUFFIXES for path in folder.glob(f"*.machines{suffix}")]
    stems = sorted({_stem_of(path) for path in files})
    if len(stems) != 1:
        raise UsageError(
            f"{folder} has {', '.join(stems) or 'no'} machine tables; expected one <name>.machines.csv or .parquet"
        )
    return stems[0]


def _find(folder: Path, stem: str, part: str) -> Path:
    for suffix in SUFFIXES:
        path = folder / f"{stem}.{part}{suffix}"
        if path.is_file():
            return path
    raise UsageError(f"{folder}: has no table {stem}.{part}.csv or {stem}.{part}.parquet")


def _read(path: Path) -> Mapping[str, Sequence[Any]]:
    return _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)


def _read_csv(path: Path) -> Mapping[str, Sequence[Any]]:
    rows = list(csv.reader(io.StringIO(read_text(path))))
    heading = [name.strip() for name in rows[0]] if rows else []
    if not heading or len(set(heading)) < len(heading):
        raise UsageError(
            f"{path}: its first line is {','.join(heading)!r}; expected the names of the columns, each once"
        )
    body = [row for row in rows[1:] if row]
    for number, row in enumerate(body, start=1):
        if len(row) != len(heading):
            raise UsageError(f"{path}, row {number}: has {len(row)} cells; expected {len(heading)}")
    return {name: [row[index].strip() for row in body] for index, name in enumerate(heading)}


def _read_parquet(path: Path) -> Mapping[str, Sequence[Any]]:
    arrow = _arrow()
    try:
        columns: dict[str, list[Any]] = _arrow("parquet").read_table(path, partitioning=None).to_pydict()
    except (arrow.ArrowException, OSError, ValueError):
        raise UsageError(f"{path}: cannot be read; expected a Parquet file") from None
    return columns


def _csv_text(columns: Mapping[str, Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(
        ["" if cell is None else str(cell).lower() if isinstance(cell, bool) else cell for cell in row]
        for row in zip(*columns.values(), strict=True)
    )
    return out.getvalue()


def _arrow(module: str = "") -> ModuleType:
    import importlib

    try:
        return importlib.import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ImportError:
        raise UsageError(
            "Parquet tables need the package pyarrow, which dispatchlab installs: pip install pyarrow"
        ) from None
