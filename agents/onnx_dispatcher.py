"""A trained policy from an ONNX file; imports nothing but NumPy and ONNX Runtime.

`OnnxDispatcher.logits` is the whole interface for a program with its own environment: arrays in, one number for each
candidate out. `reset` and `decide` drive the environments of this project.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from agents.interface import first_difference

if TYPE_CHECKING:
    from envs.core import GraphSpec, GraphVectorEnv, Observation

Arrays = dict[str, NDArray[Any]]
"""Arrays by name, of one graph without padding."""

METADATA_KEY = "dispatchlab"
"""Key of the JSON document among the model's metadata properties."""

FORMAT = 1
"""Version of that document and of the meaning of inputs and outputs."""

_FIELDS = ("name", "problem", "options", "interface")
_EMBEDDING, _CACHED = "_embedding", "cached_"
_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


class OnnxPolicyError(ValueError):
    """The file, or what it is given, does not fit; the message is one sentence for the user."""


class OnnxDispatcher:
    """Dispatches with a policy from an ONNX file, greedily or by sampling; runs on instances of any size.

    Attributes:
        name: Name for reports.
        problem: Name of the problem that the policy was trained on.
        options: Environment options that the policy must be run with.
        metadata: Everything the file says about itself.

    Args:
        path: The file.
        threads: Threads that one decision may use.

    Raises:
        OnnxPolicyError: The file cannot be read, or was not written by this project.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        """Loads the file; nothing in it is executed but its arithmetic."""
        self._session = _open(Path(path), threads)
        self.metadata = _metadata(Path(path), self._session)
        self.name = str(self.metadata["name"])
        self.problem = str(self.metadata["problem"])
        self.options: dict[str, Any] = dict(self.metadata["options"])
        self._inputs = {port.name: port for port in self._session.get_inputs()}
        self._cached = {port.name: port for port in self._session.get_overridable_initializers()}
        self._generators: list[np.random.Generator] = []
        self._temperature = 1.0
        self._threshold = 0.0
        self._lanes: list[_Episode] = []

    def sampling(self, seed: int | Sequence[int], temperature: float = 1.0, threshold: float = 0.0) -> OnnxDispatcher:
        """Returns a dispatcher that samples from the same policy.

        Args:
            seed: Seed of the draws, or one seed a lane: then no lane's draws depend on its neighbours.
            temperature: Divides the logits; above 0.
            threshold: Share of the largest probability below which an action is not drawn; at least 0, at most 1.
        """
        if not temperature > 0.0:
            raise OnnxPolicyError(f"temperature is {temperature}; expected a positive number")
        if not 0.0 <= threshold <= 1.0:
            raise OnnxPolicyError(f"threshold is {threshold}; expected a number from 0 to 1")
        other = copy.copy(self)
        other._generators = [np.random.default_rng(one) for one in ([seed] if isinstance(seed, int) else seed)]
        other._temperature = temperature
        other._threshold = threshold
        other._lanes = []
        return other

    def logits(self, arrays: Mapping[str, Any]) -> NDArray[np.float32]:
        """Scores the candidates of one decision.

        Args:
            arrays: The inputs by name, see `run`.

        Returns:
            ``(candidates,)``, -1e9 where the action mask is False; the greedy decision is the largest.
        """
        scores: NDArray[np.float32] = self.run(arrays)["logits"]
        return scores

    def run(self, arrays: Mapping[str, Any]) -> Arrays:
        """Computes every output for one decision.

        Args:
            arrays: The inputs by name: the arrays of one observation without padding and, to save the encoding,
                ``cached_X`` with the output ``X`` of an earlier decision of the same episode.

        Returns:
            ``logits``, ``value`` and the embeddings that the next call may be given.

        Raises:
            OnnxPolicyError: An array is missing, unknown or of the wrong shape.
        """
        feeds = self._checked(arrays)
        names = [port.name for port in self._session.get_outputs()]
        try:
            return dict(zip(names, self._session.run(names, feeds), strict=True))
        except Exception as error:  # ONNX Runtime's errors have no public base class
            raise OnnxPolicyError(f"{self.name}: the arrays do not fit together: {_one_line(error)}") from None

    def reset(self, env: GraphVectorEnv, observation: Observation) -> None:
        """Encodes the static part of every lane; lanes that all run one instance share one encoding.

        Raises:
            OnnxPolicyError: The environment's observations are not the ones that the policy was trained on, or the
                policy is a flat one for a smaller capacity.
        """
        spec = env.problem.spec
        self.check_interface(spec.to_metadata())
        self.check_capacities(spec.capacities)
        fixed = [observation[key] for key in (*spec.static_keys, "counts")]
        if all(bool((array == array[:1]).all()) for array in fixed):
            self._lanes = [self._encode(spec, observation, 0)] * env.num_envs
        else:
            self._lanes = [self._encode(spec, observation, lane) for lane in range(env.num_envs)]

    def decide(self, env: GraphVectorEnv, observation: Observation) -> NDArray[np.int64]:
        """Chooses one legal action in every lane that has one."""
        spec = env.problem.spec
        actions = np.zeros(env.num_envs, np.int64)
        for lane in np.flatnonzero(observation["action_mask"].any(axis=1)).tolist():
            episode = self._lanes[lane]
            if not episode.fits(spec, observation["counts"][lane]):
                episode = self._lanes[lane] = self._encode(spec, observation, lane)
            feeds = {**episode.arrays, **unpadded(spec, observation, lane, spec.dynamic_keys)}
            scores = self._session.run(["logits"], feeds)[0]
            actions[lane] = episode.candidates[self._choose(scores, lane)]
        return actions

    def check_interface(self, offered: Mapping[str, Any]) -> None:
        """Compares the description of an environment's observations (`GraphSpec.to_metadata`) with the policy's.

        Raises:
            OnnxPolicyError: They differ.
        """
        difference = first_difference(self.metadata["interface"], offered)
        if difference:
            raise OnnxPolicyError(
                f"{self.name} was trained on other observations than this environment's: {difference}"
            )

    def check_capacities(self, offered: Mapping[str, int]) -> None:
        """Compares the capacities of an environment with those of the policy, if it is tied to any.

        Raises:
            OnnxPolicyError: The environment is larger.
        """
        own = dict(self.metadata.get("model", {}).get("capacities", {}))
        for name, count in offered.items():
            if count > own.get(name, count):
                raise OnnxPolicyError(
                    f"{self.name} was built for environments with room for {own[name]} {name}, this one has room for "
                    f"{count}; expected at most {own[name]}"
                )

    def _choose(self, scores: NDArray[np.float32], lane: int) -> int:
        if not self._generators:
            return int(scores.argmax())
        generator = self._generators[lane if len(self._generators) > 1 else 0]
        scaled = scores / self._temperature
        drawn = scaled + generator.gumbel(size=len(scores))
        if self._threshold > 0.0:
            drawn = np.where(scaled - scaled.max() < np.log(self._threshold), -np.inf, drawn)
        return int(drawn.argmax())

    def _encode(self, spec: GraphSpec, observation: Observation, lane: int) -> _Episode:
        """Runs a lane's first decision and keeps what stays for the episode."""
        static = unpadded(spec, observation, lane, spec.static_keys)
        outputs = self.run({**static, **unpadded(spec, observation, lane, spec.dynamic_keys)})
        cached = {f"{_CACHED}{name}": array for name, array in outputs.items() if name.endswith(_EMBEDDING)}
        counts = observation["counts"][lane][: len(spec.nodes)].copy()
        numbers = {node.name: int(number) for node, number in zip(spec.nodes, counts, strict=True)}
        return _Episode({**static, **cached}, counts, spec.real_actions(numbers))

    def _checked(self, arrays: Mapping[str, Any]) -> Arrays:
        missing = [name for name in self._inputs if name not in arrays]
        if missing:
            raise OnnxPolicyError(f"{self.name} needs the input {missing[0]!r}; it takes {', '.join(self._inputs)}")
        known = {**self._inputs, **self._cached}
        feeds: Arrays = {}
        for name, array in arrays.items():
            if name not in known:
                raise OnnxPolicyError(f"{self.name} has no input {name!r}; it has {', '.join(known)}")
            feeds[name] = np.ascontiguousarray(array, _TYPES[known[name].type])
            if feeds[name].ndim != len(known[name].shape):
                raise OnnxPolicyError(
                    f"{self.name}: input {name!r} has the shape {feeds[name].shape}; expected {known[name].shape}"
                )
        return feeds


