"""Statistics against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.evaluation.statistics import (
    Interval,
    interquartile_mean,
    mean,
    paired_difference,
    probability_of_improvement,
    stratified_bootstrap,
)
from envs.core import UsageError


def test_interquartile_mean_drops_a_quarter_at_either_end():
    assert interquartile_mean([8, 1, 7, 2, 6, 3, 5, 4]) == 4.5  # of 3, 4, 5, 6
    assert interquartile_mean([1, 2, 3, 100]) == 2.5  # of 2, 3
    assert interquartile_mean([1, 2, 6]) == 3.0  # a quarter of three is less than one value
    assert interquartile_mean([[1, 2, 3, 100], [0, 0, 0, 9]]).tolist() == [2.5, 0.0]


def test_resampling_stays_within_strata():
    # Every stratum is constant, so every resample has the same mean.
    values, strata = [1.0, 1.0, 5.0, 5.0, 5.0], ["a", "a", "b", "b", "b"]
    assert stratified_bootstrap(values, strata) == Interval(3.4, 3.4, 3.4)
    low, high = stratified_bootstrap(values)[1:]
    assert low < 3.4 < high


def test_percentiles_of_two_values():
    # The mean of a resample of {0, 1} is 0, 1/2 or 1 with probability 1/4, 1/2 and 1/4.
    wide = stratified_bootstrap([0.0, 1.0], confidence=0.95, resamples=4000)
    narrow = stratified_bootstrap([0.0, 1.0], confidence=0.4, resamples=4000)
    assert wide == Interval(0.5, 0.0, 1.0)
    assert narrow == Interval(0.5, 0.5, 0.5)


def test_bootstrap_of_the_mean_agrees_with_the_normal_interval():
    values = np.random.default_rng(0).normal(10.0, 2.0, 400)
    estimate, low, high = stratified_bootstrap(values, resamples=4000)
    half = 1.96 * values.std() / np.sqrt(400)
    assert estimate == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(half, rel=0.06)


def test_paired_difference_removes_what_instances_share():
    hard = np.array([1.0, 50.0, 100.0, 3.0])
    assert paired_difference(hard - 2.0, hard) == Interval(-2.0, -2.0, -2.0)


def test_probability_of_improvement_counts_ties_one_half():
    assert probability_of_improvement([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]).estimate == pytest.approx(0.5)
    assert probability_of_improvement([1.0, 1.0], [2.0, 2.0]) == Interval(1.0, 1.0, 1.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.integers(0, 5))
def test_an_interval_lies_within_the_values_and_repeats(values, seed):
    first = stratified_bootstrap(values, statistic=mean, resamples=50, seed=seed)
    slack = 1e-6
    assert min(values) - slack <= first.low <= first.high <= max(values) + slack
    assert first == stratified_bootstrap(values, statistic=mean, resamples=50, seed=seed)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stratified_bootstrap([]), "at least one entry"),
        (lambda: stratified_bootstrap([1.0], confidence=1.0), "confidence is 1.0"),
        (lambda: stratified_bootstrap([1.0], resamples=0), "resamples is 0"),
        (lambda: stratified_bootstrap([1.0, 2.0], ["a"]), "strata have 1 entries; expected 2"),
        (lambda: paired_difference([1.0], [1.0, 2.0]), "differ in number: 1 and 2"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(UsageError, match=message):
        call()
