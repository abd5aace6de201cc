"""The compiled rules: gains and masks by hand, and against freshly loaded placements and the independent verifier."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.vm_rescheduling.dynamics import finished, fits, objectives, step, weighted_sum
from envs.vm_rescheduling.execution import migrate, start
from envs.vm_rescheduling.generators import with_churn
from envs.vm_rescheduling.types import Objective, VirtualMachines, plan, score
from envs.vm_rescheduling.verify import verify

NODE = (44, 200_000)
PAIR = [[NODE, NODE], [NODE, NODE]]
NEVER = -np.inf
# Free cores 40, 28, 12, 12; the second VM is on two nodes.
THREE = [{"cores": 4, "host": 0}, {"cores": 64, "numa_count": 2, "host": 2}, {"cores": 16, "host": 1}]

seeds = st.integers(0, 10_000)


def gains(state, vm):
    """Gains of the VM's type at every place."""
    return state.gain[0, state.vm[0, vm]["type"]].tolist()


def leaving(state):
    return state.vm["leave"][0].tolist()


def take(state, action):
    """Takes an action in the only lane; returns whether it was refused."""
    refused = np.empty(1, np.bool_)
    step(state, np.array([action]), np.ones(1, np.bool_), refused)
    return bool(refused[0])


def objective(state):
    out = np.empty(1)
    objectives(state, out)
    return out[0]


def is_finished(state):
    out = np.empty(1, np.bool_)
    finished(state, out)
    return bool(out[0])


def test_gains_of_fr16_count_pieces_of_16_cores(build):
    state = start(build(PAIR, THREE))
    assert state.episode["unit"][0] == 16 / 92
    assert leaving(state) == [-0.25, 0, 0]  # node 0 would waste 12 instead of 8 cores; the others waste what they did
    assert gains(state, 0) == [0.25, 0.25, 0.25, 0.25]  # every node wastes 4 fewer
    assert gains(state, 2) == [0, 0, NEVER, NEVER]
    assert gains(state, 1) == [NEVER] * 4  # 28 < 32, and no node is the second one of a place
    assert weighted_sum(state, 0) == pytest.approx(44 / 92)
    assert state.vm["best"][0].tolist() == [0.25, NEVER, 0]


def test_gains_of_fr64_count_whole_large_vms(build):
    state = start(build(PAIR, THREE, objective=Objective({"fr64": 1.0})))
    assert leaving(state) == [0, 4, 4]  # without either of the others one more VM of 64 cores, four pieces, has room
    assert weighted_sum(state, 0) == 1.0
    small = start(build(PAIR, [{"cores": 16, "host": 1}, {"cores": 4, "host": 0}], objective=Objective({"fr64": 1.0})))
    assert gains(small, 0) == [0, 0, -4, -4]
    assert gains(small, 1) == [0, 0, 0, 0]
    assert weighted_sum(small, 0) == pytest.approx(1 - 64 / 156)


def test_gains_of_memory64_count_megabytes_in_the_worth_of_cores(build):
    # Free memory 10,000 of 70,000 | 60,000 and 65,536 of 65,536: fragments 10,000, 60,000 and 0.
    nodes = [[(20, 70_000)], [(20, 70_000), (20, 65_536)]]
    vms = [{"cores": 4, "memory": 60_000, "host": 0}, {"cores": 4, "memory": 10_000, "host": 1}]
    state = start(build(nodes, vms, objective=Objective({"memory64": 1.0})))
    megabyte = (52 / 16) / 135_536
    assert leaving(state) == pytest.approx([(10_000 - 4_464) * megabyte, (60_000 - 4_464) * megabyte])
    assert gains(state, 0) == pytest.approx([NEVER, 60_000 * megabyte, -5_536 * megabyte])
    assert weighted_sum(state, 0) == pytest.approx(70_000 / 135_536)


