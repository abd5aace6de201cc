"""The flat baseline: what it reads, and the capacity it is tied to."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.evaluation.methods import build_methods
from agents.policy_dispatcher import PolicyDispatcher
from agents.ppo.config import PPOConfig
from agents.run import TrainingRun, ValidationConfig
from agents.training import train
from envs.core import GraphVectorEnv, UsageError, problem
from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS, EdgeType, Feature, GraphSpec, NodeType
from envs.job_shop.generators import uniform
from models.batch import decision_graph, static_graph
from models.build import make_network
from models.config import FlatConfig, ModelConfig
from models.flat import FlatNetwork
from models.network import PolicyNetwork

JOB_SHOP = problem("job_shop")
OPTIONS = {"builder": "non_delay", "max_jobs": 4, "max_machines": 3, "max_operations": 3}


def make_spec(tasks=3, servers=2, edges=4):
    nodes = (
        NodeType("task", tasks, static=(Feature("work"),), dynamic=(Feature("age"), Feature("left"))),
        NodeType("server", servers),
    )
    runs = EdgeType("task", "runs_on", "server", edges, static=True, features=(Feature("time"),))
    waits = EdgeType("server", "waits_for", "task", edges, static=False)
    return GraphSpec(nodes, (runs, waits), ("server", "task"), (Feature("clock"),))


def observe(spec):
    """One observation: two tasks, one server, two static edges and one dynamic one."""
    observation = spec.allocate(1)
    observation["task_static"][0, :2, 0] = [1.0, -3.0]
    observation["task_dynamic"][0, :2] = [[0.5, 2.0], [7.0, 0.0]]
    observation["task_runs_on_server_index"][0, :, :2] = [[0, 1], [0, 0]]
    observation["task_runs_on_server_features"][0, :2, 0] = [4.0, 5.0]
    observation["server_waits_for_task_index"][0, :, :1] = [[0], [1]]
    observation[CONTEXT][0] = 9.0
    observation[COUNTS][0] = [2, 1, 2, 1]
    observation[ACTION_MASK][0, 0] = True
    first_task = spec.action_offset("task")
    observation[ACTION_MASK][0, first_task : first_task + 2] = True
    return observation


def evaluate(network, spec, observation):
    arrays = {key: torch.from_numpy(array) for key, array in observation.items()}
    rows = torch.arange(len(arrays[ACTION_MASK]))
    static = static_graph(spec, arrays, rows)
    return network.decide(network.encode(static), decision_graph(spec, arrays, arrays, rows))


def squashed(*values):
    return [math.copysign(math.log1p(abs(value)), value) for value in values]


def test_the_input_is_every_array_in_its_place():
    spec = make_spec()
    network = make_network(spec, FlatConfig((5,)))
    seen = []
    network.body.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    logits, values = evaluate(network, spec, observe(spec))
    expected = [
        *squashed(1.0, -3.0, 0.0),  # task_static
        *(1 / 3, 2 / 3, 0, 0, 1 / 2, 1 / 2, 0, 0),  # static edges: place of the source, then of the target, from 1
        *squashed(4.0, 5.0, 0.0, 0.0),
        *squashed(0.5, 2.0, 7.0, 0.0, 0.0, 0.0),  # task_dynamic
        *(1 / 2, 0, 0, 0, 2 / 3, 0, 0, 0),
        *squashed(9.0),
        *(2 / 3, 1 / 2, 2 / 4, 1 / 4),  # counts
    ]
    torch.testing.assert_close(seen[0], torch.tensor([expected]))
    assert logits.shape == (1, 5)
    assert values.shape == (1,)


def test_hidden_layers_have_the_widths_asked_for():
    network = make_network(make_spec(), FlatConfig())
    layers = [layer.out_features for layer in network.body if isinstance(layer, torch.nn.Linear)]
    assert layers == [512, 256]
    assert isinstance(make_network(make_spec(), ModelConfig(hidden=8)), PolicyNetwork)


def test_a_smaller_environment_is_padded():
    large, small = make_spec(6, 4, 9), make_spec()
    network = make_network(large, FlatConfig((16,)))
    logits, values = evaluate(network, large, observe(large))
    other, other_values = evaluate(network, small, observe(small))
    torch.testing.assert_close(other_values, values)
    torch.testing.assert_close(other[:, :2], logits[:, :2])
    torch.testing.assert_close(other[:, 2:], logits[:, 4:7])
    assert network.holds(small)
    assert network.holds(large)


@pytest.mark.parametrize(
    ("offered", "message"),
    [
        (make_spec(tasks=4), "room for 3 task, this one has room for 4; expected at most 3"),
        (make_spec(servers=3), "room for 2 server, this one has room for 3"),
        (make_spec(edges=5), "room for 4 task_runs_on_server, this one has room for 5"),
    ],
)
def test_a_larger_environment_is_refused(offered, message):
    network = make_network(make_spec(), FlatConfig((8,)))
    assert not network.holds(offered)
    with pytest.raises(UsageError, match=message):
        evaluate(network, offered, observe(offered))


def test_the_shape_remembers_its_capacities():
    network = make_network(make_spec(), FlatConfig((8,)))
    assert network.config.capacities == {
        "task": 3, "server": 2, "task_runs_on_server": 4, "server_waits_for_task": 4,
    }  # fmt: skip
    again = make_network(make_spec(9, 9, 9), network.config)
    again.load_state_dict(network.state_dict())
    torch.testing.assert_close(
        evaluate(again, make_spec(), observe(make_spec())), evaluate(network, make_spec(), observe(make_spec()))
    )
    with pytest.raises(UsageError, match=r"model\.capacities is for task; expected task, server"):
        make_network(make_spec(), FlatConfig((8,), {"task": 3}))


def test_encoding_once_equals_encoding_at_every_decision():
    instances = [uniform(4, 3, np.random.default_rng(seed), name=str(seed)) for seed in range(3)]
    env = GraphVectorEnv(JOB_SHOP.bind({**OPTIONS, **JOB_SHOP.fit(instances)}), 3)
    observation, _ = env.reset(seed=0, options={"instances": instances})
    spec = env.problem.spec
    network = make_network(spec, FlatConfig((16,)))
    dispatcher = PolicyDispatcher(network, "flat")
    dispatcher.reset(env, observation)
    rng = np.random.default_rng(0)
    for _ in range(6):
        logits, _ = evaluate(network, spec, observation)
        mask = torch.from_numpy(observation[ACTION_MASK])
        torch.testing.assert_close(dispatcher.logits(spec, observation)[mask], logits[mask].detach())
        actions = np.where(observation[ACTION_MASK], rng.random(observation[ACTION_MASK].shape), -1).argmax(axis=1)
        observation = env.step(actions)[0]


def test_training_keeps_a_checkpoint_that_evaluates_on_what_it_has_room_for(tmp_path):
    options = {"builder": "non_delay", "sizes": ((4, 3),)}
    ppo = PPOConfig(decisions=96, lanes=4, steps=12, minibatch=24, epochs=1, threads=1)
    run = TrainingRun("flat", "job_shop", options, FlatConfig((16,)), ppo, ValidationConfig({}, instances=2, every=0))
    folder = train(JOB_SHOP, run, tmp_path)
    (method,) = build_methods(JOB_SHOP, [f"checkpoint:{folder}"], {}, 8)
    small, same, large = (uniform(n, 3, np.random.default_rng(n), name=str(n)) for n in (2, 4, 5))
    outcomes = [outcome for batch in method.run([small, same], [0, 0]) for outcome in batch]
    assert {outcome.instance.name for outcome in outcomes} == {"2", "4"}
    with pytest.raises(UsageError, match="the flat policy was built for environments with room for"):
        list(method.run([large], [0]))


def test_room_is_made_for_validation_too_unless_the_shape_says_how_much(tmp_path):
    options = {"builder": "non_delay", "sizes": ((4, 3),)}
    ppo = PPOConfig(decisions=48, lanes=4, steps=12, minibatch=24, epochs=1, threads=1)
    validation = ValidationConfig({"sizes": ((5, 3),)}, instances=2, every=0)
    run = TrainingRun("flat", "job_shop", options, FlatConfig((16,)), ppo, validation)
    folder = train(JOB_SHOP, run, tmp_path / "fits")
    (method,) = build_methods(JOB_SHOP, [f"checkpoint:{folder}"], {}, 8)
    assert len(list(method.run([uniform(5, 3, np.random.default_rng(0), name="5")], [0]))) == 1
    own = JOB_SHOP.bind(options).spec.capacities
    tied = replace(run, model=FlatConfig((16,), own))
    with pytest.raises(UsageError, match=r"model.capacities is 12 for operation, but validation needs room for 15"):
        train(JOB_SHOP, tied, tmp_path / "larger")
    assert not (tmp_path / "larger").exists()


def test_gradients_reach_every_parameter():
    spec = make_spec()
    network = make_network(spec, FlatConfig((8, 8)))
    assert isinstance(network, FlatNetwork)
    logits, values = evaluate(network, spec, observe(spec))
    (logits.square().sum() + values.square().sum()).backward()
    assert all(
        parameter.grad is not None and torch.isfinite(parameter.grad).all() for parameter in network.parameters()
    )
