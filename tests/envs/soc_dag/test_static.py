"""Static list schedulers: published values, every stored rank and schedule, and validity on whatever comes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.soc_dag.solvers import SOLVERS
from envs.soc_dag.static.cpop import cpop
from envs.soc_dag.static.etf import etf
from envs.soc_dag.static.graph import task_graph
from envs.soc_dag.static.heft import heft
from envs.soc_dag.static.met import met
from envs.soc_dag.static.olb import olb
from envs.soc_dag.static.random import random
from envs.soc_dag.static.ranks import critical_paths, latest_starts, optimistic_costs, rank_d, rank_u, static_levels
from envs.soc_dag.types import Arrivals, Failures, JobType, make_chip, single_dag
from envs.soc_dag.verify import verify

VECTORS = Path(__file__).parent / "vectors"
GRAPHS = sorted(path.stem for path in VECTORS.glob("*.json"))
STORED_AS = {
    "heft": "heft",
    "cpop": "cpop",
    "peft": "peft",
    "lookahead_heft": "lookahead_heft",
    "etf": "etf_min_est_noninsertion",
    "min_min": "etf_ds3_min_eft_noninsertion",
    "dls": "dls_median_noninsertion",
    "mcp": "mcp_insertion_est",
}
LIST_SCHEDULERS = sorted(SOLVERS.keys() - {"cp_sat"})


def stored(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


def test_all_vectors_are_here():
    assert len(GRAPHS) == 13
    assert STORED_AS.keys() <= set(LIST_SCHEDULERS)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_stored_rank(name, vector_instance):
    vector, graph = stored(name), task_graph(vector_instance(name))
    np.testing.assert_allclose(rank_u(graph), vector["rank_u"], atol=1e-6)
    np.testing.assert_allclose(rank_d(graph), vector["rank_d"], atol=1e-6)
    np.testing.assert_allclose(optimistic_costs(graph), vector["oct"], atol=1e-6)


@pytest.mark.parametrize("scheduler", sorted(STORED_AS))
@pytest.mark.parametrize("name", GRAPHS)
def test_every_stored_schedule_task_by_task(name, scheduler, vector_instance):
    expected = stored(name)["schedules"][STORED_AS[scheduler]]
    instance = vector_instance(name)
    result = SOLVERS[scheduler]()(instance)
    trace = result.solution
    np.testing.assert_allclose(
        np.stack([trace.task, trace.processor, trace.start, trace.end], axis=1), expected["tasks"], atol=1e-6
    )
    assert result.objective == pytest.approx(expected["makespan"], abs=1e-6)
    assert (result.bound, result.status) == (None, "heuristic")


def test_published_values_of_the_topcuoglu_graph(vector_instance):
    """Topcuoglu, Hariri and Wu 2002: Table 3 and Figure 3."""
    instance = vector_instance("topcuoglu_10x3")
    graph = task_graph(instance)
    assert rank_u(graph)[:5].tolist() == pytest.approx([108, 77, 80, 80, 69])
    assert critical_paths(graph) == [(0, 1, 8, 9)]
    assert latest_starts(graph)[:2].tolist() == pytest.approx([0, 31])
    assert verify(instance, heft(instance)) == 80
    assert verify(instance, cpop(instance)) == 86
    assert cpop(instance).processor[[0, 1, 8, 9]].tolist() == [1, 1, 1, 1]


def test_a_second_job_is_scheduled_around_the_first(vector_instance):
    """The same graph twice, the second released at 10: HEFT ends them at 80 and 109."""
    two = replace(vector_instance("topcuoglu_10x3"), arrivals=Arrivals(releases=((0, 0.0), (0, 10.0))))
    assert heft(two).completed.tolist() == [80, 109]
    backwards = replace(two, arrivals=Arrivals(releases=((0, 10.0), (0, 0.0))))
    assert heft(backwards).completed.tolist() == [109, 80]
    assert verify(two, heft(two)) == verify(backwards, heft(backwards)) == 109


def test_static_levels_leave_out_communication():
    chain = JobType("chain", ("a", "b"), [[2, 4], [1, np.inf]], [0], [1], [100])
    graph = task_graph(single_dag("chain", make_chip("two", ("p", "q")), chain))
    assert static_levels(graph).tolist() == [4, 1]  # means over the PEs that run a task
    assert rank_u(graph).tolist() == [104, 1]


def test_met_and_olb_by_hand():
    """Three tasks without edges: MET piles up on the fastest PE, OLB takes whichever is free first."""
    job = JobType("three", ("a", "b", "c"), [[1, 9], [1, 9], [1, 9]], [], [], [])
    instance = single_dag("three", make_chip("two", ("p", "q")), job)
    assert met(instance).processor.tolist() == [0, 0, 0]
    assert met(instance).start.tolist() == [0, 1, 2]
    assert olb(instance).processor.tolist() == [0, 1, 0]
    assert olb(instance).start.tolist() == [0, 0, 1]


def test_etf_breaks_ties_by_static_level():
    """On the one PE two tasks could start at 0, then two at 1; each time the longer rest goes first."""
    job = JobType("fork", ("short", "long", "rest"), [[1], [1], [5]], [1], [2], [0])
    trace = etf(single_dag("fork", make_chip("one", ("p",)), job))
    assert trace.start.tolist() == [6, 0, 1]


def test_insertion_fills_a_gap_exactly():
    """HEFT: c and then d are placed; b, of lowest rank, fits exactly between a and c on the first PE."""
    times = [[2, 50], [3, 50], [50, 2], [4, 50]]
    job = JobType("gap", ("a", "b", "c", "d"), times, [0, 2], [2, 3], [1, 0.0])
    chip = make_chip("two", ("p", "q"), bandwidth=1.0)
    trace = heft(single_dag("gap", chip, job))
    # a: p 0-2, data at 3, c: q 3-5, d: p 5-9, b: p 2-5.
    assert trace.processor.tolist() == [0, 0, 1, 0]
    assert trace.start.tolist() == [0, 2, 3, 5]


def test_random_repeats_with_its_seed(vector_instance):
    instance = vector_instance("soc_top4")
    solver = SOLVERS["random"]()
    assert np.array_equal(solver(instance, seed=3).solution.start, random(instance, 3).start)
    ends = {solver(instance, seed=seed).objective for seed in range(10)}
    assert len(ends) > 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": 0.1}, "noise is 0.1"),
        ({"failures": Failures(5.0, 1.0)}, "failures.between is 5"),
        ({"arrivals": Arrivals("open"), "objective": "mean_latency"}, "arrivals.mode is 'open'"),
        ({"arrivals": Arrivals(releases=())}, "arrivals.releases is empty"),
    ],
)
def test_only_static_instances_have_static_schedules(change, message, vector_instance):
    with pytest.raises(UsageError, match=message):
        heft(replace(vector_instance("soc_top1"), **change))


@given(st.integers(0, 2**32 - 1), st.sampled_from(["direct", "shared_memory"]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_schedule_is_valid(random_instance, seed, transfer, whole_ticks):
    """Random graphs, unsupported pairs, times of 0, several jobs with releases, both kinds of transfer."""
    instance = random_instance(seed, transfer=transfer, whole_ticks=whole_ticks)
    for name in LIST_SCHEDULERS:
        result = SOLVERS[name]()(instance, seed=seed)
        assert result.objective == result.solution.completed.max()
