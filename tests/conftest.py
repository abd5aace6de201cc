"""What tests of several packages share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class PolicyFiles:
    """A job shop policy with random weights, as a checkpoint folder and as the ONNX file exported from it."""

    checkpoint: Path
    onnx: Path


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the tests of a problem on one worker (``--dist loadgroup``), so that its rules are compiled once."""
    from envs.core.problem import ProblemDefinition
    from envs.core.registry import problems

    folders = {name: definition.config.__module__.split(".")[1] for name, definition in problems().items()}
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        named = problems().get(str(parameters.get("name")))
        definition = getattr(parameters.get("case"), "definition", parameters.get("definition", named))
        parts = item.path.parts
        if isinstance(definition, ProblemDefinition):
            item.add_marker(pytest.mark.xdist_group(folders.get(definition.name, definition.name)))
        elif "envs" in parts and parts[parts.index("envs") + 1] in folders.values():
            item.add_marker(pytest.mark.xdist_group(parts[parts.index("envs") + 1]))


@pytest.fixture(scope="session")
def policy_files(tmp_path_factory: pytest.TempPathFactory) -> PolicyFiles:
    """Exports once a session; the weights are large, so that logits differ and the greedy choice means something."""
    import torch

    from agents.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from agents.export import export_onnx
    from envs.core import problem
    from models.config import ModelConfig
    from models.network import PolicyNetwork

    folder = tmp_path_factory.mktemp("policy")
    files = PolicyFiles(folder / "checkpoint", folder / "policy.onnx")
    options = {"builder": "non_delay", "wait": False}
    spec = problem("job_shop").bind(options).spec
    config = ModelConfig(hidden=16, encoder_layers=1)
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: 0.3 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in PolicyNetwork(spec, config).state_dict().items()
    }
    training = {"name": "random_weights", "seed": 1}
    save_checkpoint(files.checkpoint, Checkpoint("job_shop", options, config, spec.to_metadata(), training, weights))
    export_onnx(load_checkpoint(files.checkpoint), files.onnx)
    return files
