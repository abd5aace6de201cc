"""Builds and runs a MaskablePPO learner for any registered problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from sb3_contrib import MaskablePPO

from agents.ppo.adapter import GraphVecEnv
from agents.ppo.buffer import GraphRolloutBuffer
from agents.ppo.config import PPOConfig
from agents.ppo.policy import GraphActorCriticPolicy
from envs.core import GraphVectorEnv, ProblemDefinition, UsageError
from models.config import ModelConfig


def check_device(device: str) -> None:
    """Checks that torch can compute on a device; stable-baselines3 would quietly take the CPU instead.

    Raises:
        UsageError: The device does not exist here.
    """
    try:
        torch.empty(0, device=None if device == "auto" else device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"device is {device!r}, which torch cannot use here: {reason}") from None


def make_learner(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    model: ModelConfig,
    config: PPOConfig,
    *,
    device: str = "cpu",
) -> MaskablePPO:
    """Builds a learner whose every random draw follows from ``config.seed``.

    Args:
        definition: The problem to train on.
        options: Options of its environment.
        model: Shape of the network.
        config: Settings of the training.
        device: Torch device of the network.
    """
    check_device(device)
    torch.set_num_threads(config.threads)
    env = GraphVectorEnv(definition.bind(options), config.lanes, copy=False, skip_forced=config.skip_forced)
    adapter = GraphVecEnv(env, config.reward_scale)
    adapter.seed(config.seed)
    spec = env.problem.spec
    return MaskablePPO(
        GraphActorCriticPolicy,
        adapter,
        learning_rate=config.learning_rate_at,
        n_steps=config.steps,
        batch_size=config.minibatch,
        n_epochs=config.epochs,
        gamma=config.discount,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip,
        ent_coef=config.entropy,
        vf_coef=config.value,
        max_grad_norm=config.max_gradient_norm,
        rollout_buffer_class=GraphRolloutBuffer,
        rollout_buffer_kwargs={"spec": spec, "seed": config.seed},
        policy_kwargs={"spec": spec, "model": model, "seed": config.seed},
        device=device,
    )
