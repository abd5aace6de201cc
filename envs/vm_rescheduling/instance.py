"""Reading and writing instances.

Three formats are told apart by content:

- the published snapshot: JSON with ``cluster_list``, see `envs.vm_rescheduling.formats.snapshot`;
- a pair of tables in one folder, ``<name>.machines`` and ``<name>.vms``, each ``.csv`` or ``.parquet``;
- our own JSON, ``{"format": "vm_rescheduling/1", ...}``, which has every field of `VmInstance`.

The machine table has a row for every NUMA node (one or two a machine, the rows of a machine together):

=============  =======================================================================================
``machine``    name of the machine
``cluster``    its cluster, a whole number or a name (names are numbered as they appear); default 0
``numa``       NUMA node within the machine, 0 or 1; by default counted from 0
``cores``      cores of the node
``memory_mb``  its memory in MB
=============  =======================================================================================

The VM table has a row for every VM:

==============  ======================================================================================
``vm``          name of the VM
``cores``       cores, on both NUMA nodes together
``memory_mb``   memory in MB, on both nodes together
``numa_count``  NUMA nodes that it takes, 1 (default) or 2
``machine``     machine that it runs on at the start; empty for a VM that arrives later
``numa``        NUMA node of that machine; may be left out on two nodes and on machines with one
``cluster``     cluster that it belongs to; by default that of its machine, or the only one
``group``       host anti-affinity group, a whole number or a name; default none (empty or -1)
``movable``     true (default) or false
``arrival``     seconds after which it arrives; default 0, for a VM that runs at the start
``departure``   seconds after which it leaves; default never (empty or inf)
==============  ======================================================================================

Our own JSON has the fields ``name``, ``migration_limit``, ``objective`` (``weights`` by term, ``goal``), ``delay``,
``migration_seconds`` and ``in_flight``, all optional with the defaults of `VmInstance`, and either ``machines`` and
``vms``, the tables above as objects of columns, or ``snapshot``, the path of a snapshot or table file relative to the
JSON file. JSON files may be gzipped.
"""

from __future__ import annotations

import os
from pathlib import Path

from envs.core.errors import UsageError
from envs.vm_rescheduling.formats.fields import Json, load_json
from envs.vm_rescheduling.formats.json_format import is_own, read_own, snapshot_path, write_json
from envs.vm_rescheduling.formats.snapshot import is_snapshot, read_snapshot
from envs.vm_rescheduling.formats.tables import is_table, read_tables, write_tables
from envs.vm_rescheduling.types import VmInstance

__all__ = ["read_instance", "write_json", "write_tables"]


def read_instance(path: str | os.PathLike[str]) -> VmInstance:
    """Reads an instance in any of the formats.

    Args:
        path: A JSON file, either file of a pair of tables, or a folder with one pair.

    Raises:
        UsageError: The file cannot be read, is malformed or of no known format.
    """
    path = Path(path)
    if path.is_dir() or is_table(path):
        return read_tables(path)
    data = load_json(path)
    if not is_own(data):
        return _read_snapshot(path, data)
    placement = snapshot_path(path, data)
    return read_own(path, data, None if placement is None else _read_placement(placement))


def _read_placement(path: Path) -> VmInstance:
    return read_tables(path) if path.is_dir() or is_table(path) else _read_snapshot(path, load_json(path))


def _read_snapshot(path: Path, data: Json) -> VmInstance:
    if not is_snapshot(data):
        raise UsageError(f"{path}: expected a snapshot with the field cluster_list, or our own JSON with format")
    return read_snapshot(path, data)
