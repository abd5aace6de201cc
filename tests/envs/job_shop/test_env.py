"""The job shop environment: features by hand, options, capacities, rewards and the catalogue entry."""

import subprocess
import sys
from math import log

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.core import GraphEnv, GraphVectorEnv, UsageError, make_env, make_vector_env
from envs.job_shop import PROBLEM
from envs.job_shop.env import JobShop, JobShopConfig, fit
from envs.job_shop.types import JobShopInstance

SMALL = JobShopInstance("small", [[0, 1], [1, 0], [0, 1]], [[3, 2], [2, 4], [4, 3]], 2)
LARGE = JobShopInstance("large", np.tile(np.arange(3), (4, 1)), np.arange(1, 13).reshape(4, 3), 3)


def named(spec, node, key, observation):
    """Features by name: ``{name: column}``."""
    node_type = spec.node(node)
    features = getattr(node_type, key)
    return {feature.name: observation[f"{node}_{key}"][:, i] for i, feature in enumerate(features)}


@pytest.fixture
def after_job_0():
    """SMALL after job 0 took machine 0 from 0 to 3: now is 0, the mean time 3, the bound 11 as at the start."""
    env = GraphEnv(JobShop(JobShopConfig(wait=True, **fit([SMALL]))))
    env.reset(seed=0, options={"instance": SMALL})
    return env, env.step(0)[0]


def test_job_features_by_hand(after_job_0):
    env, observation = after_job_0
    expected = {
        "unfinished": [1, 1, 1],
        "legal": [0, 1, 0],
        "ready_time_after_now": [1, 0, 0],
        "earliest_start_after_now": [1, 0, 1],
        "processing_time": [2 / 3, 2 / 3, 4 / 3],
        "processing_time_over_remaining_work": [1, 1 / 3, 4 / 7],
        "log_processing_time_over_remaining_work": [0, log(1 / 3), log(4 / 7)],
        "remaining_work": [2 / 11, 6 / 11, 7 / 11],
        "work_after_operation": [0, 4 / 11, 3 / 11],
        "fraction_of_operations_remaining": [1 / 2, 1, 1],
        "slack": [6 / 11, 5 / 11, 1 / 11],
        "machine_remaining_load": [7 / 11, 7 / 11, 8 / 11],
        "machine_slack": [4 / 11, 4 / 11, 0],
        "share_of_unfinished_jobs_at_same_machine": [2 / 3, 2 / 3, 1 / 3],
        "waiting_time": [0, 0, 1],
        "processing_time_of_following_operation": [0, 4 / 3, 1],
        "free_time_of_following_machine_after_completion": [0, 1 / 3, -7 / 3],
        "remaining_load_of_following_machine": [0, 8 / 11, 7 / 11],
        "flow_due_date_over_due_date_plus_remaining_work": [5 / 7, 2 / 8, 4 / 11],
        "completion_after_first_completion_at_same_machine": [1, 0, 0],
        "log_ratio_above_best_competitor_at_same_machine": [log(3), log(1 / 3), 0],
    }
    found = named(env.problem.spec, "job", "dynamic", observation)
    assert list(found) == list(expected)
    for name, column in found.items():
        np.testing.assert_allclose(column, expected[name], rtol=1e-6, err_msg=name)


def test_machine_wait_and_context_features_by_hand(after_job_0):
    _, observation = after_job_0
    machines = [[1, 8 / 11, 2 / 3, 0, 1 / 3, 4 / 3, 1], [0, 7 / 11, 1, 4 / 11, 2 / 3, 4 / 3, 0]]
    np.testing.assert_allclose(observation["machine_dynamic"], machines, rtol=1e-6)
    np.testing.assert_allclose(observation["wait_dynamic"], [[1, 1]])  # legal, a jump of 3 units
    context = [1 / 6, 0, 0, log(3), log(2), log(1.5), 0, 0, 0, 1, 1]
    np.testing.assert_allclose(observation["context"], context, rtol=1e-6)
    assert observation["action_mask"].tolist() == [False, True, False, True]
    assert observation["counts"].tolist() == [6, 3, 2, 1, 3, 6, 6, 3, 3]


