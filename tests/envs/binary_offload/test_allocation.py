"""The optimal time shares: by hand, against shares that are worse, and against the verifier's search."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.binary_offload.allocation import spectral_efficiency
from envs.binary_offload.solvers import rate_of, started
from envs.binary_offload.types import BinaryOffloadInstance, Modes, System
from envs.binary_offload.verify import best_frame, verify

SYSTEM = System()
seeds = st.integers(0, 2**32 - 1)


def rate_by_definition(instance, offloads, charging, uplinks):
    """The weighted rate of any time shares, from energies: what a device harvested, it spends."""
    total = 0.0
    for i, (gain, weight) in enumerate(zip(instance.gains, instance.weights, strict=True)):
        s = instance.system
        energy = s.harvesting_efficiency * s.power * gain * charging
        if not offloads[i]:
            speed = (energy / s.computing_efficiency) ** (1 / 3)  # cycles a second over the whole frame
            total += weight * speed / s.cycles_per_bit
        elif uplinks[i] > 0:
            snr = energy / uplinks[i] * gain / s.noise
            total += weight * s.bandwidth * uplinks[i] / s.overhead * math.log2(1 + snr)
    return total


def one(gain, weight=1.0, system=SYSTEM):
    return BinaryOffloadInstance("one", [gain], [weight], system)


def test_a_lone_local_device_by_hand():
    # 2.1 W x gain harvested for the whole frame; (1e-5 / 1e-26)^(1/3) = 1e7 cycles a second; 100 cycles a bit.
    instance = one(1e-5 / 2.1, 3.0)
    assert rate_of(started(instance), np.array([False])) == pytest.approx(3e5, rel=1e-12)
    assert verify(instance, Modes(np.array([False]))) == pytest.approx(1e6 / 3e5, rel=1e-12)
    assert best_frame(instance, Modes(np.array([False]))) == (pytest.approx(3e5, rel=1e-12), 1.0, [0.0])


def test_a_lone_offloading_device_by_hand():
    # c = 2.1 h^2 / 1e-10 = 1: y - 1 = (c - 1) exp(-y) gives y = 1, so it sends 1 / e of the frame at 1 nat.
    instance, modes = one(math.sqrt(1e-10 / 2.1)), Modes(np.array([True]))
    expected = 2e6 / (1.1 * math.log(2)) / math.e
    assert rate_of(started(instance), modes.offloads) == pytest.approx(expected, rel=1e-13)
    rate, charging, (uplink,) = best_frame(instance, modes)
    assert rate == pytest.approx(expected, rel=1e-13)
    assert charging == pytest.approx(1 - 1 / math.e, rel=1e-6)
    assert uplink == pytest.approx(1 / math.e, rel=1e-6)


@pytest.mark.parametrize("y", [1e-6, 1e-3, 0.1, 1.0, 3.0, 30.0, 500.0])
def test_spectral_efficiency_inverts_its_price(y):
    price = y + math.expm1(-y) if y > 0.01 else y**2 / 2 - y**3 / 6 + y**4 / 24 - y**5 / 120
    assert spectral_efficiency(price) == pytest.approx(y, rel=1e-9)


@settings(max_examples=80, deadline=None)
@given(seed=seeds)
def test_rate_agrees_with_the_verifier_and_no_other_shares_are_better(build, seed):
    instance, rng = build(seed), np.random.default_rng(seed)
    offloads = rng.random(len(instance.gains)) < rng.random()
    rate, charging, uplinks = best_frame(instance, Modes(offloads))
    assert rate_of(started(instance), offloads) == pytest.approx(rate, rel=1e-12)
    assert charging + sum(uplinks) == pytest.approx(1.0, rel=1e-12)
    assert rate_by_definition(instance, offloads, charging, uplinks) == pytest.approx(rate, rel=1e-12)
    best = np.array([charging, *uplinks])
    shares = best[best > 0]
    for spread in (1e-3, 0.03, 0.3, 3.0):
        for _ in range(10):
            other = np.zeros_like(best)
            other[best > 0] = shares * np.exp(spread * rng.standard_normal(len(shares)))
            other /= other.sum()
            assert rate_by_definition(instance, offloads, other[0], other[1:]) <= rate * (1 + 1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, factor=st.floats(0.01, 100.0))
def test_scaling_all_weights_scales_the_rate(build, seed, factor):
    instance = build(seed)
    offloads = np.random.default_rng(seed).random(len(instance.gains)) < 0.5
    scaled = BinaryOffloadInstance("scaled", instance.gains, factor * instance.weights, instance.system)
    expected = factor * rate_of(started(instance), offloads)
    assert rate_of(started(scaled), offloads) == pytest.approx(expected, rel=1e-11)


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_a_better_channel_is_never_worse(build, seed):
    instance, rng = build(seed), np.random.default_rng(seed)
    offloads = rng.random(len(instance.gains)) < 0.5
    gains = instance.gains * np.where(np.arange(len(instance.gains)) == rng.integers(len(instance.gains)), 1.5, 1.0)
    better = BinaryOffloadInstance("better", gains, instance.weights, instance.system)
    assert rate_of(started(better), offloads) > rate_of(started(instance), offloads) * (1 - 1e-12)


def test_extreme_channels_and_weights_still_agree_with_the_verifier():
    cases = [
        ([1e-9, 1e-9], [1.0, 1.0]),
        ([1e-9, 1e-3], [1e4, 1e-4]),
        ([1e-3, 1e-3, 1e-9], [1e-3, 1e3, 1.0]),
        ([1.0, 1.0], [1.0, 1.0]),
    ]
    for gains, weights in cases:
        instance = BinaryOffloadInstance("extreme", gains, weights)
        for number in range(1 << len(gains)):
            offloads = np.array([bool(number >> i & 1) for i in range(len(gains))])
            expected = best_frame(instance, Modes(offloads))[0]
            assert rate_of(started(instance), offloads) == pytest.approx(expected, rel=1e-9), (gains, offloads)
