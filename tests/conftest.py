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
