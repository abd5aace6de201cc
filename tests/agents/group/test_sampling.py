"""Sampling without replacement gives different solutions with the probabilities that it should."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import torch

from agents.group.rollouts import collect


def solutions(rollouts, group):
    lanes = np.flatnonzero((rollouts.start.group == group) & (rollouts.lengths > 0))
    return [tuple(rollouts.actions[lane, : rollouts.lengths[lane]].tolist()) for lane in lanes]


def test_the_solutions_of_a_group_differ_until_there_are_no_more(small_groups):
    options = {"builder": "append", "sizes": ((2, 2),)}
    learner = small_groups.learner(options=options, rollouts=12, instances=4, replacement=False)
    learner.env.reset()
    (start,) = learner.source.next(learner.shuffling).starts
    done = collect(learner.policy.network, start, learner.policy.sampler, replacement=False)
    for group in range(4):
        found = solutions(done, group)
        # Two jobs of two operations can be interleaved in six ways.
        assert len(found) == len(set(found)) == 6
    assert (done.lengths == 0).sum() == 4 * 6


def test_pairs_are_drawn_as_one_after_the_other_without_replacement(small_groups):
    options = {"builder": "append", "sizes": ((2, 2),)}
    learner = small_groups.learner(options=options, rollouts=2, instances=200, replacement=False, decisions=1)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in learner.policy.network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    learner.env.reset()
    (start,) = learner.source.next(learner.shuffling).starts
    first = start.state[0][:1].shape  # one instance for all groups
    state = tuple(np.repeat(array[:1], len(array), axis=0) for array in start.state)
    assert first[0] == 1
    start = type(start)(start.problem, state, start.row, start.group, start.dictated, start.greedy)
    probability, seen = {}, Counter()
    for _ in range(20):
        plain = collect(learner.policy.network, start, learner.policy.sampler)
        for lane in range(len(start.row)):
            steps = plain.lengths[lane]
            key = tuple(plain.actions[lane, :steps].tolist())
            probability[key] = float(np.exp(plain.log_probabilities[lane, :steps].sum()))
        done = collect(learner.policy.network, start, learner.policy.sampler, replacement=False)
        for group in range(200):
            seen[frozenset(solutions(done, group))] += 1
    assert sum(probability.values()) == pytest.approx(1.0, abs=1e-4)
    expected = Counter()
    for one, other in permutations(probability, 2):
        expected[frozenset((one, other))] += probability[one] * probability[other] / (1 - probability[one])
    for pair, share in expected.items():
        assert seen[pair] / 4000 == pytest.approx(share, abs=5 * (share * (1 - share) / 4000) ** 0.5 + 1e-3)


def test_the_remembered_log_probabilities_follow_the_solutions(small_groups):
    learner = small_groups.learner(rollouts=8, replacement=False, options={"builder": "active", "sizes": ((4, 3),)})
    learner.env.reset()
    (start,) = learner.source.next(learner.shuffling).starts
    done = collect(learner.policy.network, start, learner.policy.sampler, replacement=False)
    told = np.where(np.arange(done.actions.shape[1]) < done.lengths[:, None], done.actions, -1)
    again = collect(
        learner.policy.network,
        type(start)(start.problem, start.state, start.row, start.group, told, start.greedy),
        learner.policy.sampler,
    )
    np.testing.assert_array_equal(again.objective, done.objective)
    np.testing.assert_allclose(again.log_probabilities, done.log_probabilities, atol=1e-5)
