"""The CP-SAT reference: published optima, proven bounds, warm starts."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("ortools")

from envs.core import UsageError
from envs.job_shop.benchmarks import BENCHMARKS
from envs.job_shop.constructive import insa, shifting_bottleneck
from envs.job_shop.exact import cp_sat
from envs.job_shop.generators import toy
from envs.job_shop.types import JobShopInstance, Schedule
from envs.job_shop.verify import verify


def fisher_thompson(name):
    return BENCHMARKS["fisher_thompson"]().select([name]).instances[0]


def test_ft06_is_solved_to_its_published_optimum():
    result = cp_sat(time_limit=60, workers=1)(fisher_thompson("ft06"))
    assert (result.objective, result.bound, result.status) == (55, 55, "optimal")
    assert verify(fisher_thompson("ft06"), result.solution) == 55


@pytest.mark.slow
@pytest.mark.parametrize(("name", "optimum"), [("ft10", 930), ("ft20", 1165)])
def test_larger_published_optima(name, optimum):
    instance = fisher_thompson(name)
    result = cp_sat(time_limit=300, workers=2)(instance)
    assert (result.objective, result.bound, result.status) == (optimum, optimum, "optimal")
    assert verify(instance, result.solution) == optimum


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_finds_the_known_optimum_of_toy_instances(jobs, machines, seed):
    known = toy(jobs, machines, np.random.default_rng(seed))
    result = cp_sat(workers=1)(known.instance)
    assert result.status == "optimal"
    assert result.objective == known.instance.lower_bound == verify(known.instance, result.solution)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_no_heuristic_beats_the_optimum(jobs, operations, machines, seed):
    """Also with operations of time 0 and with jobs that return to a machine."""
    rng = np.random.default_rng(seed)
    size = (jobs, operations)
    instance = JobShopInstance("small", rng.integers(machines, size=size), rng.integers(0, 9, size=size), machines)
    optimum = cp_sat(workers=1)(instance)
    assert optimum.status == "optimal"
    assert verify(instance, optimum.solution) == optimum.objective == optimum.bound
    for solver in (insa(), shifting_bottleneck()):
        result = solver(instance)
        assert verify(instance, result.solution) == result.objective >= optimum.objective
        assert result.bound is None or result.bound <= optimum.objective


def test_same_seed_same_schedule():
    instance = fisher_thompson("ft06")
    first = cp_sat(workers=1)(instance, seed=3)
    second = cp_sat(workers=1)(instance, seed=3)
    assert np.array_equal(first.solution.starts, second.solution.starts)


def test_never_worse_than_its_hint():
    instance = fisher_thompson("ft10")
    hint = insa()(instance)
    result = cp_sat(time_limit=1e-3, workers=1, hint=hint.solution)(instance)
    assert verify(instance, result.solution) == result.objective <= hint.objective
    assert instance.lower_bound <= result.bound <= 930


def test_an_optimal_hint_is_kept():
    instance = fisher_thompson("ft06")
    optimum = cp_sat(workers=1)(instance)
    again = cp_sat(workers=1, hint=optimum.solution)(instance)
    assert (again.objective, again.status) == (55, "optimal")


def test_an_invalid_hint_is_refused():
    instance = fisher_thompson("ft06")
    with pytest.raises(UsageError, match="ft06: operation 1 of job 0 starts at 0, before"):
        cp_sat(hint=Schedule(np.zeros((6, 6), np.int64)))(instance)


def test_no_schedule_in_time_is_an_error():
    instance = fisher_thompson("ft10")
    with pytest.raises(UsageError, match=r"ft10: CP-SAT found no schedule within time_limit=1e-09 s"):
        cp_sat(time_limit=1e-9, workers=1)(instance)


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


def test_missing_ortools_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    with pytest.raises(UsageError, match=r"cp_sat needs OR-Tools.*dispatchlab\[solvers\]"):
        cp_sat()(fisher_thompson("ft06"))
