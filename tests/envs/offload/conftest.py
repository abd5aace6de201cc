"""What the tests of edge offloading share."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.core import GraphVectorEnv, problem
from envs.offload.types import EventLog, OffloadInstance, System


class Servers:
    """Runs instances by given choices or rules."""

    definition = problem("offload")

    @staticmethod
    def instance(
        bits, *, rates=1e12, dispatch=None, hertz=(4e9, 2e9), preference=(1.0, 0.0), **system
    ) -> OffloadInstance:
        """Tasks of one user, dispatched step by step; rates so high that uploads take no time, unless told."""
        tasks = len(bits)
        dispatch = np.arange(tasks) if dispatch is None else dispatch
        horizon = int(max(dispatch)) + 1
        whole = System(hertz[0], hertz[1:], users=1, horizon=horizon, **system)
        table = np.broadcast_to(rates, (1, len(hertz)))
        user = np.zeros(tasks, int)
        return OffloadInstance("tiny", whole, table, dispatch, dispatch, np.array(bits, float), user, preference)

    def lanes(self, instances, **options) -> GraphVectorEnv:
        """One lane an instance."""
        binding = self.definition.bind({**options, **self.definition.fit(instances)})
        env = GraphVectorEnv(binding, len(instances), autoreset_mode=AutoresetMode.DISABLED)
        env.reset(seed=0, options={"instances": list(instances)})
        return env

    def follow(self, instance: OffloadInstance, choices) -> tuple[GraphVectorEnv, EventLog]:
        """Sends task by task where ``choices`` says."""
        env = self.lanes([instance])
        for choice in choices:
            env.step(np.array([choice]))
        return env, env.solution(0)

    def run(self, instances, rule: str) -> np.ndarray:
        """Runs all instances under a rule; returns ``(instances, criteria)`` costs."""
        env = self.lanes(instances)
        priority = self.definition.rules[rule].priority
        while not env.problem.finished(env.state).all():
            env.step(np.where(env.action_masks(), priority(env.state), np.inf).argmin(axis=1))
        return env.problem.costs(env.state)


@pytest.fixture
def servers() -> Servers:
    """Runs instances."""
    return Servers()


@pytest.fixture(scope="session")
def make_servers() -> type[Servers]:
    """Makes what runs instances, for tests that Hypothesis repeats."""
    return Servers
