"""Learning rates at moments where they are known."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from agents.group.config import GroupConfig
from agents.imitation.config import ImitationConfig
from agents.ppo.config import PPOConfig
from agents.schedule import SCHEDULES, learning_rate, refine
from envs.core import UsageError


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("linear", (1.0, 0.775, 0.55, 0.1)), ("cosine", (1.0, 0.868198, 0.55, 0.1)), ("constant", (1.0, 1.0, 1.0, 1.0))],
)
def test_rates_at_the_quarters(schedule, rates):
    found = [learning_rate(schedule, 1.0, 0.1, 0.0, remaining) for remaining in (1.0, 0.75, 0.5, 0.0)]
    assert found == pytest.approx(rates, abs=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_rises_to_the_first_rate_and_the_schedule_follows(schedule):
    rates = [learning_rate(schedule, 0.4, 0.0, 0.2, remaining) for remaining in (1.0, 0.95, 0.9, 0.8)]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.4])
    middle = learning_rate(schedule, 0.4, 0.0, 0.2, 0.4)
    assert middle == pytest.approx(0.4 if schedule == "constant" else 0.2)


@pytest.mark.parametrize("config", [PPOConfig, GroupConfig])
def test_a_rate_is_never_negative_when_a_rollout_overshoots_the_end(config):
    settings = config(learning_rate=0.5)
    assert settings.learning_rate_at(-0.01) == 0.0
    assert settings.learning_rate_at(0.5) == 0.25
    assert config(learning_rate=0.5, schedule="cosine", warm_up=0.5).learning_rate_at(0.75) == 0.25


@pytest.mark.parametrize("config", [PPOConfig, GroupConfig, partial(ImitationConfig, rule="spt")])
def test_mistakes_are_named(config):
    with pytest.raises(UsageError, match="schedule is 'step'; expected one of linear, cosine, constant"):
        config(schedule="step")
    with pytest.raises(UsageError, match="warm_up is 1"):
        config(warm_up=1.0)


def written(path, factors):
    path.write_text(json.dumps({"factors": factors}), encoding="utf-8")
    return str(path)


def test_equal_norms_give_linear_decay_whatever_their_size():
    for norm in (1e-6, 1.0, 1e6):
        for power in (1.0, 2.0):
            assert refine(np.full(51, norm), power) == pytest.approx(np.linspace(1.0, 0.0, 51), abs=1e-14)


def test_refined_rates_by_hand():
    """Too few norms to smooth: L1 weights 1, 1/2, 1/4, so rates 1 * 3/4, 1/2 * 1/4 and 0, over their largest."""
    assert refine([1.0, 2.0, 4.0], 1.0) == pytest.approx([1.0, 1.0 / 6.0, 0.0])
    assert refine([1.0, 2.0, 4.0], 2.0) == pytest.approx([1.0, (1 / 4 * 1 / 16) / (5 / 16), 0.0])


def test_large_gradients_at_the_start_ask_for_a_warm_up():
    rates = refine(np.concatenate([np.linspace(10.0, 1.0, 40), np.ones(160)]), 1.0)
    assert rates[0] < 0.2
    assert 20 <= rates.argmax() <= 45
    assert rates[-1] == 0.0
    assert (rates >= 0.0).all()


def test_a_single_outlier_is_smoothed_away():
    norms = np.ones(101)
    norms[50] = 1000.0
    assert refine(norms, 1.0) == pytest.approx(np.linspace(1.0, 0.0, 101), abs=1e-14)


def test_a_file_is_followed_between_its_factors(tmp_path):
    path = written(tmp_path / "own.json", [0.0, 1.0, 0.5])
    rates = [learning_rate(path, 2.0, 1.0, 0.0, remaining) for remaining in (1.0, 0.75, 0.5, 0.25, 0.0, -0.1)]
    assert rates == pytest.approx([1.0, 1.5, 2.0, 1.75, 1.5, 1.5])


def test_the_file_of_equal_norms_is_the_linear_schedule(tmp_path):
    settings = PPOConfig(schedule=written(tmp_path / "own.json", refine(np.ones(11), 1.0).tolist()))
    for remaining in (1.0, 0.61, 0.3, 0.0):
        assert settings.learning_rate_at(remaining) == pytest.approx(PPOConfig().learning_rate_at(remaining))


@pytest.mark.parametrize("config", [PPOConfig, GroupConfig, partial(ImitationConfig, rule="spt")])
def test_mistakes_in_files_are_named(config, tmp_path):
    with pytest.raises(UsageError, match=r"missing\.json cannot be read: No such file"):
        config(schedule=str(tmp_path / "missing.json"))
    for number, factors in enumerate(([1.0], [0.5, 1.5], ["a", "b"], 3, [float("nan"), 0.0])):
        with pytest.raises(UsageError, match=r"bad\d\.json (is not a schedule|holds \d factors); expected"):
            config(schedule=written(tmp_path / f"bad{number}.json", factors))
    with pytest.raises(UsageError, match=r"warm_up is 0\.1; expected 0, as the schedule .* has a beginning"):
        config(schedule=written(tmp_path / "good.json", [1.0, 0.0]), warm_up=0.1)
