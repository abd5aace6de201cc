"""Rules and heuristics: the published test vector, hand-computed orders, the published means, and the optimum."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.dispatcher import RuleDispatcher
from agents.rollout import roll_out
from envs.core import UsageError, problem
from envs.single_machine.generators import potts_van_wassenhove
from envs.single_machine.types import JobOrder, SingleMachineInstance
from envs.single_machine.verify import verify

DEFINITION = problem("single_machine")


def order_by(rule, instance, **options):
    (outcome,) = roll_out(
        DEFINITION, {**DEFINITION.fit([instance]), **options}, [instance], RuleDispatcher(DEFINITION.rules[rule])
    )
    return outcome.solution.jobs.tolist(), outcome.objective


@pytest.fixture(scope="module")
def published():
    """The example of arXiv 2510.24013."""
    return SingleMachineInstance("published", [10, 11, 10, 10, 11, 10], [1] * 6, [15, 11, 13, 11, 12, 11])


@st.composite
def instances(draw, most=7, releases=False):
    jobs = draw(st.integers(1, most))

    def row(low, high):
        return draw(st.lists(st.integers(low, high), min_size=jobs, max_size=jobs))

    release = row(0, 30) if releases else None
    return SingleMachineInstance("drawn", row(1, 20), row(0, 5), row(-5, 80), release)


def test_mddc_solves_the_published_example(published):
    assert order_by("mddc", published) == ([3, 5, 2, 0, 1, 4], 141.0)


def test_ties_of_the_modified_due_date_go_by_due_date_and_time(published):
    assert order_by("mdd", published)[1] == 141.0


def test_orders_by_hand():
    instance = SingleMachineInstance("hand", [4, 1, 3, 2], [1, 1, 6, 4], [4, 9, 8, 9])
    assert order_by("edd", instance)[0] == [0, 2, 1, 3]
    assert order_by("spt", instance)[0] == [1, 3, 2, 0]
    assert order_by("wspt", instance)[0] == [2, 3, 1, 0]
    assert order_by("slack", instance)[0] == [0, 2, 3, 1]
    # At 0: 4, 9, 8 / 6, 9 / 4; at 3: 4, 6, -, 6 / 4; at 5: 4 and 4, of which job 0 is due earlier.
    assert order_by("wmdd", instance)[0] == [2, 3, 0, 1]


def test_eddc_passes_only_jobs_that_would_not_be_tardy():
    instance = SingleMachineInstance("eddc", [1, 2, 3], [1, 1, 1], [5, 2, 1])
    # Job 1 passes 0, which is due 5, not by 1. Job 2, behind them, passes 0, done at 3, but not 1, done at 2, due 2.
    assert order_by("eddc", instance)[0] == [1, 2, 0]
    assert order_by("eddc_printed", instance)[0] == [2, 1, 0]


def test_psk_gives_way_to_a_more_urgent_job():
    # Job 0 could wait (1 < 9); job 1, due 3, is more urgent, and would be tardy next: it goes first.
    instance = SingleMachineInstance("psk", [1, 4], [1, 1], [9, 3])
    assert order_by("psk", instance)[0] == [1, 0]
    late = SingleMachineInstance("psk_late", [1, 4], [1, 1], [1, 3])
    assert order_by("psk", late)[0] == [0, 1]


def test_without_waiting_only_released_jobs_start():
    instance = SingleMachineInstance("releases", [5, 2], [1, 9], [5, 3], [0, 1])
    assert order_by("wspt", instance) == ([0, 1], 36.0)
    assert order_by("wspt", instance, non_delay=False) == ([1, 0], 3.0)


@settings(deadline=None)
@given(instances())
def test_dynamic_programming_agrees_with_trying_all_orders(instance):
    result = DEFINITION.solvers["dynamic_programming"]()(instance)
    orders = itertools.permutations(range(instance.jobs))
    least = min(verify(instance, JobOrder(np.array(order))) for order in orders) if instance.jobs < 6 else None
    assert verify(instance, result.solution) == result.objective == result.bound
    if least is not None:
        assert result.objective == least


@settings(deadline=None)
@given(instances())
def test_heuristics_keep_to_the_optimum_and_dynasearch_is_a_local_one(instance):
    least = DEFINITION.solvers["dynamic_programming"]()(instance).objective
    rule = order_by("mdd", instance)[1]
    augmented = DEFINITION.solvers["augmented"](rule="mdd")(instance)
    found = DEFINITION.solvers["dynasearch"](rounds=20)(instance)
    assert least <= found.objective
    assert least <= augmented.objective
    assert least <= rule
    for one, other in itertools.combinations(range(instance.jobs), 2):
        swapped = found.solution.jobs.copy()
        swapped[[one, other]] = swapped[[other, one]]
        assert verify(instance, JobOrder(swapped)) >= found.objective


@settings(deadline=None)  # the solvers are loaded at the first call
@given(instances(most=5, releases=True), st.booleans())
def test_exact_solvers_agree_with_trying_all_orders(instance, integer):
    solver = DEFINITION.solvers["highs" if integer else "cp_sat"](workers=1)
    result = solver(instance)
    orders = itertools.permutations(range(instance.jobs))
    assert result.status == "optimal"
    assert verify(instance, result.solution) == result.objective
    assert result.objective == min(verify(instance, JobOrder(np.array(order))) for order in orders)


@settings(deadline=None)
@given(instances(), st.sampled_from(["wmdd", "atc_2"]))
def test_the_pilot_method_is_no_worse_than_its_rule(instance, rule):
    pilot = {"wmdd": "pilot_wmdd", "atc_2": "pilot_atc"}[rule]
    assert order_by(pilot, instance)[1] <= order_by(rule, instance)[1]


def test_dynasearch_solves_forty_jobs():
    generator = np.random.default_rng(0)
    instance = potts_van_wassenhove(22, 0.6, 0.4, generator, largest_weight=10)
    best = DEFINITION.solvers["dynamic_programming"]()(instance).objective
    assert DEFINITION.solvers["dynasearch"](rounds=200)(instance).objective == best


@pytest.mark.parametrize(
    ("solver", "options", "message"),
    [
        ("augmented", {"rule": "eddc"}, "rule is 'eddc'"),
        ("augmented", {"look_ahead": 0.0}, "look_ahead is 0.0"),
        ("dynasearch", {"time_limit": 0.0}, "time_limit is 0.0"),
        ("dynasearch", {"kicks": 0}, "kicks 0"),
        ("highs", {"workers": -1}, "workers is -1"),
        ("cp_sat", {"time_limit": -1.0}, "time_limit is -1.0"),
    ],
)
def test_wrong_options_are_named(solver, options, message):
    with pytest.raises(UsageError, match=message):
        DEFINITION.solvers[solver](**options)


def test_what_a_solver_cannot_do_is_refused():
    large = potts_van_wassenhove(26, 0.4, 0.4, np.random.default_rng(0))
    with pytest.raises(UsageError, match="26 jobs"):
        DEFINITION.solvers["dynamic_programming"]()(large)
    released = potts_van_wassenhove(5, 0.4, 0.4, np.random.default_rng(0), release_range=1.0)
    for solver in ("dynamic_programming", "dynasearch"):
        with pytest.raises(UsageError, match="release times"):
            DEFINITION.solvers[solver]()(released)
    with pytest.raises(UsageError, match="time-indexed variables"):
        DEFINITION.solvers["highs"]()(potts_van_wassenhove(100, 0.4, 0.4, np.random.default_rng(0)))
