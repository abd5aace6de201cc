"""The graph specification."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core import EdgeType, Feature, GraphSpec, NodeType, UsageError

TASK = NodeType("task", 4, static=(Feature("work", "s", 0, 10),), dynamic=(Feature("age", "s"), Feature("left", "s")))
SERVER = NodeType("server", 2, dynamic=(Feature("free", "s", 1, 5),))
STOP = NodeType("stop", 1)
FOLLOWS = EdgeType("task", "follows", "task", 3, static=True)
RUNS = EdgeType("task", "runs_on", "server", 8, static=False, features=(Feature("rate", "1/s"),))
SPEC = GraphSpec((TASK, SERVER, STOP), (FOLLOWS, RUNS), ("server", "stop", "task"), (Feature("load"),))


def observation():
    """Three tasks, one server; no padding is zero where it can be told apart."""
    arrays = {key: array[0] for key, array in SPEC.allocate(1).items()}
    arrays["task_static"][:3, 0] = [1, 2, 3]
    arrays["task_dynamic"][:3] = [[1, 9], [2, 8], [3, 7]]
    arrays["server_dynamic"][:1] = 4
    arrays["task_follows_task_index"][:, :2] = [[1, 2], [0, 1]]
    arrays["task_runs_on_server_index"][:, :3] = [[0, 1, 2], [0, 0, 0]]
    arrays["task_runs_on_server_features"][:3, 0] = [5, 6, 7]
    arrays["context"][:] = 0.5
    arrays["counts"][:] = [3, 1, 1, 2, 3]
    arrays["action_mask"][[0, 2, 4]] = True
    return arrays


def test_arrays():
    assert {key: (shape, dtype.name) for key, (shape, dtype) in SPEC.arrays.items()} == {
        "task_static": ((4, 1), "float32"),
        "task_dynamic": ((4, 2), "float32"),
        "server_dynamic": ((2, 1), "float32"),
        "task_follows_task_index": ((2, 3), "int32"),
        "task_runs_on_server_index": ((2, 8), "int32"),
        "task_runs_on_server_features": ((8, 1), "float32"),
        "context": ((1,), "float32"),
        "counts": ((5,), "int32"),
        "action_mask": ((7,), "bool"),
    }


def test_static_and_dynamic_keys_share_out_all_arrays():
    assert SPEC.static_keys == ("task_static", "task_follows_task_index")
    assert sorted(SPEC.static_keys + SPEC.dynamic_keys) == sorted(SPEC.arrays)


def test_allocated_arrays_are_empty_graphs():
    arrays = SPEC.allocate(3)
    for key, (shape, dtype) in SPEC.arrays.items():
        assert (arrays[key].shape, arrays[key].dtype) == ((3, *shape), dtype)
        assert np.all(arrays[key] == (-1 if key.endswith("index") else 0))


def test_actions_count_through_the_node_types_in_order():
    assert SPEC.num_actions == 7
    assert [SPEC.action_offset(name) for name in ("server", "stop", "task")] == [0, 2, 3]
    located = [SPEC.locate_action(action) for action in range(7)]
    assert located == [
        ("server", 0), ("server", 1), ("stop", 0), ("task", 0), ("task", 1), ("task", 2), ("task", 3),
    ]  # fmt: skip


@pytest.mark.parametrize("action", [-1, 7])
def test_other_actions_are_refused(action):
    with pytest.raises(IndexError, match=f"action {action} is outside 0..6"):
        SPEC.locate_action(action)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_locating_inverts_the_offsets(capacities):
    nodes = tuple(NodeType(f"n{i}", capacity) for i, capacity in enumerate(capacities))
    spec = GraphSpec(nodes, (), tuple(node.name for node in reversed(nodes)))
    for action in range(spec.num_actions):
        name, row = spec.locate_action(action)
        assert spec.action_offset(name) + row == action
        assert 0 <= row < spec.node(name).capacity


def test_space_contains_observations_and_respects_bounds():
    space = SPEC.observation_space()
    assert observation() in space
    too_large = observation()
    too_large["task_static"][0, 0] = 11
    assert too_large not in space
    assert {key: array[0] for key, array in SPEC.allocate(1).items()} in space, "zero padding lies outside the bounds"


def test_trim_cuts_the_padding():
    trimmed = SPEC.trim(observation())
    assert trimmed["task_static"].tolist() == [[1], [2], [3]]
    assert trimmed["task_follows_task_index"].tolist() == [[1, 2], [0, 1]]
    assert trimmed["task_runs_on_server_features"].tolist() == [[5], [6], [7]]
    assert trimmed["action_mask"].tolist() == [True, True, False, True, False]


def test_hetero_data():
    pytest.importorskip("torch_geometric")
    data = SPEC.to_hetero_data(observation())
    assert data["task"].x.tolist() == [[1, 1, 9], [2, 2, 8], [3, 3, 7]]
    assert data["task"].static.tolist() == [[1], [2], [3]]
    assert data["stop"].num_nodes == 1
    assert data["task", "runs_on", "server"].edge_index.tolist() == [[0, 1, 2], [0, 0, 0]]
    assert data["task", "runs_on", "server"].edge_attr.tolist() == [[5], [6], [7]]
    assert data.context.tolist() == [0.5]


def test_metadata_names_features_with_units_and_no_capacity():
    metadata = SPEC.to_metadata()
    assert metadata["nodes"]["task"]["static"] == [{"name": "work", "unit": "s"}]
    assert metadata["edges"]["task_runs_on_server"] == {
        "triple": ["task", "runs_on", "server"], "static": False, "features": [{"name": "rate", "unit": "1/s"}],
    }  # fmt: skip
    assert metadata["actions"] == ["server", "stop", "task"]
    larger = GraphSpec(
        (NodeType("task", 9, TASK.static, TASK.dynamic), SERVER, STOP), SPEC.edges, SPEC.actions, SPEC.context
    )
    assert larger.to_metadata() == metadata


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((TASK, TASK), (), ("task",)), "names a node type twice"),
        (((TASK,), (RUNS,), ("task",)), "task_runs_on_server refers to the unknown node type 'server'"),
        (((TASK,), (FOLLOWS, FOLLOWS), ("task",)), "names an edge type twice"),
        (((TASK,), (), ("server",)), "GraphSpec.actions refers to the unknown node type 'server'"),
    ],
)
def test_inconsistent_specs_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        GraphSpec(*arguments)
