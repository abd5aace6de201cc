"""Instance files: round trips, the published snapshots, and every kind of mistake in them."""

import gzip
import json
import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.vm_rescheduling import snapshots
from envs.vm_rescheduling.generators import synthetic, with_churn, with_groups
from envs.vm_rescheduling.instance import read_instance, write_json, write_tables
from envs.vm_rescheduling.synthetic import MachineType
from envs.vm_rescheduling.types import Objective

MACHINES = "machine,cluster,numa,cores,memory_mb\na,east,0,44,1000\na,east,1,44,1000\nb,west,0,32,500\n"
VMS = (
    "vm,cores,memory_mb,numa_count,machine,numa,cluster,group,movable,arrival,departure\n"
    "w,8,300,1,a,1,,db,true,,\n"
    "x,64,400,2,a,,,,false,,\n"
    "y,4,100,1,b,,,db,yes,0,12.5\n"
    "z,2,50,1,,,west,,,3,inf\n"
)


SETTINGS = ("migration_limit", "delay", "migration_seconds", "in_flight")


def assert_same(one, other):
    assert one.name == other.name
    assert one.objective == other.objective
    assert [getattr(one, each) for each in SETTINGS] == [getattr(other, each) for each in SETTINGS]
    for part in ("machines", "vms"):
        for each in fields(getattr(one, part)):
            np.testing.assert_array_equal(
                getattr(getattr(one, part), each.name), getattr(getattr(other, part), each.name)
            )


def drawn(seed):
    rng = np.random.default_rng(seed)
    kinds = (MachineType(), MachineType(1, 32, 65536), MachineType(2, 24, 98304))
    instance = synthetic(int(rng.integers(1, 12)), rng, machine_types=kinds, clusters=(2, 1), keep=0.8, name=f"s{seed}")
    instance = with_churn(with_groups(instance, 0.5, rng), 2.0, 10.0, rng)
    movable = rng.random(len(instance.vms.names)) < 0.9
    return replace(instance, name=f"s{seed}", vms=replace(instance.vms, movable=movable))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), suffix=st.sampled_from([".csv", ".parquet"]))
def test_tables_come_back_as_they_were(tmp_path_factory, seed, suffix):
    instance, folder = drawn(seed), tmp_path_factory.mktemp("tables")
    for path in (*write_tables(instance, folder, suffix=suffix), folder):
        assert_same(read_instance(path), instance)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), goal=st.none() | st.floats(0, 1), packed=st.booleans())
def test_json_comes_back_as_it_was(tmp_path_factory, seed, goal, packed):
    instance = replace(
        drawn(seed),
        name="another name",
        objective=Objective({"fr16": 0.25, "memory64": 0.5}, goal),
        migration_limit=7,
        delay=1.5,
        migration_seconds=0.1,
        in_flight=3,
    )
    path = tmp_path_factory.mktemp("json") / "one.json"
    write_json(instance, path)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert_same(read_instance(path), instance)


@pytest.fixture
def tables(tmp_path):
    """Writes a pair of tables, with replacements, and returns the folder."""

    def write(machines=MACHINES, vms=VMS):
        (tmp_path / "two.machines.csv").write_text(machines)
        (tmp_path / "two.vms.csv").write_text(vms)
        return tmp_path

    return write


def test_cells_mean_what_the_documentation_says(tables):
    instance = read_instance(tables())
    vms = instance.vms
    assert instance.name == "two"
    assert instance.machines.names == ("a", "b")
    assert instance.machines.cluster.tolist() == [0, 1]
    assert vms.host.tolist() == [1, 0, 2, -1]
    assert vms.home.tolist() == [0, 0, 1, 1]
    assert vms.group.tolist() == [0, -1, 0, -1]
    assert vms.movable.tolist() == [True, False, True, True]
    assert vms.arrival.tolist() == [0, 0, 0, 3]
    assert vms.departure.tolist() == [np.inf, np.inf, 12.5, np.inf]
    assert instance.free_cores.tolist() == [44 - 32, 44 - 32 - 8, 32 - 4]