def test_operation_features_by_hand(after_job_0):
    env, observation = after_job_0
    first = {
        "processing_time": 1,
        "fraction_of_job_work_before": 0,
        "fraction_of_job_work_after": 2 / 5,
        "head": 0,
        "tail": 2 / 11,
        "processing_time_above_job_lower_quartile": 0.75 / 3,  # times 2, 3
        "processing_time_above_job_median": 0.5 / 3,
        "processing_time_above_job_upper_quartile": 0.25 / 3,
        "processing_time_above_machine_lower_quartile": -0.5 / 3,  # times 3, 4, 4
        "processing_time_above_machine_median": -1 / 3,
        "processing_time_above_machine_upper_quartile": -1 / 3,
        "machine_load": 1,
    }
    found = named(env.problem.spec, "operation", "static", observation)
    assert list(found) == list(first)
    for name, column in found.items():
        assert column[0] == pytest.approx(first[name], rel=1e-6), name
    np.testing.assert_allclose(found["head"], np.array([0, 3, 0, 2, 0, 4]) / 11, rtol=1e-6)


def test_edges_by_hand(after_job_0):
    _, observation = after_job_0
    assert observation["operation_precedes_operation_index"].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert observation["operation_runs_on_machine_index"].tolist() == [[0, 1, 2, 3, 4, 5], [0, 1, 1, 0, 0, 1]]
    assert observation["operation_part_of_job_index"].tolist() == [[0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 2]]
    assert observation["job_next_operation_index"].tolist() == [[0, 1, 2], [1, 2, 4]]
    assert observation["job_needs_machine_index"].tolist() == [[0, 1, 2], [1, 1, 0]]


def test_finished_jobs_lose_their_edges_and_features():
    env = GraphEnv(JobShop(JobShopConfig(builder="append", **fit([SMALL]))))
    env.reset(seed=0, options={"instance": SMALL})
    env.step(1)
    observation = env.step(1)[0]
    assert not observation["job_dynamic"][1].any()
    assert observation["job_next_operation_index"].tolist() == [[0, 2, -1], [0, 4, -1]]
    assert observation["counts"].tolist()[-2:] == [2, 2]
    assert observation["action_mask"].tolist() == [True, False, True]


def test_quartiles_are_numpys():
    rng = np.random.default_rng(0)
    instance = JobShopInstance("x", rng.integers(0, 4, (5, 6)), rng.integers(0, 50, (5, 6)), 5)  # machine 4 is unused
    env = GraphEnv(JobShop(JobShopConfig(**fit([instance]))))
    static = env.reset(seed=0, options={"instance": instance})[0]["operation_static"].reshape(5, 6, 12)
    times, mean = instance.times, instance.times.mean()
    for q, share in enumerate((25, 50, 75)):
        by_job = (times - np.percentile(times, share, axis=1)[:, None]) / mean
        np.testing.assert_allclose(static[:, :, 5 + q], by_job, rtol=1e-5, atol=1e-6)
        for machine in range(4):
            own = instance.machines == machine
            by_machine = (times[own] - np.percentile(times[own], share)) / mean
            np.testing.assert_allclose(static[own, 8 + q], by_machine, rtol=1e-5, atol=1e-6)


def test_smaller_instance_leaves_nothing_of_a_larger_one():
    config = JobShopConfig(builder="append", **fit([SMALL, LARGE]))
    used = GraphEnv(JobShop(config))
    used.reset(seed=0, options={"instance": LARGE})
    for action in (0, 0, 1, 2, 3):
        used.step(action)
    fresh = GraphEnv(JobShop(config))
    expected = fresh.reset(seed=0, options={"instance": SMALL})[0]
    for key, array in used.reset(options={"instance": SMALL})[0].items():
        np.testing.assert_array_equal(array, expected[key], err_msg=key)
    assert used.instance() == SMALL
    assert used.instance().name == "small"
    assert (used.solution().starts == -1).all()


@pytest.mark.parametrize(("reward", "unit", "penalty"), [("raw", 1, 1.0), ("scaled", 11, 0.1)])
def test_rewards(reward, unit, penalty):
    env = GraphEnv(JobShop(JobShopConfig(builder="active", reward=reward, **fit([SMALL]))))
    env.reset(seed=0, options={"instance": SMALL})
    assert env.step(0)[1] == -penalty  # only job 1 is a candidate
    assert env.step(1)[1] == 0
    assert env.step(1)[1] == -2 / unit  # machine 0 starts with job 1, at 2


def test_penalty_is_an_option():
    assert JobShop(JobShopConfig(illegal_action_penalty=0.0)).illegal_action_penalty == 0.0


def test_registered_with_gymnasium():
    single = gymnasium.make("envs:dispatchlab/JobShop-v0", builder="insertion", sizes=((3, 2),))
    assert single.reset(seed=0)[0]["job_dynamic"].shape == (3, 21)
    vector = gymnasium.make_vec(
        "dispatchlab/JobShop-v0", num_envs=4, vectorization_mode="vector_entry_point", builder="active"
    )
    assert isinstance(vector.unwrapped, GraphVectorEnv)
    assert vector.reset(seed=0)[0]["action_mask"].shape == (4, 10)


