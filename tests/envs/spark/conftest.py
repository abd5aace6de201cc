"""What the tests of stage scheduling share."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.core import GraphVectorEnv, problem
from envs.spark.types import Job, SparkInstance, Stage, Trace


class Cluster:
    """Runs instances under rules."""

    @staticmethod
    def one_stage(user: str, arrival: float, *durations: float, estimate: float | None = None) -> Job:
        """A job of a single stage."""
        return Job(user, arrival, (Stage(durations, (), estimate),))

    @staticmethod
    def lane(instance: SparkInstance, **options) -> GraphVectorEnv:
        """One lane that runs the instance."""
        definition = problem("spark")
        binding = definition.bind({**options, **definition.fit([instance])})
        env = GraphVectorEnv(binding, 1, autoreset_mode=AutoresetMode.DISABLED, strict=True)
        env.reset(seed=0, options={"instances": [instance]})
        return env

    def run(self, instance: SparkInstance, rule: str, **options) -> Trace:
        """The verified execution under a rule."""
        definition = problem("spark")
        env = self.lane(instance, **options)
        done = False
        while not done:
            priority = definition.rules[rule].priority(env.state)
            action = np.where(env.action_masks(), priority, np.inf).argmin(axis=1)
            _, _, terminated, _, info = env.step(action)
            done = bool(terminated[0])
        trace = env.solution(0)
        assert definition.verify(instance, trace) == info["objective"][0]
        return trace


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Runs instances under rules."""
    return Cluster()