def test_the_smallest_tables_take_the_defaults(tables):
    folder = tables("machine,cores,memory_mb\na,8,10\nb,8,10\n", "vm,cores,memory_mb,machine\nx,2,4,b\n")
    instance = read_instance(folder / "two.vms.csv")
    assert instance.vms.host.tolist() == [1]
    assert instance.vms.group.tolist() == [-1]
    assert instance.vms.movable.tolist() == [True]
    assert not instance.changes


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("b,west,0,32,500", "b,west,0,many,500", r"two.machines.csv, row 3: cores is 'many'; expected a whole number"),
        ("b,west,0,32,500", "b,west,0,32,", r"two.machines.csv, row 3: memory_mb is missing"),
        ("b,west,0,32,500", "b,west,0,0,500", r"row 3: cores is '0'; expected a whole number of at least 1"),
        ("b,west,0,32,500", "b,west,1,32,500", r"row 3: numa is 1; expected 0 and 1"),
        ("b,west,0,32,500", "b,west,0,32", r"two.machines.csv, row 3: has 4 cells; expected 5"),
        ("a,east,1,", "a,west,1,", r"row 2: cluster is 'west'; expected one cluster for machine 'a'"),
        ("b,west,0,32,500", "b,west,0,32,500\na,east,0,1,1", r"row 4: machine is 'a' again"),
        ("numa,cores", "numa,kernels", r"two.machines.csv: unknown column 'kernels'"),
        ("cluster,numa", "numa,numa", r"two.machines.csv: its first line is .*each once"),
        ("x,64,400", "x,64.5,400", r"two.vms.csv, row 2: cores is '64.5'"),
        ("x,64,400", "w,64,400", r"two.vms.csv, row 2: vm is 'w' again"),
        ("1,a,1,,db", "1,c,1,,db", r"two.vms.csv, row 1: machine is 'c'; expected one of the machines"),
        ("1,a,1,,db", "1,a,,,db", r"row 1: numa is missing; expected 0 or 1"),
        ("1,b,,,db", "1,b,1,,db", r"row 3: numa is 1; machine 'b' has 1 NUMA"),
        (",,west,", ",,,", r"row 4: cluster is missing; expected one for a VM without a machine"),
        (",,west,", ",,north,", r"row 4: cluster is 'north'; expected a cluster that has machines"),
        ("false", "perhaps", r"row 2: movable is 'perhaps'; expected true or false"),
        ("0,12.5", "0,soon", r"row 3: departure is 'soon'; expected a number"),
        (",3,inf", ",,inf", r"two: VM z has cores 2.*a host exactly if"),
        ("w,8,300", "w,80,300", r"two: machine a: its VMs need 68 more cores"),
    ],
)
def test_mistakes_in_tables_are_named(tables, old, new, message):
    assert old in MACHINES + VMS
    with pytest.raises(UsageError, match=message):
        read_instance(tables(MACHINES.replace(old, new), VMS.replace(old, new)))


def test_missing_and_misnamed_tables_are_named(tmp_path, tables):
    with pytest.raises(UsageError, match=r"has no machine tables; expected one"):
        read_instance(tmp_path)
    folder = tables()
    (folder / "two.vms.csv").unlink()
    with pytest.raises(UsageError, match=r"has no table two\.vms\.csv"):
        read_instance(folder)
    with pytest.raises(UsageError, match=r"expected a name like <name>\.machines\.csv"):
        read_instance(folder / "two.csv")
    (folder / "two.vms.parquet").write_bytes(b"PAR?")
    with pytest.raises(UsageError, match=r"two\.vms\.parquet: cannot be read; expected a Parquet file"):
        read_instance(folder)
    with pytest.raises(UsageError, match=r"suffix is '\.txt'"):
        write_tables(drawn(0), folder, suffix=".txt")


def snapshot_data():
    """Two hosts of one cluster; the listed free resources are wrong on purpose."""

    def host(name, nodes):
        listed = [
            {"node": n, "total_cpu": 44, "free_cpu": 1.0, "memory_huge_total_mb": 1000.0, "memory_huge_free_mb": 1.0}
            for n in nodes
        ]
        return {"node_id": name, "status": "ACTIVE", "numa": listed}

    def vm(name, host, nodes, movable=True):
        numa = [{"node": n, "cpu": 8, "mem_mb": 100.0} for n in nodes]
        return {"instance_id": name, "host_id": host, "numa": numa, "allow_migration": movable}

    vms = [vm("x", "a", [1]), vm("y", "a", [0, 1], False), vm("z", "b", [0]), vm("lost", "c", [0])]
    hosts = [host("a", [1, 0]), host("b", [0]), host("c", [0]) | {"status": "OFFLINE"}]
    required = {"deployment_set": [["x", "z", "lost"]]}
    return {"cluster_list": [{"host_info": hosts, "vm_instance": vms, "other_requirement": required}]}


