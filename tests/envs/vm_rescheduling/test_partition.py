"""POP: one part is the whole, parts share the limit and keep their VMs."""

from dataclasses import replace

import pytest

from envs.core import UsageError
from envs.vm_rescheduling.exact import highs
from envs.vm_rescheduling.partition import pop
from envs.vm_rescheduling.types import Objective
from envs.vm_rescheduling.verify import verify


@pytest.mark.parametrize("seed", range(3))
def test_one_part_is_the_exact_method(random_cluster, seed):
    instance = random_cluster(seed, machines=5, migration_limit=6)
    assert pop(parts=1, time_limit=30)(instance).objective == pytest.approx(highs(time_limit=30)(instance).objective)


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_vms_stay_in_their_part_and_share_the_limit(random_cluster, parts):
    instance = random_cluster(1, machines=6, migration_limit=5)
    found = pop(parts=parts, time_limit=30)(instance)
    exact = highs(time_limit=30)(instance)
    assert found.status == "heuristic"
    assert found.bound is None
    assert exact.objective - 1e-9 <= found.objective == verify(instance, found.solution)
    size = 6 // parts
    part_of = instance.vms.host[found.solution.vm] // (2 * size)
    assert (part_of == found.solution.numa // (2 * size)).all()
    shares = [5 // parts + (part < 5 % parts) for part in range(parts)]
    assert all((part_of == part).sum() <= share for part, share in enumerate(shares))


def test_a_goal_needs_no_more_than_the_moves_up_to_it(random_cluster):
    instance = random_cluster(2, machines=6, migration_limit=8)
    reached = pop(parts=2, time_limit=30)(instance).objective
    goal = replace(instance, objective=Objective({"fr16": 1.0}, goal=reached))
    assert pop(parts=2, time_limit=30)(goal).objective <= 8
    at_once = replace(instance, objective=Objective({"fr16": 1.0}, goal=1.0))
    assert pop(parts=2, time_limit=30)(at_once).objective == 0


def test_more_parts_than_machines_leave_everything_in_place(random_cluster):
    instance = random_cluster(0, machines=2, migration_limit=1)
    assert len(pop(parts=9, time_limit=5)(instance).solution.vm) <= 1


def test_bad_options_are_named():
    with pytest.raises(UsageError, match="pop: parts is 0; expected 1 or more"):
        pop(parts=0)
    with pytest.raises(UsageError, match="pop: time_limit is -1"):
        pop(time_limit=-1)
