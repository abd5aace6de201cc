"""VM rescheduling as an environment: features by hand, options, capacities, rewards."""

from dataclasses import fields, replace

import numpy as np
import pytest

from envs.core import GraphEnv, UsageError, make_env
from envs.vm_rescheduling.env import VmConfig, VmRescheduling, fit
from envs.vm_rescheduling.types import Objective
from envs.vm_rescheduling.verify import verify

NODE = (44, 131_072)
PAIR = [[NODE, NODE], [NODE, NODE]]
VMS = [
    {"cores": 4, "memory": 32_768, "host": 0, "group": 5},
    {"cores": 64, "memory": 65_536, "numa_count": 2, "host": 2},
    {"cores": 16, "host": 1, "movable": False},
    {"cores": 4, "host": 2, "group": 5},
]


@pytest.fixture(name="instance")
def instance_fixture(build):
    """Free cores 40, 28, 8, 12 of 88; they waste 8 + 12 + 8 + 12."""
    return build(PAIR, VMS, migration_limit=4, in_flight=1)


@pytest.fixture(name="env")
def env_fixture(instance):
    return GraphEnv(VmRescheduling(VmConfig(**fit([instance]))))


def named(env, node, observation):
    features = env.problem.spec.node(node).dynamic
    return {feature.name: observation[f"{node}_dynamic"][:, i] for i, feature in enumerate(features)}


def assert_features(found, expected):
    for name, column in expected.items():
        np.testing.assert_allclose(found[name], column, rtol=1e-6, err_msg=name)


def test_features_of_vms_by_hand(env, instance):
    observation = env.reset(seed=0, options={"instance": instance})[0]
    expected = {
        "running": [1, 1, 1, 1],
        "legal": [1, 0, 0, 1],
        "chosen": [0, 0, 0, 0],
        "gain_of_leaving": [-0.25, 0, 0, -0.25],
        "largest_gain_of_coming": [0.25, -1, 0, 0.25],
        "migrations": [0, 0, 0, 0],
        "free_cores_after_leaving_beyond_16_hold_8": [1, 1, 1, 1],  # 44, 40 (of its first node), 44, 12
        "free_cores_after_leaving_beyond_16_hold_4": [1, 0, 1, 1],
        "free_cores_after_leaving_beyond_16_hold_2": [0, 0, 0, 0],
    }
    found = named(env, "vm", observation)
    assert list(found) == list(expected)
    assert_features(found, expected)
    static = [[0.25, 0.5, 0, 1, 1], [4, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0.25, 0, 0, 1, 1]]
    np.testing.assert_allclose(observation["vm_static"], static)
    assert observation["vm_hosted_on_numa_index"][:, :5].T.tolist() == [[0, 0], [1, 2], [1, 3], [2, 1], [3, 2]]
    assert observation["vm_apart_from_vm_index"][:, :2].T.tolist() == [[0, 3], [3, 0]]


def test_features_of_nodes_machines_and_context_by_hand(env, instance):
    env.reset(seed=0, options={"instance": instance})
    observation = env.step(0)[0]  # the VM of 4 cores: to the other node only, its group is on the other machine
    expected = {
        "legal": [0, 1, 0, 0],
        "free_cores": [40 / 16, 28 / 16, 8 / 16, 12 / 16],
        "free_cores_beyond_pieces": [8 / 16, 12 / 16, 8 / 16, 12 / 16],
        "free_cores_beyond_halves_of_64": [8 / 32, 28 / 32, 8 / 32, 12 / 32],
        "free_memory": [1.5, 2, 1.5, 1.5],
        "held_cores": [0, 0, 0, 0],
        "place_of_chosen": [1, 0, 0, 0],
        "gain_of_chosen_coming": [0, 0.25, 0, 0],
        "free_cores_beyond_16_hold_8": [1, 1, 1, 1],
        "free_cores_beyond_16_hold_4": [0, 1, 0, 1],
        "free_cores_beyond_16_hold_2": [0, 0, 0, 0],
        "free_cores_after_chosen_comes_beyond_16_hold_8": [0, 1, 0, 0],
        "free_cores_after_chosen_comes_beyond_16_hold_4": [0, 0, 0, 0],
        "free_cores_after_chosen_comes_beyond_16_hold_2": [0, 0, 0, 0],
    }
    found = named(env, "numa", observation)
    assert list(found) == list(expected)
    assert_features(found, expected)
    np.testing.assert_allclose(observation["machine_dynamic"], [[0.2, 20 / 16], [0.2, 20 / 16]])
    # Nothing of 64 cores fits: fr64 is 1. Of 6.5 pieces of memory 1.5 are of no use.
    context = [1, 4 / 50, 1, 40 / 88, 1, 1.5 / 6.5, 1, 1, 0, 0, 0, 0, 0, 22 / 16, 0]
    np.testing.assert_allclose(observation["context"], context, rtol=1e-6)
    assert observation["action_mask"].tolist() == [False] * 5 + [False, True, False, False]
    moved = env.step(6)[0]
    assert named(env, "numa", moved)["held_cores"].tolist() == [0.25, 0, 0, 0]
    assert named(env, "vm", moved)["migrations"].tolist() == [1, 0, 0, 0]
    assert moved["context"][1] == pytest.approx(3 / 50)
    assert moved["context"][-1] == 1


