"""The migration heuristics: choices by hand, the best migration against all of them, published results."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.vm_rescheduling.dynamics import finished, fits, gain_of_move, step, weighted_sum
from envs.vm_rescheduling.execution import start
from envs.vm_rescheduling.generators import thin
from envs.vm_rescheduling.rules import RULES
from envs.vm_rescheduling.snapshots import DATA_VARIABLE, FOLDER
from envs.vm_rescheduling.types import Machines, Objective, VirtualMachines, plan
from envs.vm_rescheduling.verify import verify

NODE = (44, 200_000)
MIXED = {"fr16": 1.0, "fr64": 0.5, "memory64": 0.3, "occupied_hosts": 0.2}


def follow(rule, instance):
    """The migrations of a rule."""
    state = start(instance)
    active, flag = np.ones(1, np.bool_), np.zeros(1, np.bool_)
    while not flag[0]:
        priority = np.where(state.mask, RULES[rule].priority(state), np.inf)
        step(state, priority.argmin(axis=1), active, flag)
        assert not flag[0]
        finished(state, flag)
    moves = state.move[0, : state.episode["migrations"][0]]
    return plan(list(zip(moves["vm"].tolist(), moves["numa"].tolist(), strict=True)))


def moves_of(rule, instance):
    found = follow(rule, instance)
    return list(zip(found.vm.tolist(), found.numa.tolist(), strict=True))


# Free cores 12, 4, 20: without the VM of 4 cores node 0 wastes none instead of 12, with it nodes 1 and 2 waste 4 fewer.
VMS = [
    {"cores": 28, "host": 0},
    {"cores": 4, "memory": 50, "host": 0},
    {"cores": 40, "host": 1},
    {"cores": 24, "host": 2},
]


@pytest.mark.parametrize("rule", ["ha", "best_move"])
def test_a_vm_goes_from_where_it_hurts_to_where_it_helps(build, rule):
    instance = build([[NODE], [NODE], [NODE]], VMS)
    assert moves_of(rule, instance) == [(1, 1)]  # the first of two equals, and nothing is left to gain
    narrow = build([[NODE], [(44, 49)], [NODE]], VMS)
    assert moves_of(rule, narrow) == [(1, 2)]


def test_filter_leaves_out_large_vms_and_flips(build):
    flip = build([[NODE, NODE]], VMS[:3])
    assert moves_of("ha", flip) == []
    assert moves_of("best_move", flip) == [(1, 1)]
    large = build([[(32, 100)], [(36, 100)]], [{"cores": 20, "host": 0}])  # free 12 and 36, then 32 and 16
    assert moves_of("ha", large) == []
    assert moves_of("best_move", large) == [(0, 1)]


def test_filter_stops_where_the_vm_that_leaves_best_has_nowhere_to_gain(build):
    """Free 14, 4, 32, 12. The first VM gains 14/16 by leaving, but only node 2 has memory, where it costs 14/16."""
    nodes = [[NODE], [(44, 50)], [NODE], [(44, 60)]]
    vms = [{"cores": 2, "memory": 100, "host": 0}, {"cores": 4, "memory": 1, "host": 3}]
    vms += [{"cores": c, "host": host, "movable": False} for host, c in enumerate((28, 40, 12, 28))]
    instance = build(nodes, vms)
    assert moves_of("ha", instance) == []
    assert moves_of("best_move", instance) == [(1, 0)]  # 12/16 by leaving and 4/16 by coming


def test_a_flip_that_changes_nothing_is_no_gain(build):
    """A VM that is alone on its machine leaves it occupied when it goes to the other node."""
    alone = [{"cores": 4, "host": 0}]
    for terms in ({"occupied_hosts": 1.0}, {"fr64": 1.0}):
        assert moves_of("best_move", build([[NODE, NODE]], alone, objective=Objective(terms))) == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_best_move_is_the_best_of_all(random_cluster, walk, seed):
    instance = random_cluster(seed, machines=4, groups=3, objective=Objective(MIXED), migration_limit=8)
    state, moves = walk(instance, np.random.default_rng(seed), 3)
    before, values = weighted_sum(state, 0), {}
    for vm in np.flatnonzero(state.mask[0, : len(instance.vms.names)]).tolist():
        for numa in range(8):
            if fits(state, 0, vm, numa):
                values[vm, numa] = verify(instance, plan([*moves, (vm, numa)]))
                gain = gain_of_move(state, 0, vm, numa) * state.episode["unit"][0]
                assert gain == pytest.approx(before - values[vm, numa], abs=1e-9)
    priority = np.where(state.mask, RULES["best_move"].priority(state), np.inf)
    action, vms = int(priority.argmin()), state.vm.shape[1]
    if action == vms:
        assert min(values.values(), default=before) >= before - 1e-8
        return
    step(state, np.array([action]), np.ones(1, np.bool_), np.empty(1, np.bool_))
    place = int(np.where(state.mask, RULES["best_move"].priority(state), np.inf).argmin()) - vms - 1
    assert values[action, place] == pytest.approx(min(values.values()), abs=1e-8)


def test_random_picks_every_legal_action_equally_often(build):
    one = start(build([[NODE], [NODE]], [{"cores": cores, "host": 0} for cores in (4, 4, 4, 2)]))
    lanes = 4000
    state = type(one)._make(np.repeat(array, lanes, axis=0) for array in one)
    state.generator[:] = np.random.default_rng(0).integers(1 << 63, size=lanes)
    picked = np.where(state.mask, RULES["random"].priority(state), np.inf).argmin(axis=1)
    legal = np.flatnonzero(one.mask[0])
    assert legal.tolist() == [0, 1, 2, 3, 4]  # 4 is the stop
    counts = np.bincount(picked, minlength=len(one.mask[0]))
    assert counts.sum() == counts[legal].sum()
    assert np.abs(counts[legal] - lanes / 5).max() < 5 * np.sqrt(lanes * 4 / 25)


def test_ha_reaches_the_recorded_values_on_thinned_medium(snapshot):
    """Fragment rates of an independent implementation of the filter and score."""
    path = Path(os.environ[DATA_VARIABLE], FOLDER, "reference_results_medium_thinned.csv")
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    medium, checked = snapshot("medium"), 0
    for row in csv.DictReader(path.open()):
        seed = int(next(value for key, value in row.items() if key.startswith("seed")))
        if row["level"] != "H" or seed > 4:
            continue
        instance = replace(thin(medium, 0.9, seed), migration_limit=int(row["mnl"]))
        assert verify(instance, follow("ha", instance)) == pytest.approx(float(row["ha_fr"]), abs=5e-4), row
        checked += 1
    assert checked == 25


def test_ha_stalls_on_the_large_snapshot(snapshot):
    large = replace(snapshot("large"), migration_limit=50)
    found = follow("ha", large)
    assert len(found.vm) == 16
    assert verify(large, found) == pytest.approx(0.587, abs=5e-4)


def test_ha_stalls_on_the_medium_snapshot_sooner_or_later_by_its_ties(snapshot):
    """From 0.977 it goes down by one piece of 16 cores a move, and there it matters which of many equals is taken.

    A record of it stalls at 0.805 after 14 moves, ours in the order of the file at 0.793 after 15, with the same value
    after 14. Among equals the first VM and the first place are taken; if the machines or the VMs or both stand in
    reverse order, these are others, and it stalls after 12 to 14 moves.
    """
    medium = replace(snapshot("medium"), migration_limit=50)
    found = follow("ha", medium)
    assert len(found.vm) == 15
    assert verify(medium, found) == pytest.approx(0.7934, abs=5e-5)
    assert verify(medium, plan(list(zip(found.vm[:14], found.numa[:14], strict=True)))) == pytest.approx(
        0.805, abs=5e-4
    )
    ends = {}
    for vms, machines in ((-1, 1), (1, -1), (-1, -1)):
        other = reordered(medium, vms, machines)
        moves = follow("ha", other)
        ends[vms, machines] = (len(moves.vm), round(verify(other, moves), 3))
    assert ends == {(-1, 1): (12, 0.828), (1, -1): (13, 0.816), (-1, -1): (14, 0.805)}


def reordered(instance, vm_step, machine_step):
    """The instance with its VMs and machines in steps of 1 (as they are) or -1 (in reverse)."""
    old, vms = instance.machines, instance.vms
    order = np.arange(len(old.names))[::machine_step]
    numas = np.concatenate([old.first_numa[m] + np.arange(old.numa_count[m]) for m in order])
    machine_of_numa = np.repeat(np.arange(len(order)), old.numa_count[order])
    machines = Machines(
        tuple(old.names[m] for m in order), old.cluster[order], machine_of_numa, old.cores[numas], old.memory[numas]
    )
    turned = VirtualMachines(
        vms.names[::vm_step],
        *(getattr(vms, name)[::vm_step] for name in ("cores", "memory", "numa_count")),
        np.argsort(numas)[vms.host][::vm_step],
        *(getattr(vms, name)[::vm_step] for name in ("group", "movable", "arrival", "departure", "home")),
    )
    return replace(instance, machines=machines, vms=turned)
