"""Imitation learns to decide as a rule does."""

from dataclasses import replace

import numpy as np
import pytest

from agents.dispatcher import RuleDispatcher
from agents.imitation.config import ImitationConfig
from agents.imitation.demonstration import demonstrated_choice, demonstrated_costs
from agents.imitation.learner import check_rule, make_learner
from agents.policy_dispatcher import PolicyDispatcher
from agents.registry import agent_named
from agents.rollout import roll_out
from envs.core import GraphVectorEnv, Rule, UsageError, problem
from models.config import ModelConfig

MODEL = ModelConfig(hidden=16, heads=2, encoder_layers=0, decision_layers=1)
SETTINGS = ImitationConfig(
    rule="greedy", decisions=12_000, lanes=16, steps=30, minibatch=120, epochs=6, learning_rate=5e-3, threads=1
)
OPTIONS = {"edges_low": 2, "edges_high": 3, "horizon": 25, "histogram_bins": 4}


def learned(settings):
    learner = make_learner(problem("offload"), OPTIONS, MODEL, settings)
    learner.learn(settings.decisions)
    return learner


def test_the_policy_decides_as_the_rule():
    definition = problem("offload")
    learner = learned(SETTINGS)
    env = GraphVectorEnv(definition.bind(OPTIONS), 60)
    env.reset(seed=10_000)
    instances = [env.instance(lane) for lane in range(60)]
    options = {"histogram_bins": 4}
    policy = PolicyDispatcher(learner.policy.network, "imitation", options)
    mine = [outcome.solution.server for outcome in roll_out(definition, options, instances, policy)]
    rule = RuleDispatcher(definition.rules["greedy"])
    theirs = [outcome.solution.server for outcome in roll_out(definition, options, instances, rule)]
    assert np.mean(np.concatenate(mine) == np.concatenate(theirs)) > 0.9


def test_only_the_rule_decides_while_collecting():
    learner = make_learner(problem("offload"), OPTIONS, MODEL, SETTINGS)
    learner._setup_learn(SETTINGS.decisions)
    callback = learner._init_callback(None)
    env = learner.env.env
    learner.collect_rollouts(learner.env, callback, learner.rollout_buffer, 4, use_masking=True)
    twin = GraphVectorEnv(problem("offload").bind(OPTIONS), SETTINGS.lanes, skip_forced=True)
    twin.reset(seed=SETTINGS.seed)
    rule = RuleDispatcher(problem("offload").rules["greedy"])
    for _ in range(4):
        twin.step(rule.decide(twin, {"action_mask": twin.action_masks()}))
    np.testing.assert_array_equal(env.state.server, twin.state.server)
    assert learner.policy.demonstrator is None


def test_the_value_head_learns_the_rule_s_returns():
    learner = learned(SETTINGS)
    returns, values = learner.rollout_buffer.returns.flatten(), learner.rollout_buffer.values.flatten()
    assert 1.0 - np.var(returns - values) / np.var(returns) > 0.5


def test_expected_costs_become_targets():
    """Makespans of two lanes by hand; the scaled regret is 10 times the difference over the first bound."""
    definition = problem("job_shop")
    env = GraphVectorEnv(definition.bind({"sizes": [[3, 3]], "builder": "append"}), 2)
    env.reset(seed=1)
    units = env.problem.reward_unit(env.state)
    costs = np.array([[40.0, 30.0, np.inf], [7.0, 5.0, 6.0]])
    rule = Rule("told", lambda state: costs, "nowhere", expected=True)
    mask = np.array([[True, True, True], [False, True, True]])
    told = demonstrated_costs(rule, env, mask, 10.0, 0.5)
    regrets = np.array([[100 / units[0], 0, 0], [0, 0, 10 / units[1]]])
    weights = np.exp(-regrets / 0.5) * [[1, 1, 0], [0, 1, 1]]
    assert told.choice.tolist() == [1, 1]
    np.testing.assert_allclose(told.regrets, regrets)
    np.testing.assert_allclose(told.targets, weights / weights.sum(axis=1, keepdims=True))
    chosen = demonstrated_choice(rule, env, mask)
    np.testing.assert_array_equal(chosen.targets, [[0, 1, 0], [0, 1, 0]])


def test_the_learner_decides_in_its_share_of_the_lanes():
    settings = replace(SETTINGS, rule="look_ahead", target="cost", learner_share=0.5)
    learner = make_learner(problem("offload"), OPTIONS, MODEL, settings)
    learner._setup_learn(SETTINGS.decisions)
    learner.collect_rollouts(learner.env, learner._init_callback(None), learner.rollout_buffer, 30, use_masking=True)
    buffer = learner.rollout_buffer
    best = buffer.targets.argmax(axis=2)
    free = buffer.action_masks.sum(axis=2) > 1
    same = (best == buffer.actions[:, :, 0]) | ~free
    assert same[:, 8:].all()
    assert not same[:, :8].all()
    np.testing.assert_allclose(buffer.targets.sum(axis=2)[free], 1.0, atol=1e-5)


def test_costs_are_learnt():
    settings = replace(
        SETTINGS, rule="look_ahead", target="cost", temperature=0.05, learner_share=1.0, decisions=8000, lanes=32
    )
    learner = make_learner(problem("job_shop"), {"sizes": [[5, 5]], "builder": "active"}, MODEL, settings)
    regrets = []
    for _ in range(2):
        learner.learn(settings.decisions, reset_num_timesteps=not regrets)
        regrets.append(learner.logger.name_to_value["train/regret_greedy"])
    first = learner.logger.name_to_value
    assert first["train/cross_entropy"] >= first["train/target_entropy"] - 1e-3
    assert first["train/regret_greedy"] < 0.8 * first["train/regret_drawn"]


def test_it_is_a_learner_by_name():
    agent = agent_named("imitation")
    made = agent.make(problem("job_shop"), {"sizes": [[3, 3]]}, MODEL, replace(SETTINGS, rule="spt"))
    assert agent.parts(made).network is made.policy.network


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "agent.settings.rule is ''; expected the name of a rule of the problem"),
        ({"rule": "spt", "minibatch": 1}, "agent.settings.minibatch is 1"),
        ({"rule": "spt", "colour": 1}, "agent.settings has no field 'colour'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(UsageError, match=message):
        ImitationConfig.from_mapping(settings)


def test_a_rule_that_does_not_exist_is_named():
    definition = problem("offload")
    with pytest.raises(UsageError, match=r"rule is 'heft'; offload has greedy, look_ahead"):
        check_rule(definition.bind({}), "offload", replace(SETTINGS, rule="heft"))


def test_a_rule_that_expects_nothing_has_no_costs_to_learn():
    definition = problem("offload")
    with pytest.raises(UsageError, match="rule greedy expects no costs; those of offload that do: look_ahead"):
        check_rule(definition.bind({}), "offload", replace(SETTINGS, rule="greedy", target="cost"))
