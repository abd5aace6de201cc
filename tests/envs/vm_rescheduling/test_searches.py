"""Look-ahead, α-VBPP and tree search: plans that the verifier accepts, and optima that need moves without a gain."""

from dataclasses import replace

import pytest

from envs.core import UsageError
from envs.vm_rescheduling.alpha_vbpp import alpha_vbpp
from envs.vm_rescheduling.exact import highs
from envs.vm_rescheduling.generators import thin
from envs.vm_rescheduling.lookahead import lookahead
from envs.vm_rescheduling.mcts import mcts
from envs.vm_rescheduling.types import Objective
from envs.vm_rescheduling.verify import verify

SEARCHES = {
    "lookahead": lookahead(),
    "best_fit": alpha_vbpp(alpha=3),
    "dot_product": alpha_vbpp(alpha=2, score="dot_product"),
    "mcts": mcts(iterations=40, time_limit=60),
}


@pytest.fixture(name="swap")
def swap_fixture(build):
    """Two nodes with 8 cores free each; both 4-core VMs must move to free 16, and the first move gains nothing."""
    nodes = [[(16, 64)], [(16, 64)]]
    vms = [{"cores": 8, "host": 0, "movable": False}, {"cores": 4, "host": 1}, {"cores": 4, "host": 1}]
    return build(nodes, vms, migration_limit=2)


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize(
    ("terms", "options"),
    [
        ({"fr16": 1.0}, {"groups": 3}),
        ({"fr16": 0.5, "memory64": 0.5}, {"in_flight": 2}),
        ({"fr64": 0.5, "occupied_hosts": 1.0}, {}),
    ],
)
def test_plans_can_be_carried_out(random_cluster, name, terms, options):
    for seed in range(4):
        instance = random_cluster(seed, machines=6, migration_limit=7, objective=Objective(terms), **options)
        found = SEARCHES[name](instance, seed=seed)
        nothing = verify(instance, type(found.solution)([], []))
        assert found.status == "heuristic"
        assert found.objective == pytest.approx(verify(instance, found.solution), abs=1e-12)
        assert found.objective <= nothing + 1e-12


def test_a_first_move_without_gain_leads_to_the_optimum(swap):
    assert lookahead(depth=1)(swap).objective == 1.0
    for search in (lookahead(depth=2), mcts(iterations=20)):
        found = search(swap)
        assert found.objective == 0.0
        assert len(found.solution.vm) == 2


@pytest.mark.parametrize("seed", range(4))
def test_looking_ahead_comes_close_to_the_optimum_of_small_clusters(random_cluster, seed):
    instance = random_cluster(seed, machines=6, groups=3, migration_limit=6)
    exact, found = highs(time_limit=30)(instance), lookahead(depth=6, width=60)(instance)
    assert exact.objective - 1e-9 <= found.objective <= 1.1 * exact.objective + 1e-9


def test_churn_is_simulated(build):
    nodes = [[(16, 64)], [(16, 64)], [(16, 64)]]
    vms = [{"cores": 8, "host": 0, "movable": False}, {"cores": 8, "host": 1}, {"cores": 12, "arrival": 0.5}]
    instance = build(nodes, vms, migration_limit=2, delay=1.0, migration_seconds=1.0)
    for search in SEARCHES.values():
        found = search(instance)
        assert found.objective == pytest.approx(verify(instance, found.solution))


def test_a_goal_is_reached_with_fewest_moves(swap):
    goal = replace(swap, objective=Objective({"fr16": 1.0}, goal=0.5))
    for search in (lookahead(), mcts(iterations=20)):
        assert search(goal).objective == 2


def test_tree_search_is_the_same_for_the_same_seed(random_cluster):
    instance = random_cluster(1, machines=6, migration_limit=6)
    first, second = (mcts(iterations=30, time_limit=60)(instance, seed=3) for _ in range(2))
    assert first.solution.vm.tolist() == second.solution.vm.tolist()
    assert first.solution.numa.tolist() == second.solution.numa.tolist()


def test_looking_ahead_leaves_the_local_optimum_of_the_snapshot(snapshot):
    """With 50 migrations: greedy 0.4767, the optimum 0.3895 (HiGHS)."""
    instance = thin(snapshot("medium"), 0.9, 0)
    found = lookahead()(instance)
    assert found.objective == pytest.approx(verify(instance, found.solution))
    assert found.objective < 0.42


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lookahead(depth=0), "lookahead: depth is 0; expected 1 or more"),
        (lambda: lookahead(time_limit=0), "lookahead: time_limit is 0; expected more than 0"),
        (lambda: alpha_vbpp(alpha=0), "alpha_vbpp: alpha is 0; expected 1 or more"),
        (lambda: alpha_vbpp(score="x"), "alpha_vbpp: score is 'x'; expected one of best_fit, dot_product"),
        (lambda: mcts(iterations=0), "mcts: iterations is 0; expected 1 or more"),
    ],
)
def test_bad_options_are_named(make, message):
    with pytest.raises(UsageError, match=message):
        make()
