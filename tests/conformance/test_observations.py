"""Observations are what the spec says: finite, bounded, padded with zeros, static where promised."""

import itertools

import numpy as np
import pytest


def test_features_are_named_once_and_have_units(case):
    spec = case.definition.bind(case.options).spec
    groups = [spec.context, *(edge.features for edge in spec.edges)]
    groups += [node.static + node.dynamic for node in spec.nodes]
    for features in groups:
        names = [feature.name for feature in features]
        assert len(set(names)) == len(names)
        for feature in features:
            assert feature.name.strip()
            assert feature.unit.strip()
            assert feature.low <= feature.high


def test_arrays_have_the_shapes_and_types_of_the_spec(case):
    env = case.vector(3)
    observation, _ = env.reset(seed=0)
    spec = env.problem.spec
    assert list(observation) == list(spec.arrays)
    for key, (shape, dtype) in spec.arrays.items():
        assert observation[key].shape == (3, *shape)
        assert observation[key].dtype == dtype


def assert_bounded(spec, observation):
    """Real rows lie inside the bounds of their features; padding may be zero where zero is outside."""
    real = spec.trim(observation)
    parts = [(key, features) for node in spec.nodes for key, features in _node_parts(node)]
    parts += [(edge.features_key, edge.features) for edge in spec.edges if edge.features]
    parts += [("context", spec.context)] if spec.context else []
    for key, features in parts:
        rows = real[key].reshape(-1, len(features))
        assert np.isfinite(rows).all(), key
        for column, feature in enumerate(features):
            low, high = np.float32(feature.low), np.float32(feature.high)
            assert np.all((low <= rows[:, column]) & (rows[:, column] <= high)), f"{key}: {feature}"


def _node_parts(node):
    return [(key, fs) for key, fs in ((node.static_key, node.static), (node.dynamic_key, node.dynamic)) if fs]


def assert_padded(spec, observation):
    counts = observation["counts"]
    for node, count in zip(spec.nodes, counts, strict=False):
        assert 0 <= count <= node.capacity
        for key, _ in _node_parts(node):
            assert not observation[key][count:].any(), key
    for edge, count in zip(spec.edges, counts[len(spec.nodes) :], strict=True):
        assert 0 <= count <= edge.capacity
        index = observation[edge.index_key]
        assert np.all(index[:, count:] == -1), edge.index_key
        for end, name in zip(index[:, :count], (edge.source, edge.target), strict=True):
            existing = counts[[node.name for node in spec.nodes].index(name)]
            assert np.all((end >= 0) & (end < existing)), edge.index_key
        if edge.features:
            assert not observation[edge.features_key][count:].any(), edge.features_key
    real = spec.real_actions({node.name: int(n) for node, n in zip(spec.nodes, counts, strict=False)})
    assert not np.delete(observation["action_mask"], real).any()


def test_features_are_finite_bounded_and_padded(case, tools):
    env = case.single()
    for seed in range(4):
        for observation, _ in tools.random_steps(env, seed=seed):
            assert_bounded(env.problem.spec, observation)
            assert_padded(env.problem.spec, observation)


def test_padding_is_clean_after_a_larger_episode(case, tools):
    """What one episode wrote must not show through in the next, smaller one."""
    env = case.vector(2, copy=False)
    rng = np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    for _ in range(150):
        for lane in range(2):
            assert_padded(env.problem.spec, tools.row(observation, lane))
        observation, *_ = env.step(tools.random_actions(env, rng))


def test_static_arrays_stand_for_an_episode(case, tools):
    env = case.single()
    spec = env.problem.spec
    for seed in range(3):
        first = None
        for observation, _ in tools.random_steps(env, seed=seed):
            first = first or observation
            for key in spec.static_keys:
                assert observation[key].tobytes() == first[key].tobytes(), key


def test_decisions_show_in_the_dynamic_arrays(case, tools):
    env = case.single()
    seen = [
        b"".join(observation[key].tobytes() for key in env.problem.spec.dynamic_keys)
        for observation, _ in tools.random_steps(env, seed=0)
    ]
    assert all(one != other for one, other in itertools.pairwise(seen))


@pytest.mark.filterwarnings("ignore:The node types")  # nodes without edges are allowed
def test_hetero_data_agrees_with_the_arrays(case, tools):
    pytest.importorskip("torch_geometric")
    env = case.single()
    spec = env.problem.spec
    steps = [observation for observation, _ in tools.random_steps(env, seed=2)]
    for observation in (steps[0], steps[len(steps) // 2], steps[-1]):
        data = spec.to_hetero_data(observation)
        data.validate(raise_on_error=True)
        counts = observation["counts"]
        for node, count in zip(spec.nodes, counts, strict=False):
            parts = [observation[key][:count] for key, _ in _node_parts(node)]
            expected = np.concatenate(parts, axis=1) if parts else np.zeros((count, 0), np.float32)
            np.testing.assert_array_equal(data[node.name].x.numpy(), expected)
            assert data[node.name].num_nodes == count
        for edge, count in zip(spec.edges, counts[len(spec.nodes) :], strict=True):
            store = data[edge.triple]
            np.testing.assert_array_equal(store.edge_index.numpy(), observation[edge.index_key][:, :count])
            if edge.features:
                np.testing.assert_array_equal(store.edge_attr.numpy(), observation[edge.features_key][:count])
        if spec.context:
            np.testing.assert_array_equal(data.context.numpy(), observation["context"])
        real = spec.real_actions({node.name: int(n) for node, n in zip(spec.nodes, counts, strict=False)})
        np.testing.assert_array_equal(data.action_mask.numpy(), observation["action_mask"][real])
        assert data.action_mask.sum() == observation["action_mask"].sum()
