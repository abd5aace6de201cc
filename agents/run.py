"""What a training run is configured with, whatever it learns by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents.registry import AgentSettings
from envs.core import UsageError
from models.config import NetworkConfig


@dataclass(frozen=True)
class ValidationConfig:
    """How the best policy of a run is chosen.

    Attributes:
        options: Environment options whose drawn instances are validated on, e.g. larger sizes than trained on; the
            other options are the training's.
        instances: Number of instances.
        every: Updates between two validations; 0 validates only at the end.
        seed: Seed of the instances, apart from any training seed.
    """

    options: dict[str, Any]
    instances: int = 32
    every: int = 10
    seed: int = 2**31

    def __post_init__(self) -> None:
        """Checks the numbers."""
        for name, least in (("instances", 1), ("every", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"validation.{name} is {getattr(self, name)}; expected at least {least}")


@dataclass(frozen=True)
class TrainingRun:
    """Everything a run is configured with.

    Attributes:
        name: Name of the resulting policy in reports.
        problem: Name of the problem.
        options: Options of the training environment.
        model: Shape of the network.
        agent: Settings of the learner, which also say which it is.
        validation: How the best policy is chosen.
        save_every: Updates between two saves of the training state; 0 saves only at the end.
        initial: Checkpoint whose policy the training starts from; None to start from random weights.
    """

    name: str
    problem: str
    options: dict[str, Any]
    model: NetworkConfig
    agent: AgentSettings
    validation: ValidationConfig
    save_every: int = 10
    initial: str | None = None

    def __post_init__(self) -> None:
        """Checks the number."""
        if self.save_every < 0:
            raise UsageError(f"save_every is {self.save_every}; expected at least 0")

    def to_mapping(self) -> dict[str, Any]:
        """Returns JSON-ready data; the learner's settings are found under the learner's name."""
        data = {
            "name": self.name,
            "problem": self.problem,
            "options": self.options,
            "model": self.model.to_mapping(),
            self.agent.name: self.agent.to_mapping(),
            "validation": vars(self.validation),
            "save_every": self.save_every,
        }
        return data if self.initial is None else {**data, "initial": self.initial}
