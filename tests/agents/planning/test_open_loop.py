"""Plans made for what is expected: what they promise without noise, and what becomes of them with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.evaluation.methods import GreedyMethod
from agents.evaluation.planned import PlannedMethod
from agents.planning.config import PlanningConfig
from agents.planning.dispatcher import PlanningDispatcher
from agents.planning.open_loop import OpenLoopDispatcher, Plan, best_plan
from agents.policy_dispatcher import PolicyDispatcher
from agents.rollout import roll_out
from envs.core import GraphVectorEnv, UsageError, problem
from models.build import make_network
from models.config import ModelConfig

DEFINITION = problem("stochastic_job_shop")
OPTIONS = {"sizes": ((6, 4),), "sigmas": (0.2,)}


@pytest.fixture
def policy():
    torch.manual_seed(0)
    network = make_network(DEFINITION.bind(OPTIONS).spec, ModelConfig(hidden=8, heads=2, encoder_layers=1))
    return PolicyDispatcher(network, "policy", {})


@pytest.fixture
def instances():
    env = GraphVectorEnv(DEFINITION.bind(OPTIONS), 8)
    env.reset(seed=3)
    return [env.instance(lane) for lane in range(8)]


def test_where_all_goes_as_expected_the_plan_keeps_its_promise(policy, instances):
    certain = [DEFINITION.expected(instance) for instance in instances]
    assert not any(DEFINITION.stochastic(instance) for instance in certain)
    greedy = roll_out(DEFINITION, {}, certain, policy)
    for instance, alone in zip(certain, greedy, strict=True):
        plan = best_plan(DEFINITION, {}, instance, policy, 64, seed=1)
        assert len(plan.actions) == 24
        (outcome,) = roll_out(DEFINITION, {}, [instance], OpenLoopDispatcher(policy, plan), seed=9, skip_forced=False)
        assert outcome.objective == pytest.approx(plan.objective)
        assert plan.objective < 1.05 * alone.objective


def test_a_plan_may_begin_with_a_forced_action(policy):
    """Jobs that come one by one: the first decision has one candidate, later ones have several."""
    env = GraphVectorEnv(DEFINITION.bind({**OPTIONS, "sizes": ((6, 2),), "utilisation": 0.9}), 6)
    observation, _ = env.reset(seed=0)
    assert (observation["action_mask"].sum(axis=1) == 1).any()
    for instance in (DEFINITION.expected(env.instance(lane)) for lane in range(6)):
        plan = best_plan(DEFINITION, {}, instance, policy, 16, seed=1)
        assert len(plan.actions) == 12  # the environment ignores illegal actions, so a shifted plan would be longer
        following = OpenLoopDispatcher(policy, plan)
        (outcome,) = roll_out(DEFINITION, {}, [instance], following, skip_forced=False)
        assert outcome.objective == pytest.approx(plan.objective)


def test_a_plan_is_made_without_the_draws_and_executed_under_them(policy, instances):
    method = PlannedMethod("p", "search", "v", DEFINITION, {}, policy, PlanningConfig("open_loop", 16))
    greedy = GreedyMethod("g", "learned", "v", DEFINITION, {}, policy, 8)
    instance = instances[0]
    method.check(instance)
    objectives = [next(method.run([instance], [seed]))[0] for seed in range(4)]
    assert len({outcome.objective for outcome in objectives}) == 4
    again = next(method.run([instance], [2]))[0]
    assert again.objective == objectives[2].objective
    # Under one seed both methods meet the same times: an operation takes as long in both.
    other = next(greedy.run([instance], [2]))[0]
    assert (again.solution.durations == other.solution.durations).all()


def test_the_order_is_kept_as_far_as_it_is_legal():
    class Env:
        num_envs = 1

    class Silent:
        name = "silent"

        def reset(self, env, observation):
            pass

        def decide(self, env, observation):
            return np.array([-7])

    dispatcher = OpenLoopDispatcher(Silent(), Plan([2, 0, 2, 1], 0.0, 0))
    dispatcher.reset(Env(), {})

    def decide(*legal):
        mask = np.zeros((1, 3), np.bool_)
        mask[0, list(legal)] = True
        return int(dispatcher.decide(Env(), {"action_mask": mask})[0])

    assert [decide(0, 1), decide(0, 1, 2), decide(0), decide(1, 2), decide(1)] == [0, 2, -7, 2, 1]


def test_a_search_cannot_be_open_loop(policy):
    with pytest.raises(UsageError, match="plan is 'open_loop', which decides nothing by itself"):
        PlanningDispatcher(policy, PlanningConfig("open_loop"))


def test_problems_that_expect_nothing_are_refused(policy, instances):
    mute = replace(DEFINITION, expected=None)
    method = PlannedMethod("p", "search", "v", mute, {}, policy, PlanningConfig("open_loop"))
    with pytest.raises(UsageError, match="does not say what is expected of it; expected another plan than open_loop"):
        method.check(instances[0])