def test_gains_of_occupied_hosts_are_those_of_the_first_and_the_last_vm(build):
    nodes = [[NODE, NODE], [NODE, NODE], [NODE, NODE]]
    vms = [{"cores": 4, "host": 0}, {"cores": 4, "host": 2}, {"cores": 4, "host": 3}]
    state = start(build(nodes, vms, objective=Objective({"occupied_hosts": 1.0})))
    host = (252 / 16) / 3
    assert leaving(state) == pytest.approx([host, 0, 0])
    assert gains(state, 0) == pytest.approx([0, 0, 0, 0, -host, -host])
    assert migrate(state, 0, 2)
    assert weighted_sum(state, 0) == pytest.approx(1 / 3)
    assert leaving(state) == [0, 0, 0]
    assert gains(state, 0) == pytest.approx([-host, -host, 0, 0, -host, -host])


def test_a_flip_changes_both_nodes_of_a_machine(build):
    vms = [{"cores": 12, "host": 0}, {"cores": 12, "host": 1, "movable": False}, {"cores": 28, "host": 1}]
    state = start(build([[NODE, (64, 200_000)]], vms))
    # Free 32 and 24. The VM of 12 goes to node 1: 44 and 12 free.
    assert gains(state, 0) == [-0.25, -0.25]  # 20 and 12 would be left, which waste four cores more
    assert migrate(state, 0, 1)
    assert state.numa["free_cores"][0].tolist() == [44, 12]
    assert weighted_sum(state, 0) == pytest.approx((12 + 12) / 56)


def test_a_vm_on_two_nodes_takes_half_of_each(build):
    nodes = [[NODE, NODE], [NODE], [(34, 200_000), (32, 100)]]
    double = {"cores": 64, "memory": 200, "numa_count": 2, "host": 0}
    state = start(build(nodes, [double]))
    assert gains(state, 0) == [NEVER, NEVER, NEVER, pytest.approx((2 - 2 + 0 - 0) / 16), NEVER]
    assert migrate(state, 0, 3)
    assert state.numa["free_cores"][0].tolist() == [44, 44, 44, 2, 0]
    assert state.numa["free_memory"][0].tolist() == [200_000, 200_000, 200_000, 199_900, 0]


def test_actions_alternate_between_vms_and_places(build):
    state = start(build(PAIR, [*THREE, {"cores": 4, "host": 1, "movable": False}]))
    vms = 4
    # The large VM fits nowhere else, the last one may not be moved; the stop is always there.
    assert state.mask[0].tolist() == [True, False, True, False, True] + [False] * 4
    assert take(state, 1)
    assert take(state, vms + 1)
    assert not take(state, 2)
    assert state.mask[0].tolist() == [False] * 5 + [True, False, False, False]
    assert take(state, vms)  # no stop half-way
    assert not take(state, vms + 1)
    assert state.vm["host"][0].tolist() == [0, 2, 0, 1]
    assert state.episode["migrations"][0] == 1


def test_a_stop_and_the_limit_end_an_episode(build):
    instance = build(PAIR, THREE, migration_limit=2)
    state = start(instance)
    assert not take(state, 3)
    assert is_finished(state)
    assert not state.mask.any()
    state = start(instance)
    assert migrate(state, 0, 1)
    assert not is_finished(state)
    assert migrate(state, 0, 0)
    assert is_finished(state)
    assert not state.mask.any()


def test_room_is_held_until_enough_migrations_have_begun(build):
    vms = [{"cores": 30, "host": 0}, {"cores": 30, "host": 1}, {"cores": 2, "host": 2}]
    held = {}
    for in_flight in range(3):
        state = start(build(PAIR, vms, in_flight=in_flight))
        assert migrate(state, 0, 3)
        assert state.numa["free_cores"][0].tolist() == [44, 14, 42, 14]  # what is held counts as free in the objective
        held[in_flight] = [int(state.numa["held_cores"][0, 0])]
        assert fits(state, 0, 1, 0) == (in_flight == 0)
        assert migrate(state, 2, 1)
        held[in_flight].append(int(state.numa["held_cores"][0, 0]))
        assert fits(state, 0, 1, 0) == (in_flight < 2)
    assert held == {0: [0, 0], 1: [30, 0], 2: [30, 30]}


