"""Settings of soft actor-critic: mistakes are found before anything runs."""

from __future__ import annotations

import pytest

from agents.sac.config import SACConfig
from envs.core import UsageError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lanes": 0}, "agent.settings.lanes is 0; expected at least 1"),
        ({"gradient_steps": 0}, "agent.settings.gradient_steps is 0; expected at least 1"),
        ({"temperature": 0}, "agent.settings.temperature is 0.0; expected a positive number"),
        ({"entropy_share": 1.5}, "agent.settings.entropy_share is 1.5; expected a number from 0 to 1"),
        ({"polyak": 0}, "agent.settings.polyak is 0.0; expected a number above 0, up to 1"),
        ({"buffer": 8, "lanes": 16}, "buffer is 8; expected room for a decision of every lane, at least 16"),
        ({"decisions": 10, "warm_up": 10}, "warm_up is 10; expected fewer than the decisions, 10"),
        (
            {"temperature": 20.0, "temperature_learning_rate": 1e-3},
            "temperature is 20.0; expected lowest_temperature to highest_temperature, 0.0001 to 10.0",
        ),
        ({"gamma": 0.9}, "agent.settings has no field 'gamma'; it has decisions, lanes"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(UsageError, match=message):
        SACConfig.from_mapping(values)


def test_settings_survive_plain_data():
    config = SACConfig(decisions=10_000, lanes=2, steps=3, minibatch=4, seed=7, temperature=20.0)
    assert SACConfig.from_mapping(config.to_mapping()) == config
