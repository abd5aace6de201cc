"""Small learners that the tests of soft actor-critic share."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
import torch

from agents.sac.config import SACConfig
from agents.sac.learner import make_learner
from models.config import FlatConfig
from tests.agents.dice import DICE


class SmallSAC:
    """Makes learners on the dice: to throw takes 3.5 on average and to wait 2, so it is best to wait."""

    definition = DICE
    model = FlatConfig((16,))
    options = MappingProxyType({"max_decisions": 4})

    @staticmethod
    def config(**settings: Any) -> SACConfig:
        """Settings of a training that takes seconds."""
        small = {
            "decisions": 1200,
            "lanes": 6,
            "steps": 4,
            "minibatch": 64,
            "buffer": 600,
            "warm_up": 96,
            "learning_rate": 3e-3,
            "critic_learning_rate": 1e-2,
            "polyak": 0.05,
            "reward_scale": 1.0,
            "threads": 1,
        }
        return SACConfig(**{**small, **settings})  # type: ignore[arg-type]

    @staticmethod
    def learner(*, options: Any = None, **settings: Any) -> Any:
        """A learner on a small network."""
        config = SmallSAC.config(**settings)
        return make_learner(DICE, options or SmallSAC.options, SmallSAC.model, config)

    @staticmethod
    def always(network: Any, scores: list[float]) -> None:
        """Makes a network give the same scores whatever it observes."""
        with torch.no_grad():
            network.score.weight.zero_()
            network.score.bias.copy_(torch.tensor(scores))


@pytest.fixture(scope="session")
def small_sac() -> SmallSAC:
    """Makes learners that are quick to run."""
    return SmallSAC()
