"""Expectations, targets and the temperature's loss, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from agents.sac.losses import (
    entropy,
    log_policy,
    mean_where,
    soft_targets,
    soft_value,
    target_entropy,
    temperature_loss,
)

MASK = torch.tensor([[True, True, False], [False, True, False], [False, False, False]])
LOGITS = torch.tensor([[0.0, math.log(3.0), 50.0], [9.0, -9.0, 9.0], [1.0, 2.0, 3.0]])
VALUES = torch.tensor([[4.0, 8.0, 1e6], [1e6, -2.0, 1e6], [1.0, 1.0, 1.0]])


def test_illegal_actions_have_no_probability_and_no_logarithm():
    probabilities, logarithms = log_policy(LOGITS, MASK)
    assert torch.allclose(probabilities, torch.tensor([[0.25, 0.75, 0], [0, 1, 0], [0, 0, 0]]))
    assert logarithms[0].tolist() == pytest.approx([math.log(0.25), math.log(0.75), 0])
    assert logarithms[1:].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_the_soft_value_is_the_expectation_over_legal_actions():
    # 0.25 * 4 + 0.75 * 8 = 7, and the temperature times the entropy; a forced action's own value; nothing at the end.
    surprise = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    assert entropy(LOGITS, MASK).tolist() == pytest.approx([surprise, 0, 0])
    assert soft_value(LOGITS, MASK, VALUES, 0.0).tolist() == pytest.approx([7, -2, 0])
    assert soft_value(LOGITS, MASK, VALUES, 2.0).tolist() == pytest.approx([7 + 2 * surprise, -2, 0])


def test_illegal_actions_move_nothing():
    logits, values = LOGITS.clone().requires_grad_(), VALUES.clone().requires_grad_()
    soft_value(logits, MASK, values, 0.5).sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[~MASK] == 0).all()
    assert (values.grad[~MASK] == 0).all()
    assert logits.grad[0, 1] > 0  # the better action
    assert (logits.grad[1] == 0).all()  # a forced decision


def test_the_target_looks_ahead_except_at_an_end():
    rewards, ended = torch.tensor([1.0, 1.0]), torch.tensor([False, True])
    assert soft_targets(rewards, ended, torch.tensor([10.0, float("nan")]), 0.5).tolist() == [6.0, 1.0]


def test_the_target_entropy_follows_the_legal_actions():
    wide = torch.ones(1, 3, dtype=torch.bool)
    assert target_entropy(MASK, 0.5).tolist() == pytest.approx([0.5 * math.log(2), 0, 0])
    assert target_entropy(wide, 0.98).item() == pytest.approx(0.98 * math.log(3))


@pytest.mark.parametrize(("entropies", "sign"), [([0.6, 0.0], 1), ([0.1, 0.0], -1)])
def test_the_temperature_falls_above_the_target_and_rises_below_whatever_is_forced(entropies, sign):
    log_temperature = torch.tensor(-1.0, requires_grad=True)
    temperature_loss(log_temperature, torch.tensor(entropies), MASK[:2], 0.5).backward()
    assert log_temperature.grad.item() == pytest.approx(entropies[0] - 0.5 * math.log(2))
    assert math.copysign(1, log_temperature.grad.item()) == sign


def test_a_mean_over_nothing_is_nothing():
    values = torch.tensor([1.0, 2.0, 6.0])
    assert mean_where(values, torch.tensor([True, False, True])).item() == 3.5
    assert mean_where(values, torch.zeros(3, dtype=torch.bool)).item() == 0
