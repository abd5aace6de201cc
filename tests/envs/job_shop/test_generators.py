"""Generators of job shop instances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core import UsageError
from envs.job_shop.generators import LehmerGenerator, demirkol, taillard, toy, uniform
from envs.job_shop.verify import verify

sizes = st.tuples(st.integers(1, 7), st.integers(1, 7))
seeds = st.integers(0, 2**32 - 1)


def test_lehmer_generator_passes_the_check_of_its_authors():
    """Park and Miller (1988): from 1, the 10,000th word is 1043618065."""
    generator = LehmerGenerator(1)
    words = [generator.next_word() for _ in range(10_000)]
    assert words[-1] == 1043618065


@pytest.mark.parametrize("seed", [0, -1, 2**31 - 1])
def test_lehmer_generator_refuses_seeds_it_would_stick_at(seed):
    with pytest.raises(UsageError, match=f"seed is {seed}"):
        LehmerGenerator(seed)


def test_taillard_ta01_first_job():
    instance = taillard(15, 15, 840612802, 398197754)
    assert instance.times[0].tolist() == [94, 66, 10, 53, 26, 15, 65, 82, 10, 27, 93, 92, 96, 70, 83]
    assert (instance.machines[0] + 1).tolist() == [7, 13, 5, 8, 4, 3, 11, 12, 9, 15, 10, 14, 6, 1, 2]


@given(sizes, seeds)
def test_two_sets_routing_visits_the_first_half_first(size, seed):
    instance = demirkol(*size, seed=1 + seed % 1000, routing="two_sets")
    half = size[1] // 2
    assert np.all(instance.machines[:, :half] < half)
    assert np.all(instance.machines[:, half:] >= half)


def test_demirkol_refuses_other_routings():
    with pytest.raises(UsageError, match="routing is 'flow'"):
        demirkol(2, 2, 1, routing="flow")


@given(sizes, seeds)
def test_every_generator_gives_permutation_routes_and_times_in_range(size, seed):
    jobs, machines = size
    rng = np.random.default_rng(seed)
    drawn = [
        (uniform(jobs, machines, rng, 3, 7), 3, 7),
        (toy(jobs, machines, rng, 3, 7).instance, 3, 7),
        (taillard(jobs, machines, 1 + seed % 1000, 2 + seed % 999), 1, 99),
        (demirkol(jobs, machines, 1 + seed % 1000), 1, 200),
    ]
    for instance, low, high in drawn:
        assert instance.times.shape == size
        assert np.array_equal(np.sort(instance.machines, axis=1), np.tile(np.arange(machines), (jobs, 1)))
        assert low <= instance.times.min() <= instance.times.max() <= high


@given(sizes, seeds)
def test_uniform_depends_on_the_generator_alone(size, seed):
    first = uniform(*size, np.random.default_rng(seed))
    assert first == uniform(*size, np.random.default_rng(seed))


def test_uniform_reaches_both_ends():
    times = uniform(50, 10, np.random.default_rng(0), 1, 4).times
    assert set(times.ravel().tolist()) == {1, 2, 3, 4}


@given(sizes, seeds)
def test_toy_schedule_is_valid_and_meets_a_lower_bound(size, seed):
    instance, schedule, makespan = toy(*size, np.random.default_rng(seed))
    assert verify(instance, schedule) == makespan == instance.lower_bound


@pytest.mark.parametrize("make", [uniform, toy])
def test_bad_sizes_and_times(make):
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="the size is 0 jobs by 3 machines"):
        make(0, 3, rng)
    with pytest.raises(UsageError, match="times run from 5 to 4"):
        make(2, 3, rng, 5, 4)
    with pytest.raises(UsageError, match="times run from -1 to 4"):
        make(2, 3, rng, -1, 4)