@pytest.fixture
def write_data(tmp_path):
    """Writes JSON data to a file."""

    def write(data, name="small.json"):
        path = tmp_path / name
        path.write_text(json.dumps(data))
        return path

    return write


def test_a_snapshot_is_read_and_its_free_resources_are_recomputed(write_data):
    instance = read_instance(write_data(snapshot_data()))
    assert instance.name == "small"
    assert instance.machines.names == ("a", "b")
    assert instance.vms.names == ("x", "y", "z")
    assert instance.vms.cores.tolist() == [8, 16, 8]
    assert instance.vms.memory.tolist() == [100, 200, 100]
    assert instance.vms.host.tolist() == [1, 0, 2]
    assert instance.vms.group.tolist() == [0, -1, 0]
    assert instance.vms.movable.tolist() == [True, False, True]
    assert instance.free_cores.tolist() == [36, 28, 36]
    assert instance.free_memory.tolist() == [900, 800, 900]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("vm_instance", 0, "host_id"), "q", r"small.json: cluster_list\[0\]\.vm_instance\[0\]\.host_id is 'q'"),
        (("vm_instance", 0, "host_id"), None, r"host_id is None; expected a text"),
        (("vm_instance", 1, "instance_id"), "x", r"vm_instance\[1\]\.instance_id is 'x' again"),
        (("vm_instance", 0, "numa", 0, "cpu"), 0, r"numa\.cpu is 0; expected a whole number of at least 1"),
        (("vm_instance", 0, "numa", 0, "mem_mb"), 0.5, r"numa\.mem_mb is 0\.5"),
        (("vm_instance", 2, "numa", 0, "node"), 1, r"numa has the nodes \[1\]; expected one or both of host b"),
        (("vm_instance", 1, "numa", 0, "cpu"), 9, r"takes \[9, 8\] cores .* expected equal halves"),
        (("vm_instance", 0, "allow_migration"), 2, r"allow_migration is 2; expected true or false"),
        (("vm_instance",), {}, r"cluster_list\[0\]\.vm_instance is {}; expected a list"),
        (("host_info", 1, "node_id"), "a", r"host_info\[1\]\.node_id is 'a' again"),
        (("host_info", 0, "numa", 0, "node"), 2, r"numa has the nodes \[2, 0\]"),
        (("host_info", 0, "numa", 0, "total_cpu"), "x", r"numa\.total_cpu is 'x'"),
        (
            ("other_requirement", "deployment_set", 0),
            "x",
            r"deployment_set\[0\] is 'x'; expected a list of instance ids",
        ),
        (("other_requirement", "deployment_set", 0, 0), "q", r"deployment_set\[0\] names 'q'; expected the ids of VMs"),
        (("other_requirement", "deployment_set", 0, 1), "x", r"names 'x' again; expected every VM in one"),
    ],
)
def test_mistakes_in_snapshots_are_named(write_data, path, value, message):
    data = snapshot_data()
    inner = data["cluster_list"][0]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(UsageError, match=message):
        read_instance(write_data(data))


