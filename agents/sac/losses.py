"""What discrete soft actor-critic minimises; every expectation over actions is a sum, none is sampled.

Arrays of actions are ``(decisions, actions)``; illegal ones, which ``mask`` marks with False, count nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.network import masked


def log_policy(logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the probabilities of the masked softmax and their logarithms, both 0 for illegal actions."""
    logarithms = torch.log_softmax(masked(logits, mask), dim=1)
    return logarithms.exp() * mask, torch.where(mask, logarithms, torch.zeros_like(logarithms))


def entropy(logits: Tensor, mask: Tensor) -> Tensor:
    """Returns the entropy of the masked policy in nats, ``(decisions,)``; 0 where there is no choice."""
    probabilities, logarithms = log_policy(logits, mask)
    return -(probabilities * logarithms).sum(dim=1)


def soft_value(logits: Tensor, mask: Tensor, action_values: Tensor, temperature: Tensor | float) -> Tensor:
    """Returns the soft state value, ``(decisions,)`` (Christodoulou 2019, equation 10); 0 without a legal action."""
    probabilities, logarithms = log_policy(logits, mask)
    return (probabilities * (action_values - temperature * logarithms)).sum(dim=1)


def soft_targets(rewards: Tensor, ended: Tensor, next_values: Tensor, discount: float) -> Tensor:
    """Returns what the value of the action taken is drawn to, ``(decisions,)``: an end has nothing after it."""
    return rewards + discount * torch.where(ended, torch.zeros_like(next_values), next_values)


def free(mask: Tensor) -> Tensor:
    """Returns which decisions leave a choice, ``(decisions,)`` bool: forced ones teach a policy nothing."""
    return mask.sum(dim=1) > 1


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Returns the mean of the chosen values, 0 if there are none."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def target_entropy(mask: Tensor, share: float) -> Tensor:
    """Returns ``share`` of the entropy of the uniform policy over the legal actions, ``(decisions,)``."""
    return share * mask.sum(dim=1).clamp(min=1).log()


def temperature_loss(log_temperature: Tensor, entropies: Tensor, mask: Tensor, share: float) -> Tensor:
    """Returns a loss that falls with the temperature where the policy is more random than its target.

    It is the loss of Haarnoja et al. 2018 (equation 18) with the logarithm of the temperature in its place.
    """
    surplus = (entropies - target_entropy(mask, share)).detach()
    return log_temperature * mean_where(surplus, free(mask))
