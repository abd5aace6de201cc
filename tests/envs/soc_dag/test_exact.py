"""The CP-SAT reference: known optima, proven bounds, agreement with trying everything."""

import itertools
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("ortools")

from envs.core import UsageError
from envs.soc_dag.exact import cp_sat
from envs.soc_dag.solvers import SOLVERS
from envs.soc_dag.static.graph import task_graph
from envs.soc_dag.static.timeline import Timeline
from envs.soc_dag.types import Arrivals, JobType, SocInstance, make_chip, single_dag
from envs.soc_dag.verify import verify

OPTIMA = {f"soc_top{i}": value for i, value in enumerate((73, 81, 80, 87, 85, 80, 72, 65, 72, 74), 1)}
OPTIMA |= {"topcuoglu_10x3": 73, "peft_10x3": 113}


@pytest.mark.parametrize("name", sorted(OPTIMA))
def test_known_optima(name, vector_instance):
    instance = vector_instance(name)
    result = cp_sat(workers=1)(instance)
    assert (result.objective, result.bound, result.status) == (OPTIMA[name], OPTIMA[name], "optimal")
    assert verify(instance, result.solution) == OPTIMA[name]


def test_times_that_no_tick_divides(vector_instance):
    """Within the stored optimum at a thousandth; the bound holds for the true times."""
    instance = vector_instance("mack_random_10x3")
    result = cp_sat(workers=1)(instance)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(184.13, abs=2e-3)
    assert result.objective - 0.022 <= result.bound <= result.objective == verify(instance, result.solution)


def test_decimal_times_are_solved_exactly():
    """Two tasks of 0.1 and 0.2 on one PE: no rounding error in bound or makespan beyond that of the sum itself."""
    job = JobType("two", ("a", "b"), [[0.1], [0.2]], [0], [1], [7.0])
    result = cp_sat(workers=1)(single_dag("decimal", make_chip("one", ("p",)), job))
    assert result.status == "optimal"
    assert result.objective == pytest.approx(0.3, abs=1e-12)
    assert result.bound == pytest.approx(0.3, abs=1e-12)


def every_schedule(instance):
    """Best objective over all assignments and all orders, each task as early as it can on its PE."""
    graph = task_graph(instance)
    best = np.inf
    for order in itertools.permutations(range(graph.num_tasks)):
        position = {task: at for at, task in enumerate(order)}
        if any(position[before] > position[task] for task in order for before, _ in graph.predecessors[task]):
            continue
        for processors in itertools.product(*graph.supported):
            timeline = Timeline(graph)
            for task in order:
                timeline.place_earliest(task, processors[task], insertion=False)
            best = min(best, verify(instance, timeline.trace()))
    return best


@given(st.integers(0, 2**32 - 1), st.sampled_from(["direct", "shared_memory"]), st.booleans(), st.booleans())
@settings(max_examples=15, deadline=None)
def test_equals_trying_everything(random_instance, seed, transfer, whole_ticks, latency):
    """Small graphs with whole and with fractional times, both objectives, both kinds of transfer."""
    instance = random_instance(
        seed,
        tasks=2,
        jobs=2,
        transfer=transfer,
        whole_ticks=whole_ticks,
        objective="mean_latency" if latency else "makespan",
    )
    result = cp_sat(workers=1)(instance)
    assert result.status == "optimal"
    assert verify(instance, result.solution) == result.objective
    assert result.objective == pytest.approx(every_schedule(instance), abs=1e-3)
    assert result.bound <= result.objective


@given(st.integers(0, 2**32 - 1), st.sampled_from(["direct", "shared_memory"]))
@settings(max_examples=15, deadline=None)
def test_no_list_scheduler_beats_the_optimum(random_instance, seed, transfer):
    instance = random_instance(seed, transfer=transfer, whole=True)
    optimum = cp_sat(workers=1)(instance)
    assert optimum.status == "optimal"
    assert optimum.bound == optimum.objective == verify(instance, optimum.solution)
    for name in SOLVERS.keys() - {"cp_sat"}:
        assert SOLVERS[name]()(instance, seed=seed).objective >= optimum.objective


def test_releases_and_mean_latency():
    """One PE, a long job at 0 and a short one at 1: the mean latency prefers to wait, the makespan does not."""
    chip = make_chip("one", ("p",))
    long, short = (JobType(name, ("a",), [[time]], [], [], []) for name, time in (("long", 10), ("short", 1)))
    instance = SocInstance("wait", chip, (long, short), Arrivals(releases=((0, 0.0), (1, 1.0))))
    assert cp_sat(workers=1)(instance).objective == 11
    waiting = cp_sat(workers=1)(replace(instance, objective="mean_latency"))
    assert (waiting.objective, waiting.bound, waiting.status) == (6.5, 6.5, "optimal")  # 12 and 1, not 10 and 10
    assert waiting.solution.start.tolist() == [2, 1]


def test_never_worse_than_heft_and_anytime(vector_instance):
    instance = vector_instance("soc_top4")
    many = replace(instance, arrivals=Arrivals(releases=tuple((0, 7.0 * job) for job in range(12))))
    result = cp_sat(time_limit=1e-3, workers=1)(many)
    assert result.status == "feasible"
    assert 0 < result.bound < result.objective <= SOLVERS["heft"]()(many).objective


@pytest.mark.slow
def test_two_stacked_jobs_are_solved(vector_instance):
    """HEFT needs 109."""
    two = replace(vector_instance("topcuoglu_10x3"), arrivals=Arrivals(releases=((0, 0.0), (0, 10.0))))
    result = cp_sat(time_limit=120, workers=2)(two)
    assert result.status == "optimal"
    assert verify(two, result.solution) == result.objective == result.bound < 109


def test_same_seed_same_schedule(vector_instance):
    instance = vector_instance("soc_top9")
    first, second = (cp_sat(workers=1)(instance, seed=3).solution for _ in range(2))
    assert np.array_equal(first.start, second.start)
    assert np.array_equal(first.processor, second.processor)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_limit": 0}, "time_limit is 0"),
        ({"time_limit": float("nan")}, "time_limit is nan"),
        ({"workers": -1}, "workers is -1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(UsageError, match=message):
        cp_sat(**options)


def test_missing_ortools_is_named(monkeypatch, vector_instance):
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    with pytest.raises(UsageError, match=r"cp_sat needs OR-Tools.*dispatchlab\[solvers\]"):
        cp_sat()(vector_instance("soc_top1"))
