"""The flexible job shop: starts, set-ups, builders and roll-outs by hand, the optimum by trying, files, options."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.dispatcher import RandomDispatcher, RuleDispatcher
from agents.rollout import best_of, roll_out
from envs.core import GraphEnv, UsageError, problem
from envs.flexible_job_shop.export import schedule_json, schedule_rows
from envs.flexible_job_shop.instance import (
    format_standard,
    from_operations,
    parse_standard,
    read_instance,
    write_instance,
)
from envs.flexible_job_shop.render import gantt_html, gantt_text
from envs.flexible_job_shop.types import FlexibleJobShopInstance, Schedule
from envs.flexible_job_shop.verify import verify

DEFINITION = problem("flexible_job_shop")
TWO = from_operations("two", 2, [[[(0, 3), (1, 5)], [(1, 2)]], [[(0, 2), (1, 4)]]])
SET_UP = from_operations("set_up", 1, [[[(0, 3)]], [[(0, 2)], [(0, 1)]]], [[[9, 4], [1, 9]]])


def single(**options):
    return GraphEnv(DEFINITION.bind(options))


def legal(env):
    return np.flatnonzero(env.action_masks()).tolist()


@st.composite
def instances(draw, setups=False):
    machines = draw(st.integers(1, 3))
    times = st.dictionaries(st.integers(0, machines - 1), st.integers(1 if setups else 0, 9), min_size=1)
    operation = times.map(lambda choice: list(choice.items()))
    jobs = draw(st.lists(st.lists(operation, min_size=1, max_size=2), min_size=1, max_size=3))
    table = None
    if setups:
        row = st.lists(st.integers(0, 4), min_size=len(jobs), max_size=len(jobs))
        table = [[draw(row) for _ in jobs] for _ in range(machines)]
    return from_operations("drawn", machines, jobs, table)


def best_by_trying(instance):
    """Least makespan over all episodes of the builder "append", which reaches every semi-active schedule."""
    problem_ = DEFINITION.bind({"builder": "append", **DEFINITION.fit([instance])})

    def search(actions):
        env = GraphEnv(problem_)
        env.reset(seed=0, options={"instance": instance})
        done, info = False, {}
        for action in actions:
            _, _, done, _, info = env.step(action)
        if done:
            return info["objective"]
        return min(search([*actions, action]) for action in legal(env))

    return search([])


def test_an_episode_by_hand():
    env = single(builder="append", instances=(TWO,))
    _, info = env.reset(seed=0)
    assert info["objective"] == 5  # 3 + 2, the least times of job 0
    assert legal(env) == [0, 1, 2, 3]
    env.step(2)  # job 1 on machine 0, 0 to 2
    _, _, _, _, info = env.step(0)  # job 0 on machine 0, 2 to 5
    assert info["objective"] == 7
    assert legal(env) == [1]
    _, _, terminated, _, info = env.step(1)
    assert terminated
    assert info["objective"] == verify(TWO, env.solution()) == 7
    np.testing.assert_array_equal(env.solution().starts, [[2, 5], [0, -1]])
    np.testing.assert_array_equal(env.solution().machines, [[0, 1], [0, -1]])


def test_builders_narrow_the_pairs():
    env = single(builder="active", instances=(TWO,))
    env.reset(seed=0)
    assert legal(env) == [0, 2]  # job 1 is done first of all, at 2, on machine 0
    env.step(2)
    assert legal(env) == [0]  # on machine 0 it ends at 5, as on machine 1, whose number is larger
    env = single(builder="non_delay", instances=(TWO,))
    env.reset(seed=0)
    env.step(2)
    assert legal(env) == [1]  # on machine 1 it can start at once


def test_set_ups_stand_between_different_jobs():
    env = single(builder="append", instances=(SET_UP,))
    env.reset(seed=0)
    env.step(0)
    env.step(1)
    _, _, _, _, info = env.step(1)
    np.testing.assert_array_equal(env.solution().starts, [[0, -1], [7, 9]])
    assert info["objective"] == verify(SET_UP, env.solution()) == 10
    early = Schedule(env.solution().machines, np.array([[0, -1], [6, 9]]))
    with pytest.raises(UsageError, match=r"machine 0 starts operation 0 of job 1 at 6; .*the set-up takes 4"):
        verify(SET_UP, early)


def test_features_by_hand():
    env = single(builder="append", instances=(TWO,), roll_outs=("mwkr",))
    observation, _ = env.reset(seed=0)
    mean = (4 + 2 + 3) / 3
    pairs = observation["pair_dynamic"]
    np.testing.assert_allclose(pairs[:, 1], np.array([3, 5, 2, 4]) / mean, rtol=1e-6)
    np.testing.assert_allclose(pairs[:, 2], [3 / 4, 5 / 4, 2 / 3, 4 / 3], rtol=1e-6)
    np.testing.assert_allclose(pairs[:, 6], np.array([1, 3, 0, 2]) / mean, rtol=1e-6)
    # Job 0 on 0, then 1 on 1 (0 to 4), 0 on 1 (4 to 6): 6. Job 0 on 1: 7. Job 1 on 0, 0 on 1: 7. Job 1 on 1, 0 on 0: 6.
    for column in (11, 13):
        np.testing.assert_allclose(pairs[:, column], [0, 1 / 6, 1 / 6, 0], rtol=1e-6)
    np.testing.assert_allclose(pairs[:, 12], np.tanh(20.0 * pairs[:, 11]), rtol=1e-6)
    np.testing.assert_allclose(observation["machine_dynamic"][:, 1], 0.1 * np.array([3.5, 5.5]) / mean, rtol=1e-6)
    np.testing.assert_array_equal(observation["pair_of_job_index"], [[0, 1, 2, 3], [0, 0, 1, 1]])
    np.testing.assert_array_equal(observation["pair_on_machine_index"], [[0, 1, 2, 3], [0, 1, 0, 1]])
    np.testing.assert_allclose(observation["job_dynamic"][:, 3], 0.1 * np.array([6, 3]) / mean, rtol=1e-6)


@settings(deadline=None, max_examples=25)
@given(instances(), st.booleans())
def test_cp_sat_agrees_with_trying_all_episodes(instance, serial):
    result = DEFINITION.solvers["cp_sat"](workers=1 if serial else 2)(instance)
    assert result.status == "optimal"
    assert verify(instance, result.solution) == result.objective == result.bound == best_by_trying(instance)


@settings(deadline=None, max_examples=15)
@given(instances(setups=True))
def test_cp_sat_agrees_with_trying_where_there_are_set_ups(instance):
    result = DEFINITION.solvers["cp_sat"](workers=1)(instance)
    assert verify(instance, result.solution) == result.objective == best_by_trying(instance)


@settings(deadline=None)
@given(instances(setups=True), st.sampled_from(["append", "active", "non_delay"]), st.integers(0, 99))
def test_random_schedules_are_valid(instance, builder, seed):
    outcome = best_of(DEFINITION, {"builder": builder}, instance, RandomDispatcher(seed), 3)
    assert outcome.objective == verify(instance, outcome.solution)


@settings(deadline=None)
@given(instances())
def test_the_pilot_method_is_no_worse_than_its_rules(instance):
    objectives = {
        rule: roll_out(DEFINITION, {}, [instance], RuleDispatcher(DEFINITION.rules[rule]))[0].objective
        for rule in ("pilot", "fifo_eet", "spt_eet", "mwkr_eet", "mopnr_eet", "spt_mwkr_eet")
    }
    assert objectives["pilot"] == min(objectives.values())


def test_rules_order_jobs_and_then_machines():
    bound = DEFINITION.bind({"builder": "append", **DEFINITION.fit([TWO])})
    state = bound.allocate(1)
    bound.load(state, 0, TWO)
    for rule, order in (
        ("mwkr_eet", [0, 1, 2, 3]),
        ("spt_eet", [2, 3, 0, 1]),
        ("lwkr_spt", [2, 3, 0, 1]),
        ("mopnr_least_load", [0, 1, 2, 3]),
        ("any_eet", [2, 0, 3, 1]),
        ("any_least_load", [0, 2, 1, 3]),
    ):
        priority = DEFINITION.rules[rule].priority(state)[0]
        assert np.argsort(priority, kind="stable").tolist() == order, rule


def test_draws_reach_their_range():
    env = DEFINITION.bind({"sizes": ((5, 4), (3, 10)), "setup_high": 3, "times": (5, 10), "spread": 0.2})
    state = env.allocate(40)
    state.generator[:] = np.arange(40)
    env.draw(state, np.arange(40))
    drawn = [env.instance(state, lane) for lane in range(40)]
    assert {one.times.shape[::2] for one in drawn} == {(5, 4), (3, 10)}
    for one in drawn:
        times = one.times[one.times >= 0]
        assert times.min() >= 4
        assert times.max() <= 12
        low, high = int(0.8 * one.machines), int(1.2 * one.machines)
        assert low <= one.operations.min() <= one.operations.max() <= high
        assert one.setups.max() <= 3
        assert not np.diagonal(one.setups, axis1=1, axis2=2).any()
    assert any(one.setups.any() for one in drawn)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"builder": "late"}, "builder is 'late'"),
        ({"sizes": ((0, 3),)}, r"sizes is \[\(0, 3\)\]"),
        ({"operations": (2.0, 1.0)}, r"operations is \[2.0, 1.0\]"),
        ({"times": (0, 5)}, r"times is \[0, 5\]"),
        ({"most_machines": -1}, "most_machines is -1"),
        ({"spread": -0.1}, "spread is -0.1"),
        ({"roll_outs": ("lpt",)}, "roll_outs has 'lpt'"),
        ({"max_jobs": 0}, "max_jobs is 0"),
        ({"reward": "none"}, "reward is 'none'"),
        ({"illegal_action_penalty": -1.0}, "illegal_action_penalty is -1.0"),
        ({"instances": (TWO,), "max_machines": 1}, "two has 2 machines; the environment was made with max_machines=1"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        DEFINITION.bind(options)


def test_files_come_back_as_they_were(tmp_path):
    for instance in (TWO, SET_UP):
        write_instance(instance, tmp_path / "instance.json")
        assert read_instance(tmp_path / "instance.json") == instance
    (tmp_path / "two.fjs").write_text("2 2 1.7\n2 2 1 3 2 5 1 2 2  # job 0\n1 2 1 2 2 4\n")
    assert read_instance(tmp_path / "two.fjs") == TWO
    assert parse_standard(format_standard(TWO), "two") == TWO
    assert parse_standard("1 2\n1 2 0 3 1 4\n", "zero").times.tolist() == [[[3, 4]]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no header"),
        ("2 2\n1 1 1 3\n", "has 1 lines after its header; expected 2"),
        ("1 2\n1 2 1 3\n", "line 2: operation 0 has no, or not all"),
        ("1 2\n1 1 1 3 9\n", "line 2: has 5 numbers; its 1 operations take 4"),
        ("1 2\n1 1 x 3\n", "line 2: expected an integer, found 'x'"),
        ("1 2\n1 1 3 4\n", "operation 0 of job 0 has machine 2; expected 0 to 1"),
        ("1 2\n1 2 1 4 1 5\n", "has machine 0 twice"),
        ("0 2\n", "line 1: 0 is out of range; expected 1"),
        ('{"format": "other"}', "format is 'other'"),
        ('{"format": "flexible_job_shop/1", "machines": 0}', "machines is 0"),
        ('{"format": "flexible_job_shop/1", "machines": 1, "jobs": [[3]]}', "jobs is no table"),
        ('{"format": "flexible_job_shop/1", "machines": 1, "jobs": [], "x": 1}', "unknown field 'x'"),
    ],
)
def test_mistakes_are_named_with_the_file(tmp_path, text, message):
    (tmp_path / "wrong.txt").write_text(text)
    with pytest.raises(UsageError, match=r"wrong\.txt.*" + message):
        read_instance(tmp_path / "wrong.txt")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([1], [[[-1]]]), "no machine can do operation 0 of job 0"),
        (([0], [[[1]]]), r"operations\[0\] is 0"),
        (([1], [[[1], [2]]]), "has times behind its last operation"),
        (([1, 1], [[[1]]]), "times has shape"),
        (([1], [[[0.5]]]), "times holds something else than integers"),
        (([1], [[[1]]], [[[-1]]]), "setups has a time outside"),
        (([1], [[[1]]], [[1]]), "setups has shape"),
        (([1, 1], [[[0]], [[1]]], [[[0, 1], [0, 0]]]), "times has a 0 beside set-up times"),
    ],
)
def test_wrong_instances_are_named(columns, message):
    with pytest.raises(UsageError, match=message):
        FlexibleJobShopInstance("wrong", *columns)


@pytest.mark.parametrize(
    ("machines", "starts", "message"),
    [
        ([[0, 1], [0, -1]], [[0, 3], [2, -1]], "machine 0 starts operation 0 of job 1 at 2"),
        ([[0, 1], [1, -1]], [[0, 2], [5, -1]], "starts at 2, before the end of the one before it, 3"),
        ([[0, 0], [1, -1]], [[0, 3], [5, -1]], "operation 1 of job 0 cannot be done on machine 0"),
        ([[0, 1], [1, -1]], [[0, -1], [5, -1]], "operation 1 of job 0 is not scheduled"),
        ([[0, 1]], [[0, 3]], "machines has shape"),
    ],
)
def test_the_verifier_refuses(machines, starts, message):
    with pytest.raises(UsageError, match=message):
        verify(TWO, Schedule(np.array(machines), np.array(starts)))


def test_exports_and_pictures():
    schedule = Schedule(np.array([[0, 1], [1, -1]]), np.array([[0, 4], [0, -1]]))
    assert verify(TWO, schedule) == schedule_json(TWO, schedule)["makespan"] == 6
    assert [row["end"] for row in schedule_rows(TWO, schedule)] == [3, 4, 6]
    assert gantt_text(TWO, schedule).splitlines()[1:] == ["M0 000...", "M1 111100"]
    assert "operation 1 of job 0 on machine 1: 4 to 6" in gantt_html(TWO, schedule)


def test_benchmarks_are_known_and_checked(monkeypatch, tmp_path):
    from envs.flexible_job_shop.benchmarks import FAMILIES, best_known, digest

    sizes = [sum(known.family == family for known in best_known().values()) for family in FAMILIES]
    assert sizes == [15, 66, 66, 66, 18, 21, 4, 20, 60]
    assert all(known.lower_bound <= known.upper_bound for known in best_known().values())
    assert best_known()["mk10"].reference.is_bound
    monkeypatch.delenv("DISPATCHLAB_DATA", raising=False)
    with pytest.raises(UsageError, match="set the environment variable DISPATCHLAB_DATA"):
        DEFINITION.benchmarks["kacem"]()
    monkeypatch.setenv("DISPATCHLAB_DATA", str(tmp_path))
    with pytest.raises(UsageError, match="has no instance k1"):
        DEFINITION.benchmarks["kacem"]()
    (tmp_path / "flexible_job_shop").mkdir()
    (tmp_path / "flexible_job_shop" / "k1.fjs").write_text(format_standard(TWO))
    with pytest.raises(UsageError, match=f"instance k1 differs from the published one: SHA-256 {digest(TWO)}"):
        DEFINITION.benchmarks["kacem"]()
    (tmp_path / "jobshop").mkdir()
    (tmp_path / "jobshop" / "fjsp_instances.jsonl").write_text(json.dumps({"name": "k1"}) + "\n")


def test_collections_of_other_content_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("DISPATCHLAB_DATA", str(tmp_path))
    (tmp_path / "jobshop").mkdir()
    (tmp_path / "jobshop" / "fjsp_instances.jsonl").write_text(json.dumps({"name": "k1"}) + "\n")
    with pytest.raises(UsageError, match=r"line 1: expected a JSON object with name, machines and ops"):
        DEFINITION.benchmarks["kacem"]()


def test_all_orders_of_a_tiny_shop_are_reached():
    found = set()
    for order in itertools.permutations(range(3)):
        env = single(builder="append", instances=(SET_UP,))
        env.reset(seed=0)
        jobs = [0 if place == 0 else 1 for place in order]
        for job in jobs:
            _, _, _, _, info = env.step(job)
        found.add(info["objective"])
    assert found == {10.0, 7.0, 11.0}
