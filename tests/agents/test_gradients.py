"""Norms that can be checked in the head."""

from __future__ import annotations

import pytest
import torch

from agents.gradients import GradientClipper


class Recorder(dict):
    """What a logger was told."""

    record = dict.__setitem__


def step(optimiser, *gradients):
    for parameter, gradient in zip(optimiser.param_groups[0]["params"], gradients, strict=True):
        parameter.grad = None if gradient is None else torch.tensor(gradient)
    optimiser.step()


def test_norms_are_those_before_clipping():
    parameters = [
        torch.nn.Parameter(torch.zeros(2)),
        torch.nn.Parameter(torch.zeros(1)),
        torch.nn.Parameter(torch.ones(1)),
    ]
    optimiser = torch.optim.SGD(parameters, lr=1.0)
    clipper, told = GradientClipper(optimiser, 6.5), Recorder()
    step(optimiser, [3.0, -4.0], [12.0], None)
    assert torch.cat(parameters).tolist() == pytest.approx([-1.5, 2.0, -6.0, 1.0], rel=1e-5)
    step(optimiser, [0.0, 0.0], [1.0], None)
    clipper.record(told)
    assert told == {"train/gradient_l1": 10.0, "train/gradient_l2": 7.0, "train/gradient_clipped_share": 0.5}


def test_nothing_is_logged_where_no_step_was_taken():
    clipper, told = GradientClipper(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0), 1.0), Recorder()
    clipper.record(told)
    assert not told
