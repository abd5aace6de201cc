"""Settings of imitation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import ClassVar

from agents.ppo.config import PPOConfig
from agents.settings import LearnerSettings

TARGETS = ("choice", "cost")


@dataclass(frozen=True)
class ImitationConfig(LearnerSettings):
    """Settings of behaviour cloning with fresh demonstrations (a rule decides, the network learns to decide alike).

    The value head learns the returns of the rule, so that reinforcement learning can go on from the checkpoint
    (``initial``) with a critic that fits.

    Attributes:
        rule: Name of the problem's rule that demonstrates.
        target: What of the rule is learnt: "choice", the candidate that it takes, or "cost", the costs that it expects
            of all candidates (for rules that do): the target then is the softmax of minus the cost in units of reward,
            scaled by ``reward_scale`` and over ``temperature``, so that candidates that cost alike count alike.
        temperature: See ``target``.
        learner_share: Share of the lanes in which the learner's own draws are carried out, so that it learns what the
            rule would do in the states that it comes to itself (DAgger, Ross, Gordon and Bagnell 2011).
        decisions: Environment decisions to train for, over all lanes.
        lanes: Episodes that run side by side.
        steps: Decisions a lane takes between two updates.
        minibatch: Decisions in a minibatch.
        epochs: Passes over the demonstrated decisions.
        learning_rate: Adam's learning rate at the start.
        final_learning_rate: Its value at the end.
        schedule: The way between them: "linear", "cosine", "constant" (then it never gets to the value at the end), or
            a file that scripts/refine_schedule.py made of an earlier run's log.
        warm_up: Share of the training over which the learning rate rises from 0 before that.
        discount: Discount factor of the return that the value head learns.
        gae_lambda: Lambda of that return's estimate.
        entropy: Weight of an entropy bonus, which keeps the policy from being surer than the rule.
        value: Weight of the value loss.
        max_gradient_norm: Gradients are scaled down to this norm.
        skip_forced: Let the environment take decisions that have a single legal action.
        reward_scale: Factor on rewards before learning.
        seed: Seed of instances, weights and shuffling.
        threads: Threads that torch may use.
    """

    name: ClassVar[str] = "imitation"

    rule: str = ""
    target: str = "choice"
    temperature: float = 0.05
    learner_share: float = 0.0
    decisions: int = 500_000
    lanes: int = 64
    steps: int = 64
    minibatch: int = 1024
    epochs: int = 3
    learning_rate: float = 2e-3
    final_learning_rate: float = 0.0
    schedule: str = "linear"
    warm_up: float = 0.0
    discount: float = 1.0
    gae_lambda: float = 0.95
    entropy: float = 0.0
    value: float = 0.5
    max_gradient_norm: float = 0.5
    skip_forced: bool = True
    reward_scale: float = 10.0
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        """Checks the settings, as those of PPO."""
        self.check("rule", bool(self.rule), "the name of a rule of the problem")
        self.check("target", self.target in TARGETS, f"one of {', '.join(TARGETS)}")
        self.check("temperature", self.temperature > 0, "a positive number")
        self.check("learner_share", 0 <= self.learner_share <= 1, "a number from 0 to 1")
        self.as_ppo()

    def as_ppo(self) -> PPOConfig:
        """The settings of a PPO learner that collects and stores in the same way."""
        shared = {field.name for field in fields(PPOConfig)}
        return PPOConfig(**{name: value for name, value in asdict(self).items() if name in shared})
