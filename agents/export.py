"""From a checkpoint to an ONNX file that is written only after it has agreed with PyTorch on many states."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from agents.checkpoint import Checkpoint, build_network
from agents.onnx_dispatcher import FORMAT, METADATA_KEY, OnnxDispatcher, unpadded
from agents.provenance import git_revision, package_versions
from envs.core import GraphSpec, GraphVectorEnv, Observation, ProblemDefinition, UsageError, problem
from envs.core.files import atomic_path
from envs.core.spec import ACTION_MASK, COUNTS
from models.batch import decision_graph, static_graph
from models.network import Network, masked
from models.onnx_graph import OPSET, build_onnx

if TYPE_CHECKING:
    import onnx

TOLERANCE = 1e-4
"""Largest accepted difference of a legal candidate's logit."""

RELATIVE_TOLERANCE = 5e-6
"""The same as a share of the largest legal logit, where that allows more: forty roundings of float32."""

_TIE = 1e-6
"""Logits closer than this, relative to their size, are equal within float32: either is the largest."""

_STATES_PER_EPISODE = 12
_SYNTHETIC_STATES = 24


@dataclass(frozen=True)
class State:
    """One decision to compare on.

    Attributes:
        spec: The spec, with capacities.
        observation: The padded observation, with a leading axis of length 1.
        label: Where it comes from.
    """

    spec: GraphSpec
    observation: Observation
    label: str


@dataclass(frozen=True)
class Parity:
    """How well an ONNX file agrees with PyTorch.

    Attributes:
        states: Number of decisions compared, each with and without cached embeddings.
        max_difference: Largest absolute difference of a legal candidate's logit.
    """

    states: int
    max_difference: float


def export_onnx(checkpoint: Checkpoint, path: str | Path, source: str = "the checkpoint") -> Parity:
    """Writes a checkpoint's policy as one ONNX file, after comparing it with PyTorch.

    Args:
        checkpoint: The policy.
        path: The file to write; it appears only if the comparison succeeds.
        source: What messages call the checkpoint.

    Raises:
        UsageError: The checkpoint does not fit this version's environment, or the file disagrees with PyTorch.
    """
    definition = problem(checkpoint.problem)
    spec = definition.bind(checkpoint.options).spec
    network = build_network(checkpoint, spec, source)
    model = build_onnx(network, spec)
    attach_metadata(model, checkpoint)
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
        states = comparison_states(definition, checkpoint.options)
        return check_parity(OnnxDispatcher(temporary), network, states, source)


def attach_metadata(model: onnx.ModelProto, checkpoint: Checkpoint) -> None:
    """Writes what the policy is, expects and comes from into the model's metadata properties, as one JSON document."""
    metadata = {
        "format": FORMAT,
        "name": str(checkpoint.training.get("name", "policy")),
        "problem": checkpoint.problem,
        "options": checkpoint.options,
        "interface": checkpoint.interface,
        "model": checkpoint.model.to_mapping(),
        "training": checkpoint.training,
        "git_revision": git_revision(),
        "opset": OPSET,
        "versions": package_versions(),
    }
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(metadata)


def check_parity(dispatcher: OnnxDispatcher, network: Network, states: Iterator[State], source: str) -> Parity:
    """Compares an ONNX policy with the network it was made from.

    Every state is run twice: from the static arrays, and with the embeddings that the first run handed out. The logits
    of legal candidates may differ by `TOLERANCE` or `RELATIVE_TOLERANCE`, the best candidate must be the same (ties
    within float32 aside), and masked candidates must hold exactly -1e9. States that the network cannot run on are
    passed over.

    Raises:
        UsageError: They disagree.
    """
    count, largest = 0, 0.0
    for state in states:
        if not network.holds(state.spec):
            continue
        expected = reference_logits(network, state)
        arrays = unpadded(state.spec, state.observation, 0, tuple(state.spec.arrays))
        mask = arrays[ACTION_MASK]
        outputs = dispatcher.run(arrays)
        cached = {f"cached_{name}": array for name, array in outputs.items() if name.endswith("_embedding")}
        for actual in (outputs["logits"], dispatcher.logits({**arrays, **cached})):
            difference = _disagreement(expected, actual, mask)
            accepted = max(TOLERANCE, RELATIVE_TOLERANCE * float(np.abs(expected[mask]).max(initial=0.0)))
            if difference > accepted:
                raise UsageError(
                    f"{source} and its ONNX graph disagree by {difference:.3g} on {state.label}; expected at most "
                    f"{accepted:.3g} and the same best action, so the file was not written"
                )
            largest = max(largest, difference)
        count += 1
    if count == 0:
        raise UsageError(f"{source} cannot run on any state to compare its ONNX graph on, so the file was not written")
    return Parity(count, largest)


