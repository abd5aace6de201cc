"""Plans carried out on placements that they were not made for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.vm_rescheduling.execution import execute, migrate, start
from envs.vm_rescheduling.types import plan
from envs.vm_rescheduling.verify import verify

NODE = (44, 200_000)
PAIR = [[NODE, NODE], [NODE, NODE]]


def moves_of(found):
    return list(zip(found.vm.tolist(), found.numa.tolist(), strict=True))


def test_moves_that_cannot_be_are_left_out_and_later_ones_follow(build):
    vms = [
        {"cores": 30, "host": 0},
        {"cores": 30, "host": 1},
        {"cores": 30, "host": 2},
        {"cores": 2, "host": 0, "movable": False},
    ]
    wanted = [(1, 0), (0, 0), (3, 1), (0, 3), (1, 0), (2, 1)]
    assert moves_of(execute(build(PAIR, vms), wanted)) == [(0, 3), (1, 0), (2, 1)]
    # In flight, node 0 stays full until another migration has begun, and there is none.
    assert moves_of(execute(build(PAIR, vms, in_flight=1), wanted)) == [(0, 3)]


def test_a_plan_is_cut_at_the_limit(build):
    instance = build(PAIR, [{"cores": 4, "host": 0}], migration_limit=2)
    there_and_back = plan([(0, 1), (0, 1), (0, 2), (0, 3)])
    assert moves_of(execute(instance, there_and_back)) == [(0, 1), (0, 2)]


def test_a_move_that_is_left_out_takes_no_time(build):
    vms = [{"cores": 4, "host": 0, "departure": 1.0}, {"cores": 4, "host": 2}, {"cores": 44, "host": 3}]
    instance = build(PAIR, vms, migration_seconds=1.0)
    assert moves_of(execute(instance, [(1, 3), (0, 1)])) == [(0, 1)]
    assert moves_of(execute(instance, [(1, 0), (0, 1)])) == [(1, 0)]  # it took a second, in which the other VM left


def test_vms_that_come_may_be_migrated(build):
    vms = [{"cores": 4, "host": 0}, {"cores": 4, "arrival": 1.0}]
    instance = build(PAIR, vms, migration_seconds=1.0)
    assert moves_of(execute(instance, [(1, 2), (0, 1), (1, 2)])) == [(0, 1), (1, 2)]


def test_a_refused_migration_leaves_the_state_as_it_is(build):
    state = start(build(PAIR, [{"cores": 30, "host": 0}, {"cores": 30, "host": 1}]))
    before = [array.copy() for array in state]
    assert not migrate(state, 0, 1)
    assert not migrate(state, 0, 0)
    for old, new in zip(before, state, strict=True):
        np.testing.assert_array_equal(old, new)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_what_is_carried_out_is_allowed_and_is_carried_out_again(random_cluster, seed, in_flight):
    rng = np.random.default_rng(seed)
    instance = random_cluster(seed, groups=3, in_flight=in_flight, migration_limit=6)
    wanted = [(int(rng.integers(len(instance.vms.names))), int(rng.integers(10))) for _ in range(60)]
    found = execute(instance, wanted)
    assert verify(instance, found) == pytest.approx(verify(instance, execute(instance, found)))
    assert moves_of(execute(instance, found)) == moves_of(found)
    assert len(found.vm) <= 6
