"""A policy network as one ONNX graph over the arrays of one unpadded observation.

The graph holds both halves of the policy. Its inputs carry the names of the observation's arrays; besides them stand
``cached_<type>_embedding`` inputs, which may be left out. Left out (or without rows), the graph encodes the static
arrays; given, it takes them instead and skips that work. They are what the outputs ``<type>_embedding`` of an earlier
call in the same episode held.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from envs.core.spec import ACTION_MASK, CONTEXT, EdgeType, GraphSpec, NodeType
from models.batch import DecisionGraph, StaticGraph, decision_edges, decision_types
from models.network import Network, PolicyNetwork

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

OPSET = 20
"""Version of the ONNX operators."""

ILLEGAL_LOGIT = -1e9
"""Logit of a masked action."""

LOGITS, VALUE = "logits", "value"
ROW_COUNT = "{}_present"
"""Input that only counts rows: of a node type that has no features at all."""

UNMASKED = "unmasked_logits"
"""Name of the logits before the mask, inside the graph."""


@dataclass(frozen=True)
class Port:
    """An input or output of the graph.

    Attributes:
        name: Its name.
        shape: Its shape; a string stands for a number that may differ from call to call.
        dtype: NumPy name of its element type.
        optional: Whether a caller may leave it out.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    optional: bool = False


def input_ports(spec: GraphSpec, hidden: int) -> tuple[Port, ...]:
    """Returns the inputs: static arrays, dynamic arrays, the action mask, then the optional cached embeddings."""
    nodes = [port for node in spec.nodes for port in _node_ports(node)]
    edges = [port for edge in spec.edges for port in _edge_ports(edge)]
    static = set(spec.static_keys)
    ports = sorted([*nodes, *edges], key=lambda port: port.name not in static)
    if spec.context:
        ports.append(Port(CONTEXT, (len(spec.context),), "float32"))
    ports.append(Port(ACTION_MASK, ("num_actions",), "bool"))
    ports.extend(Port(f"cached_{p.name}", p.shape, p.dtype, optional=True) for p in embedding_ports(spec, hidden))
    return tuple(ports)


def output_ports(spec: GraphSpec, hidden: int) -> tuple[Port, ...]:
    """Returns the outputs: masked logits, the estimated return, and the embeddings that may be cached."""
    logits, value = Port(LOGITS, ("num_actions",), "float32"), Port(VALUE, (1,), "float32")
    return (logits, value, *embedding_ports(spec, hidden))


def embedding_ports(spec: GraphSpec, hidden: int) -> tuple[Port, ...]:
    """Returns the embeddings that a decision reads, one for each node type that it looks at."""
    ends = {end for edge in decision_edges(spec) for end in (edge.source, edge.target)}
    names = [node.name for node in spec.nodes if node.name in ends or node.name in decision_types(spec)]
    return tuple(Port(f"{name}_embedding", (f"num_{name}", hidden), "float32") for name in names)


def build_onnx(network: Network, spec: GraphSpec) -> onnx.ModelProto:
    """Builds the ONNX model of a policy.

    Args:
        network: The network; its parameters become part of the model.
        spec: The graph spec; capacities do not matter.
    """
    from models.flat import FlatNetwork
    from models.flat_onnx import build_flat_onnx

    if isinstance(network, FlatNetwork):
        return build_flat_onnx(network, spec)
    assert isinstance(network, PolicyNetwork)
    network = network.eval()
    hidden = network.whole.in_features
    cached = {p.name: p for p in embedding_ports(spec, hidden)}
    ports = {port.name: port for port in input_ports(spec, hidden) if not port.optional}
    encoder, decider = _Encoder(network, spec, tuple(cached)), _Decider(network, spec)
    encode = to_onnx(encoder, [ports[name] for name in encoder.reads], tuple(cached))
    decide = to_onnx(decider, [{**ports, **cached}[name] for name in decider.reads], (UNMASKED, VALUE))
    return _compose(spec, hidden, encode, decide)


def rows_key(node: NodeType) -> str:
    """Returns the name of an input that has one row for each node of the type."""
    if node.static:
        return node.static_key
    return node.dynamic_key if node.dynamic else ROW_COUNT.format(node.name)


