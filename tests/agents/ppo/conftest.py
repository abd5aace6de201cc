"""Small learners that the tests of PPO share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.ppo.adapter import GraphVecEnv
from agents.ppo.config import PPOConfig
from agents.ppo.learner import make_learner
from envs.core import GraphVectorEnv, problem
from models.config import ModelConfig

OPTIONS = {"builder": "non_delay", "sizes": ((3, 2), (2, 3))}


class Small:
    """Makes things that are quick to run."""

    definition = problem("job_shop")
    options = OPTIONS

    @staticmethod
    def adapter(lanes: int = 4, seed: int = 0, scale: float = 1.0, **options: Any) -> GraphVecEnv:
        """An adapter whose lanes are seeded but not yet reset."""
        env = GraphVectorEnv(Small.definition.bind({**OPTIONS, **options}), lanes, copy=False, double_buffer=True)
        adapter = GraphVecEnv(env, scale)
        adapter.seed(seed)
        return adapter

    @staticmethod
    def config(**settings: Any) -> PPOConfig:
        """Settings of a training that takes seconds."""
        small = {"decisions": 256, "lanes": 6, "steps": 16, "minibatch": 24, "epochs": 2, "threads": 1}
        return PPOConfig(**{**small, **settings})  # type: ignore[arg-type]

    @staticmethod
    def model(**shape: Any) -> ModelConfig:
        """A small network."""
        return ModelConfig(**{"hidden": 8, "heads": 2, "encoder_layers": 1, **shape})

    @staticmethod
    def learner(*, options: Any = None, model: Any = None, **settings: Any) -> Any:
        """A learner on a small network."""
        return make_learner(
            Small.definition, options or OPTIONS, Small.model(**(model or {})), Small.config(**settings)
        )

    @staticmethod
    def legal_actions(adapter: GraphVecEnv, rng: np.random.Generator) -> Any:
        """One random legal action a lane."""
        mask = adapter.env.action_masks()
        return np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)


@pytest.fixture(scope="session")
def small() -> Small:
    """Makes things that are quick to run."""
    return Small()
