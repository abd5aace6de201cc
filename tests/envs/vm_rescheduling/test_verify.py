"""The independent verifier of plans: values and refusals worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.vm_rescheduling.execution import execute
from envs.vm_rescheduling.generators import with_churn
from envs.vm_rescheduling.metrics import measures
from envs.vm_rescheduling.render import placements
from envs.vm_rescheduling.types import Objective, Plan, plan, score
from envs.vm_rescheduling.verify import verify

NODE = (44, 200_000)
PAIR = [[NODE, NODE], [NODE, NODE]]


def test_values_of_all_terms_by_hand(build):
    # Free cores 40, 44, 12, 12 of 108; free memory 190,000, 200,000, 150,000, 150,000 of 690,000.
    vms = [
        {"cores": 4, "memory": 10_000, "host": 0},
        {"cores": 64, "memory": 100_000, "numa_count": 2, "host": 2},
    ]
    values = {"fr16": (8 + 12 + 12 + 12) / 108, "fr64": (108 - 64) / 108, "occupied_hosts": 1.0}
    values["memory64"] = ((190_000 - 131_072) + (200_000 - 196_608) + 2 * (150_000 - 131_072)) / 690_000
    for term, expected in values.items():
        assert verify(build(PAIR, vms, objective=Objective({term: 1.0})), plan([])) == pytest.approx(expected)
    mixed = build(PAIR, vms, objective=Objective({"fr16": 0.25, "fr64": 2.0}))
    assert verify(mixed, plan([])) == pytest.approx(0.25 * 44 / 108 + 2 * 44 / 108)
    # The small VM on the machine of the large one: 44, 44 | 8, 12 free, one machine empty.
    assert verify(build(PAIR, vms, objective=Objective({"occupied_hosts": 1.0})), plan([(0, 2)])) == 0.5
    assert verify(build(PAIR, vms), plan([(0, 2)])) == pytest.approx((12 + 12 + 8 + 12) / 108)


def test_goal_counts_moves_or_the_excess(build):
    vms = [{"cores": 4, "host": 0}, {"cores": 16, "host": 2}]
    start = (8 + 12 + 12 + 12) / 156
    reached = build(PAIR, vms, objective=Objective({"fr16": 1.0}, goal=start), migration_limit=7)
    assert verify(reached, plan([])) == 0
    assert verify(reached, plan([(1, 3)])) == 1
    missed = build(PAIR, vms, objective=Objective({"fr16": 1.0}, goal=start - 0.01), migration_limit=7)
    assert verify(missed, plan([])) == pytest.approx(8 + 100 * 0.01)


def test_a_plan_ends_where_it_reaches_its_goal(build):
    # Two VMs of 8 cores apart leave 36 and 36 free of 44, together 28: rests 4 + 12 + 4 + 12, or 12 on every node.
    vms = [{"cores": 8, "host": 0}, {"cores": 8, "host": 0}]
    towards = build(PAIR, vms, objective=Objective({"fr16": 1.0}, goal=32 / 160), migration_limit=7)
    apart, back = (1, 2), (1, 0)
    assert verify(towards, plan([apart])) == 1
    assert verify(towards, plan([(0, 3)])) == 1
    with pytest.raises(UsageError, match=r"goes on with move 1 although move 0 reached the goal 0.2; expected it to"):
        verify(towards, plan([apart, back]))
    # From apart, where the goal is reached before any migration, the first one may lead away and the next one back.
    there = build(PAIR, [vms[0], {"cores": 8, "host": 2}], objective=towards.objective, migration_limit=7)
    assert verify(there, plan([back, apart])) == 2
    for moves in ([apart, back], [apart, (0, 3), back]):
        cut = execute(towards, moves)
        assert list(zip(cut.vm.tolist(), cut.numa.tolist(), strict=True)) == [apart]
        assert measures(towards, cut)["migrations"] == verify(towards, cut) == 1
        assert placements(towards, cut).sums == pytest.approx((48 / 160, 32 / 160))


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ([(9, 0)], "has VM 9; there are 6"),
        ([(0, 8)], "NUMA node 8; there are 7"),
        ([(0, 1)], "runs there already"),
        ([(1, 3)], "may not be migrated"),
        ([(0, 4)], "belongs to cluster 0 and the machine to cluster 1"),
        ([(2, 3)], "a VM on two NUMA nodes goes to the first"),
        ([(4, 1)], "VM vm3 of its group runs on that machine"),
        ([(5, 3)], "needs 41 cores where 40 are free"),
        ([(0, 2), (0, 0), (0, 2)], "at most migration_limit 2"),
        ([(0, 3), (0, 3)], "move 1 takes VM vm0 to NUMA node 1 of machine pm1, but the VM runs there already"),
    ],
)
def test_illegal_moves_are_named(build, moves, message):
    vms = [
        {"cores": 2, "host": 1},
        {"cores": 2, "host": 1, "movable": False},
        {"cores": 64, "numa_count": 2, "host": 2},
        {"cores": 2, "host": 0, "group": 3},
        {"cores": 2, "host": 3, "group": 3},
        {"cores": 41, "host": 0},
    ]
    nodes = [[NODE, NODE], [NODE, (74, 200_000)], [NODE], [NODE, NODE]]
    instance = build(nodes, vms, clusters=[0, 0, 1, 1], migration_limit=2)
    with pytest.raises(UsageError, match=message):
        verify(instance, plan(moves))


def test_memory_and_single_node_machines_are_checked(build):
    vms = [{"cores": 2, "memory": 200, "host": 0}, {"cores": 4, "memory": 100, "numa_count": 2, "host": 0}]
    instance = build([[(44, 300), (44, 300)], [(44, 199)]], vms)
    with pytest.raises(UsageError, match="needs 200 MB of memory where 199 are free"):
        verify(instance, plan([(0, 2)]))
    with pytest.raises(UsageError, match="first of a machine with two"):
        verify(instance, plan([(1, 2)]))


def test_room_is_held_while_migrations_are_in_flight(build):
    # Three VMs of 30 cores on three of four nodes of 44: the room at node 0 is needed by the next move.
    vms = [{"cores": 30, "host": host} for host in (0, 1, 2)]
    cycle = [(0, 3), (1, 0), (2, 1)]
    assert verify(build(PAIR, vms), plan(cycle)) == pytest.approx((44 + 3 * 14 - 32 - 0) / 86)
    for in_flight in (1, 2):
        with pytest.raises(UsageError, match=r"move 1 .* needs 30 cores where 14 are free"):
            verify(build(PAIR, vms, in_flight=in_flight), plan(cycle))
    small = [*vms, {"cores": 2, "host": 0}]
    between = [(0, 3), (3, 1), (1, 0)]
    assert verify(build(PAIR, small, in_flight=1), plan(between)) > 0
    with pytest.raises(UsageError, match="move 2"):
        verify(build(PAIR, small, in_flight=2), plan(between))


def test_a_vm_in_flight_may_move_again_and_holds_both_rooms(build):
    vms = [{"cores": 30, "host": 0}, {"cores": 30, "host": 3}]
    instance = build(PAIR, vms, in_flight=2)
    assert verify(instance, plan([(0, 1), (0, 2)])) == verify(instance, plan([(0, 2)]))
    with pytest.raises(UsageError, match="where 14 are free"):
        verify(instance, plan([(0, 1), (0, 2), (1, 0)]))
    with pytest.raises(UsageError, match="where 14 are free"):  # its own old room is not free for it either
        verify(instance, plan([(0, 1), (0, 0)]))


def test_arrivals_take_the_fullest_node_and_departures_come_first(build):
    vms = [
        {"cores": 40, "host": 0, "departure": 10.0},
        {"cores": 30, "host": 1},
        {"cores": 20, "host": 2},
        {"cores": 10, "arrival": 10.0},
    ]
    fr16 = {"fr16": 1.0}
    # Before 10: free 4, 14, 24, 44. At 10: 44, 14, 24, 44, and the arriving VM leaves 4 on node 1.
    before = build(PAIR, vms, delay=9.0, objective=Objective(fr16))
    assert verify(before, plan([])) == pytest.approx((4 + 14 + 8 + 12) / 86)
    after = build(PAIR, vms, delay=10.0)
    assert verify(after, plan([])) == pytest.approx((12 + 4 + 8 + 12) / 116)
    with pytest.raises(UsageError, match="does not run"):
        verify(after, plan([(0, 3)]))
    assert verify(after, plan([(3, 2)])) == pytest.approx((12 + 14 + 14 + 12) / 116)
    # The move at 9 comes before the arrival at 10, which follows it to node 3.
    slow = build(PAIR, vms, delay=9.0, migration_seconds=1.0)
    assert verify(slow, plan([(1, 3)])) == pytest.approx((12 + 12 + 8 + 4) / 116)
    with pytest.raises(UsageError, match="runs there already"):
        verify(slow, plan([(1, 3), (3, 3)]))


def test_arrivals_respect_groups_held_room_and_both_nodes(build):
    grouped = [
        {"cores": 30, "host": 1, "group": 0},
        {"cores": 4, "arrival": 5.0, "group": 0},
        {"cores": 4, "arrival": 6.0, "group": 0},
    ]
    instance = build(PAIR, grouped, delay=10.0)
    assert verify(instance, plan([])) == pytest.approx((12 + 14 + 8 + 12) / 142)  # the last one is turned away
    with pytest.raises(UsageError, match="does not run"):
        verify(instance, plan([(2, 0)]))
    # While it is in flight, the room of vm0 is held: the arriving VM of 40 finds nodes 2 and 3 only.
    held = [{"cores": 30, "host": 0}, {"cores": 40, "arrival": 0.5}]
    for in_flight, free in ((0, (44 - 40, 14, 44, 44)), (1, (44, 14, 4, 44))):
        moving = build(PAIR, held, migration_seconds=1.0, in_flight=in_flight)
        expected = sum(each % 16 for each in free) / sum(free)
        assert verify(moving, plan([(0, 1)])) == pytest.approx(expected)
    double = [
        {"cores": 4, "host": 0},
        {"cores": 6, "host": 3},
        {"cores": 60, "numa_count": 2, "arrival": 1.0},
    ]
    assert verify(build(PAIR, double, delay=1.0), plan([])) == pytest.approx((8 + 12 + 14 + 8) / 106)


def test_a_departure_frees_all_that_is_held_for_the_vm(build):
    vms = [{"cores": 30, "host": 0, "departure": 1.0}, {"cores": 44, "arrival": 1.5, "home": 0}]
    one = build([[NODE, NODE]], vms, in_flight=3, migration_seconds=1.0, delay=0.5)
    # At 0.5 vm0 moves to node 1, at 1 it leaves, at 1.5 vm1 finds both nodes empty and takes the first.
    assert verify(one, plan([(0, 1)])) == pytest.approx(12 / 44)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_agrees_with_the_definition_of_the_objective(random_cluster, seed):
    rng = np.random.default_rng(seed)
    weights = {"fr16": 1.0, "fr64": 0.5, "memory64": 2.0, "occupied_hosts": 0.25}
    instance = random_cluster(seed, objective=Objective(weights), migration_limit=10)
    hosts, moves = instance.vms.host.copy(), []
    for _ in range(60):  # random moves; those that the verifier refuses are left out
        move = (int(rng.integers(len(hosts))), int(rng.integers(10)))
        try:
            verify(instance, plan([*moves, move]))
        except UsageError:
            continue
        moves.append(move)
        hosts[move[0]] = move[1]
    after = random_cluster(seed, objective=Objective(weights))
    occupied = np.zeros(5, np.bool_)
    occupied[hosts // 2] = True
    cores, memory = after.machines.cores.copy(), after.machines.memory.copy()
    for vm, host in enumerate(hosts):
        width = after.vms.numa_count[vm]
        cores[host : host + width] -= after.vms.cores[vm] // width
        memory[host : host + width] -= after.vms.memory[vm] // width
    expected = score(instance.objective.vector, instance.machines, cores, memory, occupied)
    assert verify(instance, plan(moves)) == pytest.approx(expected)
    assert min(cores.min(), memory.min()) >= 0


def test_an_empty_plan_is_a_plan(build):
    nothing = Plan(np.zeros(0), np.zeros(0))
    assert verify(build(PAIR, [{"cores": 44, "host": 0}]), nothing) == pytest.approx(36 / 132)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.none() | st.floats(0.1, 0.4))
def test_refuses_exactly_what_the_environment_refuses(random_cluster, seed, goal):
    rng = np.random.default_rng(seed)
    timing = {"in_flight": int(rng.integers(4)), "delay": float(rng.integers(3)), "migration_seconds": 0.5}
    objective = Objective({"fr16": 1.0, "memory64": 0.1}, goal)
    instance = random_cluster(seed, machines=6, groups=4, migration_limit=15, objective=objective, **timing)
    instance = with_churn(instance, 2.0, 12.0, rng)
    wanted = [(int(rng.integers(len(instance.vms.names))), int(rng.integers(12))) for _ in range(100)]
    allowed = []
    for move in wanted:
        try:
            verify(instance, plan([*allowed, move]))
        except UsageError:
            continue
        allowed.append(move)
    executed = execute(instance, wanted)
    assert allowed == list(zip(executed.vm.tolist(), executed.numa.tolist(), strict=True))