def roll(env, instance, seed):
    """Random legal actions to the end; returns the reward of each."""
    rng, rewards, over = np.random.default_rng(seed), [], False
    observation = env.reset(seed=0, options={"instance": instance})[0]
    while not over:
        action = rng.choice(np.flatnonzero(observation["action_mask"]))
        observation, reward, over, _, _ = env.step(action)
        rewards.append(reward)
    return rewards


@pytest.mark.parametrize("reward", ["scaled", "raw"])
@pytest.mark.parametrize("goal", [None, 0.2])
def test_rewards_add_up_to_what_the_plan_gained(random_cluster, reward, goal):
    terms = Objective({"fr16": 1.0, "fr64": 0.5}, goal)
    instance = random_cluster(3, objective=terms, migration_limit=6)
    env = GraphEnv(VmRescheduling(VmConfig(reward=reward, **fit([instance]))))
    for seed in range(5):
        rewards, plan = roll(env, instance, seed), env.solution()
        none = type(plan)(plan.vm[:0], plan.numa[:0])
        unit = 16 / instance.free_cores.sum() if reward == "scaled" and goal is None else 1.0
        assert sum(rewards) == pytest.approx((verify(instance, none) - verify(instance, plan)) / unit)
    # Choosing a VM changes nothing yet.
    first = env.reset(seed=0, options={"instance": instance})[0]
    assert env.step(int(np.flatnonzero(first["action_mask"])[0]))[1] == 0


def test_refused_actions_cost_the_penalty_and_change_nothing(instance):
    env = GraphEnv(VmRescheduling(VmConfig(illegal_action_penalty=0.7, **fit([instance]))))
    before = env.reset(seed=0, options={"instance": instance})[0]
    after, reward, over, _, _ = env.step(2)  # may not be migrated
    assert reward == pytest.approx(-0.7)
    assert not over
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name])


def test_a_stop_ends_with_the_migrations_so_far(env, instance):
    env.reset(seed=0, options={"instance": instance})
    env.step(3)
    env.step(5 + 3)
    over = env.step(4)[2]
    assert over
    assert (env.solution().vm.tolist(), env.solution().numa.tolist()) == ([3], [3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "small"}, "source is 'small'; expected one of synthetic, medium, large"),
        ({"mix": "tiny"}, "mix is 'tiny'"),
        ({"reward": "bound"}, "reward is 'bound'"),
        ({"machines": 0}, "machines is 0; expected at least 1"),
        ({"migration_limit": 0}, "migration_limit is 0"),
        ({"max_vms": 0}, "max_vms is 0"),
        ({"churn": -1.0}, "churn is -1.0"),
        ({"in_flight": -1}, "in_flight is -1"),
        ({"delay": float("inf")}, "delay is inf"),
        ({"fr64": -0.5}, "fr64 is -0.5"),
        ({"keep_low": 0.9, "keep_high": 0.8}, "keep_low is 0.9, keep_high 0.8"),
        ({"affinity": 1.5}, "affinity 1.5"),
        ({"fr16": 0.0}, "objective has no term"),
        ({"goal": -0.1}, "goal -0.1"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        VmConfig(**options)


@pytest.mark.parametrize("name", ["vms", "numas", "machines", "types", "migrations"])
def test_what_does_not_fit_is_named(instance, name):
    room = fit([instance])
    assert room == {
        "max_vms": 4,
        "max_numas": 4,
        "max_machines": 2,
        "max_types": 4,
        "max_migrations": 4,
        "max_events": 1,
    }
    problem = VmRescheduling(VmConfig(**{**room, f"max_{name}": room[f"max_{name}"] - 1}))
    with pytest.raises(UsageError, match=f"tiny has {room[f'max_{name}']} {name}, but max_{name} is"):
        GraphEnv(problem).reset(seed=0, options={"instance": instance})


def test_random_instances_are_what_the_options_say():
    options = {"affinity": 1.0, "churn": 2.0, "delay": 1.0, "migration_seconds": 0.5, "in_flight": 2, "fr64": 0.5}
    env = make_env("vm_rescheduling", machines=3, pool=1, goal=0.3, migration_limit=5, **options)
    seen, changes = set(), False
    for seed in range(5):
        env.reset(seed=seed)
        drawn = env.instance()
        assert (len(drawn.machines.names), drawn.migration_limit, drawn.in_flight) == (3, 5, 2)
        assert (drawn.delay, drawn.migration_seconds) == (1.0, 0.5)
        assert (dict(drawn.objective.weights), drawn.objective.goal) == ({"fr16": 1.0, "fr64": 0.5}, 0.3)
        changes |= drawn.changes
        seen.add((len(drawn.vms.names), tuple(drawn.vms.arrival)))
    assert len(seen) == 5
    assert changes


def test_an_instance_is_read_back_from_the_state():
    """A drawn instance lives in the state alone; loading it again gives the same episode."""
    env = make_env("vm_rescheduling", machines=3, pool=1, affinity=0.5, churn=1.0, migration_seconds=1.0)
    observation = env.reset(seed=4)[0]
    drawn = env.instance()
    again = env.reset(seed=0, options={"instance": replace(drawn, name="again")})[0]
    for name, array in observation.items():
        np.testing.assert_array_equal(array, again[name], err_msg=name)
    for part in ("machines", "vms"):
        for each in fields(getattr(drawn, part)):
            np.testing.assert_array_equal(
                getattr(getattr(drawn, part), each.name), getattr(getattr(env.instance(), part), each.name)
            )
