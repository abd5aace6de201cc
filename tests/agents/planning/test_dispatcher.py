"""Plans: what they are worth, and that they neither touch nor foresee the episode they are made for."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from agents.evaluation.methods import build_methods
from agents.evaluation.planned import PlannedMethod
from agents.planning.config import SEARCHES, PlanningConfig
from agents.planning.dispatcher import PlanningDispatcher
from agents.planning.simulation import play
from agents.policy_dispatcher import PolicyDispatcher
from agents.rollout import roll_out
from envs.core import GraphVectorEnv, Problem, UsageError, problem
from envs.core.spec import ACTION_MASK
from models.build import make_network
from models.config import ModelConfig

MODEL = ModelConfig(hidden=8, heads=2, encoder_layers=1)
NOISY = {"sizes": ((4, 3),), "sigmas": (0.3,)}


def policy(definition, options, seed=0):
    """A policy with drawn weights: as good as any for what holds whatever the policy is."""
    torch.manual_seed(seed)
    return PolicyDispatcher(make_network(definition.bind(options).spec, MODEL), "policy", options)


def begun(name, options, lanes=3, seed=5):
    """An environment some decisions into its episodes, and what it shows."""
    env = GraphVectorEnv(
        problem(name).bind(options), lanes, skip_forced=True, autoreset_mode=AutoresetMode.DISABLED, strict=True
    )
    observation, _ = env.reset(seed=seed)
    for _ in range(2):
        observation, *_ = env.step(observation[ACTION_MASK].argmax(axis=1))
    return env, observation


def instances(definition, options, count, seed=1):
    env = GraphVectorEnv(definition.bind(options), count)
    env.reset(seed=seed)
    return [env.instance(lane) for lane in range(count)]


@pytest.mark.parametrize(("name", "options"), [("job_shop", {"sizes": ((4, 3),)}), ("stochastic_job_shop", NOISY)])
@pytest.mark.parametrize("plan", SEARCHES)
def test_planning_leaves_the_episode_as_it_is_and_chooses_what_is_legal(name, options, plan):
    draws = name == "stochastic_job_shop"
    if draws and plan == "pilot":
        with pytest.raises(UsageError, match="follows one finished solution"):
            PlanningDispatcher(policy(problem(name), options), PlanningConfig(plan), draws=True)
        return
    env, observation = begun(name, options)
    planner = PlanningDispatcher(policy(problem(name), options), PlanningConfig(plan, 6, 3), draws=draws)
    planner.reset(env, observation)
    before = [array.copy() for array in env.state]
    actions = planner.decide(env, observation)
    assert observation[ACTION_MASK][np.arange(3), actions].all()
    assert planner.evaluations > 3
    for saved, array in zip(before, env.state, strict=True):
        assert saved.tobytes() == array.tobytes()


def test_a_pilot_is_never_worse_than_the_policy_it_follows():
    definition, options = problem("job_shop"), {"builder": "append"}
    chosen = instances(definition, {"sizes": ((6, 4),)}, 6)
    greedy = policy(definition, options)
    plain = roll_out(definition, options, chosen, greedy)
    config = PlanningConfig("pilot", candidates=6)
    planned = [roll_out(definition, options, [each], PlanningDispatcher(greedy, config))[0] for each in chosen]
    ratios = [p.objective / g.objective for p, g in zip(planned, plain, strict=True)]
    assert max(ratios) <= 1.0
    assert np.mean(ratios) < 0.95


def test_the_anchor_leads_from_the_best_of_the_simulations_to_the_policy():
    env, observation = begun("job_shop", {"sizes": ((5, 4),), "builder": "append"}, lanes=8)
    greedy = policy(problem("job_shop"), {})
    cold, warm = (
        PlanningDispatcher(greedy, PlanningConfig("mirror_descent", 40, 5, temperature)) for temperature in (1e-9, 1e9)
    )
    for planner in (cold, warm):
        planner.reset(env, observation)
    np.testing.assert_array_equal(warm.decide(env, observation), greedy.decide(env, observation))

    chosen = cold.decide(env, observation)[0]
    legal = np.flatnonzero(observation[ACTION_MASK][0])
    logits = greedy.logits(env.problem.spec, observation)[0].numpy()
    candidates = legal[np.argsort(-logits[legal], kind="stable")]
    first = np.repeat(candidates, 40 // len(legal))
    sampler = torch.Generator().manual_seed(0)
    played = play(greedy.network, env, np.zeros(len(first), np.int64), first, sampler, greedy=False)
    assert chosen == candidates[played.objective.reshape(len(legal), -1).mean(axis=1).argmin()]


def test_gumbel_without_doubt_keeps_to_the_values():
    """Values a billion times as heavy as the prior and its perturbation: the winner has the least mean makespan."""
    env, observation = begun("job_shop", {"sizes": ((3, 3),), "builder": "append"}, lanes=4)
    greedy = policy(problem("job_shop"), {})
    planner = PlanningDispatcher(greedy, PlanningConfig("gumbel", 4000, 3, 1e-9))
    planner.reset(env, observation)
    chosen = planner.decide(env, observation)
    sampler = torch.Generator().manual_seed(1)
    for lane in range(4):
        legal = np.flatnonzero(observation[ACTION_MASK][lane])
        first = np.repeat(legal, 4000)
        played = play(greedy.network, env, np.full(len(first), lane), first, sampler, greedy=False)
        objective = played.objective.reshape(len(legal), 4000)
        error = objective.std(axis=1).max() / np.sqrt(1000)
        means = dict(zip(legal.tolist(), objective.mean(axis=1).tolist(), strict=True))
        assert means[int(chosen[lane])] <= min(means.values()) + 5 * error


def test_plans_meet_other_futures_than_the_true_one():
    """Whatever the true future is, plans with one seed find the same; they do not read the lane's generator."""
    env, observation = begun("stochastic_job_shop", NOISY, lanes=1)
    greedy = policy(problem("stochastic_job_shop"), NOISY)
    greedy.reset(env, observation)
    first = np.flatnonzero(observation[ACTION_MASK][0])[:1]
    rows = np.zeros(64, np.int64)

    def objectives(seed):
        futures = np.arange(1, 65, dtype=np.uint64) + np.uint64(1000 * seed)
        return play(
            greedy.network, env, rows, np.repeat(first, 64), torch.Generator(), greedy=True, futures=futures
        ).objective

    one = objectives(0)
    assert len(np.unique(one)) > 32
    env.state.generator[...] += np.uint64(12345)
    np.testing.assert_array_equal(objectives(0), one)
    assert (objectives(1) != one).any()


