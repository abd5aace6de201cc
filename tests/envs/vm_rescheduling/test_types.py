"""Instances and plans: what they refuse, free resources and the objective's terms by hand."""

from dataclasses import replace

import numpy as np
import pytest

from envs.core import UsageError
from envs.vm_rescheduling.types import TERMS, Machines, Objective, plan, score, value

NODES = [[(44, 1000), (44, 1000)], [(32, 500)]]


@pytest.fixture
def tiny(build):
    """Two machines with two nodes and one; a VM on one node, one on two, one that arrives later."""
    vms = [
        {"cores": 8, "memory": 300, "host": 0},
        {"cores": 64, "memory": 400, "numa_count": 2, "host": 0},
        {"cores": 4, "memory": 100, "arrival": 5.0, "departure": 9.0},
    ]
    return build(NODES, vms)


def test_free_resources_by_hand(tiny):
    assert tiny.free_cores.tolist() == [44 - 8 - 32, 44 - 32, 32]
    assert tiny.free_memory.tolist() == [1000 - 300 - 200, 1000 - 200, 500]
    assert tiny.machines.first_numa.tolist() == [0, 2]
    assert tiny.machines.numa_count.tolist() == [2, 1]


def test_an_instance_changes_iff_vms_arrive_or_leave(tiny, build):
    assert tiny.changes
    assert not build(NODES, [{"host": 0}]).changes
    assert build(NODES, [{"host": 0, "departure": 3.0}]).changes


def test_arrays_cannot_be_written(tiny):
    with pytest.raises(ValueError, match="read-only"):
        tiny.vms.cores[0] = 1


@pytest.mark.parametrize(
    ("vm", "message"),
    [
        ({"host": 0, "cores": 0}, "VM vm0 has cores 0"),
        ({"host": 0, "cores": 3, "numa_count": 2}, "even on two NUMA nodes"),
        ({"host": 0, "memory": 3, "numa_count": 2}, "even on two NUMA nodes"),
        ({"host": 0, "memory": -2}, "memory -2"),
        ({"host": 0, "numa_count": 3}, "numa_count 3"),
        ({"host": -1}, "host exactly if"),
        ({"host": 0, "arrival": 2.0}, "host exactly if"),
        ({"arrival": 2.0, "departure": 2.0}, "departure after the arrival"),
        ({"arrival": -1.0}, "arrival -1"),
        ({"host": 0, "arrival": np.nan}, "arrival nan"),
        ({"host": 1, "numa_count": 2}, "VM vm0 has host 1"),
        ({"host": 2, "numa_count": 2}, "VM vm0 has host 2"),
        ({"host": 2, "home": 1}, "VM vm0 of cluster 1 runs in cluster 0"),
        ({"host": 2, "cores": 33}, "machine pm1: its VMs need 1 more cores than NUMA node 0 has"),
        ({"host": 1, "memory": 1002}, "machine pm0: its VMs need 2 more memory than NUMA node 1 has"),
    ],
)
def test_vms_that_cannot_be_are_refused(build, vm, message):
    with pytest.raises(UsageError, match=message):
        build(NODES, [{"home": 0, **vm}])


def test_a_host_that_is_not_there_is_refused(build):
    instance = build(NODES, [{"host": 0}])
    with pytest.raises(UsageError, match="VM vm0 has host 3"):
        replace(instance, vms=replace(instance.vms, host=np.array([3])))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"migration_limit": 0}, "migration_limit 0"),
        ({"in_flight": -1}, "in_flight -1"),
        ({"delay": -1.0}, "delay -1"),
        ({"delay": np.inf}, "delay inf"),
        ({"migration_seconds": np.nan}, "migration_seconds nan"),
    ],
)
def test_settings_out_of_range_are_refused(tiny, options, message):
    with pytest.raises(UsageError, match=message):
        replace(tiny, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cluster": [0]}, "machines: cluster has shape"),
        ({"machine_of_numa": [0, 1, 0]}, "one or two NUMA nodes"),
        ({"machine_of_numa": [0, 0, 0]}, "one or two NUMA nodes"),
        ({"cores": [44, 44, 0]}, "at least 1"),
        ({"memory": [0, 1, 1]}, "at least 1"),
    ],
)
def test_machines_that_cannot_be_are_refused(changes, message):
    columns = {"cluster": [0, 0], "machine_of_numa": [0, 0, 1], "cores": [44, 44, 32], "memory": [1, 1, 1]} | changes
    with pytest.raises(UsageError, match=message):
        Machines(("a", "b"), *(np.array(column) for column in columns.values()))


def test_columns_of_another_length_are_refused(tiny):
    with pytest.raises(UsageError, match="vms: group has shape"):
        replace(tiny.vms, group=np.zeros(2))
    with pytest.raises(UsageError, match="plan: numa has shape"):
        replace(plan([(0, 1)]), numa=np.zeros(2))


@pytest.mark.parametrize("weights", [{}, {"fr17": 1.0}, {"fr16": 0.0}, {"fr16": np.inf}, {"fr16": -1.0}])
def test_objectives_without_a_proper_term_are_refused(weights):
    with pytest.raises(UsageError, match="objective has"):
        Objective(weights)


def test_terms_by_hand():
    machines = Machines(("a", "b"), np.zeros(2), np.array([0, 0, 1]), np.full(3, 100), np.full(3, 300_000))
    cores, memory, occupied = np.array([40, 70, 10]), np.array([65_536, 100_000, 10]), np.array([True, False])
    by_hand = {
        "fr16": (8 + 6 + 10) / 120,
        "fr64": 1 - 64 * 1 / 120,  # one pair of 32 cores; machine b has one node only
        "memory64": (0 + 34_464 + 10) / 165_546,
        "occupied_hosts": 0.5,
    }
    for term in TERMS:
        assert score(Objective({term: 1.0}).vector, machines, cores, memory, occupied) == pytest.approx(by_hand[term])
    mixed = Objective({"fr16": 2.0, "occupied_hosts": 3.0}).vector
    assert score(mixed, machines, cores, memory, occupied) == pytest.approx(2 * by_hand["fr16"] + 1.5)


def test_a_rate_of_nothing_is_nothing():
    machines = Machines(("a",), np.zeros(1), np.array([0]), np.array([8]), np.array([8]))
    none = np.zeros(1, np.int64)
    assert score(np.array([1.0, 1.0, 1.0, 0.0]), machines, none, none, np.array([True])) == 0


def test_a_goal_turns_the_sum_into_migrations():
    towards = Objective(goal=0.4)
    assert value(Objective(), 0.5, 7, 50) == 0.5
    assert value(towards, 0.4, 7, 50) == 7
    assert value(towards, 0.41, 7, 50) == pytest.approx(50 + 1 + 1)