def _node_ports(node: NodeType) -> Iterator[Port]:
    rows = f"num_{node.name}"
    if node.static:
        yield Port(node.static_key, (rows, len(node.static)), "float32")
    if node.dynamic:
        yield Port(node.dynamic_key, (rows, len(node.dynamic)), "float32")
    if not (node.static or node.dynamic):
        yield Port(ROW_COUNT.format(node.name), (rows,), "bool")


def _edge_ports(edge: EdgeType) -> Iterator[Port]:
    yield Port(edge.index_key, (2, f"num_{edge.name}"), "int64")
    if edge.features:
        yield Port(edge.features_key, (f"num_{edge.name}", len(edge.features)), "float32")


class _Encoder(nn.Module):
    """The static half on one unpadded graph."""

    def __init__(self, network: PolicyNetwork, spec: GraphSpec, outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.outputs = [name.removesuffix("_embedding") for name in outputs]
        self.edges = [edge for edge in spec.edges if edge.static]
        indices = [edge.index_key for edge in self.edges]
        features = [edge.features_key for edge in self.edges if edge.features]
        self.reads = [*(rows_key(node) for node in spec.nodes), *indices, *features]

    def forward(self, arrays: dict[str, Tensor]) -> tuple[Tensor, ...]:
        nodes = {}
        for node in self.spec.nodes:
            rows = arrays[rows_key(node)]
            nodes[node.name] = rows[None] if node.static else torch.zeros(1, rows.shape[0], 0)
        edges = {edge.name: arrays[edge.index_key] for edge in self.edges}
        features = {edge.name: arrays[edge.features_key] for edge in self.edges if edge.features}
        embeddings = self.network.encode(StaticGraph(nodes, edges, features))
        return tuple(embeddings[name][0] for name in self.outputs)


class _Decider(nn.Module):
    """The dynamic half on one unpadded graph, given the embeddings."""

    def __init__(self, network: PolicyNetwork, spec: GraphSpec) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.types = [spec.node(name) for name in decision_types(spec)]
        self.edges = decision_edges(spec)
        self.embedded = [port.name for port in embedding_ports(spec, 1)]
        dynamic = [node.dynamic_key for node in self.types if node.dynamic]
        indices = [edge.index_key for edge in self.edges]
        features = [edge.features_key for edge in self.edges if edge.features]
        self.reads = [*self.embedded, *dynamic, *indices, *features, *((CONTEXT,) if spec.context else ())]

    def forward(self, arrays: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        static = {name.removesuffix("_embedding"): arrays[name][None] for name in self.embedded}
        rows = {node.name: static[node.name].shape[1] for node in self.types}
        graph = DecisionGraph(
            episode=torch.zeros(1, dtype=torch.int64),
            nodes={
                node.name: arrays[node.dynamic_key][None] if node.dynamic else torch.zeros(1, rows[node.name], 0)
                for node in self.types
            },
            present={name: torch.ones(1, count, dtype=torch.bool) for name, count in rows.items()},
            edges={edge.name: arrays[edge.index_key] for edge in self.edges},
            edge_features={edge.name: arrays[edge.features_key] for edge in self.edges if edge.features},
            context=arrays[CONTEXT][None] if self.spec.context else torch.zeros(1, 0),
        )
        logits, value = self.network.decide(static, graph)
        return logits[0], value


def to_onnx(module: nn.Module, inputs: Sequence[Port], outputs: Sequence[str]) -> onnx.GraphProto:
    """Traces a module with made-up arrays of a few rows; every named size stays free."""
    sizes = {size: i for i, size in enumerate(dict.fromkeys(s for port in inputs for s in port.shape if _free(s)))}
    dims = {size: torch.export.Dim(str(size), min=0, max=2**31 - 1) for size in sizes}
    arrays, shapes = {}, {}
    for port in inputs:
        shape = [4 + sizes[size] if _free(size) else size for size in port.shape]
        arrays[port.name] = torch.zeros(shape, dtype=getattr(torch, port.dtype))  # type: ignore[arg-type]
        shapes[port.name] = {axis: dims[size] for axis, size in enumerate(port.shape) if _free(size)}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            kwargs={"arrays": arrays},
            input_names=[port.name for port in inputs],
            output_names=list(outputs),
            dynamic_shapes={"arrays": shapes},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    assert not model.functions
    for part in (*model.graph.node, *model.graph.initializer):  # traces of this machine's source files
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model.graph


def _free(size: int | str) -> bool:
    return isinstance(size, str)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's notes to itself; what it cannot do, it raises."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _compose(spec: GraphSpec, hidden: int, encode: onnx.GraphProto, decide: onnx.GraphProto) -> onnx.ModelProto:
    """Joins both halves: encode if nothing is cached, decide, mask."""
    import numpy as np
    from onnx import compose, helper

    ports = embedding_ports(spec, hidden)
    kept: dict[str, Any] = {"rename_inputs": False, "rename_outputs": False}
    encode = compose.add_prefix_graph(encode, "encode/", **kept)
    decide = compose.add_prefix_graph(decide, "decide/", **kept)
    embeddings = [port.name for port in ports]
    branches = {
        "then_branch": helper.make_graph(_renamed(encode, "fresh_"), "encode", [], _values(ports, "fresh_")),
        "else_branch": helper.make_graph(
            [helper.make_node("Identity", [f"cached_{name}"], [f"kept_{name}"]) for name in embeddings],
            "cached",
            [],
            _values(ports, "kept_"),
        ),
    }
    nodes = [
        *(helper.make_node("Size", [f"cached_{name}"], [f"{name}_size"]) for name in embeddings),
        helper.make_node("Max", [f"{name}_size" for name in embeddings], ["cached_size"]),
        helper.make_node("Equal", ["cached_size", "zero"], ["encode_now"]),
        helper.make_node("If", ["encode_now"], embeddings, **branches),
        *decide.node,
    ]
    constants: dict[str, Any] = {"zero": np.array(0, np.int64)}
    constants |= {f"cached_{port.name}": np.zeros((0, hidden), np.float32) for port in ports}
    initializers = [*encode.initializer, *decide.initializer]
    return compose_policy(nodes, input_ports(spec, hidden), output_ports(spec, hidden), initializers, constants)


def compose_policy(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    initializers: Sequence[onnx.TensorProto],
    constants: Mapping[str, NDArray[Any]],
) -> onnx.ModelProto:
    """Adds the mask to a graph that computes `UNMASKED` logits, and makes a checked model of it.

    Args:
        nodes: What computes the unmasked logits and the other outputs.
        inputs: Inputs, the action mask among them.
        outputs: Outputs, the masked logits among them.
        initializers: The parameters.
        constants: Further constants and defaults of optional inputs, by name.
    """
    import numpy as np
    from onnx import checker, helper, numpy_helper

    masking = helper.make_node("Where", [ACTION_MASK, UNMASKED, "illegal_logit"], [LOGITS])
    given = {"illegal_logit": np.array(ILLEGAL_LOGIT, np.float32), **constants}
    tensors = [*initializers, *(numpy_helper.from_array(array, name) for name, array in given.items())]
    graph = helper.make_graph([*nodes, masking], "policy", _values(inputs), _values(outputs), tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    model.producer_name = "dispatchlab"
    checker.check_model(model, full_check=True)
    return model


def _renamed(graph: onnx.GraphProto, prefix: str) -> list[onnx.NodeProto]:
    """Returns the nodes of a graph with its outputs renamed, so that they do not clash with the graph around it."""
    names = {output.name for output in graph.output}
    for node in graph.node:
        for ends in (node.input, node.output):
            for i, name in enumerate(ends):
                if name in names:
                    ends[i] = prefix + name
    return list(graph.node)


def _values(ports: Sequence[Port], prefix: str = "") -> list[onnx.ValueInfoProto]:
    import numpy as np
    from onnx import helper

    return [
        helper.make_tensor_value_info(
            prefix + port.name, helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype)), list(port.shape)
        )
        for port in ports
    ]
