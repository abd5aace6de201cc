"""Large neighbourhood search: windows are exact, schedules valid, known optima found."""

import numpy as np
import pytest

pytest.importorskip("ortools")

from ortools.sat.python import cp_model

from envs.core import GraphVectorEnv, UsageError
from envs.job_shop import PROBLEM, neighbourhood
from envs.job_shop.exact import cp_sat
from envs.job_shop.look_ahead import pilot_schedule
from envs.job_shop.neighbourhood import OPERATORS, Choice, lns
from envs.job_shop.types import JobShopInstance, Schedule
from envs.job_shop.verify import verify


def drawn(jobs, machines, seed=4):
    env = GraphVectorEnv(PROBLEM.bind({"sizes": ((jobs, machines),)}), 1)
    env.reset(seed=seed)
    return env.instance(0)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_free_what_was_asked_for(name):
    instance, generator = drawn(8, 5), np.random.default_rng(0)
    starts = pilot_schedule(instance).starts
    for _ in range(20):
        free = OPERATORS[name](instance, starts, 12, generator)
        assert 0 < free.sum() <= 12
        if name in ("interval", "critical"):
            assert free.sum() == 12
        window = neighbourhood._window(instance, starts, free)
        assert window.between[free].all()
        assert not (window.between & window.after).any()
        before = ~window.between & ~window.after
        assert (starts[before] < starts[free].min()).all()
        assert (starts[window.after] >= (starts + instance.times)[free].max()).all()


def test_a_window_over_everything_is_the_whole_problem():
    instance = drawn(6, 5)
    starts = pilot_schedule(instance).starts
    window = neighbourhood._window(instance, starts, np.ones(starts.shape, np.bool_))
    found, proven = neighbourhood._solve(cp_model, instance, starts, window, 30.0, 1, 0)
    optimal = cp_sat(time_limit=30, workers=1)(instance)
    assert proven
    assert optimal.status == "optimal"
    assert verify(instance, Schedule(found)) == optimal.objective


def test_what_a_window_promises_is_what_the_schedule_keeps(monkeypatch):
    """The end in the programme, with tails for what is behind the window, is the makespan of the whole schedule."""
    instance, generator = drawn(10, 8), np.random.default_rng(1)
    starts = neighbourhood._left_shifted(instance, np.arange(instance.times.size))  # one job after the other
    promised = []

    class Solver(cp_model.CpSolver):
        def solve(self, programme):
            status = super().solve(programme)
            promised.append(round(self.objective_value))
            return status

    monkeypatch.setattr(cp_model, "CpSolver", Solver)
    for _ in range(30):
        before = verify(instance, Schedule(starts))
        name = generator.choice(list(OPERATORS))
        window = neighbourhood._window(instance, starts, OPERATORS[name](instance, starts, 15, generator))
        starts, proven = neighbourhood._solve(cp_model, instance, starts, window, 10.0, 1, 0)
        assert proven
        assert verify(instance, Schedule(starts)) == promised[-1] <= before
    assert promised[-1] < promised[0]


def test_a_proof_for_all_operations_ends_the_search():
    instances = PROBLEM.benchmarks["fisher_thompson"]().instances
    result = lns(time_limit=60)(next(i for i in instances if i.name == "ft06"))
    assert (result.objective, result.bound, result.status) == (55, 55, "optimal")


def test_a_hint_is_never_made_worse_and_need_not_be_early():
    instance = drawn(5, 4)
    serial = np.cumsum(instance.times.ravel()).reshape(instance.times.shape) - instance.times
    late = Schedule(serial + 7)
    result = lns(time_limit=0.3, hint=late)(instance)
    assert verify(instance, result.solution) == result.objective
    assert result.objective <= instance.times.sum()
    optimal = cp_sat(time_limit=30, workers=1)(instance)
    again = lns(time_limit=0.3, hint=optimal.solution)(instance)
    assert again.objective == optimal.objective


def test_times_of_zero():
    instance = JobShopInstance("zeros", [[0, 1, 2], [2, 1, 0], [1, 2, 0]], [[0, 3, 2], [2, 0, 4], [0, 5, 1]], 3)
    result = lns(time_limit=0.3)(instance)
    assert verify(instance, result.solution) == result.objective == cp_sat(time_limit=5, workers=1)(instance).objective


def test_choice_prefers_what_earns_and_sizes_follow_the_proofs():
    choice = Choice(("good", "poor"))
    for _ in range(40):
        choice.learn("good", 20.0, 1.0, proven=True)
        choice.learn("poor", 0.0, 1.0, proven=False)
    drawn_names = [choice.draw(generator) for generator in [np.random.default_rng(0)] for _ in range(300)]
    assert 0.75 < drawn_names.count("good") / 300 < 0.95
    assert choice.size["good"] > 80 > choice.size["poor"] == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_limit": 0}, "lns: time_limit is 0 seconds; expected more than 0"),
        ({"workers": 0}, "lns: workers is 0; expected at least 1"),
        ({"operators": "all"}, "lns: operators has 'all'; expected some of interval, critical, machines, jobs"),
        ({"operators": ()}, "lns: operators is empty"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(UsageError, match=message):
        lns(**options)
