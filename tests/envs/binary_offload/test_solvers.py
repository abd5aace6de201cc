"""Enumeration and coordinate descent against plain enumeration by the verifier, and against each other."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.dispatcher import RuleDispatcher
from agents.rollout import roll_out
from envs.binary_offload import PROBLEM
from envs.binary_offload.solvers import coordinate_descent, enumeration, highest_rate
from envs.binary_offload.types import BinaryOffloadInstance, Modes
from envs.binary_offload.verify import verify
from envs.core import UsageError

seeds = st.integers(0, 2**32 - 1)


def by_rule(name, instances):
    """Objectives and solutions of a rule."""
    outcomes = roll_out(PROBLEM, {}, instances, RuleDispatcher(PROBLEM.rules[name]))
    return [outcome.objective for outcome in outcomes], [outcome.solution for outcome in outcomes]


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_enumeration_finds_what_trying_all_modes_with_the_verifier_finds(build, seed):
    instance = build(seed, devices=4)
    every = [Modes(np.array(bits)) for bits in itertools.product([False, True], repeat=4)]
    best = min(verify(instance, modes) for modes in every)
    result = enumeration()(instance)
    assert result.objective == pytest.approx(best, rel=1e-11)
    assert result.bound == result.objective
    assert result.status == "optimal"


@settings(max_examples=15, deadline=None)
@given(seed=seeds, start=st.sampled_from(["local", "offloading", "random"]))
def test_coordinate_descent_ends_where_no_change_of_one_mode_gains(build, seed, start):
    instance = build(seed)
    result = coordinate_descent(start=start)(instance, seed=seed)
    assert result.objective >= enumeration()(instance).objective * (1 - 1e-12)
    for device in range(len(instance.gains)):
        offloads = result.solution.offloads.copy()
        offloads[device] ^= True
        assert verify(instance, Modes(offloads)) >= result.objective * (1 - 1e-10)


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_rules_do_what_they_say(build, seed):
    instance = build(seed)
    count = len(instance.gains)
    objectives = {}
    for name in PROBLEM.rules:
        (objectives[name],), (solution,) = by_rule(name, [instance])
        if name.startswith("all_"):
            assert solution.offloads.tolist() == [name == "all_offloading"] * count
        if name == "strongest_channel" and 0 < solution.offloads.sum() < count:
            assert instance.gains[solution.offloads].min() > instance.gains[~solution.offloads].max()
        if name == "greedy":
            for device in np.flatnonzero(~solution.offloads):
                more = solution.offloads.copy()
                more[device] = True
                assert verify(instance, Modes(more)) >= objectives[name] * (1 - 1e-10)
    best = enumeration()(instance).objective
    assert all(objective >= best * (1 - 1e-11) for objective in objectives.values())
    assert objectives["greedy"] <= objectives["all_local"] * (1 + 1e-12)


def test_weak_channels_stay_local_and_strong_ones_offload():
    weak, strong = ([1e-8] * 3, [False] * 3), ([3e-5] * 3, [True] * 3)
    for gains, expected in (weak, strong):
        instance = BinaryOffloadInstance("equal", gains, [1.0] * 3)
        for name in ("greedy", "strongest_channel", "heaviest_channel"):
            assert by_rule(name, [instance])[1][0].offloads.tolist() == expected, name
        assert highest_rate(instance)[1].offloads.tolist() == expected


def test_too_many_devices_are_refused(build):
    with pytest.raises(UsageError, match="drawn_1 has 17 devices; enumeration takes at most 16"):
        enumeration()(build(1, devices=17))


def test_unknown_start_is_refused():
    with pytest.raises(UsageError, match="start is 'middle'; expected one of local, offloading, random"):
        coordinate_descent(start="middle")
