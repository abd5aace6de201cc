"""Losses by hand and by automatic differentiation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.group.losses import Lesson, policy_loss, preference_coefficients


def lesson(advantage, old, weight):
    numbers = [torch.tensor(values) for values in (advantage, old, weight)]
    return Lesson(torch.zeros(len(advantage), dtype=torch.int64), *numbers, torch.zeros(len(advantage)))


def test_plain_and_clipped_losses_by_hand():
    told = lesson([2.0, -1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.5, 1.0])
    chosen = torch.log(torch.tensor([1.5, 1.5, 0.5]))
    assert policy_loss(chosen, told, None).item() == pytest.approx(-(2 * np.log(1.5) - 0.5 * np.log(1.5) + np.log(0.5)))
    assert policy_loss(chosen, told, 0.2).item() == pytest.approx(-(2 * 1.2 - 0.5 * 1.5 + 0.5))


def test_coefficients_of_preferences_are_minus_the_slopes_of_the_loss():
    means = torch.tensor([-0.3, -0.7, -0.2, -0.9, -0.5], dtype=torch.float64, requires_grad=True)
    objective = np.array([12.0, 10.0, 15.0, 20.0, 11.0])
    chosen = [1, 0, 3]  # best, median and worst
    best, others = chosen[0], chosen[1:]
    terms = [-torch.nn.functional.logsigmoid(objective[o] / objective[best] * (means[best] - means[o])) for o in others]
    torch.stack(terms).mean().backward()
    assert preference_coefficients(means.detach().numpy(), objective, 3) == pytest.approx(-means.grad.numpy())


def test_equals_have_no_preference():
    assert not preference_coefficients(np.zeros(4), np.full(4, 3.0), 4).any()
