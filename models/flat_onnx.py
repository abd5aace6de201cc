"""A flat policy network as one ONNX graph over the arrays of one unpadded observation.

The inputs and outputs are those of `models.onnx_graph`, without embeddings: there is nothing worth keeping from one
decision to the next. The graph puts the arrays into their places among zeros; more rows than places are an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS, GraphSpec
from models.flat import FlatNetwork, Slot
from models.onnx_graph import LOGITS, UNMASKED, VALUE, Port, compose_policy, input_ports, rows_key, to_onnx

if TYPE_CHECKING:
    import onnx


def build_flat_onnx(network: FlatNetwork, spec: GraphSpec) -> onnx.ModelProto:
    """Builds the ONNX model of a flat policy.

    Args:
        network: The network; its parameters become part of the model.
        spec: The graph spec; capacities do not matter, the network has its own.
    """
    inputs = tuple(port for port in input_ports(spec, 1) if not port.optional)
    module = _Decision(network.eval())
    read = [port for port in inputs if port.name != ACTION_MASK]
    decide = to_onnx(module, read, (UNMASKED, VALUE))
    outputs = (Port(LOGITS, ("num_actions",), "float32"), Port(VALUE, (1,), "float32"))
    return compose_policy(list(decide.node), inputs, outputs, list(decide.initializer), {})


class _Decision(nn.Module):
    """The network on one unpadded graph."""

    def __init__(self, network: FlatNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, arrays: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        network, spec = self.network, self.network.spec
        rows = {node.name: arrays[rows_key(node)] for node in spec.nodes}
        counted = [*rows.values(), *(arrays[edge.index_key][0] for edge in spec.edges)]
        counts = torch.stack([torch.ones(each.shape[0]).sum() for each in counted])
        known = {**arrays, COUNTS: counts}
        flat = [_place(slot, known[slot.key]) for slot in (*network.static_slots, *network.dynamic_slots)]
        logits, value = network.score_and_value(torch.cat(flat)[None])
        candidates = [spec.action_offset(name) + torch.arange(rows[name].shape[0]) for name in spec.actions]
        return logits[0].index_select(0, torch.cat(candidates)), value


def _place(slot: Slot, array: Tensor) -> Tensor:
    """Puts the numbers of one unpadded array among zeros."""
    numbers = slot.transform(array)
    if slot.key in (COUNTS, CONTEXT):
        return numbers
    axis = next(axis for axis, name in enumerate(slot.names) if name is not None)
    rows = numbers.transpose(0, axis)
    width = slot.shape[1 - axis]
    placed = torch.zeros(slot.shape[axis], width).index_put((torch.arange(rows.shape[0]),), rows)
    return placed.transpose(0, axis).flatten()
