"""The published snapshot format: one JSON object with ``cluster_list``.

A cluster has ``host_info`` (``node_id``, and ``numa`` with ``node``, ``total_cpu``, ``memory_huge_total_mb``),
``vm_instance`` (``instance_id``, ``host_id``, ``allow_migration``, and ``numa`` with ``node``, ``cpu``, ``mem_mb`` for
each of its one or two nodes) and ``other_requirement.deployment_set`` (lists of instance ids that must not share a
host). The free resources that hosts list are not read: the published ones repeat the memory of NUMA node 0 for node 1.
Hosts with another status than ``ACTIVE`` take no part, nor do their VMs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.errors import UsageError
from envs.core.fields import naming, shorten
from envs.vm_rescheduling.formats.fields import Json, items, mapping, text, whole
from envs.vm_rescheduling.types import Machines, VirtualMachines, VmInstance


@dataclass
class _Reading:
    """What has been read so far, in the order of the file."""

    machines: list[str] = field(default_factory=list)
    clusters: list[int] = field(default_factory=list)
    numas: list[tuple[int, int, int]] = field(default_factory=list)  # machine, cores, memory
    vms: dict[str, list[Any]] = field(default_factory=dict)  # cores, memory, nodes, host, group, movable, home
    left_out: set[str] = field(default_factory=set)
    groups: int = 0


def is_snapshot(data: Json) -> bool:
    """Whether a JSON object is a snapshot."""
    return "cluster_list" in data


def read_snapshot(path: Path, data: Json) -> VmInstance:
    """Returns the instance that a snapshot describes, named after its file.

    Raises:
        UsageError: A field is missing or wrong.
    """
    reading = _Reading()
    with naming(path):
        for index, cluster in enumerate(items(data, "cluster_list", "the file")):
            _read_cluster(reading, mapping(cluster, f"cluster_list[{index}]"), index)
        return _instance(reading, path.name.split(".")[0])


def _read_cluster(reading: _Reading, cluster: Json, index: int) -> None:
    where = f"cluster_list[{index}]"
    hosts: dict[str, list[int]] = {}
    idle: set[str] = set()
    for position, host in enumerate(items(cluster, "host_info", where)):
        _read_host(reading, mapping(host, f"{where}.host_info[{position}]"), hosts, idle, index, position)
    for position, vm in enumerate(items(cluster, "vm_instance", where)):
        _read_vm(reading, mapping(vm, f"{where}.vm_instance[{position}]"), hosts, idle, index, position)
    required = mapping(cluster.get("other_requirement") or {}, f"{where}.other_requirement")
    for position, members in enumerate(items(required, "deployment_set", f"{where}.other_requirement")):
        _read_group(reading, members, f"{where}.other_requirement.deployment_set[{position}]")


def _read_host(
    reading: _Reading, host: Json, hosts: dict[str, list[int]], idle: set[str], cluster: int, position: int
) -> None:
    where = f"cluster_list[{cluster}].host_info[{position}]"
    name = text(host, "node_id", where)
    if name in hosts or name in idle:
        raise UsageError(f"{where}.node_id is {name!r} again; expected another one for every host")
    if host.get("status", "ACTIVE") != "ACTIVE":
        idle.add(name)
        return
    nodes = [mapping(node, f"{where}.numa") for node in items(host, "numa", where)]
    numbers = [whole(node.get("node"), f"{where}.numa.node") for node in nodes]
    if sorted(numbers) not in ([0], [0, 1]):
        raise UsageError(f"{where}.numa has the nodes {numbers}; expected 0, or 0 and 1")
    hosts[name] = []
    for _, node in sorted(zip(numbers, nodes, strict=True), key=lambda pair: pair[0]):
        hosts[name].append(len(reading.numas))
        cores = whole(node.get("total_cpu"), f"{where}.numa.total_cpu", 1)
        memory = whole(node.get("memory_huge_total_mb"), f"{where}.numa.memory_huge_total_mb", 1)
        reading.numas.append((len(reading.machines), cores, memory))
    reading.machines.append(name)
    reading.clusters.append(cluster)


def _read_vm(
    reading: _Reading, vm: Json, hosts: Mapping[str, list[int]], idle: set[str], cluster: int, position: int
) -> None:
    where = f"cluster_list[{cluster}].vm_instance[{position}]"
    name, host = text(vm, "instance_id", where), text(vm, "host_id", where)
    if name in reading.vms:
        raise UsageError(f"{where}.instance_id is {name!r} again; expected another one for every VM")
    if host in idle:
        reading.left_out.add(name)
        return
    if host not in hosts:
        raise UsageError(f"{where}.host_id is {host!r}; expected a host of its cluster")
    shares = [mapping(share, f"{where}.numa") for share in items(vm, "numa", where)]
    nodes = [whole(share.get("node"), f"{where}.numa.node") for share in shares]
    cores = [whole(share.get("cpu"), f"{where}.numa.cpu", 1) for share in shares]
    memory = [whole(share.get("mem_mb"), f"{where}.numa.mem_mb") for share in shares]
    if sorted(nodes) not in ([0], [1], [0, 1]) or max(nodes) >= len(hosts[host]):
        raise UsageError(f"{where}.numa has the nodes {nodes}; expected one or both of host {host}")
    if len(set(cores)) > 1 or len(set(memory)) > 1:
        raise UsageError(f"{where}.numa takes {cores} cores and {memory} MB; expected equal halves")
    movable = vm.get("allow_migration", True)
    if not isinstance(movable, bool):
        raise UsageError(f"{where}.allow_migration is {shorten(movable)}; expected true or false")
    reading.vms[name] = [sum(cores), sum(memory), len(nodes), hosts[host][min(nodes)], -1, movable, cluster]


def _read_group(reading: _Reading, members: object, where: str) -> None:
    if not isinstance(members, list):
        raise UsageError(f"{where} is {shorten(members)}; expected a list of instance ids")
    for member in members:
        if str(member) in reading.left_out:
            continue
        if str(member) not in reading.vms:
            raise UsageError(f"{where} names {shorten(member)}; expected the ids of VMs")
        vm = reading.vms[str(member)]
        if vm[4] >= 0:
            raise UsageError(f"{where} names {shorten(member)} again; expected every VM in one deployment set at most")
        vm[4] = reading.groups
    reading.groups += 1


def _instance(reading: _Reading, name: str) -> VmInstance:
    numas = np.array(reading.numas, np.int64).reshape(-1, 3).T
    cores, memory, numa_count, host, group, movable, home = (
        np.array(list(reading.vms.values()), np.int64).reshape(-1, 7).T
    )
    machines = Machines(tuple(reading.machines), np.array(reading.clusters, np.int64), numas[0], numas[1], numas[2])
    never = np.full(len(cores), np.inf)
    vms = VirtualMachines(
        tuple(reading.vms), cores, memory, numa_count, host, group, movable > 0, np.zeros(len(cores)), never, home
    )
    return VmInstance(name, machines, vms)
