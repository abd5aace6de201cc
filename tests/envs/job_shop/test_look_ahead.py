"""Roll-outs as values: against episodes of the environment itself, and by what they earn."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from agents.dispatcher import RuleDispatcher
from agents.rollout import roll_out
from envs.core import GraphVectorEnv, UsageError
from envs.job_shop import PROBLEM, look_ahead
from envs.job_shop.rules import RULES
from envs.job_shop.verify import verify


def drawn(count, builder="non_delay", sizes=((6, 5),), seed=3):
    problem = PROBLEM.bind({"builder": builder, "sizes": sizes})
    env = GraphVectorEnv(problem, count, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=seed)
    return env


def test_without_noise_a_value_is_the_makespan_of_the_episode_that_follows(monkeypatch):
    monkeypatch.setattr(look_ahead, "NOISE", 0.0)
    env = drawn(1)
    rule = RuleDispatcher(RULES["spt_mwkr_squared"])
    compared = 0
    for _ in range(12):
        mask = env.action_masks()
        values = RULES["look_ahead"].priority(env.state)[0]
        before = env.snapshot()
        for action in np.flatnonzero(mask[0]) if mask.sum() > 1 else ():
            env.restore(before)
            env.step(np.array([action]))
            assert values[action] == _followed(env, rule)
            compared += 1
        env.restore(before)
        env.step(rule.decide(env, {"action_mask": mask}))
    assert compared > 10


def test_values_follow_from_the_state_alone_and_leave_it_alone():
    env = drawn(5, "active")
    state = [array.copy() for array in env.state]
    first, second = (RULES["look_ahead"].priority(env.state) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    for before, after in zip(state, env.state, strict=True):
        np.testing.assert_array_equal(before, after)
    mask = env.action_masks()
    choice = mask.sum(axis=1) > 1
    assert np.isinf(first[~mask]).all()
    assert np.isfinite(first[mask & choice[:, None]]).all()


@pytest.mark.parametrize("builder", ["append", "insertion", "active", "non_delay"])
def test_values_are_makespans_that_can_follow(builder):
    env = drawn(8, builder)
    for _ in range(10):
        values = RULES["look_ahead"].priority(env.state)
        finite = np.isfinite(values)
        assert (values >= env.problem.objective(env.state)[:, None] - 1e-9)[finite].all()
        env.step(RuleDispatcher(RULES["mwkr"]).decide(env, {"action_mask": env.action_masks()}))


def test_looking_ahead_beats_the_rule_that_it_looks_ahead_with():
    env = drawn(20, "active", ((8, 8),))
    instances = [env.instance(lane) for lane in range(20)]

    def mean(rule, builder):
        return np.mean([o.objective for o in roll_out(PROBLEM, {"builder": builder}, instances, RuleDispatcher(rule))])

    assert mean(RULES["look_ahead"], "active") < 0.95 * mean(RULES["spt_mwkr_squared"], "non_delay")


def test_observed_roll_outs_are_episodes_of_the_rules():
    rules = ("spt_mwkr", "spt_mwkr_squared", "mwkr", "mopnr", "fdd_mwkr")
    problem = PROBLEM.bind({"roll_outs": rules, "sizes": ((6, 4),)})
    env = GraphVectorEnv(problem, 1, autoreset_mode=AutoresetMode.DISABLED)
    observation, _ = env.reset(seed=5)
    compared = 0
    for _ in range(10):
        mask, before = observation["action_mask"].copy(), env.snapshot()
        unit = 1.0 / env.state.mean_time[0]
        bound = env.state.bound[0]
        seen = observation["job_dynamic"][0, :, -6:].copy(), observation["context"][0, -5:].copy()
        pilot, best = RULES["pilot"].priority(env.state)[0], {}
        for column, rule in enumerate(rules if mask.sum() > 1 else ()):
            makespans = {}
            for action in np.flatnonzero(mask[0]):
                env.restore(before)
                env.step(np.array([action]))
                makespans[action] = _followed(env, RuleDispatcher(RULES[rule]))
            least = min(makespans.values())
            assert seen[1][column] == pytest.approx((least - bound) * unit, rel=1e-5)
            for action, makespan in makespans.items():
                best[action] = min(best.get(action, np.inf), makespan)
                assert seen[0][action, column] == pytest.approx((makespan - least) * unit, rel=1e-5)
                compared += 1
        for action, makespan in best.items():
            assert seen[0][action, -1] == pytest.approx((makespan - min(best.values())) * unit, rel=1e-5)
            assert makespan <= pilot[action] < makespan * (1 + 1e-3)
        if mask.sum() == 1:
            assert not seen[0].any()
            assert not seen[1].any()
        env.restore(before)
        observation = env.step(RuleDispatcher(RULES["mwkr"]).decide(env, {"action_mask": mask}))[0]
    assert compared > 50


def test_the_pilot_finds_what_any_of_its_rules_finds():
    env = drawn(20, "active", ((8, 8),))
    instances = [env.instance(lane) for lane in range(20)]
    found = {}
    for name in ("pilot", "spt_mwkr", "spt_mwkr_squared", "mwkr", "mopnr", "fdd_mwkr"):
        options = {"builder": "active" if name == "pilot" else "non_delay"}
        found[name] = [o.objective for o in roll_out(PROBLEM, options, instances, RuleDispatcher(RULES[name]))]
    best = np.min([values for name, values in found.items() if name != "pilot"], axis=0)
    assert (np.array(found["pilot"]) <= best).mean() > 0.9  # the rules' schedules are not all within the active builder
    assert np.mean(found["pilot"]) < 0.98 * best.mean()


def test_unknown_roll_outs_are_named():
    with pytest.raises(UsageError, match="roll_outs has 'edd'; expected some of spt_mwkr"):
        PROBLEM.bind({"roll_outs": ("edd",)})


def _followed(env, dispatcher):
    while not env.problem.finished(env.state)[0]:
        env.step(dispatcher.decide(env, {"action_mask": env.action_masks()}))
    return verify(env.problem.instance(env.state, 0), env.problem.solution(env.state, 0))
