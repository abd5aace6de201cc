"""The published system: its rates, what random and greedy dispatching cost there, and the reference point."""

import numpy as np
import pytest

from envs.offload.benchmarks import PUBLISHED
from envs.offload.generators import episode, episodes
from envs.offload.references import system_reference_point
from envs.offload.types import System, prefer

# Delay in seconds and energy in joules of the published program, mean of 300 episodes (200 for the last two rows).
RANDOM = {
    0.0: (3070, 3.01),
    0.05: (2760, 3.45),
    0.1: (2438, 3.90),
    0.15: (2209, 4.34),
    0.2: (2091, 4.73),
    0.25: (1971, 5.23),
}
GREEDY = {
    0.5: (1940, 3.005),
    0.85: (1934, 3.01),
    0.9: (1847, 3.11),
    0.94: (1533, 3.54),
    0.96: (1353, 3.86),
    0.97: (1127, 4.19),
    0.98: (1042, 4.39),
    0.99: (971, 4.67),
    1.0: (940, 5.69),
}
RULES = {"all_cloud": (13287, 12.01), "join_shortest_queue": (1028, 5.72)}

SAMPLE = 300


@pytest.fixture(scope="module")
def sample():
    return episodes(PUBLISHED, 1_000_000, SAMPLE, "published")


def assert_within_noise(costs, published):
    """Means of two samples of about 300 episodes: three standard errors of their difference."""
    error = np.sqrt(2.0) * costs.std(axis=0) / np.sqrt(len(costs))
    assert np.all(np.abs(costs.mean(axis=0) - published) < 3.0 * error), (costs.mean(axis=0), published, error)


@pytest.mark.parametrize("weight", GREEDY)
def test_greedy_costs_what_was_measured(servers, sample, weight):
    costs = servers.run([prefer(instance, (weight, 1.0 - weight)) for instance in sample], "greedy")
    assert_within_noise(costs, GREEDY[weight])


@pytest.mark.parametrize("rule", RULES)
def test_rules_cost_what_was_measured(servers, sample, rule):
    assert_within_noise(servers.run(sample[:200], rule), RULES[rule])


@pytest.mark.parametrize("probability", RANDOM)
def test_random_dispatching_costs_what_was_measured(servers, sample, probability):
    solver = servers.definition.solvers["random_cloud"](cloud_probability=probability)
    costs = [servers.definition.trade_off.costs(i, solver(i, seed=n).solution) for n, i in enumerate(sample)]
    assert_within_noise(np.array(costs), RANDOM[probability])


def test_episodes_have_about_93_tasks(sample):
    assert np.mean([len(instance.bits) for instance in sample]) == pytest.approx(93, abs=1)


def test_published_rates():
    rates = np.concatenate([episode(PUBLISHED, seed, "one").bits_per_second for seed in range(300)])
    assert rates[:, 0].mean() == pytest.approx(415e6, rel=0.02)
    assert rates[:, 1:].mean() == pytest.approx(720e6, rel=0.02)


def test_physical_rates_are_within_shannons_limits():
    system = System(channel="physical")
    rates = np.concatenate([episode(system, seed, "one").bits_per_second for seed in range(100)])
    # A user at 50 m: loss 30.5 + 36.7 x 1.699 = 92.9 dB, noise -101.8 dBm, 23 dBm sent: 31.9 dB, 10.6 bit/s/Hz.
    assert 1e7 < np.median(rates[:, 1:]) < 6e7
    assert np.quantile(rates[:, 1:], 0.999) < 1.4 * 10.6 * 16.6e6
    best = rates[:, 1:].max(axis=1)
    np.testing.assert_allclose(rates[:, 0], 1 / (1 / best + 1e-9), rtol=1e-9)


def test_reference_point_of_the_published_system():
    assert system_reference_point(PUBLISHED) == (4000.0, 6.0)


def test_sizes_balance_the_load():
    assert PUBLISHED.mean_megabits == 16.0
    assert System(edge_hertz=(2e9,), cloud_hertz=4e9, users=5).mean_megabits == 12.0
    bits = np.concatenate([episode(PUBLISHED, seed, "one").bits for seed in range(100)])
    # Exponential of mean 16, cut to 0.1 and 100 Mbit: 16 (1 - exp(-6.25)) and the mass that the lower limit adds.
    assert bits.mean() == pytest.approx(16e6 * (1 - np.exp(-100 / 16)) + 16e6 * (0.1 / 16) ** 2 / 2, rel=0.03)


def test_the_load_follows_its_sine():
    system = System(horizon=100, load_peak=1.0, load_period=100.0, arrivals_per_user=0.05)
    arrivals = np.concatenate([episode(system, seed, "one").arrival for seed in range(200)])
    first, second = (arrivals < 50).sum(), (arrivals >= 50).sum()
    # Integrals of 1 + sin over the halves: 50 + 100/pi and 50 - 100/pi; some of the queue at the end is lost.
    assert first / second == pytest.approx((50 + 100 / np.pi) / (50 - 100 / np.pi), rel=0.08)
