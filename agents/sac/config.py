"""Settings of soft actor-critic training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.settings import LearnerSettings


@dataclass(frozen=True)
class SACConfig(LearnerSettings):
    """Settings of discrete soft actor-critic (Haarnoja et al. 2018, arXiv 1812.05905; Christodoulou 2019).

    Attributes:
        decisions: Environment decisions to train for, over all lanes.
        lanes: Episodes that run side by side.
        steps: Decisions a lane takes between two updates.
        gradient_steps: Gradient steps in an update.
        minibatch: Decisions in a gradient step, drawn from the replay buffer.
        buffer: Decisions that the replay buffer holds; whole steps of all lanes.
        warm_up: Decisions, taken uniformly among the legal actions, before the first update.
        learning_rate: Adam's learning rate for the policy.
        critic_learning_rate: Adam's learning rate for the critics.
        discount: Discount factor of the return.
        polyak: Share of the critics that moves into the target critics with every gradient step.
        temperature: Weight of the entropy, at the start if it is tuned; in units of scaled reward.
        temperature_learning_rate: Adam's learning rate for the logarithm of the temperature; 0 keeps it fixed.
        entropy_share: Entropy that tuning aims at, as a share of the entropy of the uniform policy: in every state of
            the logarithm of its own number of legal actions.
        lowest_temperature: Tuning stops here.
        highest_temperature: Tuning stops here.
        max_gradient_norm: Gradients of policy and critics are scaled down to this norm.
        skip_forced: Let the environment take decisions that have a single legal action.
        reward_scale: Factor on rewards before learning.
        seed: Seed of instances, weights, action sampling and replay.
        threads: Threads that torch may use.
    """

    name: ClassVar[str] = "sac"

    decisions: int = 500_000
    lanes: int = 64
    steps: int = 4
    gradient_steps: int = 4
    minibatch: int = 512
    buffer: int = 100_000
    warm_up: int = 5_000
    learning_rate: float = 3e-4
    critic_learning_rate: float = 1e-3
    discount: float = 0.99
    polyak: float = 0.005
    temperature: float = 0.05
    temperature_learning_rate: float = 0.0
    entropy_share: float = 0.3
    lowest_temperature: float = 1e-4
    highest_temperature: float = 10.0
    max_gradient_norm: float = 10.0
    skip_forced: bool = True
    reward_scale: float = 10.0
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        """Checks the settings that would otherwise fail late, or never and train nothing."""
        for name in ("decisions", "lanes", "steps", "gradient_steps", "minibatch", "threads"):
            self.check(name, getattr(self, name) >= 1, "at least 1")
        for name in ("learning_rate", "critic_learning_rate", "max_gradient_norm", "reward_scale", "temperature"):
            self.check(name, getattr(self, name) > 0, "a positive number")
        for name in ("warm_up", "temperature_learning_rate", "seed"):
            self.check(name, getattr(self, name) >= 0, "at least 0")
        for name in ("discount", "entropy_share"):
            self.check(name, 0 <= getattr(self, name) <= 1, "a number from 0 to 1")
        self.check("polyak", 0 < self.polyak <= 1, "a number above 0, up to 1")
        self.check("buffer", self.buffer >= self.lanes, f"room for a decision of every lane, at least {self.lanes}")
        self.check("warm_up", self.warm_up < self.decisions, f"fewer than the decisions, {self.decisions}")
        if self.temperature_learning_rate > 0:
            self.check("lowest_temperature", self.lowest_temperature > 0, "a positive number")
            bounds = f"lowest_temperature to highest_temperature, {self.lowest_temperature} to "
            within = self.lowest_temperature <= self.temperature <= self.highest_temperature
            self.check("temperature", within, f"{bounds}{self.highest_temperature}")
