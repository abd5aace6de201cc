"""Export to ONNX: the file agrees with PyTorch on every kind of graph, or it does not appear."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from agents import export
from agents.checkpoint import Checkpoint, load_checkpoint
from agents.export import attach_metadata, check_parity, comparison_states, export_onnx, synthetic_states
from agents.onnx_dispatcher import OnnxDispatcher
from agents.provenance import git_revision
from envs.core import EdgeType, Feature, GraphSpec, NodeType, UsageError, problem
from envs.core.spec import ACTION_MASK, COUNTS
from models.config import ModelConfig
from models.network import PolicyNetwork
from models.onnx_graph import OPSET, build_onnx


def features(*names: str) -> tuple[Feature, ...]:
    return tuple(Feature(name) for name in names)


ODD = GraphSpec(
    nodes=(
        NodeType("task", 4, static=features("work", "rank")),
        NodeType("level", 4),
        NodeType("server", 4, dynamic=features("queue")),
        NodeType("stop", 1, static=features("cost"), dynamic=features("gain")),
    ),
    edges=(
        EdgeType("task", "before", "task", 5, True, features("volume")),
        EdgeType("task", "at", "server", 5, False, features("rate", "delay")),
        EdgeType("level", "above", "level", 3, True),
        EdgeType("server", "beside", "server", 3, False),
    ),
    actions=("task", "level", "stop"),
)
"""Node types with static, dynamic, both and no features; edges with and without features; no context."""


def test_file_says_what_it_is(policy_files):
    metadata = OnnxDispatcher(policy_files.onnx).metadata
    spec = problem("job_shop").bind({}).spec
    assert metadata["problem"] == "job_shop"
    assert metadata["options"] == {"builder": "non_delay", "wait": False}
    assert metadata["interface"] == spec.to_metadata()
    assert metadata["interface"]["nodes"]["operation"]["static"][0] == {
        "name": "processing_time",
        "unit": "mean processing time",
    }
    assert metadata["training"] == {"name": "random_weights", "seed": 1}
    assert metadata["model"] == ModelConfig(hidden=16, encoder_layers=1).to_mapping()
    assert metadata["git_revision"].removesuffix("-dirty") == git_revision().removesuffix("-dirty")
    assert metadata["versions"]["torch"] == torch.__version__
    model = onnx.load(policy_files.onnx)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert metadata["opset"] == OPSET


def test_file_holds_no_path_of_the_machine_that_wrote_it(policy_files):
    assert str(Path(__file__).parents[2]).encode() not in policy_files.onnx.read_bytes()


def test_the_comparison_covers_sizes_and_extremes():
    definition = problem("job_shop")
    states = list(comparison_states(definition, {"builder": "non_delay", "wait": False}))
    spec = definition.bind({}).spec
    jobs = [int(state.observation[COUNTS][0, 1]) for state in states]
    legal = [int(state.observation[ACTION_MASK].sum()) for state in states]
    edges = [state.observation[COUNTS][0, len(spec.nodes) :] for state in states]
    assert min(jobs) == 1
    assert max(jobs) == 100
    assert min(legal) == 1
    assert max(legal) > 10
    assert any((count == 0).all() for count in edges)


def test_a_graph_that_disagrees_is_not_written(policy_files, tmp_path, monkeypatch):
    checkpoint = load_checkpoint(policy_files.checkpoint)
    name = next(name for name in checkpoint.weights if name.startswith("score.job") and name.endswith("bias"))
    changed = {**checkpoint.weights, name: checkpoint.weights[name] + 2e-4}
    monkeypatch.setattr(export, "build_onnx", lambda network, spec: onnx.load(policy_files.onnx))
    with pytest.raises(UsageError, match=r"the policy and its ONNX graph disagree by 0.0002"):
        export_onnx(dataclasses.replace(checkpoint, weights=changed), tmp_path / "policy.onnx", "the policy")
    assert list(tmp_path.iterdir()) == []


def test_another_best_candidate_is_a_disagreement_however_small(policy_files):
    state = next(iter(synthetic_states(problem("job_shop").bind({}).spec)))
    expected = np.array([0.5, 0.50003, -1e9], np.float32)
    mask = np.array([True, True, False])
    assert export._disagreement(expected, expected, mask) == 0.0
    assert export._disagreement(expected, np.array([0.50003, 0.5, -1e9], np.float32), mask) == np.inf
    assert export._disagreement(expected, np.array([0.5, 0.50003, -1e8], np.float32), mask) == np.inf
    assert state.observation[ACTION_MASK].any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("convolution", "decision"),
    [("gatv2", "pooling"), ("gin", "pooling"), ("transformer", "attention"), ("alternating", "pooling")],
)
def test_any_spec_exports(convolution, decision, tmp_path):
    config = ModelConfig(convolution, decision, hidden=16)
    torch.manual_seed(1)
    network = PolicyNetwork(ODD, config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    model = build_onnx(network, ODD)
    attach_metadata(model, Checkpoint("odd", {}, config, ODD.to_metadata(), {}, {}))
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    parity = check_parity(OnnxDispatcher(path), network, synthetic_states(ODD), "the odd policy")
    assert parity.states == 24
    assert 0.0 < parity.max_difference < 1e-4
