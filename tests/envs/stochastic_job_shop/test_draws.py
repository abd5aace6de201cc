"""Draws against the moments of their laws, and the supports that the verifier relies on."""

from __future__ import annotations

import numpy as np
import pytest

from envs.stochastic_job_shop.draws import LOGNORMAL, PERT, TRIANGULAR, draw_duration, failure_gap

COUNT = 40_000


def drawn(law, sigma, least, mode, greatest):
    key = np.uint64(7)
    return np.array([draw_duration(key, i, law, sigma, least, mode, greatest) for i in range(COUNT)])


@pytest.mark.parametrize(
    ("law", "sigma", "times", "mean", "variance"),
    [
        (LOGNORMAL, 0.3, (5.0, 5.0, 5.0), 5.0, 25 * (np.exp(0.09) - 1)),
        (TRIANGULAR, 0.0, (2.0, 3.0, 10.0), 5.0, (4 + 9 + 100 - 6 - 20 - 30) / 18),
        (PERT, 0.0, (2.0, 3.0, 10.0), 4.0, (4.0 - 2.0) * (10.0 - 4.0) / 7),
    ],
)
def test_moments(law, sigma, times, mean, variance):
    values = drawn(law, sigma, *times)
    assert values.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / COUNT))
    assert values.var() == pytest.approx(variance, rel=0.05)
    if law != LOGNORMAL:
        assert times[0] <= values.min() <= values.max() <= times[2]


def test_failures_are_exponential():
    gaps = np.array([failure_gap(np.uint64(3), 1, change, 4.0) for change in range(COUNT)])
    assert gaps.mean() == pytest.approx(4.0, rel=0.03)
    assert gaps.std() == pytest.approx(4.0, rel=0.03)
