"""The learners by name, as ``agent=`` chooses one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from stable_baselines3.common.base_class import BaseAlgorithm

from agents.group import learner as group
from agents.group.config import GroupConfig
from agents.imitation import learner as imitation
from agents.imitation.config import ImitationConfig
from agents.ppo import learner as ppo
from agents.ppo.config import PPOConfig
from agents.sac import learner as sac
from agents.sac.config import SACConfig
from agents.state import LearnerParts
from envs.core import Problem, UsageError


class AgentSettings(Protocol):
    """Settings of any learner.

    Attributes:
        name: The learner's name in the registry and in what a run writes.
    """

    name: ClassVar[str]

    @property
    def decisions(self) -> int:
        """Environment decisions to train for, over all lanes."""

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> AgentSettings:
        """Builds the settings from plain data."""

    def to_mapping(self) -> dict[str, Any]:
        """Returns plain data that `from_mapping` accepts."""


@dataclass(frozen=True)
class Agent:
    """A learner that `agents.training` can run.

    Attributes:
        settings: Dataclass of its settings.
        make: ``(definition, options, model, settings, device=...)`` to an algorithm of stable-baselines3.
        parts: Names what of that algorithm has to be saved.
        check: ``(problem, its name, settings)``; raises `UsageError` where the settings are not possible there.
    """

    settings: type[AgentSettings]
    make: Callable[..., BaseAlgorithm]
    parts: Callable[[Any], LearnerParts]
    check: Callable[[Problem[Any, Any, Any], str, Any], None] = lambda problem, name, settings: None


AGENTS: Mapping[str, Agent] = MappingProxyType(
    {
        PPOConfig.name: Agent(PPOConfig, ppo.make_learner, ppo.parts, ppo.check_settings),
        SACConfig.name: Agent(SACConfig, sac.make_learner, sac.parts),
        ImitationConfig.name: Agent(ImitationConfig, imitation.make_learner, ppo.parts, imitation.check_rule),
        GroupConfig.name: Agent(GroupConfig, group.make_learner, group.parts, group.check_experts),
    }
)


def agent_named(name: str) -> Agent:
    """Returns the learner with this name.

    Raises:
        UsageError: There is none.
    """
    if name not in AGENTS:
        raise UsageError(f"agent.name is {name!r}; expected one of {', '.join(AGENTS)}")
    return AGENTS[name]