def test_methods_are_told_apart_and_count_the_decisions_of_their_plans():
    definition, options = problem("job_shop"), {"builder": "append"}
    chosen = instances(definition, {"sizes": ((4, 3),)}, 2)
    config = PlanningConfig("mirror_descent", 8, 4)
    method = PlannedMethod("p", "search", "v", definition, options, policy(definition, options), config)
    first = [outcomes[0] for outcomes in method.run(chosen, [0, 0])]
    alone = next(method.run(chosen[1:], [0]))[0]
    assert alone.objective == first[1].objective
    assert alone.decisions == first[1].decisions
    assert first[0].decisions > 12


def test_plans_are_refused_where_no_other_future_can_be_drawn():
    definition = replace(problem("job_shop"), stochastic=lambda instance: True)
    (instance,) = instances(definition, {"sizes": ((4, 3),)}, 1)
    greedy = policy(definition, {})
    assert type(definition.bind({})).resample is Problem.resample
    for plan, message in (
        ("pilot", "follows one finished solution"),
        ("gumbel", "cannot draw other futures"),
        ("open_loop", "does not say what is"),
    ):
        with pytest.raises(UsageError, match=message):
            PlannedMethod("p", "search", "v", definition, {}, greedy, PlanningConfig(plan)).check(instance)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("plan=chess", "plan is 'chess'; expected one of pilot, mirror_descent, gumbel, open_loop"),
        ("plan=gumbel;simulations=0", "simulations is 0; expected a whole number"),
        ("plan=gumbel;temperature=0", "temperature is 0; expected a positive number"),
        ("plan=gumbel;samples=4", "there is no setting 'samples'; there are name, plan, simulations"),
    ],
)
def test_mistakes_are_named(settings, message):
    definition = replace(problem("job_shop"), solvers=MappingProxyType({}))
    with pytest.raises(UsageError, match=message):
        build_methods(definition, [f"checkpoint:checkpoints/job_shop/default;{settings}"], {}, 8)