@torch.inference_mode()
def reference_logits(network: Network, state: State) -> NDArray[np.float32]:
    """Returns PyTorch's masked logits of the existing candidates, computed on the padded arrays."""
    spec = state.spec
    tensors = {key: torch.from_numpy(np.ascontiguousarray(array)) for key, array in state.observation.items()}
    static = {key: tensors[key] for key in spec.static_keys}
    dynamic = {key: tensors[key] for key in spec.dynamic_keys}
    graph = decision_graph(spec, static, dynamic, torch.zeros(1, dtype=torch.int64))
    logits, _ = network.decide(network.encode(static_graph(spec, static, torch.zeros(1, dtype=torch.int64))), graph)
    counts = state.observation[COUNTS][0]
    real = spec.real_actions({node.name: int(counts[i]) for i, node in enumerate(spec.nodes)})
    result: NDArray[np.float32] = masked(logits, dynamic[ACTION_MASK])[0].numpy()[real]
    return result


def comparison_states(definition: ProblemDefinition, options: Mapping[str, Any]) -> Iterator[State]:
    """Yields decisions of random episodes of many sizes, and made-up graphs of extreme shapes."""
    interface = definition.bind(options).spec.to_metadata()
    for number, variant in enumerate(definition.variants):
        chosen = {**{k: v for k, v in variant.items() if k not in definition.behaviour}, **options}
        if definition.bind(chosen).spec.to_metadata() == interface:
            yield from episode_states(definition, chosen, f"episode {number}", seed=number)
    for instance in _smallest_and_largest(definition):
        chosen = {**options, **definition.fit([instance])}
        yield from episode_states(definition, chosen, instance.name, instance=instance)
    yield from synthetic_states(definition.bind(options).spec)


def episode_states(
    definition: ProblemDefinition, options: Mapping[str, Any], label: str, *, instance: Any = None, seed: int = 0
) -> Iterator[State]:
    """Yields decisions spread over one random episode."""
    length = sum(1 for _ in _random_episode(definition, options, instance, seed))
    chosen = set(np.linspace(0, length - 1, _STATES_PER_EPISODE).astype(int).tolist())
    for step, (spec, observation) in enumerate(_random_episode(definition, options, instance, seed)):
        if step in chosen:
            copied = {key: array.copy() for key, array in observation.items()}
            yield State(spec, copied, f"decision {step} of {label}")


def synthetic_states(spec: GraphSpec, seed: int = 0) -> Iterator[State]:
    """Yields made-up graphs of random sizes: also without edges, with single nodes, with one legal candidate."""
    rng = np.random.default_rng(seed)
    for number in range(_SYNTHETIC_STATES):
        most = (1, 2, 5, 40)[number % 4]
        nodes = tuple(replace(node, capacity=int(rng.integers(1, most + 1))) for node in spec.nodes)
        edges = tuple(replace(edge, capacity=int(rng.integers(0, 3 * most))) for edge in spec.edges)
        if number < 4:
            edges = tuple(replace(edge, capacity=0) for edge in edges)
        sized = replace(spec, nodes=nodes, edges=edges)
        yield State(sized, random_observation(sized, rng, one_legal=number % 3 == 0), f"made-up graph {number}")


def random_observation(spec: GraphSpec, rng: np.random.Generator, *, one_legal: bool = False) -> Observation:
    """Returns an observation, with a leading axis of length 1, that fills the spec's capacities with random numbers."""
    observation = spec.allocate(1)
    for key, array in observation.items():
        if array.dtype == np.float32:
            array[...] = rng.normal(scale=3.0, size=array.shape)
        elif key == ACTION_MASK:
            array[...] = False if one_legal else rng.random(array.shape) < 0.7
            array[0, rng.integers(array.shape[1])] = True
    for edge in spec.edges:
        for end, name in enumerate((edge.source, edge.target)):
            observation[edge.index_key][0, end] = rng.integers(spec.node(name).capacity, size=edge.capacity)
    observation[COUNTS][0] = [*(node.capacity for node in spec.nodes), *(edge.capacity for edge in spec.edges)]
    return observation


def _random_episode(
    definition: ProblemDefinition, options: Mapping[str, Any], instance: Any, seed: int
) -> Iterator[tuple[GraphSpec, Observation]]:
    env = GraphVectorEnv(definition.bind(options), 1, copy=False, autoreset_mode=AutoresetMode.DISABLED)
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed, options=None if instance is None else {"instances": [instance]})
    finished = False
    while not finished:
        yield env.problem.spec, observation
        action = rng.choice(np.flatnonzero(observation[ACTION_MASK][0]))
        observation, _, terminated, _, _ = env.step(np.array([action], np.int64))
        finished = bool(terminated[0])


def _smallest_and_largest(definition: ProblemDefinition) -> list[Any]:
    """Returns an instance of the first and of the last size in the problem's first benchmark that needs no files."""
    for factory in definition.benchmarks.values():
        try:
            instances = factory().instances
        except UsageError:
            continue
        return [instances[0], instances[-1]]
    return []


def _disagreement(expected: NDArray[np.float32], actual: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Largest difference of legal logits; infinite where masking or the best candidate differ."""
    if actual.shape != expected.shape or not (actual[~mask] == expected[~mask]).all():
        return np.inf
    best, chosen = expected.max(), expected[actual.argmax()]
    if best - chosen > _TIE * max(1.0, abs(best)):
        return np.inf
    return float(np.abs(actual[mask] - expected[mask]).max())
