"""Learning rates at moments where they are known."""

from __future__ import annotations

from functools import partial

import pytest

from agents.group.config import GroupConfig
from agents.imitation.config import ImitationConfig
from agents.ppo.config import PPOConfig
from agents.schedule import SCHEDULES, learning_rate
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
