"""Binary offloading as an environment: features by hand, rewards, draws, options."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.binary_offload.env import BinaryOffload, BinaryOffloadConfig, fit
from envs.binary_offload.metrics import measures
from envs.binary_offload.solvers import rate_of, started
from envs.binary_offload.types import BinaryOffloadInstance, Modes
from envs.binary_offload.verify import best_frame, verify
from envs.core import GraphEnv, GraphVectorEnv, UsageError

GAINS, WEIGHTS = [4e-6, 1e-6, 8e-6], [1.0, 2.0, 1.0]


@pytest.fixture(name="instance")
def instance_fixture():
    return BinaryOffloadInstance("three", GAINS, WEIGHTS)


def env_of(instance, **options):
    return GraphEnv(BinaryOffload(BinaryOffloadConfig(**(fit([instance]) | options))))


def named(features, values):
    return {feature.name: np.asarray(values)[..., i] for i, feature in enumerate(features)}


def rate(instance, *offloading):
    return best_frame(instance, Modes(np.isin(np.arange(len(instance.gains)), offloading)))


def assert_features(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_static_features_by_hand(instance):
    env = env_of(instance)
    observation = env.reset(seed=0, options={"instance": instance})[0]
    local = np.array(WEIGHTS) * np.cbrt(2.1 * np.array(GAINS) / 1e-26) / 100
    alone = [rate(BinaryOffloadInstance("one", [g], [w]), 0)[0] for g, w in zip(GAINS, WEIGHTS, strict=True)]
    expected = {
        "log_signal_to_noise_ratio": np.log10(2.1e10 * np.array(GAINS) ** 2),
        "rank_of_channel_gain": [0.5, 0, 1],
        "weight": [0.75, 1.5, 0.75],
        "share_of_local_rates": local / local.sum(),
        "log_rate_alone_at_edge_over_local": np.log(alone / local),
    }
    assert_features(named(env.problem.spec.node("device").static, observation["device_static"]), expected)


def test_dynamic_features_by_hand(instance):
    env = env_of(instance)
    env.reset(seed=0, options={"instance": instance})
    observation = env.step(2)[0]
    now, with_0, with_1 = rate(instance, 2), rate(instance, 0, 2), rate(instance, 1, 2)
    gains = np.log([with_0[0] / now[0], with_1[0] / now[0]])
    best = max(gains)
    found = named(env.problem.spec.node("device").dynamic, observation["device_dynamic"])
    price = found.pop("log_price_of_time_if_added_over_price")
    prices = price_of(instance, 2), price_of(instance, 0, 2), price_of(instance, 1, 2)
    np.testing.assert_allclose(price, [*np.log([prices[1] / prices[0], prices[2] / prices[0]]), 0], rtol=1e-4)
    expected = {
        "offloads": [0, 0, 1],
        "legal": [1, 1, 0],
        "log_rate_if_added_over_rate": [*gains, 0],
        "log_rate_if_added_over_rate_magnified": [*np.tanh(20 * gains), 0],
        "log_rate_if_added_over_best_addition": [*(10 * (gains - best)), 0],
        "change_of_charging_share_if_added": [with_0[1] - now[1], with_1[1] - now[1], 0],
    }
    assert_features(found, expected)
    np.testing.assert_allclose(observation["stop_dynamic"], [[1, math.tanh(20 * best)]], rtol=1e-4)
    context = named(env.problem.spec.context, observation["context"])
    context.pop("log_price_of_time_over_rate")
    local = np.array(WEIGHTS) * np.cbrt(GAINS)
    none, all_ = rate(instance)[0], rate(instance, 0, 1, 2)[0]
    expected = {
        "devices": 0.3,
        "share_of_devices_that_offload": 1 / 3,
        "charging_share": now[1],
        "log_rate_over_all_local": math.log(now[0] / none),
        "log_rate_over_all_local_or_all_offloading": math.log(now[0] / max(none, all_)),
        "share_of_local_rates_given_up": local[2] / local.sum(),
    }
    assert_features(context, expected)
    assert observation["action_mask"].tolist() == [True, True, False, True]


def price_of(instance, *offloading):
    """The price of time with these modes, by deciding so."""
    problem = BinaryOffload(BinaryOffloadConfig(**fit([instance])))
    state = problem.allocate(1)
    problem.load(state, 0, instance)
    for device in offloading:
        problem.step(state, np.array([device]), np.array([True]))
    return float(state.price[0])


def test_the_price_is_what_a_longer_frame_is_worth(instance):
    """The best rate in a frame of length T, over a grid of charging times, for two devices of equal weight."""
    offloads, power = np.array([True, False, True]), 2.1 * instance.gains
    local = (instance.weights * np.cbrt(power / 1e-26) / 100)[~offloads].sum()
    snr = (power * instance.gains / 1e-10)[offloads]  # of equal weight, they send in proportion to it

    def best(frame):
        charging = np.linspace(0.2, 0.95, 200_001) * frame
        length = (frame - charging)[:, None] * snr / snr.sum()
        nats = (length * np.log1p(snr * charging[:, None] / length)).sum(axis=1)
        return np.max(local * np.cbrt(charging) + 2e6 / (1.1 * math.log(2)) * nats)

    longer = 1e-4
    slope = (best(1 + longer) - best(1 - longer)) / (2 * longer)
    assert slope == pytest.approx(price_of(instance, 2, 0), rel=1e-5)


def test_without_look_ahead_only_the_present_is_seen(instance):
    env, full = env_of(instance, look_ahead=False), env_of(instance)
    observation = env.reset(seed=0, options={"instance": instance})[0]
    whole = full.reset(seed=0, options={"instance": instance})[0]
    assert observation["device_dynamic"].shape == (3, 2)
    assert observation["stop_dynamic"].shape == (1, 1)
    np.testing.assert_array_equal(observation["device_static"], whole["device_static"])
    np.testing.assert_array_equal(observation["context"], whole["context"])


@pytest.mark.parametrize("reward", ["scaled", "raw"])
def test_rewards_add_up_to_what_the_modes_gained(build, reward):
    for seed in range(10):
        instance, rng = build(seed), np.random.default_rng(seed)
        env = env_of(instance, reward=reward)
        observation = env.reset(seed=0, options={"instance": instance})[0]
        total, over = 0.0, False
        while not over:
            action = int(rng.choice(np.flatnonzero(observation["action_mask"])))
            observation, gained, over, _, _ = env.step(action)
            total += gained
        first = verify(instance, Modes(np.zeros(len(instance.gains), bool)))
        last = verify(instance, env.solution())
        expected = math.log(first / last) if reward == "scaled" else first - last
        assert total == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_devices_changes_nothing_but_their_order(build, seed):
    """Permuted devices, permuted decisions: the same rates and the same features, permuted."""
    instance, rng = build(seed), np.random.default_rng(seed)
    count = len(instance.gains)
    order = rng.permutation(count)
    other = BinaryOffloadInstance("permuted", instance.gains[order], instance.weights[order], instance.system)
    env, twin = env_of(instance), env_of(other)
    one = env.reset(seed=0, options={"instance": instance})[0]
    two = twin.reset(seed=0, options={"instance": other})[0]
    for device in rng.permutation(count)[: count // 2 + 1]:
        one = env.step(int(device))[0]
        two = twin.step(int(np.flatnonzero(order == device)[0]))[0]
        for key in ("device_static", "device_dynamic"):
            np.testing.assert_allclose(two[key], one[key][order], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(two["context"], one["context"], rtol=1e-5, atol=1e-6)
        offloads = env.solution().offloads
        assert 1e6 / verify(instance, env.solution()) == pytest.approx(rate_of(started(instance), offloads), rel=1e-11)


def test_draws_follow_path_loss_and_fading():
    env = GraphVectorEnv(BinaryOffload(BinaryOffloadConfig(fewest=3, most=3, nearest=2.0, farthest=4.0)), 4000)
    env.reset(seed=1)
    gains, weights = env.state.gain, env.state.weight
    mean = 3.0 * (3e8 / (4 * np.pi * 915e6 * np.array([2.0, 3.0, 4.0]))) ** 2.8
    np.testing.assert_allclose(gains.mean(axis=0) / mean, 1.0, atol=0.07)
    np.testing.assert_allclose(gains.std(axis=0) / mean, 1.0, atol=0.1)
    assert np.abs(np.corrcoef(gains.T) - np.eye(3)).max() < 0.06
    np.testing.assert_array_equal(weights, np.tile([1.0, 1.5, 1.0], (4000, 1)))


def test_random_numbers_and_weights_of_devices_reach_their_range():
    config = BinaryOffloadConfig(fewest=2, most=5, weights=(1.0, 3.0), weighting="random")
    env = GraphVectorEnv(BinaryOffload(config), 2000)
    env.reset(seed=2)
    assert set(env.state.devices.tolist()) == {2, 3, 4, 5}
    drawn = env.state.weight[env.state.weight > 0]
    assert (drawn == 3.0).mean() == pytest.approx(0.5, abs=0.05)


def test_measures(instance):
    known = BinaryOffloadInstance("known", GAINS, WEIGHTS, optimal_rate=4e6)
    modes = Modes(np.array([True, False, True]))
    expected, charging, _ = best_frame(instance, modes)
    plain = {"computation_rate": expected, "offloading_devices": 2.0, "charging_share": charging}
    assert measures(instance, modes) == plain
    assert measures(known, modes) == plain | {"rate_ratio": expected / 4e6}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fewest": 0}, "fewest is 0, most 10; expected 1 <= fewest <= most"),
        ({"fewest": 11}, "fewest is 11"),
        ({"nearest": 6.0}, "nearest is 6.0, farthest 5.2"),
        ({"antenna_gain": 0.0}, "antenna_gain is 0.0; expected a number above 0"),
        ({"exponent": -1.0}, "exponent is -1.0"),
        ({"carrier": 0.0}, "carrier is 0.0"),
        ({"weights": ()}, r"weights is \[\]; expected finite numbers above 0"),
        ({"weights": (1.0, 0.0)}, r"weights is \[1.0, 0.0\]"),
        ({"weighting": "even"}, "weighting is 'even'; expected one of alternating, random"),
        ({"reward": "bound"}, "reward is 'bound'"),
        ({"max_devices": 9}, "max_devices is 9; expected at least 10"),
        ({"illegal_action_penalty": -1.0}, "illegal_action_penalty is -1.0"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        BinaryOffloadConfig(**options)


def test_what_does_not_fit_is_named(build):
    large = build(0, devices=5)
    env = env_of(build(1, devices=4))
    with pytest.raises(UsageError, match="drawn_0 has 5 devices, but max_devices is 4"):
        env.reset(options={"instance": large})
