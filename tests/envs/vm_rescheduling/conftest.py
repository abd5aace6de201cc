"""Small clusters that the tests of VM rescheduling share."""

import os
from pathlib import Path

import numpy as np
import pytest

from envs.vm_rescheduling.dynamics import step
from envs.vm_rescheduling.execution import start
from envs.vm_rescheduling.snapshots import DATA_VARIABLE, FOLDER, SNAPSHOTS, load_snapshot
from envs.vm_rescheduling.types import Machines, VirtualMachines, VmInstance


def build(nodes, vms, *, clusters=None, **options):
    """Builds an instance.

    Args:
        nodes: For every machine the (cores, memory) of its NUMA nodes.
        vms: For every VM a mapping with cores, memory, host and what else differs from the usual.
        clusters: Cluster of every machine; all 0 if left out.
        options: Further fields of the instance.
    """
    cluster = [0] * len(nodes) if clusters is None else clusters
    machine_of_numa = [machine for machine, each in enumerate(nodes) for _ in each]
    machines = Machines(
        tuple(f"pm{i}" for i in range(len(nodes))),
        np.array(cluster),
        np.array(machine_of_numa),
        np.array([cores for each in nodes for cores, _ in each]),
        np.array([memory for each in nodes for _, memory in each]),
    )

    def column(key, default):
        return [vm.get(key, default) for vm in vms]

    homes = [vm.get("home", cluster[machine_of_numa[vm["host"]]] if "host" in vm else 0) for vm in vms]
    columns = VirtualMachines(
        tuple(f"vm{i}" for i in range(len(vms))),
        column("cores", 4),
        column("memory", 0),
        column("numa_count", 1),
        column("host", -1),
        column("group", -1),
        column("movable", True),
        column("arrival", 0.0),
        column("departure", np.inf),
        homes,
    )
    return VmInstance(options.pop("name", "tiny"), machines, columns, **options)


def random_cluster(seed, *, machines=5, share=0.8, groups=0, **options):
    """Draws a small cluster: two-node machines of 44 cores, filled at random with the usual flavours."""
    rng = np.random.default_rng(seed)
    free = np.full(2 * machines, 44)
    vms = []
    for _ in range(12 * machines):
        if free.sum() < (1 - share) * 88 * machines:
            break
        cores = int(rng.choice([2, 4, 8, 16, 32, 64], p=[0.15, 0.35, 0.2, 0.15, 0.1, 0.05]))
        width = 2 if cores == 64 or (cores >= 8 and rng.random() < 0.2) else 1
        hosts = [n for n in range(0, 2 * machines, width) if (free[n : n + width] >= cores // width).all()]
        if not hosts:
            continue
        host = int(rng.choice(hosts))
        free[host : host + width] -= cores // width
        group = int(rng.integers(groups)) if groups and rng.random() < 0.5 else -1
        vms.append(
            {"cores": cores, "memory": 2048 * cores, "numa_count": width, "host": host, "group": group}
            | {"movable": bool(rng.random() < 0.9)}
        )
    nodes = [[(44, int(rng.choice([100_000, 184_388])))] * 2 for _ in range(machines)]
    return build(nodes, vms, **options)


@pytest.fixture(scope="session", name="build")
def build_fixture():
    """Returns `build`."""
    return build


@pytest.fixture(scope="session", name="random_cluster")
def random_cluster_fixture():
    """Returns `random_cluster`."""
    return random_cluster


@pytest.fixture(scope="session", name="snapshot")
def snapshot_fixture():
    """Returns `load_snapshot`; skips the test where the files are not there."""
    folder = Path(os.environ.get(DATA_VARIABLE, ""), FOLDER)
    if DATA_VARIABLE not in os.environ or not all((folder / file.name).is_file() for file in SNAPSHOTS.values()):
        pytest.skip(f"{DATA_VARIABLE} names no folder with {FOLDER}")
    return load_snapshot


def walk(instance, rng, moves):
    """Carries out up to ``moves`` random legal migrations; returns the state and the moves."""
    state, done = start(instance), []
    vms = state.vm.shape[1]
    active, refused = np.ones(1, np.bool_), np.empty(1, np.bool_)
    while len(done) < moves and state.mask[0, :vms].any():
        vm = int(rng.choice(np.flatnonzero(state.mask[0, :vms])))
        step(state, np.array([vm]), active, refused)
        numa = int(rng.choice(np.flatnonzero(state.mask[0, vms + 1 :])))
        step(state, np.array([vms + 1 + numa]), active, refused)
        done.append((vm, numa))
    return state, done


@pytest.fixture(scope="session", name="walk")
def walk_fixture():
    """Returns `walk`."""
    return walk
