"""Settings of PPO training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.schedule import check_schedule, learning_rate
from agents.settings import LearnerSettings

CREDITS = ("decision", "clock")
BOOTSTRAPS = ("next", "egae", "none")
CRITICS = ("window", "finished", "post_decision")
POST_DECISIONS = ("largest", "expected")


@dataclass(frozen=True)
class PPOConfig(LearnerSettings):
    """Settings of proximal policy optimisation (Schulman et al. 2017) with invalid-action masking.

    Attributes:
        decisions: Environment decisions to train for, over all lanes.
        lanes: Episodes that run side by side.
        steps: Decisions a lane takes between two updates.
        minibatch: Decisions in a minibatch.
        epochs: Passes over the collected decisions.
        learning_rate: Adam's learning rate at the start.
        final_learning_rate: Its value at the end.
        schedule: The way between them: "linear", "cosine", "constant" (then it never gets to the value at the end), or
            a file that scripts/refine_schedule.py made of an earlier run's log.
        warm_up: Share of the training over which the learning rate rises from 0 before that.
        discount: Discount factor of the return.
        credit: How often ``discount`` and ``gae_lambda`` apply: "decision", once a decision, or "clock", once every
            ``discount_time`` of simulated time, so that all decisions of one instant share the return of that instant
            (the idea of eclectic interaction matching in SoCRATES, Sung and Ryu 2021).
        discount_time: Time that ``credit="clock"`` counts as one step, in the time unit of the environment.
        gae_lambda: Lambda of generalised advantage estimation.
        bootstrap: What an advantage expects after the window of ``steps`` decisions where it cuts an episode: "next",
            the estimated return of the state that follows; "egae", that of the last state in the window, as if nothing
            were earned between them (Truncated PPO, arXiv 2506.15050); "none", nothing.
        critic: What the value head learns from: "window", the estimated returns of every window, or "finished", the
            true returns of the episodes that ended in it, however many windows they took (Truncated PPO). Then the
            observations of all unfinished episodes are held in memory. "post_decision": as "window", with a second
            critic of the state after the decision, before time passes and anything is drawn (Post-Decision PPO, arXiv
            2504.05150); only where a problem has such a state.
        post_decision: What the second critic makes of the advantage: "largest", the larger of both critics' (the
            publication's; not an unbiased one), or "expected", what the decision itself earned plus the second critic's
            value of where it led, less the first one's of where it was taken, which leaves out what was drawn then.
        clip: Clipping range of the probability ratio.
        entropy: Weight of the entropy bonus.
        value: Weight of the value loss.
        max_gradient_norm: Gradients are scaled down to this norm.
        skip_forced: Let the environment take decisions that have a single legal action.
        reward_scale: Factor on rewards before learning.
        seed: Seed of instances, weights, action sampling and shuffling.
        threads: Threads that torch may use.
    """

    name: ClassVar[str] = "ppo"

    decisions: int = 1_000_000
    lanes: int = 64
    steps: int = 256
    minibatch: int = 2048
    epochs: int = 3
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.0
    schedule: str = "linear"
    warm_up: float = 0.0
    discount: float = 1.0
    credit: str = "decision"
    discount_time: float = 1.0
    gae_lambda: float = 0.95
    bootstrap: str = "next"
    critic: str = "window"
    post_decision: str = "largest"
    clip: float = 0.2
    entropy: float = 0.003
    value: float = 0.5
    max_gradient_norm: float = 0.5
    skip_forced: bool = True
    reward_scale: float = 10.0
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        """Checks the settings that would otherwise fail late, or never and train nothing."""
        for name in ("decisions", "lanes", "steps", "epochs", "threads"):
            self.check(name, getattr(self, name) >= 1, "at least 1")
        for name in ("learning_rate", "clip", "max_gradient_norm", "reward_scale", "discount_time"):
            self.check(name, getattr(self, name) > 0, "a positive number")
        for name in ("final_learning_rate", "entropy", "value", "seed"):
            self.check(name, getattr(self, name) >= 0, "at least 0")
        for name in ("discount", "gae_lambda"):
            self.check(name, 0 <= getattr(self, name) <= 1, "a number from 0 to 1")
        self.check("credit", self.credit in CREDITS, f"one of {', '.join(CREDITS)}")
        self.check("bootstrap", self.bootstrap in BOOTSTRAPS, f"one of {', '.join(BOOTSTRAPS)}")
        known = ", ".join(POST_DECISIONS)
        self.check("post_decision", self.post_decision in POST_DECISIONS, f"one of {known}")
        self.check("critic", self.critic in CRITICS, f"one of {', '.join(CRITICS)}")
        self.check("warm_up", 0 <= self.warm_up < 1, "a number from 0, below 1")
        check_schedule(self.schedule, self.warm_up)
        batch = self.lanes * self.steps
        self.check("minibatch", 2 <= self.minibatch <= batch, f"2 to lanes * steps = {batch}")

    def learning_rate_at(self, remaining: float) -> float:
        """Learning rate when a share ``remaining`` of the training is still to come."""
        return learning_rate(self.schedule, self.learning_rate, self.final_learning_rate, self.warm_up, remaining)
