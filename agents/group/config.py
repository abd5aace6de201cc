"""Settings of group-relative training: one trainer whose parts are chosen one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from agents.schedule import check_schedule, learning_rate
from agents.settings import LearnerSettings

DRAWS = ("own", "common")
BUDGETS = ("uniform", "binary", "variance")
SUCCESSES = ("incumbent", "bound")
SELECTIONS = ("all", "best", "max_variance", "random", "pairs")
ADVANTAGES = ("mean", "normalised", "leave_one_out")
SHAPINGS = ("joint", "downscale", "anchor", "nonlinear")
UPDATES = ("reinforce", "clip", "cross_entropy", "preference")
WEIGHTINGS = ("decision", "episode")


@dataclass(frozen=True)
class GroupConfig(LearnerSettings):
    """Settings of learning from groups of solutions of one instance each; no critic is needed.

    Attributes:
        decisions: Environment decisions to collect, over all groups.
        instances: Groups in an iteration, each of one instance.
        rollouts: Solutions sampled for an instance; the mean where ``budget`` is not "uniform".
        size_classes: Most sizes of instances that get arrays of their own in an iteration, so that nothing is padded
            and gradients are summed over sizes (the virtual batching of SLIM); with more sizes, all are padded alike.
        draws: In stochastic environments, the randomness that the solutions of a group meet: their "own" or "common".
        replacement: Draw solutions independently; without, the solutions of a group differ, drawn by stochastic beam
            search (Kool et al. 2019), which samples sequences without replacement exactly; randomness is common then.
        greedy: One solution of every group takes the most probable action at every decision.
        pool: Instances to train on again and again; 0 draws new ones all the time.
        budget: How many solutions an instance of the pool gets: "uniform", or what Knapsack RL's value is largest for
            (arXiv 2509.25849): "binary", by the rate of success, or "variance", by the spread of objectives.
        budget_low: Fewest solutions of an instance.
        budget_high: Most solutions of an instance.
        success: What "binary" takes for one: an objective within ``margin`` of the instance's "incumbent", the best of
            its earlier visits, or of its "bound", the objective at the start of an episode.
        margin: Relative distance that still is a success; below 0 it has to be better by so much.
        forgetting: Weight of the latest visit in what is remembered of an instance.
        selection: What is learnt from: "all", the "best" of every group (self-labelling), "max_variance" (D3S: the
            most different solutions, the decisions where advantage times entropy is largest), "random" (as many of
            both, the control) or "pairs" (BOPO: the best against evenly spaced others).
        keep_rollouts: Share of the solutions that "max_variance" and "random" keep, at the start.
        final_keep_rollouts: The share at the end; linear in between.
        keep_steps: Share of the decisions of those solutions, at the start.
        final_keep_steps: The share at the end; linear in between.
        compared: Solutions of a group that "pairs" looks at.
        advantage: "mean" (of the group as baseline: POMO), "normalised" (and divided by its standard deviation: GRPO)
            or "leave_one_out" (baseline without the solution itself).
        experts: Whose solutions join the groups: "" nobody's, "rule:A,B" the better of two rules, "solver:NAME" a
            solver's, "file:PATH" recorded ones.
        expert_options: Options of the solver.
        shaping: How an expert counts (TempSamp-R1, arXiv 2509.18056): "joint" as any member, "downscale" with its
            quality capped, "anchor" outside of the group's statistics, "nonlinear" with qualities bent at a threshold.
        cap: Largest quality of an expert with "downscale"; 1 is the expert's own.
        anchor: Advantage of an expert over the best of the others with "anchor".
        threshold: Quality at which "nonlinear" bends.
        compress: Its factor on the logarithm above the threshold.
        expand: Its rate of the exponential below.
        update: "reinforce", "clip" (the clipped ratio of PPO), "cross_entropy" or "preference" (BOPO's logistic loss).
        clip: Clipping range of the probability ratio.
        weighting: "decision", all trained decisions count alike, or "episode", all trained solutions do, whatever their
            lengths.
        epochs: Passes over what was selected.
        minibatch: Decisions in a gradient step; 0 takes one step a pass.
        chunk: Most decisions that are differentiated at once; gradients of a step are summed over chunks.
        stored: Most decisions whose observations are held at once; more are learnt in pieces, each made again from
            its actions in every pass.
        learning_rate: Adam's learning rate at the start.
        final_learning_rate: Its value at the end.
        schedule: The way between them: "linear", "cosine", "constant" (then it never gets to the value at the end), or
            a file that scripts/refine_schedule.py made of an earlier run's log.
        warm_up: Share of the training over which the learning rate rises from 0 before that.
        entropy: Weight of an entropy bonus.
        value: Weight of the squared error of the value head, which nothing here uses; 0 leaves it untouched.
        max_gradient_norm: Gradients are scaled down to this norm.
        reward_scale: Factor on objectives, in units of reward, before baselines are taken.
        seed: Seed of instances, weights, sampling and shuffling.
        threads: Threads that torch may use.
    """

    name: ClassVar[str] = "group"

    decisions: int = 1_000_000
    instances: int = 16
    rollouts: int = 32
    size_classes: int = 4
    draws: str = "own"
    replacement: bool = True
    greedy: bool = False
    pool: int = 0
    budget: str = "uniform"
    budget_low: int = 2
    budget_high: int = 128
    success: str = "incumbent"
    margin: float = 0.0
    forgetting: float = 1.0
    selection: str = "all"
    keep_rollouts: float = 0.125
    final_keep_rollouts: float = 1.0
    keep_steps: float = 0.2
    final_keep_steps: float = 1.0
    compared: int = 16
    advantage: str = "normalised"
    experts: str = ""
    expert_options: Mapping[str, Any] = field(default_factory=dict)
    shaping: str = "joint"
    cap: float = 0.8
    anchor: float = 1.2
    threshold: float = 0.95
    compress: float = 0.01
    expand: float = 1.0
    update: str = "clip"
    clip: float = 0.2
    weighting: str = "decision"
    epochs: int = 1
    minibatch: int = 2048
    chunk: int = 2048
    stored: int = 100_000
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.0
    schedule: str = "linear"
    warm_up: float = 0.0
    entropy: float = 0.0
    value: float = 0.0
    max_gradient_norm: float = 0.5
    reward_scale: float = 10.0
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        """Checks the settings that would otherwise fail late, or never and train nothing."""
        for name in ("decisions", "instances", "size_classes", "budget_low", "epochs", "chunk", "stored", "threads"):
            self.check(name, getattr(self, name) >= 1, "at least 1")
        self.check("rollouts", self.rollouts >= 2, "at least 2, for there is nothing to compare otherwise")
        for name in ("learning_rate", "clip", "max_gradient_norm", "reward_scale", "cap", "anchor", "expand"):
            self.check(name, getattr(self, name) > 0, "a positive number")
        for name in ("final_learning_rate", "entropy", "value", "seed", "pool", "minibatch", "compress"):
            self.check(name, getattr(self, name) >= 0, "at least 0")
        for name in ("keep_rollouts", "final_keep_rollouts", "keep_steps", "final_keep_steps", "forgetting"):
            self.check(name, 0 < getattr(self, name) <= 1, "a number above 0, up to 1")
        self.check("threshold", 0 < self.threshold < 1, "a number between 0 and 1")
        self.check("warm_up", 0 <= self.warm_up < 1, "a number from 0, below 1")
        check_schedule(self.schedule, self.warm_up)
        self.check("compared", self.compared >= 2, "at least 2")
        choices = {
            "draws": DRAWS,
            "budget": BUDGETS,
            "success": SUCCESSES,
            "selection": SELECTIONS,
            "advantage": ADVANTAGES,
            "shaping": SHAPINGS,
            "update": UPDATES,
            "weighting": WEIGHTINGS,
        }
        for name, known in choices.items():
            self.check(name, getattr(self, name) in known, f"one of {', '.join(known)}")
        object.__setattr__(self, "expert_options", dict(self.expert_options))
        self._check_combinations()

    def _check_combinations(self) -> None:
        if self.update == "cross_entropy":
            self.check("selection", self.selection == "best", "'best', as update is 'cross_entropy'")
        pairs = self.selection == "pairs"
        self.check("update", (self.update == "preference") == pairs, "'preference' if and only if selection is 'pairs'")
        if self.budget != "uniform":
            self.check("pool", self.pool > 0, f"at least 1, as budget is {self.budget!r}")
            spent = f"at most rollouts, {self.rollouts}" if self.budget_low > self.rollouts else ""
            self.check("budget_low", self.budget_low <= self.rollouts, spent)
            self.check("budget_high", self.budget_high >= self.rollouts, f"at least rollouts, {self.rollouts}")
            self.check("replacement", self.replacement, f"true, as budget is {self.budget!r}")
        if not self.replacement:
            self.check("greedy", not self.greedy, "false, as replacement is false")
        if self.pool:
            self.check("pool", self.pool >= self.instances, f"0 or at least instances, {self.instances}")
            recorded = self.experts.startswith("file:")
            self.check("pool", not recorded, "0, as the recorded solutions bring instances of their own")

    def learning_rate_at(self, remaining: float) -> float:
        """Learning rate when a share ``remaining`` of the training is still to come."""
        return learning_rate(self.schedule, self.learning_rate, self.final_learning_rate, self.warm_up, remaining)

    def shares_at(self, remaining: float) -> tuple[float, float]:
        """Shares of solutions and of their decisions that are kept when so much of the training is still to come."""
        rollouts = self.final_keep_rollouts + remaining * (self.keep_rollouts - self.final_keep_rollouts)
        return rollouts, self.final_keep_steps + remaining * (self.keep_steps - self.final_keep_steps)
