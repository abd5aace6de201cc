"""INSA and the shifting bottleneck: hand-made cases, published instances, invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.job_shop.benchmarks import BENCHMARKS
from envs.job_shop.constructive import insa, shifting_bottleneck
from envs.job_shop.disjunctive import delays, heads, tails, topological_order
from envs.job_shop.generators import uniform
from envs.job_shop.types import JobShopInstance
from envs.job_shop.verify import verify

SOLVERS = {"insa": insa(), "shifting_bottleneck": shifting_bottleneck()}


@pytest.fixture(params=SOLVERS)
def solver(request):
    return SOLVERS[request.param]


@given(
    st.sampled_from(sorted(SOLVERS)),
    st.tuples(st.integers(1, 8), st.integers(1, 6)),
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=100, deadline=None)
def test_every_schedule_is_valid(name, size, machines, seed):
    """Any routing, machines visited repeatedly or not at all, times of 0 included."""
    rng = np.random.default_rng(seed)
    instance = JobShopInstance("any", rng.integers(machines, size=size), rng.integers(0, 12, size=size), machines)
    result = SOLVERS[name](instance)
    assert verify(instance, result.solution) == result.objective >= instance.lower_bound
    assert result.status == "heuristic"


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_both_are_optimal_on_one_machine(jobs, seed):
    instance = JobShopInstance(
        "one", np.zeros((jobs, 1), int), np.random.default_rng(seed).integers(0, 9, (jobs, 1)), 1
    )
    for solve in SOLVERS.values():
        assert solve(instance).objective == instance.times.sum()


@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_neither_beats_johnson_on_a_two_machine_flow_shop(jobs, seed):
    """The optimum of Johnson (1954): first the jobs with a <= b by rising a, then the others by falling b."""
    times = np.random.default_rng(seed).integers(1, 30, size=(jobs, 2))
    instance = JobShopInstance("flow", np.tile([0, 1], (jobs, 1)), times, 2)
    johnson = sorted(times.tolist(), key=lambda ab: (ab[0] > ab[1], ab[0] if ab[0] <= ab[1] else -ab[1]))
    first = second = 0
    for a, b in johnson:
        first += a
        second = max(first, second) + b
    assert all(solve(instance).objective >= second for solve in SOLVERS.values())
    assert shifting_bottleneck()(instance).bound <= second


def test_insa_by_hand():
    """Job 1 (9 in all) goes first; then job 0's operation of 4 and last that of 1.

    Machine 1 does job 1 at 6 to 9. Job 0's operation of 4 on machine 0 is put after job 1's (path 6 + 4 + 1 = 11 ...
    before it: 4 + 6 + 3 = 13), its operation of 1 on machine 1 after job 1's: 10 + 1 = 11.
    """
    instance = JobShopInstance("hand", np.array([[0, 1], [0, 1]]), np.array([[4, 1], [6, 3]]), 2)
    result = insa()(instance)
    assert result.solution.starts.tolist() == [[6, 10], [0, 6]]
    assert result.objective == 11


@pytest.mark.parametrize(("name", "optimum"), [("ft06", 55), ("ft10", 930), ("ft20", 1165)])
def test_published_instances_come_within_a_tenth_of_the_optimum(solver, name, optimum):
    instance = BENCHMARKS["fisher_thompson"]().select([name]).instances[0]
    result = solver(instance)
    assert verify(instance, result.solution) == result.objective
    assert optimum <= result.objective <= 1.1 * optimum


@pytest.mark.parametrize(("name", "bound"), [("ft06", 52), ("ft10", 808), ("ft20", 1164)])
def test_bound_of_a_single_machine_is_the_published_one(name, bound):
    """The first bounds of the shifting bottleneck on these instances, as the literature has them."""
    instance = BENCHMARKS["fisher_thompson"]().select([name]).instances[0]
    assert shifting_bottleneck()(instance).bound == bound


@pytest.mark.parametrize(("name", "most"), [("insa", 15.0), ("shifting_bottleneck", 12.0)])
def test_mean_gap_on_the_first_ten_taillard_instances(name, most):
    """Corsini et al. (2024) report 14.4 % for INSA and 11.6 % for their shifting bottleneck."""
    names = [f"ta{number:02d}" for number in range(1, 11)]
    benchmark = BENCHMARKS["taillard"]().select(names)
    gaps = []
    for instance in benchmark.instances:
        result = SOLVERS[name](instance)
        assert verify(instance, result.solution) == result.objective
        gaps.append(100 * (result.objective / benchmark.references[instance.name].value - 1))
    assert 0 < np.mean(gaps) <= most


def test_reoptimisation_after_each_machine_pays_off():
    instances = [uniform(10, 6, np.random.default_rng(seed)) for seed in range(20)]
    with_cycles = [shifting_bottleneck()(instance).objective for instance in instances]
    without = [shifting_bottleneck(cycles=0)(instance).objective for instance in instances]
    assert sum(with_cycles) < sum(without)


def test_deterministic_whatever_the_seed(solver):
    instance = uniform(8, 5, np.random.default_rng(5))
    first, second = solver(instance, seed=1), solver(instance, seed=2)
    assert np.array_equal(first.solution.starts, second.solution.starts)


@pytest.mark.parametrize(("options", "message"), [({"cycles": -1}, "cycles is -1"), ({"node_limit": 0}, "is 0")])
def test_options_out_of_range(options, message):
    with pytest.raises(UsageError, match=message):
        shifting_bottleneck(**options)


class TestLongestPaths:
    """Two jobs, two machines; machine 0 does operation 0 (of job 0) before operation 3 (of job 1)."""

    times = np.array([3, 2, 4, 1])
    previous = np.array([-1, -1, -1, 0])
    following = np.array([3, -1, -1, -1])

    def test_heads_tails_and_delays(self):
        order = topological_order(2, self.previous, self.following)
        assert sorted(order.tolist()) == [0, 1, 2, 3]
        assert heads(order, self.times, 2, self.previous).tolist() == [0, 3, 0, 4]
        assert tails(order, self.times, 2, self.following).tolist() == [2, 0, 1, 0]
        delay = delays(order, self.times, 2, self.previous, np.array([0, 2, 3]))
        assert delay.tolist() == [[-1, -1, 3], [-1, -1, 4], [-1, -1, -1]]

    def test_a_cycle_shortens_the_order(self):
        previous, following = np.array([3, 2, -1, -1]), np.array([-1, -1, 1, 0])
        assert topological_order(2, previous, following).size == 4
        previous, following = np.array([1, -1, -1, -1]), np.array([-1, 0, -1, -1])
        assert topological_order(2, previous, following).tolist() == [2, 3]
