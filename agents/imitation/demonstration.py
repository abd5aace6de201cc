"""What there is to learn from a rule at a decision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.dispatcher import least_legal
from envs.core import GraphVectorEnv, Rule

Floats = NDArray[np.float64]


class Demonstration(NamedTuple):
    """What a rule says of the candidates of every lane.

    Attributes:
        choice: ``(lanes,)`` its own choice.
        targets: ``(lanes, actions)`` probabilities to be learnt, zero for what is illegal.
        regrets: ``(lanes, actions)`` expected cost above the best candidate's in scaled rewards; zeros for a rule that
            expects nothing.
    """

    choice: NDArray[np.int64]
    targets: Floats
    regrets: Floats


def demonstrated_choice(rule: Rule, env: GraphVectorEnv, mask: NDArray[np.bool_]) -> Demonstration:
    """Returns the rule's choice as the only target."""
    choice = least_legal(rule.priority(env.state), mask)
    targets = np.zeros(mask.shape)
    targets[np.arange(len(choice)), choice] = 1.0
    return Demonstration(choice, targets, np.zeros(mask.shape))


def demonstrated_costs(
    rule: Rule, env: GraphVectorEnv, mask: NDArray[np.bool_], reward_scale: float, temperature: float
) -> Demonstration:
    """Returns the softmax of minus the expected costs over the temperature as targets."""
    priority = rule.priority(env.state)
    choice = least_legal(priority, mask)
    judged = mask & np.isfinite(priority)
    judged[np.arange(len(choice)), choice] = True
    least = np.where(judged, priority, np.inf).min(axis=1)
    unit = env.problem.reward_unit(env.state)
    with np.errstate(invalid="ignore"):
        regrets = np.where(judged, (priority - least[:, None]) * (reward_scale / unit)[:, None], 0.0)
    regrets = np.where(np.isfinite(regrets), regrets, 0.0)
    weights = np.where(judged, np.exp(-regrets / temperature), 0.0)
    return Demonstration(choice, weights / weights.sum(axis=1, keepdims=True), regrets)
