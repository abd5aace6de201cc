"""The alternating encoder: who hears whom, and that it starts as nothing."""

import numpy as np
import torch

from envs.core import GraphVectorEnv, problem
from models.alternating import AlternatingLayer, _incidence
from models.batch import static_graph
from models.config import ModelConfig

CONFIG = ModelConfig(convolution="alternating", hidden=8, heads=2)


def shop():
    definition = problem("job_shop")
    env = GraphVectorEnv(definition.bind({"sizes": ((3, 2),)}), 2)
    observation, _ = env.reset(seed=0)
    spec = env.problem.spec
    graph = static_graph(spec, {key: torch.from_numpy(observation[key]) for key in spec.static_keys})
    torch.manual_seed(0)
    nodes = {node.name: torch.randn(2, node.capacity, 8) for node in spec.nodes}
    return env, spec, graph, nodes


def layer_of(spec, gain):
    layer = AlternatingLayer([edge for edge in spec.edges if edge.static], CONFIG)
    for name, value in layer.gain.items():
        torch.nn.init.constant_(value, gain(name))
    return layer


def test_a_new_layer_changes_nothing():
    _, spec, graph, nodes = shop()
    after = AlternatingLayer([edge for edge in spec.edges if edge.static], CONFIG)(nodes, graph)
    for name, before in nodes.items():
        torch.testing.assert_close(after[name], before)


def test_operations_hear_their_machine_and_no_other():
    env, spec, graph, nodes = shop()
    layer = layer_of(spec, lambda name: float(name == "operation_runs_on_machine_heard"))
    before = layer(nodes, graph)["operation"]
    changed = {name: value.clone() for name, value in nodes.items()}
    changed["operation"][0, 0] += 1.0
    after = layer(changed, graph)["operation"]
    machines = env.state.machine[0].reshape(-1)
    moved = (after - before).abs().sum(dim=2).detach().numpy() > 1e-7
    np.testing.assert_array_equal(moved[0], machines == machines[0])
    assert not moved[1].any()


def test_operations_hear_their_job_s_neighbours():
    _, spec, graph, nodes = shop()
    layer = layer_of(spec, lambda name: float(name == "operation_precedes_operation_heard"))
    before = layer(nodes, graph)["operation"]
    changed = {name: value.clone() for name, value in nodes.items()}
    changed["operation"][1, 2] += torch.arange(8.0)  # the first operation of the second job
    moved = ((layer(changed, graph)["operation"] - before).abs().sum(dim=2) > 1e-7).numpy()
    assert not moved[0].any()
    np.testing.assert_array_equal(moved[1], [False, False, True, True, False, False])


def test_incidence_by_hand():
    env, spec, graph, nodes = shop()
    edge = next(edge for edge in spec.edges if edge.name == "operation_runs_on_machine")
    member = _incidence(edge, nodes, graph).numpy()
    for lane in range(2):
        expected = np.eye(2)[env.state.machine[lane].reshape(-1)]
        np.testing.assert_array_equal(member[lane], expected)
