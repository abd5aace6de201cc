"""The trainer: collect groups of solutions, compare them, take gradient steps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import MaybeCallback

from agents.device import check_device
from agents.encoding import evaluate
from agents.gradients import GradientClipper
from agents.group.config import GroupConfig
from agents.group.experts import check_source
from agents.group.lessons import Batch, Plan, plan, silent_groups
from agents.group.losses import Lesson, policy_loss
from agents.group.rollouts import Decisions, Rollouts, collect, replay, tensors_of
from agents.group.source import Groups, GroupSource
from agents.ppo.adapter import GraphVecEnv
from agents.ppo.buffer import DecisionBatch
from agents.ppo.policy import GraphActorCriticPolicy
from agents.state import LearnerParts
from envs.core import GraphVectorEnv, Problem, ProblemDefinition
from envs.core import problem as problem_named
from envs.core.spec import ACTION_MASK
from models.config import NetworkConfig
from models.network import masked

Integers = NDArray[np.int64]
Piece = list[tuple[Plan, Decisions]]


class GroupLearner(BaseAlgorithm):
    """Learns from groups of solutions of the same instance.

    The environment of stable-baselines3 only draws instances here, one a lane; episodes run in lanes of their own.

    Args:
        env: The adapter of the environment that draws.
        source: Where the groups of every iteration come from.
        model: The shape of the network.
        config: The settings.
        device: Torch device of the network.
    """

    policy: GraphActorCriticPolicy

    def __init__(
        self, env: GraphVecEnv, source: GroupSource, model: NetworkConfig, config: GroupConfig, device: str = "cpu"
    ) -> None:
        """Builds the network."""
        self.config = config
        self.source = source
        self.shuffling = np.random.default_rng(config.seed)
        self._untold = 0
        super().__init__(
            GraphActorCriticPolicy,
            env,
            learning_rate=config.learning_rate_at,
            policy_kwargs={"spec": env.env.problem.spec, "model": model, "seed": config.seed},
            device=device,
            support_multi_env=True,
        )
        self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        policy = GraphActorCriticPolicy(
            cast(Any, self.observation_space), cast(Any, self.action_space), self.lr_schedule, **self.policy_kwargs
        )
        self.policy = policy.to(self.device)
        self.clipper = GradientClipper(policy.optimizer, self.config.max_gradient_norm)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "group",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> GroupLearner:
        """Learns until so many decisions were collected; iterations are never cut short."""
        iteration = 0
        total_timesteps, told = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        told.on_training_start(locals(), globals())
        while self.num_timesteps < total_timesteps:
            began = time.perf_counter()
            told.on_rollout_start()
            between = time.perf_counter()
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            groups, rollouts = self.collect(told)
            if rollouts is None:
                break
            told.on_rollout_end()
            collected = time.perf_counter()
            self.train(groups, Batch(rollouts))
            iteration += 1
            self.logger.record("time/between_seconds", between - began)
            self.logger.record("time/collect_seconds", collected - between)
            self.logger.record("time/train_seconds", time.perf_counter() - collected)
            if log_interval and iteration % log_interval == 0:
                self._log(iteration)
        told.on_training_end()
        return self

    def collect(self, callback: BaseCallback) -> tuple[Groups, list[Rollouts] | None]:
        """Runs the groups of an iteration to their ends; None for the rollouts if a callback stops it."""
        self.policy.set_training_mode(False)
        groups = self.source.next(self.shuffling)

        def count(decisions: int) -> bool:
            return self._count(decisions, callback)

        rollouts = []
        for start in groups.starts:
            done = collect(
                self.policy.network,
                start,
                self.policy.sampler,
                replacement=self.config.replacement,
                after_step=count,
            )
            if done is None:
                return groups, None
            rollouts.append(done)
        return groups, rollouts

    def train(self, groups: Groups, batch: Batch) -> None:
        """Chooses what to learn and passes over it."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        plans = plan(self.config, batch, self._current_progress_remaining, self.shuffling)
        logged: dict[str, list[float]] = {}
        pieces = self._pieces(plans)
        held = _replayed(pieces[0]) if len(pieces) == 1 else None
        for _ in range(self.config.epochs):
            for piece in pieces:
                for step in self._minibatches(held or _replayed(piece)):
                    for name, value in self._gradient_step(step).items():
                        logged.setdefault(name, []).append(value)
        self._n_updates += self.config.epochs
        for name, values in logged.items():
            self.logger.record(f"train/{name}", float(np.mean(values)))
        self.clipper.record(self.logger)
        self._describe(groups, batch, plans, len(next(iter(logged.values()), [])))
        if self.source.pool is not None:
            self._remember(groups, batch)

    def _pieces(self, plans: list[Plan]) -> list[list[Plan]]:
        """Cuts what is learnt into pieces small enough to hold, by whole lanes in random order."""
        pieces: list[list[Plan]] = []
        room = 0
        for each in plans:
            counts = each.keep.sum(axis=1)
            lanes = self.shuffling.permutation(np.flatnonzero(counts))
            taken: list[int] = []
            for lane in lanes.tolist():
                if room < counts[lane]:
                    _put(pieces, each, taken)
                    taken, room = [], max(self.config.stored, int(counts[lane]))
                    pieces.append([])
                taken.append(lane)
                room -= int(counts[lane])
            _put(pieces, each, taken)
        return pieces

    def _minibatches(self, piece: Piece) -> Iterator[list[tuple[Plan, Decisions, Integers]]]:
        """Yields the decisions of each gradient step: its share of every size, in random order."""
        total = sum(len(decisions.lane) for _, decisions in piece)
        size = self.config.minibatch or total
        steps = max(1, round(total / size)) if total else 0
        parts = [np.array_split(self.shuffling.permutation(len(decisions.lane)), steps or 1) for _, decisions in piece]
        for i in range(steps):
            yield [(*pair, part[i]) for pair, part in zip(piece, parts, strict=True) if len(part[i])]

    def _gradient_step(self, step: list[tuple[Plan, Decisions, Integers]]) -> dict[str, float]:
        """Sums the gradients over sizes and chunks and takes one step; returns means over the decisions."""
        policy, config = self.policy, self.config
        policy.optimizer.zero_grad()
        total = sum(len(rows) for _, _, rows in step)
        sums: dict[str, float] = {}
        for each, decisions, rows in step:
            for chunk in np.array_split(rows, -(-len(rows) // config.chunk)):
                for name, value in self._accumulate(each, decisions, chunk, total).items():
                    sums[name] = sums.get(name, 0.0) + value
        policy.optimizer.step()
        return sums

    def _accumulate(self, each: Plan, decisions: Decisions, rows: Integers, total: int) -> dict[str, float]:
        """Adds the gradients of a chunk of decisions; returns its part of the means over ``total`` decisions."""
        config, device = self.config, self.device
        observations, lesson = _lesson(each, decisions, rows, config.reward_scale, device)
        logits, values = evaluate(self.policy.network, each.rollouts.start.problem.spec, observations)
        mask = observations.dynamic[ACTION_MASK].bool()
        log_probabilities = torch.log_softmax(masked(logits, mask), dim=1)
        chosen = log_probabilities.gather(1, lesson.action[:, None]).squeeze(1)
        entropy = -(log_probabilities.exp() * log_probabilities).sum()
        loss = policy_loss(chosen, lesson, config.clip if config.update == "clip" else None)
        objective = loss - config.entropy * entropy
        error = ((values - lesson.target) ** 2).sum()
        if config.value:
            objective = objective + config.value * error
        (objective / total).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            change = chosen - lesson.old
            figures = {"policy_loss": loss, "entropy": entropy, "log_probability": chosen.sum()}
            figures["approximate_kl"] = (torch.expm1(change) - change).sum()
            if config.value:
                figures["value_loss"] = error
            return {name: float(value) / total for name, value in figures.items()}

    def _describe(self, groups: Groups, batch: Batch, plans: list[Plan], steps: int) -> None:
        """Logs what happened in an iteration."""
        sampled = batch.present & ~batch.expert
        ratio = batch.objective / np.where(batch.unit == 0, 1.0, batch.unit)
        best = np.full(len(groups.numbers), np.inf)
        np.minimum.at(best, batch.group[sampled], ratio[sampled])
        trained = sum(int(each.keep.sum()) for each in plans)
        solutions = sum(int(each.keep.any(axis=1).sum()) for each in plans)
        record = self.logger.record
        record("rollout/objective_over_unit", float(ratio[sampled].mean()))
        record("rollout/best_objective_over_unit", float(best[np.isfinite(best)].mean()))
        record("rollout/solutions", int(sampled.sum()))
        record("rollout/silent_groups", silent_groups(batch))
        record("rollout/decisions_collected", int(batch.lengths.sum()))
        record("train/decisions_trained", trained)
        record("train/solutions_trained", solutions)
        record("train/gradient_steps", steps)
        record("train/learning_rate", self.policy.optimizer.param_groups[0]["lr"])
        if self.config.experts:
            record("experts/dropped_share", groups.dropped / max(groups.proposed, 1))
            record("experts/seconds", groups.expert_seconds)
            record("experts/objective_over_unit", float(ratio[batch.expert].mean()) if batch.expert.any() else np.nan)

    def _remember(self, groups: Groups, batch: Batch) -> None:
        assert self.source.pool is not None
        improves = batch.rollouts[0].start.problem.improves
        for group, number in enumerate(groups.numbers.tolist()):
            lanes = np.flatnonzero((batch.group == group) & batch.present & ~batch.expert)
            first, unit = float(batch.first[lanes[0]]), float(batch.unit[lanes[0]])
            self.source.pool.remember(number, batch.objective[lanes], first, unit, improves)

    def _count(self, decisions: int, callback: BaseCallback) -> bool:
        """Counts decisions; callbacks hear of them once for as many as the drawing environment has lanes."""
        self.num_timesteps += decisions
        self._untold += decisions
        goes_on = True
        while self._untold >= self.n_envs and goes_on:
            self._untold -= self.n_envs
            goes_on = callback.on_step()
        return goes_on

    def _log(self, iteration: int) -> None:
        elapsed = max((time.time_ns() - self.start_time) / 1e9, 1e-9)
        self.logger.record("time/iterations", iteration, exclude="tensorboard")
        self.logger.record("time/fps", int((self.num_timesteps - self._num_timesteps_at_start) / elapsed))
        self.logger.record("time/time_elapsed", int(elapsed), exclude="tensorboard")
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(step=self.num_timesteps)


def _put(pieces: list[list[Plan]], each: Plan, lanes: list[int]) -> None:
    """Adds the chosen lanes of a plan to the last piece."""
    if lanes:
        keep = np.zeros_like(each.keep)
        keep[lanes] = each.keep[lanes]
        pieces[-1].append(Plan(each.rollouts, each.advantage, keep, each.weight))


def _replayed(piece: list[Plan]) -> Piece:
    return [(each, replay(each.rollouts, each.keep)) for each in piece]


def _lesson(
    each: Plan, decisions: Decisions, rows: Integers, reward_scale: float, device: torch.device
) -> tuple[DecisionBatch, Lesson]:
    """Observations of some decisions and what is to be learnt of them."""
    rollouts = each.rollouts
    lane, step = decisions.lane[rows], decisions.step[rows]
    episodes, episode = np.unique(rollouts.static_row[lane], return_inverse=True)
    observations = DecisionBatch(
        tensors_of(rollouts.static, episodes, device),
        tensors_of(decisions.dynamic, rows, device),
        torch.from_numpy(episode).to(device),
        len(episodes),
    )

    def tensor(array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array.astype(np.float32)).to(device)

    target = (rollouts.bounds[lane, step] - rollouts.objective[lane]) / rollouts.unit[lane] * reward_scale
    lesson = Lesson(
        torch.from_numpy(rollouts.actions[lane, step]).to(device),
        tensor(each.advantage[lane]),
        tensor(rollouts.log_probabilities[lane, step]),
        tensor(each.weight[lane]),
        tensor(target),
    )
    return observations, lesson


def make_learner(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    model: NetworkConfig,
    config: GroupConfig,
    *,
    device: str = "cpu",
) -> GroupLearner:
    """Builds a learner whose every random draw follows from ``config.seed``; see `agents.ppo.learner.make_learner`."""
    check_device(device)
    torch.set_num_threads(config.threads)
    env = GraphVectorEnv(definition.bind(options), config.instances, copy=False, double_buffer=True)
    adapter = GraphVecEnv(env, config.reward_scale)
    adapter.seed(config.seed)
    return GroupLearner(adapter, GroupSource(definition, options, env, config), model, config, device)


def parts(learner: GroupLearner) -> LearnerParts:
    """Names what of a learner made by `make_learner` has to be saved."""
    policy = learner.policy
    return LearnerParts(
        learner,
        cast(GraphVecEnv, learner.env),
        policy.network,
        {"weights": policy.network},
        {"optimiser": policy.optimizer},
        policy.sampler,
        learner.shuffling,
        learner.source.pool,
    )


def check_experts(problem: Problem[Any, Any, Any], name: str, config: GroupConfig) -> None:
    """Checks that the problem has the experts that are asked for.

    Raises:
        UsageError: It has not.
    """
    del problem
    check_source(problem_named(name), config.experts)
