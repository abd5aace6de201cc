"""Settings of PPO: mistakes are found before anything runs."""

from __future__ import annotations

import pytest

from agents.ppo.config import PPOConfig
from agents.run import TrainingRun, ValidationConfig
from envs.core import UsageError
from models.config import ModelConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lanes": 0}, "agent.settings.lanes is 0; expected at least 1"),
        ({"steps": -3}, "agent.settings.steps is -3; expected at least 1"),
        ({"decisions": "many"}, "agent.settings.decisions is 'many'; expected a whole number"),
        ({"lanes": 2, "steps": 4, "minibatch": 9}, r"agent.settings.minibatch is 9; expected 2 to lanes \* steps = 8"),
        ({"minibatch": 1}, "agent.settings.minibatch is 1; expected 2 to"),
        ({"learning_rate": 0}, "agent.settings.learning_rate is 0.0; expected a positive number"),
        ({"learning_rate": float("nan")}, "agent.settings.learning_rate is nan; expected a finite number"),
        ({"discount": 1.5}, "agent.settings.discount is 1.5; expected a number from 0 to 1"),
        ({"credit": "tick"}, "agent.settings.credit is 'tick'; expected one of decision, clock"),
        ({"discount_time": 0.0}, "agent.settings.discount_time is 0.0; expected a positive number"),
        ({"seed": -1}, "agent.settings.seed is -1; expected at least 0"),
        ({"gamma": 0.9}, "agent.settings has no field 'gamma'; it has decisions, lanes"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(UsageError, match=message):
        PPOConfig.from_mapping(values)


def test_validation_and_saving_are_checked_too():
    with pytest.raises(UsageError, match=r"validation\.instances is 0; expected at least 1"):
        ValidationConfig({}, instances=0)
    with pytest.raises(UsageError, match=r"validation\.every is -1; expected at least 0"):
        ValidationConfig({}, every=-1)
    with pytest.raises(UsageError, match="save_every is -1; expected at least 0"):
        TrainingRun("n", "job_shop", {}, ModelConfig(), PPOConfig(), ValidationConfig({}), save_every=-1)


def test_settings_survive_plain_data():
    config = PPOConfig(decisions=10, lanes=2, steps=3, minibatch=4, seed=7)
    assert PPOConfig.from_mapping(config.to_mapping()) == config
    assert PPOConfig.from_mapping({"decisions": 2e6}).decisions == 2_000_000


def test_the_learning_rate_falls_on_a_line():
    config = PPOConfig(learning_rate=1e-2, final_learning_rate=2e-3)
    assert [config.learning_rate_at(remaining) for remaining in (1.0, 0.5, 0.0)] == pytest.approx([1e-2, 6e-3, 2e-3])
