"""Plans made once, for what is expected, and followed whatever happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.group.rollouts import Start, collect
from agents.policy_dispatcher import PolicyDispatcher
from envs.core import GraphVectorEnv, Observation, ProblemDefinition
from envs.core.spec import ACTION_MASK


@dataclass(frozen=True)
class Plan:
    """Actions of a whole episode in which all goes as expected.

    Attributes:
        actions: All of them, forced ones too.
        objective: What they come to then.
        evaluations: Decisions that the network was asked for.
    """

    actions: list[int]
    objective: float
    evaluations: int


def best_plan(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    instance: Any,
    policy: PolicyDispatcher,
    samples: int,
    seed: int,
) -> Plan:
    """Samples episodes of the instance in which all goes as expected and returns the best.

    Args:
        definition: The problem, which knows what is expected of an instance.
        options: Options of the environment; capacities are added to fit the instance.
        instance: The instance, as it is drawn from.
        policy: The policy to sample from.
        samples: Number of episodes.
        seed: Seed of the policy's draws.
    """
    certain = definition.expected(instance) if definition.expected is not None else instance
    problem = definition.bind({**options, **definition.fit([certain])})
    state = problem.allocate(1)
    problem.load(state, 0, certain)
    lanes = np.zeros(samples, np.int64)
    start = Start(problem, state, lanes, lanes, np.empty((samples, 0), np.int64), np.zeros(samples, np.bool_))
    rollouts = collect(policy.network, start, torch.Generator().manual_seed(seed))
    assert rollouts is not None
    best = int(rollouts.objective.argmin())
    chosen = iter(rollouts.actions[best, : rollouts.lengths[best]].tolist())
    actions: list[int] = []
    active = np.ones(1, np.bool_)
    while not problem.finished(state)[0]:
        legal = np.flatnonzero(problem.action_masks(state)[0])
        forced = len(legal) == 1 and bool(actions)  # the first decision is always the policy's
        actions.append(int(legal[0]) if forced else next(chosen))
        problem.step(state, np.array(actions[-1:]), active)
    return Plan(actions, float(rollouts.objective[best]), int(rollouts.lengths.sum()))


class OpenLoopDispatcher:
    """Follows a plan in one lane: of the legal actions, the one that comes first in what is left of the plan.

    So the plan is an order, kept as far as the environment lets it: where its next action is not legal yet, the next
    one that is goes before it. Where no legal action is left in the plan, the policy decides. The environment must
    leave all decisions to it, also those with a single legal action, or it would not know how far the plan has come.

    Args:
        policy: The policy.
        plan: The plan.
    """

    def __init__(self, policy: PolicyDispatcher, plan: Plan) -> None:
        """Keeps the plan whole for every new episode."""
        self.policy = policy
        self.plan = plan
        self.name = policy.name
        self._left: list[int] = []

    def reset(self, env: GraphVectorEnv, observation: Observation) -> None:
        """Begins the plan again."""
        self.policy.reset(env, observation)
        self._left = list(self.plan.actions)

    def decide(self, env: GraphVectorEnv, observation: Observation) -> NDArray[np.int64]:
        """Chooses a legal action of the one lane and strikes it off the plan."""
        legal = set(np.flatnonzero(observation[ACTION_MASK][0]).tolist())
        for position, action in enumerate(self._left):
            if action in legal:
                del self._left[position]
                return np.array([action])
        return self.policy.decide(env, observation)