@pytest.mark.parametrize("builder", ["append", "insertion", "active", "non_delay"])
def test_lanes_of_different_sizes(builder):
    env = GraphVectorEnv(
        JobShop(JobShopConfig(builder=builder, **fit([SMALL, LARGE]))), 2, autoreset_mode=AutoresetMode.DISABLED
    )
    env.reset(seed=0, options={"instances": [SMALL, LARGE]})
    done = np.zeros(2, bool)
    while not done.all():
        done |= env.step(env.action_masks().argmax(axis=1))[2]
    for lane, instance in enumerate((SMALL, LARGE)):
        assert PROBLEM.verify(instance, env.solution(lane)) == env.problem.objective(env.state)[lane]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"builder": "semi"}, "builder is 'semi'; expected one of append, insertion, active, non_delay"),
        ({"builder": "active", "wait": True}, "wait is True with builder 'active'"),
        ({"sizes": ((0, 3),)}, r"sizes has the entry \(0, 3\)"),
        ({"sizes": ((3, 3, 3),)}, r"sizes has the entry \(3, 3, 3\)"),
        ({"sizes": ()}, "sizes is empty"),
        ({"reward": "dense"}, "reward is 'dense'; expected one of scaled, raw"),
        ({"time_low": 5, "time_high": 4}, "time_low is 5 and time_high 4"),
        ({"time_low": -1}, "time_low is -1"),
        ({"time_high": 2**31}, "time_high 2147483648"),
        ({"max_jobs": 0}, "max_jobs is 0; expected at least 1"),
        ({"illegal_action_penalty": -1.0}, "illegal_action_penalty is -1.0"),
        ({"instances": (LARGE,), "max_jobs": 3}, "instance large has 4 jobs; the environment was made with max_jobs=3"),
        ({"colour": 1}, "dispatchlab/JobShop-v0 has no option 'colour'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UsageError, match=message):
        make_env("job_shop", **options)


def test_sizes_beyond_the_capacity():
    env = make_env("job_shop", sizes=((4, 5),), max_jobs=4, max_machines=4)
    with pytest.raises(UsageError, match=r"sizes entry \(4, 5\) has 5 machines; .* max_machines=4"):
        env.reset(seed=0)


def test_instance_beyond_the_capacity():
    env = make_env("job_shop", sizes=((3, 3),))
    with pytest.raises(UsageError, match="instance large has 4 jobs; the environment was made with max_jobs=3"):
        env.reset(seed=0, options={"instance": LARGE})


def test_fit_holds_instances_of_any_shape():
    flat = JobShopInstance("flat", np.zeros((2, 7), np.int32), np.ones((2, 7), np.int32), 1)
    assert fit([SMALL, LARGE, flat]) == {"max_jobs": 4, "max_operations": 7, "max_machines": 3}


def test_plain_sequences_are_accepted_as_sizes():
    config = JobShopConfig(sizes=[[3, 2], [4, 4]])
    assert config.sizes == ((3, 2), (4, 4))
    assert make_vector_env("job_shop", 2, options={"sizes": [[3, 2]]}).single_action_space.n == 3


def test_names_of_instances_survive_snapshots():
    env = make_env("job_shop", instances=(SMALL,), max_jobs=4, max_operations=3, max_machines=3)
    env.reset(seed=0)
    saved = env.snapshot()
    env.reset(options={"instance": LARGE})
    assert env.instance().name == "large"
    env.restore(saved)
    assert env.instance().name == "small"


def test_schedule_as_rows_and_json():
    env = make_env("job_shop", builder="append", sizes=((3, 2),))
    env.reset(seed=0, options={"instance": SMALL})
    for action in (0, 1, 2, 0):
        env.step(action)
    rows = PROBLEM.solution_to_rows(SMALL, env.solution())
    assert rows == [
        {"job": 0, "operation": 0, "machine": 0, "start": 0, "end": 3},
        {"job": 2, "operation": 0, "machine": 0, "start": 3, "end": 7},
        {"job": 1, "operation": 0, "machine": 1, "start": 0, "end": 2},
        {"job": 0, "operation": 1, "machine": 1, "start": 3, "end": 5},
    ]
    data = PROBLEM.solution_to_json(SMALL, env.solution())
    assert data == {"instance": "small", "jobs": 3, "machines": 2, "makespan": 7, "operations": rows}


def test_import_stays_light():
    heavy = "torch", "ortools", "matplotlib", "pandas", "stable_baselines3"
    code = f"import sys, envs, envs.core; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
