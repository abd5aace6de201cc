"""A fresh policy of any problem, exported to ONNX, agrees with PyTorch: logits, and decisions over whole episodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from agents.checkpoint import Checkpoint
from agents.export import attach_metadata, check_parity, episode_states, synthetic_states
from agents.onnx_dispatcher import OnnxDispatcher
from agents.policy_dispatcher import PolicyDispatcher
from envs.core import GraphVectorEnv, ProblemDefinition, problems
from models.build import make_network
from models.config import FlatConfig, ModelConfig, NetworkConfig
from models.network import Network
from models.onnx_graph import build_onnx

LANES = 4
GRAPH = ModelConfig(hidden=16, encoder_layers=1)


def interfaces(definition: ProblemDefinition) -> list[list[dict[str, Any]]]:
    """The variants of a problem, grouped by what a policy observes: an export takes seconds, one a group is enough."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for variant in definition.variants:
        description = json.dumps(definition.bind(variant).spec.to_metadata(), sort_keys=True)
        groups.setdefault(description, []).append(dict(variant))
    return list(groups.values())


def fresh_network(definition: ProblemDefinition, variant: dict[str, Any], config: NetworkConfig) -> Network:
    """A network with its score layers enlarged, so that candidates differ by more than rounding."""
    torch.manual_seed(0)
    network = make_network(definition.bind(variant).spec, config).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("score.") and name.endswith("weight"):
                parameter.mul_(100.0)
    return network


def assert_agreement(
    definition: ProblemDefinition, variants: list[dict[str, Any]], folder: Path, config: NetworkConfig = GRAPH
) -> None:
    """Exports one policy and compares it in every variant that it can run in."""
    network = fresh_network(definition, variants[0], config)
    spec = definition.bind(variants[0]).spec
    model = build_onnx(network, spec)
    attach_metadata(model, Checkpoint(definition.name, {}, network.config, spec.to_metadata(), {}, {}))
    path = folder / "policy.onnx"
    path.write_bytes(model.SerializeToString())
    dispatcher = OnnxDispatcher(path)
    check_parity(dispatcher, network, synthetic_states(spec), "a fresh policy")
    for number, variant in enumerate(variants):
        if not network.holds(definition.bind(variant).spec):
            continue
        states = episode_states(definition, variant, f"variant {number}", seed=number)
        check_parity(dispatcher, network, states, "a fresh policy")
        assert_same_decisions(definition, variant, dispatcher, PolicyDispatcher(network, "fresh"))


def assert_same_decisions(
    definition: ProblemDefinition, variant: dict[str, Any], dispatcher: OnnxDispatcher, policy: PolicyDispatcher
) -> None:
    """Runs both side by side to the end of the episodes and verifies the solutions."""
    problem = definition.bind(variant)
    env = GraphVectorEnv(problem, LANES, strict=True, autoreset_mode=AutoresetMode.DISABLED)
    observation, info = env.reset(seed=7)
    dispatcher.reset(env, observation)
    policy.reset(env, observation)
    running = np.ones(LANES, np.bool_)
    for _ in range(20_000):
        actions = dispatcher.decide(env, observation)
        np.testing.assert_array_equal(actions[running], policy.decide(env, observation)[running])
        observation, _, terminated, _, info = env.step(actions)
        running &= ~terminated
        if not running.any():
            break
    for lane in range(LANES):
        verified = definition.verify(env.instance(lane), env.solution(lane))
        assert verified == pytest.approx(info["objective"][lane], rel=1e-9, abs=1e-9)


def test_a_fresh_policy_exports_and_agrees(definition: ProblemDefinition, tmp_path: Path) -> None:
    assert_agreement(definition, interfaces(definition)[0], tmp_path)


def test_a_fresh_flat_policy_exports_and_agrees(definition: ProblemDefinition, tmp_path: Path) -> None:
    assert_agreement(definition, interfaces(definition)[0], tmp_path, FlatConfig((16, 8)))


@pytest.mark.slow
def test_policies_for_the_other_observations_agree_too(definition: ProblemDefinition, tmp_path: Path) -> None:
    others = interfaces(definition)[1:]
    if not others:
        pytest.skip(f"every variant of {definition.name} has the same observations")
    for number, variants in enumerate(others):
        (tmp_path / str(number)).mkdir()
        assert_agreement(definition, variants, tmp_path / str(number))


def test_attention_over_neighbours_exports_too(tmp_path):
    config = ModelConfig(hidden=16, encoder_layers=0, decision="attention", messages="attention")
    definition = problems()["job_shop"]
    assert_agreement(definition, [dict(definition.variants[0])], tmp_path, config)
