"""The environment: features by hand, roll-outs, draws, options, files and pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core import GraphEnv, UsageError, problem
from envs.single_machine.export import order_json, order_rows
from envs.single_machine.generators import potts_van_wassenhove
from envs.single_machine.instance import read_instance, write_instance
from envs.single_machine.render import order_html, order_text
from envs.single_machine.types import JobOrder, SingleMachineInstance
from envs.single_machine.verify import verify

DEFINITION = problem("single_machine")
HAND = SingleMachineInstance("hand", [4, 2, 6], [1, 3, 2], [4, 9, 7], [0, 1, 20])


def single(**options):
    return GraphEnv(DEFINITION.bind(options))


def test_features_by_hand():
    env = single(instances=(HAND,))
    observation, _ = env.reset(seed=0)
    static, dynamic = observation["job_static"], observation["job_dynamic"]
    np.testing.assert_allclose(static[:, 0], [1.0, 0.5, 1.5])
    np.testing.assert_allclose(static[:, 1], [0.5, 1.5, 1.0])
    np.testing.assert_allclose(static[:, 3], [4 / 12, 9 / 12, 7 / 12], rtol=1e-6)
    np.testing.assert_allclose(static[:, 4], [0.0, 1 / 12, 20 / 12], rtol=1e-6)
    np.testing.assert_array_equal(observation["action_mask"], [True, False, False])
    # Slack from the moment a job can start, in tenths of the mean time 4: 4-4-0, 9-2-1, 7-6-20.
    np.testing.assert_allclose(dynamic[:, 2], [0.0, 0.15, -0.475], rtol=1e-6)
    np.testing.assert_array_equal(dynamic[:, 4], [0.0, 0.0, 1.0])
    np.testing.assert_allclose(dynamic[:, 5], [0.0, 0.25, 5.0])
    np.testing.assert_allclose(dynamic[:, 6], [0.0, 1.0, 0.5])
    observation, _, _, _, info = env.step(0)
    np.testing.assert_array_equal(observation["action_mask"], [False, True, False])
    np.testing.assert_array_equal(observation["job_dynamic"][0], np.zeros(10))
    assert info["objective"] == 2 * (20 + 6 - 7)
    observation, _, _, _, info = env.step(1)
    np.testing.assert_array_equal(observation["action_mask"], [False, False, True])
    _, _, terminated, _, info = env.step(2)
    assert terminated
    assert info["objective"] == verify(HAND, env.solution()) == 38.0


def test_roll_outs_are_what_the_rule_comes_to():
    instance = SingleMachineInstance("two", [3, 5], [1, 2], [3, 5])
    env = single(instances=(instance,), roll_outs=("wmdd",))
    observation, _ = env.reset(seed=0)
    # 0 first costs 2 (8 - 5) = 6; 1 first costs 1 (8 - 3) = 5.
    np.testing.assert_allclose(observation["job_dynamic"][:, 10], [0.2, 0.0], rtol=1e-6)
    np.testing.assert_allclose(observation["job_dynamic"][:, 11], [np.tanh(10.0), 0.0], rtol=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.6, 0.8]), st.sampled_from([0.2, 1.0]))
def test_draws_are_as_potts_and_van_wassenhove_describe(seed, factor, spread):
    instance = potts_van_wassenhove(30, factor, spread, np.random.default_rng(seed), largest_weight=10)
    total = instance.time.sum()
    assert instance.time.min() >= 1
    assert instance.time.max() <= 100
    assert instance.weight.min() >= 1
    assert instance.weight.max() <= 10
    assert np.all(instance.due >= np.floor(total * (1 - factor - spread / 2)))
    assert np.all(instance.due <= total * (1 - factor + spread / 2))
    assert not instance.release.any()


def test_random_sizes_and_releases_reach_their_range():
    env = DEFINITION.bind({"jobs": (2, 4), "release_range": 1.0, "times": "normal"})
    drawn = [env.random_instance(seed) for seed in range(60)]
    assert {instance.jobs for instance in drawn} == {2, 3, 4}
    assert 50 < np.mean([instance.time.mean() for instance in drawn]) < 70
    assert all(np.all(one.release <= one.time.sum()) for one in drawn)
    assert any(one.release.any() for one in drawn)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jobs": (5, 2)}, r"jobs is \[5, 2\]"),
        ({"tardiness_factors": ()}, r"tardiness_factors is \[\]"),
        ({"due_date_ranges": (3.0,)}, r"due_date_ranges is \[3.0\]"),
        ({"times": "even"}, "times is 'even'"),
        ({"largest_weight": 0}, "largest_weight is 0"),
        ({"release_range": -1.0}, "release_range is -1.0"),
        ({"roll_outs": ("eddc",)}, "roll_outs has 'eddc'"),
        ({"roll_outs": ("mdd", "mdd")}, "roll_outs has 'mdd'"),
        ({"max_jobs": 0}, "max_jobs is 0"),
        ({"reward": "none"}, "reward is 'none'"),
        ({"illegal_action_penalty": -1.0}, "illegal_action_penalty is -1.0"),
        ({"instances": (HAND,), "max_jobs": 2}, "hand has 3 jobs; the environment was made with max_jobs=2"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        DEFINITION.bind(options)


def test_random_instances_must_fit():
    with pytest.raises(UsageError, match="jobs has 5 jobs; the environment was made with max_jobs=3"):
        single(jobs=(5, 5), max_jobs=3).reset(seed=0)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([], [], []), "time is empty"),
        (([0], [1], [1]), r"time\[0\] is 0; expected 1 to"),
        (([1], [-1], [1]), r"weight\[0\] is -1; expected 0 to"),
        (([1], [1], [2**40]), r"due\[0\] is 1099511627776"),
        (([1, 2], [1, 1], [1]), "due has 1 numbers; expected 2, one a job"),
        (([1.5], [1], [1]), "time holds something else than a row of integers"),
    ],
)
def test_wrong_instances_are_named(columns, message):
    with pytest.raises(UsageError, match=message):
        SingleMachineInstance("wrong", *columns)


def test_files_come_back_as_they_were(tmp_path):
    write_instance(HAND, tmp_path / "hand.json")
    assert read_instance(tmp_path / "hand.json") == HAND
    (tmp_path / "hand.txt").write_text("4 2 6  # times\n1 3 2\n4 9 7\n0 1 20\n")
    assert read_instance(tmp_path / "hand.txt") == HAND
    (tmp_path / "plain.txt").write_text("4 2\n1 3\n4 9\n")
    assert not read_instance(tmp_path / "plain.txt").release.any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2\n3 x\n", "line 2: expected an integer, found 'x'"),
        ("1 2\n", "holds 1 rows of numbers"),
        ("1 2\n1 1\n1\n", "due has 1 numbers"),
        ('{"format": "other"}', "format is 'other'"),
        ('{"format": "single_machine/1", "time": [1], "due": [1], "colour": 1}', "unknown field 'colour'"),
        ('{"format": "single_machine/1", "time": 1, "due": [1]}', "p is 1; expected a list of integers"),
        ('{"format": "single_machine/1", "name": 3, "time": [1], "due": [1]}', "name is 3"),
        ("{", "expected a JSON file"),
    ],
)
def test_mistakes_are_named_with_the_file(tmp_path, text, message):
    (tmp_path / "wrong.txt").write_text(text)
    with pytest.raises(UsageError, match=r"wrong\.txt.*" + message):
        read_instance(tmp_path / "wrong.txt")


@pytest.mark.parametrize("jobs", [[0, 1], [0, 1, 1], [0, 1, 3], [0.0, 1.0, 2.0], [[0, 1, 2]]])
def test_the_verifier_refuses_what_is_no_order(jobs):
    with pytest.raises(UsageError, match="hand: the order"):
        verify(HAND, JobOrder(np.array(jobs)))


def test_exports_and_pictures_by_hand():
    order = JobOrder(np.array([0, 1, 2]))
    assert [row["end"] for row in order_rows(HAND, order)] == [4, 6, 26]
    assert order_json(HAND, order)["total_weighted_tardiness"] == 38
    lines = order_text(HAND, order).splitlines()
    assert lines[0] == "hand: 3 of 3 jobs, 1 late, cost 38 (one column = 1)"
    assert lines[1] == "000011" + "." * 14 + "222222"
    assert lines[2] == " " * 20 + "!!!!!!"
    named = SingleMachineInstance("<b>", HAND.time, HAND.weight, HAND.due, HAND.release)
    assert "&lt;b&gt;" in order_html(named, order)
    assert "job 2: 20 to 26, due 7, weight 2, costs 38" in order_html(HAND, order)
