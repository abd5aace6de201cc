"""Returns, objectives and the independent verifier agree, whoever decides."""

import json

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.core import UsageError
from envs.core.problem import Problem

LANES = 8


def finish(case, tools, decide, seed=0, **shell):
    """Plays ``LANES`` episodes; returns environment, returns, units, and objectives and potentials along the way."""
    env = case.vector(LANES, autoreset_mode=AutoresetMode.DISABLED, **shell)
    _, info = env.reset(seed=seed)
    unit, objectives, returns = info["reward_unit"], [info["objective"]], np.zeros(LANES)
    potentials = [env.problem.potential(env.state)]
    ended = np.zeros(LANES, bool)
    for _ in range(tools.step_limit):
        _, rewards, terminated, _, info = env.step(decide(env))
        assert not info["invalid_action"].any()
        np.testing.assert_array_equal(info["reward_unit"], unit)
        returns += rewards
        objectives.append(info["objective"])
        potentials.append(env.problem.potential(env.state))
        ended |= terminated
        if ended.all():
            return env, returns, unit, np.array(objectives), np.array(potentials)
    raise AssertionError(f"episodes did not end within {tools.step_limit} decisions")


def assert_verified(case, env, returns, unit, objectives, potentials):
    final = objectives[-1]
    np.testing.assert_allclose([case.verified(env, lane) for lane in range(LANES)], final, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(returns * unit, potentials[0] - potentials[-1], rtol=1e-9, atol=1e-7)
    if type(env.problem).potential is Problem.potential and not env.problem.improves:
        assert np.all(objectives <= final + 1e-9)
    assert np.all(unit > 0)


@pytest.mark.parametrize("seed", [0, 100])
def test_random_decisions_give_verified_solutions(case, tools, seed):
    rng = np.random.default_rng(seed)
    assert_verified(case, *finish(case, tools, lambda env: tools.random_actions(env, rng), seed))


def test_rules_give_verified_solutions(case, tools):
    for rule in case.definition.rules.values():
        result = finish(case, tools, lambda env, rule=rule: tools.best_actions(env, rule.priority(env.state)))
        assert_verified(case, *result)


def test_reversed_rules_give_verified_solutions(case, tools):
    for rule in case.definition.rules.values():
        result = finish(case, tools, lambda env, rule=rule: tools.best_actions(env, -rule.priority(env.state)))
        assert_verified(case, *result)


def test_forced_decisions_can_be_left_to_the_environment(case, tools):
    def last_legal(env):
        masks = env.action_masks()
        return masks.shape[1] - 1 - masks[:, ::-1].argmax(axis=1)

    def counted(env):
        masks = env.action_masks()
        running = masks.any(axis=1)
        asked.append(masks[running].sum(axis=1))
        return last_legal(env)

    asked = []
    env, returns, _, objectives, _ = finish(case, tools, counted, skip_forced=True)
    assert all(np.all(legal > 1) for legal in asked[1:])
    other, other_returns, _, other_objectives, _ = finish(case, tools, last_legal)
    assert len(objectives) <= len(other_objectives)
    np.testing.assert_array_equal(objectives[-1], other_objectives[-1])
    np.testing.assert_allclose(returns, other_returns, rtol=1e-9, atol=1e-12)
    for lane in range(LANES):
        exports = (case.definition.solution_to_json(e.instance(lane), e.solution(lane)) for e in (env, other))
        assert next(exports) == next(exports)


def test_first_legal_action_gives_verified_solutions(case, tools):
    assert_verified(case, *finish(case, tools, lambda env: env.action_masks().argmax(axis=1)))


def test_last_legal_action_gives_verified_solutions(case, tools):
    last = case.definition.bind(case.options).spec.num_actions - 1
    assert_verified(case, *finish(case, tools, lambda env: last - env.action_masks()[:, ::-1].argmax(axis=1)))


def test_rules_are_deterministic_numbers_of_the_state(case, tools):
    env = case.vector(LANES)
    env.reset(seed=0)
    before = env.snapshot()
    for name, rule in case.definition.rules.items():
        priority = rule.priority(env.state)
        assert priority.shape == env.action_masks().shape
        assert not np.isnan(priority[env.action_masks()]).any()
        np.testing.assert_array_equal(priority, rule.priority(env.state))
        assert name == rule.name
        assert rule.source.strip()
    assert tools.same_state(before, env.snapshot())


def test_unfinished_solutions_are_refused(case, tools):
    env = case.single()
    _, info = env.reset(seed=0)
    if env.unwrapped.problem.improves:
        assert case.definition.verify(env.instance(), env.solution()) == pytest.approx(info["objective"])
        return
    with pytest.raises(UsageError):
        case.definition.verify(env.instance(), env.solution())


def test_solvers_give_verified_solutions_within_their_bounds(case, tools):
    env, _, _, objectives, _ = finish(case, tools, lambda env: env.action_masks().argmax(axis=1))
    for name, factory in case.definition.solvers.items():
        for lane in range(2):
            instance = env.instance(lane)
            try:
                result = factory()(instance, seed=0)
            except UsageError as error:
                assert instance.name in str(error), "a refusal names the instance"
                continue
            assert case.definition.verify(instance, result.solution) == pytest.approx(result.objective), name
            if result.bound is not None:
                assert result.bound <= result.objective + 1e-6
                assert result.bound <= objectives[-1][lane] + 1e-6, "a schedule beats a proven bound"
            if result.status == "optimal":
                assert result.objective <= objectives[-1][lane] + 1e-6


def test_solutions_can_be_written_down(case, tools):
    env, *_ = finish(case, tools, lambda env: env.action_masks().argmax(axis=1))
    instance, solution = env.instance(0), env.solution(0)
    data = case.definition.solution_to_json(instance, solution)
    assert data
    assert json.loads(json.dumps(data)) == data
    rows = case.definition.solution_to_rows(instance, solution)
    assert rows
    assert all(row.keys() == rows[0].keys() for row in rows)


def test_chart_is_self_contained(case, tools):
    env, *_ = finish(case, tools, lambda env: env.action_masks().argmax(axis=1))
    chart = case.definition.chart_html(env.instance(0), env.solution(0))
    assert "<svg" in chart
    assert "src=" not in chart
    assert "<link" not in chart


def test_given_instances_are_run_and_reported(case, tools):
    env, *_ = finish(case, tools, lambda env: env.action_masks().argmax(axis=1))
    instances = [env.instance(lane) for lane in range(LANES)]
    again = case.vector(LANES)
    again.reset(options={"instances": instances})
    assert [again.instance(lane) for lane in range(LANES)] == instances
    single = case.single()
    single.reset(seed=1, options={"instance": instances[3]})
    assert single.instance() == instances[3]


def test_fit_gives_room_for_instances(definition):
    instances = []
    for variant in definition.variants:
        env = definition.bind(variant)
        state = env.allocate(1)
        state.generator[0] = 1
        env.draw(state, np.array([0]))
        instances.append(env.instance(state, 0))
    roomy = definition.bind(definition.fit(instances))
    state = roomy.allocate(len(instances))
    for lane, instance in enumerate(instances):
        roomy.load(state, lane, instance)
        assert roomy.instance(state, lane) == instance
    for variant in definition.variants:
        tight = definition.bind(variant)
        state = tight.allocate(1)
        for instance in instances:
            try:
                tight.load(state, 0, instance)
            except UsageError:
                continue
            assert tight.instance(state, 0) == instance


@pytest.mark.parametrize("content", [None, b"", b"\x00\xff\x00\xff", b"one two three\n"])
def test_bad_instance_files_are_usage_errors(definition, tmp_path, content):
    path = tmp_path / "instance.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"instance\.txt") as error:
        definition.read_instance(path)
    assert "\n" not in str(error.value)


def test_unknown_options_are_usage_errors(definition):
    with pytest.raises(UsageError, match=r"has no option 'no_such_option'"):
        definition.bind({"no_such_option": 1})