def test_arrivals_go_where_the_fewest_cores_stay_free_or_are_turned_away(build):
    vms = [
        {"cores": 30, "host": 1},
        {"cores": 20, "host": 2},
        {"cores": 12, "arrival": 1.0},
        {"cores": 60, "numa_count": 2, "arrival": 2.0},
        {"cores": 4, "arrival": 3.0, "home": 7},
        {"cores": 4, "arrival": 9.0},
    ]
    state = start(build(PAIR, vms, delay=5.0, migration_seconds=2.0))
    # Free 44, 14, 24, 44: the first arrival takes node 1; the pair of 60 has room on neither machine then.
    assert state.vm["host"][0].tolist() == [1, 2, 1, -1, -1, -1]
    assert state.mask[0, :6].tolist() == [True, True, True, False, False, False]
    assert migrate(state, 1, 0)
    assert state.vm["host"][0, 5] == -1  # it is 7
    assert migrate(state, 1, 3)
    assert state.vm["host"][0].tolist() == [1, 3, 1, -1, -1, 3]


def test_departures_give_back_what_is_held_as_well(build):
    vms = [{"cores": 30, "host": 0, "departure": 1.5}, {"cores": 30, "host": 2}]
    state = start(build(PAIR, vms, migration_seconds=1.0, in_flight=5))
    assert migrate(state, 0, 1)
    assert state.numa["held_cores"][0].tolist() == [30, 0, 0, 0]
    assert migrate(state, 1, 3)
    assert state.vm["host"][0].tolist() == [-1, 3]
    assert state.numa["held_cores"][0].tolist() == [0, 0, 30, 0]
    assert state.numa["free_cores"][0].tolist() == [44, 44, 44, 14]
    assert state.episode["running"][0] == 1
    assert not state.mask[0, 0]


def test_a_group_keeps_its_vms_apart(build):
    vms = [{"cores": 4, "host": 0, "group": 2}, {"cores": 4, "host": 2, "group": 2}, {"cores": 4, "host": 4}]
    state = start(build([*PAIR, [NODE, NODE]], vms))
    assert [fits(state, 0, 0, numa) for numa in range(6)] == [False, True, False, False, True, True]
    assert migrate(state, 1, 4)
    assert [fits(state, 0, 0, numa) for numa in range(6)] == [False, True, True, True, False, False]
    # Where the others of a group are everywhere else, and the other node has no room, a VM may go nowhere.
    full = [{"cores": 4, "host": 0, "group": 0}, {"cores": 4, "host": 2, "group": 0}, {"cores": 44, "host": 1}]
    state = start(build(PAIR, full))
    assert state.mask[0, :3].tolist() == [False, True, True]


def test_a_goal_makes_migrations_the_objective(build):
    vms = [{"cores": 4, "host": 0}, {"cores": 16, "host": 2}]
    goal = Objective({"fr16": 1.0}, goal=40 / 156)
    state = start(build(PAIR, vms, objective=goal, migration_limit=7))
    assert objective(state) == pytest.approx(8 + 100 * 4 / 156)  # free 40, 44, 28, 44 waste 8 + 12 + 12 + 12
    assert migrate(state, 1, 3)
    assert objective(state) == pytest.approx(8 + 100 * 4 / 156)
    reached = build(PAIR, vms, objective=Objective({"fr16": 1.0}, goal=44 / 156), migration_limit=7)
    state = start(reached)
    assert objective(state) == 0
    assert not is_finished(state)  # a goal that holds at the start is left to the first decision
    assert migrate(state, 1, 3)
    assert objective(state) == 1
    assert is_finished(state)
    assert not state.mask.any()


def rebuilt(instance, hosts):
    """The instance of the VMs that run, where they run."""
    here = np.flatnonzero(hosts >= 0)
    columns = {each.name: getattr(instance.vms, each.name) for each in fields(VirtualMachines) if each.name != "names"}
    columns |= {"host": hosts, "arrival": np.zeros(len(hosts)), "departure": np.full(len(hosts), np.inf)}
    names = tuple(instance.vms.names[vm] for vm in here)
    vms = VirtualMachines(names, **{name: column[here] for name, column in columns.items()})
    return here, replace(instance, vms=vms, in_flight=0, delay=0.0)


