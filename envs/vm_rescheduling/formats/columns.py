"""An instance as two tables of columns, which is what CSV, Parquet and our own JSON files hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.core.errors import UsageError
from envs.core.fields import shorten
from envs.vm_rescheduling.formats.fields import number, whole
from envs.vm_rescheduling.types import Machines, VirtualMachines, VmInstance

MACHINE_COLUMNS = ("machine", "cluster", "numa", "cores", "memory_mb")
VM_COLUMNS = (
    "vm", "cores", "memory_mb", "numa_count", "machine", "numa", "cluster", "group", "movable", "arrival", "departure",
)  # fmt: skip
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


@dataclass(frozen=True)
class Table:
    """Columns of equal length, and what messages call them.

    Attributes:
        columns: Cells by column; None, "" and NaN are missing ones.
        source: Name of the table, for messages.
        known: Columns that it may have.
    """

    columns: Mapping[str, Sequence[Any]]
    source: str
    known: tuple[str, ...]

    def __post_init__(self) -> None:
        """Checks the names and lengths of the columns."""
        for name in self.columns:
            if name not in self.known:
                raise UsageError(f"{self.source}: unknown column {name!r}; expected some of {', '.join(self.known)}")
        if len({len(column) for column in self.columns.values()}) > 1:
            raise UsageError(f"{self.source}: its columns differ in length; expected one cell a row in each")

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()), ()))

    def at(self, column: str, row: int) -> str:
        """What messages call a cell; rows are counted from 1, without a heading."""
        return f"{self.source}, row {row + 1}: {column}"

    def cells(self, column: str, default: object = None) -> list[Any]:
        """Returns a column with ``default`` in missing cells.

        Raises:
            UsageError: A cell is missing and there is no default.
        """
        values = [default if _missing(value) else value for value in self.columns.get(column, [None] * len(self))]
        if default is None and None in values:
            raise UsageError(f"{self.at(column, values.index(None))} is missing")
        return values

    def names(self, column: str, default: str | None = None) -> list[str]:
        """Returns a column of names; whole numbers are names, too."""
        return [_name(value) for value in self.cells(column, default)]

    def wholes(self, column: str, low: int, default: int | None = None) -> list[int]:
        """Returns a column of whole numbers of at least ``low``."""
        values = self.cells(column, default)
        return [whole(value, self.at(column, row), low) for row, value in enumerate(values)]

    def times(self, column: str, default: float) -> list[float]:
        """Returns a column of seconds; ``default`` (perhaps inf) where missing, inf where the cell says so."""
        values = self.cells(column, default)
        return [
            math.inf if value == math.inf or value == "inf" else number(value, self.at(column, row))
            for row, value in enumerate(values)
        ]

    def flags(self, column: str, default: bool) -> list[bool]:
        """Returns a column of true and false."""
        result = []
        for row, value in enumerate(self.cells(column, default)):
            spelled = _name(value).lower()
            if spelled not in _TRUE + _FALSE:
                raise UsageError(f"{self.at(column, row)} is {shorten(value)}; expected true or false")
            result.append(spelled in _TRUE)
        return result


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _name(value: Any) -> str:
    whole_float = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole_float else value).strip()


def _codes(names: Sequence[str]) -> dict[str, int]:
    """Whole numbers stand for themselves; if there are other names, all are numbered as they appear."""
    known = list(dict.fromkeys(names))
    if all(name.isascii() and name.isdigit() and len(name) < 18 for name in known):
        return {name: int(name) for name in known}
    return {name: index for index, name in enumerate(known)}


def from_columns(name: str, machine_table: Table, vm_table: Table) -> VmInstance:
    """Returns the instance that two tables describe, see `envs.vm_rescheduling.instance` for their columns.

    Raises:
        UsageError: A column, a cell or the whole is wrong.
    """
    cluster_codes = _codes(machine_table.names("cluster", "0"))
    machines = _machines(machine_table, cluster_codes)
    return VmInstance(name, machines, _vms(vm_table, machines, cluster_codes))


def _machines(table: Table, cluster_codes: Mapping[str, int]) -> Machines:
    rows, clusters = table.names("machine"), table.names("cluster", "0")
    names, cluster, machine_of_numa = list(dict.fromkeys(rows)), [], []
    positions = {name: index for index, name in enumerate(names)}
    seen = -1
    for row, (name, home) in enumerate(zip(rows, clusters, strict=True)):
        machine = positions[name]
        if machine < seen:
            raise UsageError(f"{table.at('machine', row)} is {name!r} again; expected the rows of a machine together")
        if machine > seen:
            cluster.append(cluster_codes[home])
        elif cluster_codes[home] != cluster[-1]:
            raise UsageError(f"{table.at('cluster', row)} is {home!r}; expected one cluster for machine {name!r}")
        machine_of_numa.append(machine)
        seen = machine
    counts = np.bincount(machine_of_numa, minlength=len(names)).tolist() if names else []
    expected = [node for count in counts for node in range(count)]
    if "numa" in table.columns:
        for row, (node, wanted) in enumerate(zip(table.wholes("numa", 0), expected, strict=True)):
            if node != wanted:
                raise UsageError(f"{table.at('numa', row)} is {node}; expected 0 and 1, in this order, for a machine")
    return Machines(
        tuple(names),
        np.array(cluster, np.int64),
        np.array(machine_of_numa, np.int64),
        np.array(table.wholes("cores", 1), np.int64),
        np.array(table.wholes("memory_mb", 1), np.int64),
    )


def _vms(table: Table, machines: Machines, cluster_codes: Mapping[str, int]) -> VirtualMachines:
    names, numa_count = table.names("vm"), table.wholes("numa_count", 1, 1)
    if len(set(names)) < len(names):
        twice = next(row for row, name in enumerate(names) if name in names[:row])
        raise UsageError(f"{table.at('vm', twice)} is {names[twice]!r} again; expected another name for every VM")
    host, home = _hosts(table, machines, numa_count, cluster_codes)
    groups = ["" if group == "-1" else group for group in table.names("group", "-1")]
    codes = {**_codes([group for group in groups if group]), "": -1}
    return VirtualMachines(
        tuple(names),
        np.array(table.wholes("cores", 1), np.int64),
        np.array(table.wholes("memory_mb", 0), np.int64),
        np.array(numa_count, np.int64),
        np.array(host, np.int64),
        np.array([codes[group] for group in groups], np.int64),
        np.array(table.flags("movable", True), np.bool_),
        np.array(table.times("arrival", 0.0), np.float64),
        np.array(table.times("departure", math.inf), np.float64),
        np.array(home, np.int64),
    )


def _hosts(
    table: Table, machines: Machines, numa_count: Sequence[int], cluster_codes: Mapping[str, int]
) -> tuple[list[int], list[int]]:
    positions = {name: index for index, name in enumerate(machines.names)}
    first, count, cluster = machines.first_numa.tolist(), machines.numa_count.tolist(), machines.cluster.tolist()
    nodes = [
        -1 if _missing(value) else whole(value, table.at("numa", row))
        for row, value in enumerate(table.columns.get("numa", [None] * len(table)))
    ]
    hosts, homes = [], []
    for row, (name, home) in enumerate(zip(table.names("machine", ""), table.names("cluster", ""), strict=True)):
        if home and home not in cluster_codes:
            raise UsageError(f"{table.at('cluster', row)} is {home!r}; expected a cluster that has machines")
        if not name:
            if not home and len(set(cluster_codes.values())) != 1:
                raise UsageError(f"{table.at('cluster', row)} is missing; expected one for a VM without a machine")
            hosts.append(-1)
            homes.append(cluster_codes[home] if home else next(iter(cluster_codes.values())))
            continue
        if name not in positions:
            raise UsageError(f"{table.at('machine', row)} is {name!r}; expected one of the machines")
        machine, node = positions[name], nodes[row]
        if node < 0:
            if numa_count[row] == 1 and count[machine] == 2:
                raise UsageError(f"{table.at('numa', row)} is missing; expected 0 or 1 for a VM on one NUMA node")
            node = 0
        if node >= count[machine]:
            raise UsageError(f"{table.at('numa', row)} is {node}; machine {name!r} has {count[machine]} NUMA node(s)")
        hosts.append(first[machine] + node)
        homes.append(cluster_codes[home] if home else cluster[machine])
    return hosts, homes


def to_columns(instance: VmInstance) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Returns the instance's machines and VMs as columns; missing cells are None."""
    machines, vms = instance.machines, instance.vms
    owner = machines.machine_of_numa
    machine_columns = {
        "machine": [machines.names[machine] for machine in owner],
        "cluster": machines.cluster[owner].tolist(),
        "numa": (np.arange(len(owner)) - machines.first_numa[owner]).tolist(),
        "cores": machines.cores.tolist(),
        "memory_mb": machines.memory.tolist(),
    }
    here = (vms.host >= 0).tolist()
    machine = [int(owner[host]) if host >= 0 else -1 for host in vms.host.tolist()]
    node = [host - int(machines.first_numa[owner[host]]) if host >= 0 else -1 for host in vms.host.tolist()]
    vm_columns = {
        "vm": list(vms.names),
        "cores": vms.cores.tolist(),
        "memory_mb": vms.memory.tolist(),
        "numa_count": vms.numa_count.tolist(),
        "machine": [machines.names[m] if runs else None for m, runs in zip(machine, here, strict=True)],
        "numa": [n if runs else None for n, runs in zip(node, here, strict=True)],
        "cluster": vms.home.tolist(),
        "group": [group if group >= 0 else None for group in vms.group.tolist()],
        "movable": vms.movable.tolist(),
        "arrival": vms.arrival.tolist(),
        "departure": [time if math.isfinite(time) else None for time in vms.departure.tolist()],
    }
    return machine_columns, vm_columns
