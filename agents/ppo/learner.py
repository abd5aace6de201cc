"""Builds a PPO learner for any registered problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch

from agents.device import check_device
from agents.ppo.adapter import GraphVecEnv
from agents.ppo.algorithm import GraphPPO
from agents.ppo.buffer import ClockDiscount, GraphRolloutBuffer
from agents.ppo.config import PPOConfig
from agents.ppo.finished import FinishedCriticPPO
from agents.ppo.policy import GraphActorCriticPolicy
from agents.state import LearnerParts
from envs.core import GraphVectorEnv, Problem, ProblemDefinition, UsageError
from models.config import NetworkConfig


def check_credit(problem: Problem[Any, Any, Any], name: str, config: PPOConfig) -> None:
    """Checks that there is a clock where one is to discount by it.

    Raises:
        UsageError: There is none.
    """
    if config.credit == "clock" and problem.clock(problem.allocate(1)) is None:
        raise UsageError(f"agent.settings.credit is 'clock', but no time passes in {name}; expected 'decision'")


def make_learner(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    model: NetworkConfig,
    config: PPOConfig,
    *,
    device: str = "cpu",
    algorithm: type[GraphPPO] | None = None,
    buffer: type[GraphRolloutBuffer] = GraphRolloutBuffer,
) -> GraphPPO:
    """Builds a learner whose every random draw follows from ``config.seed``.

    Args:
        definition: The problem to train on.
        options: Options of its environment.
        model: Shape of the network.
        config: Settings of the training.
        device: Torch device of the network.
        algorithm: The class to build; by default what the setting ``critic`` asks for.
        buffer: The class of its rollout buffer.

    Raises:
        UsageError: The device does not exist, or the environment has no clock to give credit by.
    """
    check_device(device)
    torch.set_num_threads(config.threads)
    env = GraphVectorEnv(
        definition.bind(options), config.lanes, copy=False, double_buffer=True, skip_forced=config.skip_forced
    )
    check_credit(env.problem, definition.name, config)
    adapter = GraphVecEnv(env, config.reward_scale)
    adapter.seed(config.seed)
    spec = env.problem.spec
    by_clock = config.credit == "clock"
    clock = ClockDiscount(adapter, config.discount, config.discount_time) if by_clock else None
    more: dict[str, Any] = {}
    if algorithm is None and config.critic == "finished":
        algorithm, more = FinishedCriticPPO, {"value_weight": config.value, "discount": config.discount}
    return (algorithm or GraphPPO)(
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
        rollout_buffer_kwargs={"spec": spec, "seed": config.seed, "clock": clock, "bootstrap": config.bootstrap},
        policy_kwargs={"spec": spec, "model": model, "seed": config.seed},
        device=device,
        **more,
    )


def parts(learner: GraphPPO) -> LearnerParts:
    """Names what of a learner made by `make_learner` has to be saved."""
    policy, buffer = cast(GraphActorCriticPolicy, learner.policy), cast(GraphRolloutBuffer, learner.rollout_buffer)
    return LearnerParts(
        learner,
        cast(GraphVecEnv, learner.env),
        policy.network,
        {"weights": policy.network},
        {"optimiser": policy.optimizer},
        policy.sampler,
        buffer.generator,
        learner.episodes if isinstance(learner, FinishedCriticPPO) else None,
    )
