"""Builds a PPO learner for any registered problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from agents.device import check_device
from agents.ppo.adapter import GraphVecEnv
from agents.ppo.algorithm import GraphPPO
from agents.ppo.buffer import ClockDiscount, GraphRolloutBuffer
from agents.ppo.config import PPOConfig
from agents.ppo.finished import FinishedCriticPPO
from agents.ppo.policy import GraphActorCriticPolicy
from agents.ppo.post_decision import PostDecisionBuffer, PostDecisionPPO
from agents.state import LearnerParts
from envs.core import GraphVectorEnv, Problem, ProblemDefinition, UsageError
from models.config import NetworkConfig


def check_settings(problem: Problem[Any, Any, Any], name: str, config: PPOConfig) -> None:
    """Checks that there is a clock where one is to discount by it, and a post-decision state where one is to be valued.

    Raises:
        UsageError: There is none.
    """
    if config.credit == "clock" and problem.clock(problem.allocate(1)) is None:
        raise UsageError(f"agent.settings.credit is 'clock', but no time passes in {name}; expected 'decision'")
    if config.critic == "post_decision" and not problem.post_decision:
        raise UsageError(
            f"agent.settings.critic is 'post_decision', but {name} shows no state between a decision and what follows; "
            "expected 'window' or 'finished'"
        )


def make_learner(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    model: NetworkConfig,
    config: PPOConfig,
    *,
    device: str = "cpu",
    algorithm: type[GraphPPO] = GraphPPO,
    buffer: type[GraphRolloutBuffer] = GraphRolloutBuffer,
) -> GraphPPO:
    """Builds a learner whose every random draw follows from ``config.seed``.

    Args:
        definition: The problem to train on.
        options: Options of its environment.
        model: Shape of the network.
        config: Settings of the training.
        device: Torch device of the network.
        algorithm: The class to build, unless the setting ``critic`` asks for one of its own.
        buffer: The class of its rollout buffer, likewise.

    Raises:
        UsageError: The device does not exist, or the environment lacks what a setting needs, see `check_settings`.
    """
    check_device(device)
    torch.set_num_threads(config.threads)
    env = GraphVectorEnv(
        definition.bind(options), config.lanes, copy=False, double_buffer=True, skip_forced=config.skip_forced
    )
    check_settings(env.problem, definition.name, config)
    adapter = GraphVecEnv(env, config.reward_scale, post_decision=config.critic == "post_decision")
    adapter.seed(config.seed)
    spec = env.problem.spec
    by_clock = config.credit == "clock"
    clock = ClockDiscount(adapter, config.discount, config.discount_time) if by_clock else None
    stored: dict[str, Any] = {"spec": spec, "seed": config.seed, "clock": clock, "bootstrap": config.bootstrap}
    more: dict[str, Any] = {}
    if config.critic == "finished":
        algorithm, more = FinishedCriticPPO, {"value_weight": config.value, "discount": config.discount}
    elif config.critic == "post_decision":
        algorithm, more = PostDecisionPPO, {"combination": config.post_decision}
        buffer, stored = PostDecisionBuffer, {**stored, "adapter": adapter}
    return algorithm(
        GraphActorCriticPolicy,
        adapter,
        learning_rate=config.learning_rate_at,
        n_steps=config.steps,
        batch_size=config.minibatch,
        n_epochs=config.epochs,
        gamma=1.0 if by_clock else config.discount,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip,
        ent_coef=config.entropy,
        vf_coef=config.value,
        max_grad_norm=config.max_gradient_norm,
        rollout_buffer_class=buffer,
        rollout_buffer_kwargs=stored,
        policy_kwargs={"spec": spec, "model": model, "seed": config.seed},
        device=device,
        **more,
    )


def parts(learner: GraphPPO) -> LearnerParts:
    """Names what of a learner made by `make_learner` has to be saved."""
    policy, buffer = cast(GraphActorCriticPolicy, learner.policy), cast(GraphRolloutBuffer, learner.rollout_buffer)
    modules: dict[str, nn.Module] = {"weights": policy.network}
    optimisers: dict[str, torch.optim.Optimizer] = {"optimiser": policy.optimizer}
    if isinstance(learner, PostDecisionPPO):
        modules["second"], optimisers["second_optimiser"] = learner.second, learner.second_optimiser
    return LearnerParts(
        learner,
        cast(GraphVecEnv, learner.env),
        policy.network,
        modules,
        optimisers,
        policy.sampler,
        buffer.generator,
        learner.episodes if isinstance(learner, FinishedCriticPPO) else None,
    )
