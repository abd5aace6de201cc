"""Small learners that the tests of group-relative training share."""

from __future__ import annotations

from typing import Any

import pytest

from agents.group.config import GroupConfig
from agents.group.learner import make_learner
from envs.core import problem
from models.config import ModelConfig

OPTIONS = {"builder": "active", "sizes": ((4, 3), (3, 4))}

KINDS: dict[str, dict[str, Any]] = {
    "pomo": {"advantage": "mean", "update": "reinforce", "minibatch": 0},
    "grpo": {"minibatch": 256},
    "slim": {"selection": "best", "update": "cross_entropy", "minibatch": 128},
    "d3s": {"selection": "max_variance", "minibatch": 128},
    "bopo": {"selection": "pairs", "update": "preference", "weighting": "episode", "minibatch": 0, "greedy": True},
}


class SmallGroups:
    """Makes things that are quick to run."""

    definition = problem("job_shop")
    options = OPTIONS
    kinds = KINDS

    @staticmethod
    def config(kind: str = "grpo", **settings: Any) -> GroupConfig:
        """Settings of a training that takes seconds."""
        small = {"decisions": 200, "instances": 3, "rollouts": 4, "threads": 1}
        return GroupConfig(**{**small, **KINDS[kind], **settings})

    @staticmethod
    def model(**shape: Any) -> ModelConfig:
        """A small network."""
        return ModelConfig(**{"hidden": 8, "heads": 2, "encoder_layers": 1, **shape})

    @staticmethod
    def learner(kind: str = "grpo", *, options: Any = None, model: Any = None, **settings: Any) -> Any:
        """A learner on a small network."""
        config = SmallGroups.config(kind, **settings)
        return make_learner(SmallGroups.definition, options or OPTIONS, SmallGroups.model(**(model or {})), config)


@pytest.fixture(scope="session")
def small_groups() -> SmallGroups:
    """Makes things that are quick to run."""
    return SmallGroups()