def assert_as_loaded_afresh(instance, state):
    """What is kept up to date equals what is computed from the placement alone."""
    here, fresh = rebuilt(instance, state.vm["host"][0, : len(instance.vms.names)])
    loaded = start(fresh)
    for name in ("free_cores", "free_memory", "fragments", "large", "pieces", "occupied", "running"):
        assert state.episode[name][0] == loaded.episode[name][0], name
    np.testing.assert_array_equal(state.numa["free_cores"][0], fresh.free_cores)
    np.testing.assert_array_equal(state.numa["free_memory"][0], fresh.free_memory)
    assert not state.numa["held_cores"].any()
    for name in ("leave", "best"):
        np.testing.assert_allclose(state.vm[name][0, here], loaded.vm[name][0], atol=1e-9, err_msg=name)
    before, after = state.vm["type"][0, here], loaded.vm["type"][0]
    np.testing.assert_allclose(state.gain[0, before], loaded.gain[0, after], atol=1e-9)
    np.testing.assert_array_equal(state.machine["vms"][0], loaded.machine["vms"][0])
    np.testing.assert_allclose(state.machine["cost"][0], loaded.machine["cost"][0], atol=1e-9)
    if not is_finished(state):
        np.testing.assert_array_equal(state.mask[0, here], loaded.mask[0, : len(here)])


WEIGHTS = {"fr16": 1.0, "fr64": 0.5, "memory64": 0.3, "occupied_hosts": 0.2}


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(0, 12))
def test_what_is_kept_up_to_date_equals_what_is_loaded_afresh(random_cluster, walk, seed, moves):
    instance = random_cluster(seed, groups=4, objective=Objective(WEIGHTS), migration_limit=12)
    state, _ = walk(instance, np.random.default_rng(seed), moves)
    assert_as_loaded_afresh(instance, state)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(0, 12))
def test_arrivals_and_departures_are_kept_up_to_date_as_well(random_cluster, walk, seed, moves):
    """Gains of ``memory64`` and ``occupied_hosts`` are in units of the start, which changes; so they are left out."""
    rng = np.random.default_rng(seed)
    terms = Objective({"fr16": 1.0, "fr64": 0.5})
    timing = {"delay": 2.0, "migration_seconds": 1.0}
    instance = random_cluster(seed, groups=4, objective=terms, migration_limit=12, **timing)
    instance = with_churn(instance, 1.5, 14.0, rng)
    state, _ = walk(instance, rng, moves)
    assert_as_loaded_afresh(instance, state)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 3), st.floats(0, 3), st.sampled_from([None, 0.3, 0.9]))
def test_objective_is_that_of_the_verifier(random_cluster, walk, seed, in_flight, churn, goal):
    rng = np.random.default_rng(seed)
    options = {"delay": 1.0, "migration_seconds": 0.7, "in_flight": in_flight, "migration_limit": 9}
    instance = random_cluster(seed, groups=3, objective=Objective(WEIGHTS, goal), **options)
    instance = with_churn(instance, churn, 8.0, rng) if churn > 0 else instance
    state, moves = walk(instance, rng, int(rng.integers(10)))
    assert objective(state) == pytest.approx(verify(instance, plan(moves)), abs=1e-9)
    occupied = state.machine["vms"][0] > 0
    free = state.numa["free_cores"][0], state.numa["free_memory"][0]
    terms = score(instance.objective.vector, instance.machines, *free, occupied)
    assert weighted_sum(state, 0) == pytest.approx(terms, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(0, 3), st.booleans())
def test_mask_is_what_the_verifier_accepts(random_cluster, walk, seed, in_flight, churning):
    rng = np.random.default_rng(seed)
    options = {"machines": 3, "in_flight": in_flight, "migration_seconds": 1.0, "migration_limit": 8}
    instance = random_cluster(seed, groups=3, share=0.7, **options)
    instance = with_churn(instance, 1.0, 8.0, rng) if churning else instance
    state, moves = walk(instance, rng, int(rng.integers(7)))
    for vm in range(len(instance.vms.names)):
        accepted = [_accepts(instance, [*moves, (vm, numa)]) for numa in range(len(instance.machines.cores))]
        assert bool(state.mask[0, vm]) == any(accepted), vm
        if any(accepted):
            assert [fits(state, 0, vm, numa) for numa in range(len(accepted))] == accepted, vm


def _accepts(instance, moves):
    try:
        verify(instance, plan(moves))
    except UsageError:
        return False
    return True
