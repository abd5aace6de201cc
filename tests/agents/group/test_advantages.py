"""Advantages by hand, and what the shaping of experts promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.group.advantages import advantages, bent, qualities, relative
from agents.group.config import GroupConfig

GROUP = np.array([0, 0, 0, 1, 1])
OBJECTIVE = np.array([10.0, 12.0, 14.0, 7.0, 7.0])
UNIT = np.array([10.0, 10.0, 10.0, 5.0, 5.0])
NOBODY = np.zeros(5, bool)
ALL = np.ones(5, bool)
CONFIG = GroupConfig(reward_scale=1.0)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mean", [0.2, 0.0, -0.2, 0.0, 0.0]),
        ("normalised", [1.5**0.5, 0.0, -(1.5**0.5), 0.0, 0.0]),
        ("leave_one_out", [0.3, 0.0, -0.3, 0.0, 0.0]),
    ],
)
def test_statistics_of_groups_by_hand(kind, expected):
    got = advantages(replace(CONFIG, advantage=kind), OBJECTIVE, UNIT, GROUP, NOBODY, ALL)
    assert got == pytest.approx(expected)


def test_lanes_without_a_solution_count_for_nothing():
    present = np.array([True, True, False, True, True])
    got = advantages(replace(CONFIG, advantage="mean"), OBJECTIVE, UNIT, GROUP, NOBODY, present)
    assert got == pytest.approx([0.1, -0.1, 0.0, 0.0, 0.0])


EXPERT = np.array([True, False, False, False, False])


def test_an_anchored_expert_leaves_the_others_alone():
    got = advantages(replace(CONFIG, shaping="anchor", anchor=1.2), OBJECTIVE, UNIT, GROUP, EXPERT, ALL)
    others = relative(-OBJECTIVE[1:3], np.zeros(2, int), np.ones(2, bool), "normalised")
    assert got[1:3] == pytest.approx(others)
    assert got[0] == pytest.approx(1.2 * others.max())


def test_a_joined_expert_raises_the_baseline_and_a_capped_one_less():
    joint, capped = (
        advantages(replace(CONFIG, shaping=kind, advantage="mean", cap=0.9), OBJECTIVE, UNIT, GROUP, EXPERT, ALL)
        for kind in ("joint", "downscale")
    )
    assert joint == pytest.approx([0.2, 0.0, -0.2, 0.0, 0.0])
    quality = np.array([0.9, 10 / 12, 10 / 14])
    assert capped[:3] == pytest.approx(quality - quality.mean())
    assert capped[3:] == pytest.approx([0.0, 0.0])


def test_qualities_are_ratios_to_the_expert_or_differences():
    assert qualities(OBJECTIVE, UNIT, GROUP, EXPERT) == pytest.approx([1.0, 10 / 12, 10 / 14, 1.0, 1.0])
    crossing = np.array([0.0, 2.0, 30.0, 7.0, 7.0])
    assert qualities(crossing, UNIT, GROUP, EXPERT) == pytest.approx([1.0, 0.8, 0.0, 1.0, 1.0])


SHAPE = {"threshold": 0.95, "compress": 0.01, "expand": 1.0}


def test_the_bend_is_continuous_steep_below_and_flat_above():
    step = 1e-7
    below, at, above = (float(bent(np.array([0.95 + d]), **SHAPE)[0]) for d in (-step, 0.0, step))
    assert at == 0.95
    assert below == pytest.approx(at, abs=1e-6)
    assert above == pytest.approx(at, abs=1e-6)
    assert (at - below) / step == pytest.approx(1 / (np.e - 1), rel=1e-3)
    assert (above - at) / step == pytest.approx(0.01, rel=1e-3)
    assert float(bent(np.array([0.0]), 1.0, 0.01, 1.0)[0]) == pytest.approx(0.0)


@given(st.floats(0, 2), st.floats(0, 2), st.floats(0.1, 0.99), st.floats(0.001, 1), st.floats(0.1, 5))
def test_the_bend_keeps_the_order(one, other, threshold, compress, expand):
    low, high = sorted((one, other))
    shaped = bent(np.array([low, high]), threshold, compress, expand)
    assert shaped[0] <= shaped[1] + 1e-12