def test_our_json_may_name_a_snapshot_or_tables(write_data, tables):
    write_data(snapshot_data())
    task = {"format": "vm_rescheduling/1", "snapshot": "small.json", "migration_limit": 3, "objective": {"goal": 0.4}}
    instance = read_instance(write_data(task, "task.json"))
    assert (instance.name, instance.migration_limit, instance.objective.goal) == ("task", 3, 0.4)
    assert instance.vms.names == ("x", "y", "z")
    tables()
    other = read_instance(write_data(task | {"snapshot": "two.vms.csv", "delay": 2}, "task.json"))
    assert (other.vms.names, other.delay) == (("w", "x", "y", "z"), 2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "vm_rescheduling/9"}, r"task.json: format is 'vm_rescheduling/9'; expected 'vm_rescheduling/1'"),
        ({"limit": 3}, r"task.json: unknown field 'limit'"),
        ({"vms": {}}, r"task.json: expected either the field snapshot or the tables machines and vms"),
        ({"snapshot": "none.json"}, r"none.json: cannot read the instance file: No such file"),
        ({"snapshot": 3.5}, r"snapshot is 3.5; expected a text"),
        ({"migration_limit": 2.5}, r"task.json: migration_limit is 2.5; expected a whole number of at least 1"),
        ({"delay": -1}, r"task.json: delay is -1; expected a number of at least 0"),
        ({"objective": {"weights": {"fr17": 1}}}, r"task.json: objective has the term 'fr17'"),
        ({"objective": {"weights": {"fr16": "a"}}}, r"objective.weights.fr16 is 'a'; expected a number"),
        ({"objective": {"aim": 1}}, r"unknown field objective.aim"),
        ({"objective": 3}, r"task.json: objective is 3; expected an object"),
    ],
)
def test_mistakes_in_our_json_are_named(write_data, changes, message):
    write_data(snapshot_data())
    task = {"format": "vm_rescheduling/1", "snapshot": "small.json"}
    with pytest.raises(UsageError, match=message):
        read_instance(write_data(task | changes, "task.json"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"odd.json, line 1: is not JSON"),
        (b"[" * 100_000, r"odd.json: is not JSON that can be read: RecursionError"),
        (b"[1]", r"odd.json is \[1\]; expected an object"),
        (b'{"a": 1}', r"odd.json: expected a snapshot with the field cluster_list"),
        (b"\xff\xfe\x00", r"odd.json: expected a text file, found binary data"),
        (gzip.compress(b"{}" * 500, mtime=0)[:-9], r"odd.json: cannot be unpacked"),
        (
            b'{"format": "vm_rescheduling/1", "machines": {"machine": 1}, "vms": {}}',
            r"machines.machine is 1; expected a l",
        ),
        (
            b'{"format": "vm_rescheduling/1", "machines": {"machine": ["a"], "cores": []}, "vms": {}}',
            r"odd.json: machines: its columns differ in length",
        ),
    ],
)
def test_files_that_are_no_instance_are_named(tmp_path, content, message):
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_instance(path)


def test_the_published_snapshots_hold_what_was_measured(snapshot):
    medium, large = snapshot("medium"), snapshot("large")
    assert (len(medium.machines.names), len(medium.vms.names), medium.free_cores.sum()) == (279, 2089, 1394)
    assert (len(large.machines.names), len(large.vms.names), large.free_cores.sum()) == (1176, 4546, 18772)
    assert np.bincount(medium.machines.cluster).tolist() == [236, 43]
    assert np.bincount(large.machines.cluster).tolist() == [352, 824]
    assert np.bincount(medium.free_cores)[[0, 2, 4, 6, 8, 10, 12, 28]].tolist() == [380, 27, 38, 7, 38, 3, 63, 2]
    assert (medium.free_memory >= 0).all()


def test_without_the_folder_the_message_says_what_to_do(monkeypatch):
    monkeypatch.delenv(snapshots.DATA_VARIABLE, raising=False)
    with pytest.raises(UsageError, match=r"set the environment variable DISPATCHLAB_DATA to a folder"):
        snapshots.load_snapshot("medium")
    with pytest.raises(UsageError, match="no snapshot 'huge'"):
        snapshots.load_snapshot("huge")


def test_a_snapshot_that_is_not_the_published_one_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv(snapshots.DATA_VARIABLE, str(tmp_path))
    path = tmp_path / snapshots.FOLDER / "reset_vm_pm_id_clear2.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(snapshot_data()))
    with pytest.raises(UsageError, match="differs from the published snapshot medium: SHA-256"):
        snapshots.load_snapshot("medium")


def test_a_missing_snapshot_is_downloaded_and_checked(monkeypatch, tmp_path, snapshot):
    asked = []

    def download(url, known_hash, fname, path, downloader):
        asked.append((url, known_hash))
        path.mkdir(parents=True)
        (path / fname).write_bytes(original.read_bytes())

    original = Path(os.environ[snapshots.DATA_VARIABLE], snapshots.FOLDER, "reset_vm_pm_id_clear2.json")
    monkeypatch.setattr("pooch.retrieve", download)
    monkeypatch.setenv(snapshots.DATA_VARIABLE, str(tmp_path / "new"))
    assert len(snapshots.load_snapshot("medium").vms.names) == 2089
    assert len(snapshots.load_snapshot("medium").vms.names) == 2089
    ((url, known_hash),) = asked
    assert url.endswith("/data/reset_vm_pm_id_clear2.json")
    assert known_hash == f"sha256:{snapshots.SNAPSHOTS['medium'].sha256}"


def test_a_failed_download_is_one_sentence(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr("pooch.retrieve", fail)
    monkeypatch.setenv(snapshots.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(UsageError, match=r"is not there, and cannot be downloaded from https://.*: ConnectionError$"):
        snapshots.load_snapshot("large")
