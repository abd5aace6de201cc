"""What a network looks like; everything else follows from the `GraphSpec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from envs.core.errors import UsageError
from envs.core.settings import build_settings

CONVOLUTIONS = ("gatv2", "gin", "transformer", "alternating")
DECISIONS = ("pooling", "attention")
MESSAGES = ("mean", "attention", "none")
FLAT = "flat"


@dataclass(frozen=True)
class ModelConfig:
    """Shape of a policy network.

    Attributes:
        convolution: Graph convolution of the encoder: "gatv2" (Brody et al. 2022), "gin" (Xu et al. 2019, with edge
            features as in Hu et al. 2020), "transformer" (Shi et al. 2021), or "alternating": no convolution but
            attention within the groups that the relations make, in turns (see `models.alternating`).
        decision: How candidates see each other at a decision: "pooling" (mean over nodes) or "attention"
            (multi-head self-attention over all nodes that change).
        hidden: Width of every embedding.
        heads: Attention heads, where there are any; divides ``hidden``.
        encoder_layers: Rounds of message passing over the static graph, once an episode.
        decision_layers: Rounds of message passing over the dynamic graph, at every decision.
        messages: What a node hears at a decision along its relations: "mean" (Hamilton et al. 2017), "attention"
            (GATv2 over its neighbours: sparse, local attention) or "none".
    """

    convolution: str = "gatv2"
    decision: str = "pooling"
    hidden: int = 64
    heads: int = 4
    encoder_layers: int = 2
    decision_layers: int = 1
    messages: str = "mean"

    def __post_init__(self) -> None:
        """Checks every field."""
        for name, known in (("convolution", CONVOLUTIONS), ("decision", DECISIONS), ("messages", MESSAGES)):
            if getattr(self, name) not in known:
                raise UsageError(f"model.{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}")
        for name, least in (("hidden", 1), ("heads", 1), ("encoder_layers", 0), ("decision_layers", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"model.{name} is {getattr(self, name)}; expected at least {least}")
        if self.hidden % self.heads:
            raise UsageError(f"model.heads is {self.heads}; expected a divisor of model.hidden, {self.hidden}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Builds a config from plain data.

        Raises:
            UsageError: A field does not exist, or a value is of another type or out of range.
        """
        return build_settings(cls, values, "model")

    def to_mapping(self) -> dict[str, Any]:
        """Returns plain data that `from_mapping` accepts."""
        return asdict(self)


@dataclass(frozen=True)
class FlatConfig:
    """Shape of a flat network, the baseline that sees arrays instead of a graph.

    Attributes:
        widths: Widths of its hidden layers.
        capacities: Capacity of every node and edge type that it is built for; empty for what training and
            validation need.
    """

    widths: tuple[int, ...] = (512, 256)
    capacities: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks both fields and takes lists for tuples."""
        widths, given = self.widths, self.capacities
        if not isinstance(widths, list | tuple) or not widths or not all(_whole(width, 1) for width in widths):
            raise UsageError(f"model.widths is {widths!r}; expected a list of whole numbers of at least 1")
        if not isinstance(given, Mapping) or not all(_whole(count, 0) for count in given.values()):
            raise UsageError(f"model.capacities is {given!r}; expected whole numbers by node and edge type")
        object.__setattr__(self, "widths", tuple(widths))
        object.__setattr__(self, "capacities", dict(given))

    def to_mapping(self) -> dict[str, Any]:
        """Returns plain data that `network_config` accepts."""
        return {"architecture": FLAT, "widths": list(self.widths), "capacities": dict(self.capacities)}


NetworkConfig = ModelConfig | FlatConfig
"""Shape of any network that a policy may be."""


def network_config(values: Mapping[str, Any]) -> NetworkConfig:
    """Builds the shape of a network from plain data; ``architecture: flat`` asks for a flat one.

    Raises:
        UsageError: A field does not exist, or a value is of another type or out of range.
    """
    if not isinstance(values, Mapping) or "architecture" not in values:
        return ModelConfig.from_mapping(values)
    if values["architecture"] != FLAT:
        raise UsageError(f"model.architecture is {values['architecture']!r}; expected {FLAT!r}, or none for graphs")
    return build_settings(FlatConfig, {k: v for k, v in values.items() if k != "architecture"}, "model")


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