@dataclass(frozen=True)
class _Episode:
    """What stays for one episode.

    Attributes:
        arrays: Static inputs and cached embeddings.
        counts: ``(node types,)`` numbers of nodes.
        candidates: Index among the padded actions of every candidate.
    """

    arrays: Arrays
    counts: NDArray[np.int32]
    candidates: NDArray[np.int64]

    def fits(self, spec: GraphSpec, counts: NDArray[np.int32]) -> bool:
        """Whether the graph still has the nodes that were encoded."""
        return bool((counts[: len(spec.nodes)] == self.counts).all())


def unpadded(spec: GraphSpec, observation: Observation, lane: int, keys: Sequence[str]) -> Arrays:
    """Takes one lane out of padded observations, cuts the padding off, and gives arrays the types of the inputs.

    Args:
        spec: The graph spec.
        observation: Arrays with a leading lane axis.
        lane: The lane.
        keys: Names of the arrays to take; a node type without features adds its row count to the dynamic ones.
    """
    counts = observation["counts"][lane]
    result: Arrays = {}
    for node, number in zip(spec.nodes, counts, strict=False):
        for key in (node.static_key, node.dynamic_key):
            if key in keys and key in observation:
                result[key] = observation[key][lane, :number]
        if "counts" in keys and not (node.static or node.dynamic):
            result[f"{node.name}_present"] = np.ones(number, np.bool_)
    for edge, number in zip(spec.edges, counts[len(spec.nodes) :], strict=True):
        if edge.index_key in keys:
            result[edge.index_key] = observation[edge.index_key][lane, :, :number].astype(np.int64)
        if edge.features and edge.features_key in keys:
            result[edge.features_key] = observation[edge.features_key][lane, :number]
    if spec.context and "context" in keys:
        result["context"] = observation["context"][lane]
    if "action_mask" in keys:
        numbers = {node.name: int(number) for node, number in zip(spec.nodes, counts, strict=False)}
        result["action_mask"] = observation["action_mask"][lane, spec.real_actions(numbers)]
    return result


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    if threads < 1:
        raise OnnxPolicyError(f"threads is {threads}; expected at least 1")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OnnxPolicyError(f"{path} cannot be read: {error.strerror}; expected an ONNX file") from None
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no public base class
        raise OnnxPolicyError(f"{path} is not an ONNX file that can be run: {_one_line(error)}") from None


def _metadata(path: Path, session: onnxruntime.InferenceSession) -> dict[str, Any]:
    properties = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in properties:
        raise OnnxPolicyError(
            f"{path} was not exported by dispatchlab; expected the metadata property {METADATA_KEY!r}"
        )
    try:
        metadata = json.loads(properties[METADATA_KEY])
    except ValueError as error:
        raise OnnxPolicyError(f"{path}: the metadata property {METADATA_KEY!r} is not JSON: {error}") from None
    found = metadata.get("format") if isinstance(metadata, dict) else None
    if found != FORMAT:
        raise OnnxPolicyError(f"{path} has the metadata format {found!r}; expected {FORMAT}")
    lacking = [field for field in _FIELDS if field not in metadata]
    if lacking:
        raise OnnxPolicyError(f"{path}: the metadata lack the field {lacking[0]!r}")
    return dict(metadata)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
