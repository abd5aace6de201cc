"""Large-neighbourhood search: never worse than greedy, exact where everything is freed, all plans verified."""

from dataclasses import replace

import pytest

from envs.core import UsageError
from envs.vm_rescheduling.classes import classes_of
from envs.vm_rescheduling.exact import greedy, highs
from envs.vm_rescheduling.neighbourhood import lns
from envs.vm_rescheduling.solvers import SOLVERS
from envs.vm_rescheduling.types import Objective
from envs.vm_rescheduling.verify import verify


@pytest.mark.parametrize("seed", range(3))
def test_reaches_the_optimum_of_small_clusters(random_cluster, seed):
    instance = random_cluster(seed, machines=6, groups=3, migration_limit=6)
    found, exact = lns(time_limit=4, machines=3)(instance, seed=seed), highs(time_limit=30)(instance)
    assert found.status == "heuristic"
    assert found.objective == verify(instance, found.solution)
    assert found.objective == pytest.approx(exact.objective)


@pytest.mark.parametrize("terms", [{"fr64": 1.0}, {"fr16": 0.5, "memory64": 0.5}, {"occupied_hosts": 1.0}])
def test_is_never_worse_than_its_start(random_cluster, terms):
    instance = random_cluster(5, machines=12, migration_limit=10, in_flight=1, objective=Objective(terms))
    found = lns(time_limit=1.0, machines=4)(instance)
    assert found.objective == verify(instance, found.solution)
    assert found.objective <= verify(instance, greedy(classes_of(instance)).plan) + 1e-12


def test_a_goal_stops_the_plan(random_cluster):
    instance = random_cluster(3, machines=5, migration_limit=6)
    reached = lns(time_limit=2, machines=5)(instance).objective
    goal = replace(instance, objective=Objective({"fr16": 1.0}, goal=reached))
    found = lns(time_limit=2, machines=5)(goal)
    assert found.objective == len(found.solution.vm) <= 6


def test_every_solver_of_the_catalogue_solves(random_cluster):
    instance = random_cluster(4, machines=3, migration_limit=3)
    for name in ("highs", "per_vm", "cp_sat", "pop", "lns"):
        found = SOLVERS[name](time_limit=2.0)(instance)
        assert found.objective == verify(instance, found.solution)


def test_bad_options_are_named():
    with pytest.raises(UsageError, match="lns: machines is 1; expected 2 or more"):
        lns(machines=1)
