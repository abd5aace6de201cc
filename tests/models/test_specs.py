"""Networks on graphs that no registered problem has yet: every kind of node and edge that a spec allows."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS, EdgeType, Feature, GraphSpec, NodeType
from models.batch import decision_edges, decision_graph, decision_types, static_graph
from models.config import CONVOLUTIONS, DECISIONS, MESSAGES, ModelConfig
from models.network import PolicyNetwork

VARIANTS = list(itertools.product(CONVOLUTIONS, DECISIONS))


def features(count):
    return tuple(Feature(f"feature_{i}") for i in range(count))


def make_spec(scale=1, static=True, context=2):
    """Tasks and servers may be picked; racks have dynamic features; sites and links stay, links have no features."""
    nodes = (
        NodeType("task", 5 * scale, static=features(3) if static else (), dynamic=features(2)),
        NodeType("site", 3 * scale, static=features(2) if static else ()),
        NodeType("server", 4 * scale),
        NodeType("link", 2 * scale),
        NodeType("rack", 3 * scale, dynamic=features(1)),
    )
    edges = (
        EdgeType("task", "precedes", "task", 8 * scale, static=static, features=features(2)),
        EdgeType("task", "based_at", "site", 6 * scale, static=static),
        EdgeType("site", "joined_by", "link", 6 * scale, static=static, features=features(1)),
        EdgeType("server", "mounted_in", "rack", 6 * scale, static=static),
        EdgeType("task", "queued_at", "server", 8 * scale, static=False, features=features(2)),
        EdgeType("rack", "near", "site", 6 * scale, static=False),
        EdgeType("link", "carries", "task", 6 * scale, static=False, features=features(1)),
        EdgeType("task", "conflicts_with", "task", 6 * scale, static=False),
    )
    return GraphSpec(nodes, edges, ("server", "task"), features(context))


def make_observation(spec, lanes, seed, counts=None, edges=True):
    """Random arrays; ``counts`` gives the number of nodes of each type."""
    rng = np.random.default_rng(seed)
    result = spec.allocate(lanes)
    for lane in range(lanes):
        number = {
            node.name: int(rng.integers(2, node.capacity + 1)) if counts is None else counts[node.name]
            for node in spec.nodes
        }
        for i, node in enumerate(spec.nodes):
            result[COUNTS][lane, i] = number[node.name]
            for key, columns in ((node.static_key, node.static), (node.dynamic_key, node.dynamic)):
                if columns:
                    result[key][lane, : number[node.name]] = rng.normal(size=(number[node.name], len(columns)))
        for i, edge in enumerate(spec.edges):
            count = int(rng.integers(2, 7)) if edges else 0
            result[COUNTS][lane, len(spec.nodes) + i] = count
            for row, end in enumerate((edge.source, edge.target)):
                result[edge.index_key][lane, row, :count] = rng.integers(0, number[end], count)
            if edge.features:
                result[edge.features_key][lane, :count] = rng.normal(size=(count, len(edge.features)))
        for name in spec.actions:
            start = spec.action_offset(name)
            result[ACTION_MASK][lane, start : start + number[name]] = True
    if spec.context:
        result[CONTEXT][:] = rng.normal(size=result[CONTEXT].shape)
    return result


def make_network(spec, convolution="gatv2", decision="pooling", layers=(1, 1)):
    shape = ModelConfig(convolution, decision, 16, 4, encoder_layers=layers[0], decision_layers=layers[1])
    network = PolicyNetwork(spec, shape)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network


def evaluate(network, spec, observation):
    arrays = {key: torch.from_numpy(array) for key, array in observation.items()}
    rows = torch.arange(len(arrays[ACTION_MASK]))
    static = static_graph(spec, arrays, rows)
    return network.decide(network.encode(static), decision_graph(spec, arrays, arrays, rows))


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def grow(small, spec, large, garbage=0.0):
    """The same observations at another capacity; padding of features is filled with ``garbage``."""
    result = large.allocate(len(small[COUNTS]))
    for key, array in small.items():
        if key.endswith(("_static", "_dynamic", "_features")):
            result[key].fill(garbage)
        if key != ACTION_MASK:
            result[key][tuple(slice(size) for size in array.shape)] = array
    if garbage:
        for i, node in enumerate(spec.nodes):
            for key in {node.static_key, node.dynamic_key} & set(result):
                for lane, count in enumerate(small[COUNTS][:, i]):
                    result[key][lane, count:] = garbage
    for name in spec.actions:
        old, new, size = spec.action_offset(name), large.action_offset(name), spec.node(name).capacity
        result[ACTION_MASK][:, new : new + size] = small[ACTION_MASK][:, old : old + size]
    return result


def candidates(spec):
    """Where the candidates of the small spec stand among the actions of the large one."""
    large = make_spec(2)
    return np.concatenate([large.action_offset(name) + np.arange(spec.node(name).capacity) for name in spec.actions])


def test_what_changes_is_told_from_what_stays():
    spec = make_spec()
    assert decision_types(spec) == ("task", "server", "rack")  # servers change nothing but may be picked
    assert [edge.relation for edge in decision_edges(spec)] == [
        "precedes", "mounted_in", "queued_at", "near", "carries", "conflicts_with",
    ]  # fmt: skip


@pytest.mark.parametrize(("convolution", "decision"), VARIANTS)
def test_padding_changes_nothing_whatever_it_holds(convolution, decision):
    spec = make_spec()
    network = make_network(spec, convolution, decision)
    observation = make_observation(spec, 3, seed=1)
    mask = torch.from_numpy(observation[ACTION_MASK])
    logits, values = evaluate(network, spec, observation)
    for garbage in (0.0, 7.0):
        large = make_spec(2)
        other_logits, other_values = evaluate(network, large, grow(observation, spec, large, garbage))
        assert_close(other_logits[:, candidates(spec)][mask], logits[mask])
        assert_close(other_values, values)


@pytest.mark.parametrize(("convolution", "decision"), VARIANTS)
def test_a_decision_does_not_see_its_neighbours_in_the_batch(convolution, decision):
    spec = make_spec()
    network = make_network(spec, convolution, decision, layers=(2, 2))
    observation = make_observation(spec, 4, seed=2)
    logits, values = evaluate(network, spec, observation)
    for lane in range(4):
        alone, value = evaluate(network, spec, {key: array[lane : lane + 1] for key, array in observation.items()})
        assert_close(logits[lane : lane + 1], alone)
        assert_close(values[lane : lane + 1], value)


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("name", ["task", "site", "server", "link", "rack"])
def test_renaming_nodes_renames_the_logits(name, decision):
    spec = make_spec()
    network = make_network(spec, decision=decision)
    node = spec.node(name)
    counts = {other.name: other.capacity for other in spec.nodes}
    observation = make_observation(spec, 2, seed=3, counts=counts)
    order = np.random.default_rng(0).permutation(node.capacity)
    place = np.argsort(order).astype(np.int32)
    renamed = {key: array.copy() for key, array in observation.items()}
    for key in {node.static_key, node.dynamic_key} & set(renamed):
        renamed[key] = renamed[key][:, order]
    for edge in spec.edges:
        for row, end in enumerate((edge.source, edge.target)):
            if end == name:
                index = renamed[edge.index_key][:, row]
                renamed[edge.index_key][:, row] = np.where(index >= 0, place[index], index)
    logits, values = evaluate(network, spec, observation)
    expected = logits.clone()
    if name in spec.actions:
        start = spec.action_offset(name)
        expected[:, start : start + node.capacity] = logits[:, start + order]
    other_logits, other_values = evaluate(network, spec, renamed)
    assert_close(other_logits, expected)
    assert_close(other_values, values)


def test_the_order_of_edges_does_not_matter():
    spec = make_spec()
    network = make_network(spec)
    observation = make_observation(spec, 2, seed=4)
    turned = {key: array.copy() for key, array in observation.items()}
    for edge in spec.edges:
        turned[edge.index_key] = turned[edge.index_key][:, :, ::-1].copy()
        if edge.features:
            turned[edge.features_key] = turned[edge.features_key][:, ::-1].copy()
    assert_close(evaluate(network, spec, turned)[0], evaluate(network, spec, observation)[0])


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_every_array_shows_in_the_logits(convolution):
    spec = make_spec()
    network = make_network(spec, convolution, layers=(2, 2))
    counts = {node.name: node.capacity for node in spec.nodes}
    observation = make_observation(spec, 1, seed=5, counts=counts)
    logits, _ = evaluate(network, spec, observation)
    for key, array in observation.items():
        if key in (COUNTS, ACTION_MASK):
            continue
        changed = dict(observation)
        if key.endswith("_index"):
            changed[key] = np.full_like(array, -1)
        else:
            changed[key] = array * 1.5
        assert (evaluate(network, spec, changed)[0] - logits).abs().max() > 1e-4, key


@pytest.mark.parametrize("edges", [True, False], ids=["edges", "no edges"])
@pytest.mark.parametrize("static", [True, False], ids=["static parts", "nothing static"])
@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_logits_are_finite_and_differ(convolution, context, static, edges):
    spec = make_spec(static=static, context=context)
    network = make_network(spec, convolution)
    observation = make_observation(spec, 3, seed=6, edges=edges)
    logits, values = evaluate(network, spec, observation)
    assert logits.shape == (3, spec.num_actions)
    assert torch.isfinite(logits).all()
    assert torch.isfinite(values).all()
    assert logits.std(dim=1).min() > 1e-3


def test_a_spec_without_edges_works():
    spec = replace(make_spec(), edges=())
    observation = make_observation(spec, 2, seed=7)
    logits, _ = evaluate(make_network(spec), spec, observation)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(("convolution", "decision"), VARIANTS)
def test_a_gradient_other_than_zero_reaches_every_parameter(convolution, decision):
    spec = make_spec()
    network = make_network(spec, convolution, decision, layers=(2, 2))
    logits, values = evaluate(network, spec, make_observation(spec, 16, seed=8))
    (logits.square().sum() + values.square().sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith("lin_key.bias"):  # a softmax over keys does not feel what is added to all of them
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("messages", MESSAGES)
def test_relations_carry_messages_unless_there_are_none(messages):
    spec = make_spec()
    torch.manual_seed(0)
    network = PolicyNetwork(spec, ModelConfig(hidden=16, encoder_layers=0, messages=messages)).eval()
    connected, apart = (make_observation(spec, 2, seed=9, edges=edges) for edges in (True, False))
    for key in apart:
        if not key.endswith(("_index", "_features", COUNTS)):
            apart[key] = connected[key]
    for observation in (connected, apart):
        observation[COUNTS][:, : len(spec.nodes)] = connected[COUNTS][:, : len(spec.nodes)]
    same = torch.equal(evaluate(network, spec, connected)[1], evaluate(network, spec, apart)[1])
    assert same == (messages == "none")


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_gradient_reaches_the_attention_over_neighbours(decision):
    spec = make_spec()
    config = ModelConfig(hidden=16, encoder_layers=1, decision_layers=2, decision=decision, messages="attention")
    network = PolicyNetwork(spec, config)
    logits, values = evaluate(network, spec, make_observation(spec, 16, seed=8))
    (logits.square().sum() + values.square().sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_parameters_depend_on_names_and_features_alone():
    small, large = make_network(make_spec(1)), make_network(make_spec(3))
    large.load_state_dict(small.state_dict())
