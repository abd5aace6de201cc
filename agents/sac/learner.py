"""Discrete soft actor-critic as an off-policy algorithm of stable-baselines3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import obs_as_tensor, polyak_update
from torch import Tensor

from agents.device import check_device
from agents.ppo.adapter import GraphVecEnv
from agents.sac.buffer import GraphReplayBuffer, Transitions
from agents.sac.config import SACConfig
from agents.sac.losses import entropy, free, mean_where, soft_targets, soft_value, temperature_loss
from agents.sac.policy import GraphSACPolicy
from agents.state import LearnerParts
from envs.core import GraphVectorEnv, ProblemDefinition
from envs.core.spec import ACTION_MASK, GraphSpec
from models.config import NetworkConfig


class DiscreteSAC(OffPolicyAlgorithm):
    """Soft actor-critic for discrete actions (Christodoulou 2019) with a mask of the legal ones.

    Twin critics and slow target copies of them (Fujimoto et al. 2018), expectations over actions summed instead of
    sampled, a temperature that is fixed or tuned (Haarnoja et al. 2018) to a share of the largest entropy that the
    legal actions of a state allow.

    Args:
        env: The adapter.
        spec: The graph spec.
        model: The shape of each network.
        config: The settings.
        device: Torch device of the networks.
    """

    policy: GraphSACPolicy

    def __init__(
        self, env: GraphVecEnv, spec: GraphSpec, model: NetworkConfig, config: SACConfig, device: str = "cpu"
    ) -> None:
        """Builds networks and replay buffer."""
        self.config = config
        super().__init__(
            GraphSACPolicy,
            env,
            learning_rate=config.learning_rate,
            buffer_size=config.buffer,
            learning_starts=config.warm_up,
            batch_size=config.minibatch,
            tau=config.polyak,
            gamma=config.discount,
            train_freq=(config.steps, "step"),
            gradient_steps=config.gradient_steps,
            replay_buffer_class=cast(Any, GraphReplayBuffer),
            replay_buffer_kwargs={"spec": spec, "seed": config.seed},
            policy_kwargs={"spec": spec, "model": model, "config": config},
            device=device,
            support_multi_env=True,
            sde_support=False,
            supported_action_spaces=(spaces.Discrete,),
        )
        self._setup_model()

    @property
    def replay(self) -> GraphReplayBuffer:
        """The replay buffer."""
        return cast(GraphReplayBuffer, self.replay_buffer)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = None,
        tb_log_name: str = "sac",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> DiscreteSAC:
        """Learns; curves get a row every ``log_interval`` episodes, or by default about a hundred in all."""
        super().learn(
            total_timesteps,
            callback,
            cast(int, log_interval),
            tb_log_name,
            reset_num_timesteps,
            progress_bar,
        )
        return self

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """Takes gradient steps on decisions drawn from the replay buffer and records their mean figures."""
        self.policy.set_training_mode(True)
        figures = [self.gradient_step(self.replay.sample(batch_size)) for _ in range(gradient_steps)]
        self._n_updates += gradient_steps
        for name in figures[0]:
            self.logger.record(f"train/{name}", float(np.mean([each[name] for each in figures])))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self._log_now_and_then()

    def gradient_step(self, batch: Transitions) -> dict[str, float]:
        """Moves critics, actor, temperature and target critics once; returns figures to log."""
        policy = self.policy
        critic_loss = self.critic_loss(batch)
        self._descend(policy.critic_optimizer, critic_loss)
        actor_loss, entropies = self.actor_loss(batch)
        self._descend(policy.optimizer, actor_loss)
        mask = batch.observations.dynamic[ACTION_MASK].bool()
        if self.config.temperature_learning_rate > 0:
            self._tune_temperature(entropies, mask)
        polyak_update(policy.critics.parameters(), policy.targets.parameters(), self.tau)
        return {
            "critic_loss": critic_loss.item(),
            "actor_loss": actor_loss.item(),
            "entropy": mean_where(entropies, free(mask)).item(),
            "temperature": policy.temperature.value.item(),
        }

    def critic_loss(self, batch: Transitions) -> Tensor:
        """Returns half the squared soft Bellman error, summed over the critics."""
        wanted = self.bellman_targets(batch)
        values = self.policy.action_values(batch.observations, self.policy.critics)
        chosen = [each.gather(1, batch.actions[:, None]).squeeze(1) for each in values]
        return torch.stack([0.5 * torch.mean((each - wanted) ** 2) for each in chosen]).sum()

    @torch.no_grad()
    def bellman_targets(self, batch: Transitions) -> Tensor:
        """Returns the reward plus the discounted soft value of what followed, by the lower target critic."""
        mask = batch.following.dynamic[ACTION_MASK].bool()
        lower = torch.minimum(*self.policy.action_values(batch.following, self.policy.targets))
        value = soft_value(self.policy.logits(batch.following), mask, lower, self.policy.temperature.value)
        return soft_targets(batch.rewards, batch.ended, value, self.gamma)

    def actor_loss(self, batch: Transitions) -> tuple[Tensor, Tensor]:
        """Returns minus the soft value by the lower critic, over free decisions, and the entropies, detached."""
        mask = batch.observations.dynamic[ACTION_MASK].bool()
        with torch.no_grad():
            lower = torch.minimum(*self.policy.action_values(batch.observations, self.policy.critics))
        logits = self.policy.logits(batch.observations)
        value = soft_value(logits, mask, lower, self.policy.temperature.value)
        return -mean_where(value, free(mask)), entropy(logits.detach(), mask)

    def _tune_temperature(self, entropies: Tensor, mask: Tensor) -> None:
        config, temperature = self.config, self.policy.temperature
        loss = temperature_loss(temperature.log, entropies, mask, config.entropy_share)
        self.policy.temperature_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.policy.temperature_optimizer.step()
        with torch.no_grad():
            temperature.log.clamp_(np.log(config.lowest_temperature), np.log(config.highest_temperature))

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, self.config.max_gradient_norm)
        optimizer.step()

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        observation = cast(dict[str, Tensor], obs_as_tensor(cast(Any, self._last_obs), self.device))
        actions = self.policy.explore(observation, uniform=self.num_timesteps < learning_starts).cpu().numpy()
        return actions, actions

    def _store_transition(
        self, replay_buffer: Any, buffer_action: Any, new_obs: Any, reward: Any, dones: Any, infos: Any
    ) -> None:
        replay_buffer.add(self._last_obs, new_obs, buffer_action, reward, dones, infos)
        self._last_obs = new_obs

    def _log_now_and_then(self) -> None:
        """Writes a row of the curves about every hundredth of the training."""
        between = self.config.steps * self.config.lanes
        if self.num_timesteps % max(between, self.config.decisions // 100 // between * between) == 0:
            self.dump_logs()

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy"], []


def make_learner(
    definition: ProblemDefinition,
    options: Mapping[str, Any],
    model: NetworkConfig,
    config: SACConfig,
    *,
    device: str = "cpu",
) -> DiscreteSAC:
    """Builds a learner whose every random draw follows from ``config.seed``.

    Args:
        definition: The problem to train on.
        options: Options of its environment.
        model: Shape of each network.
        config: Settings of the training.
        device: Torch device of the networks.

    Raises:
        UsageError: The device does not exist.
    """
    check_device(device)
    torch.set_num_threads(config.threads)
    env = GraphVectorEnv(
        definition.bind(options), config.lanes, copy=False, double_buffer=True, skip_forced=config.skip_forced
    )
    adapter = GraphVecEnv(env, config.reward_scale)
    adapter.seed(config.seed)
    return DiscreteSAC(adapter, env.problem.spec, model, config, device)


def parts(learner: DiscreteSAC) -> LearnerParts:
    """Names what of a learner made by `make_learner` has to be saved."""
    policy = learner.policy
    return LearnerParts(
        learner,
        cast(GraphVecEnv, learner.env),
        policy.network,
        {
            "actor": policy.network,
            "critics": policy.critics,
            "targets": policy.targets,
            "temperature": policy.temperature,
        },
        {
            "actor_optimiser": policy.optimizer,
            "critic_optimiser": policy.critic_optimizer,
            "temperature_optimiser": policy.temperature_optimizer,
        },
        policy.sampler,
        learner.replay.generator,
        learner.replay,
    )
