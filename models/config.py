"""What a network looks like; everything else follows from the `GraphSpec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from envs.core.errors import UsageError
from envs.core.settings import build_settings

CONVOLUTIONS = ("gatv2", "gin", "transformer")
DECISIONS = ("pooling", "attention")


@dataclass(frozen=True)
class ModelConfig:
    """Shape of a policy network.

    Attributes:
        convolution: Graph convolution of the encoder: "gatv2" (Brody et al. 2022), "gin" (Xu et al. 2019, with edge
            features as in Hu et al. 2020) or "transformer" (Shi et al. 2021).
        decision: How candidates see each other at a decision: "pooling" (mean over nodes) or "attention"
            (multi-head self-attention over all nodes that change).
        hidden: Width of every embedding.
        heads: Attention heads, where there are any; divides ``hidden``.
        encoder_layers: Rounds of message passing over the static graph, once an episode.
        decision_layers: Rounds of message passing over the dynamic graph, at every decision.
    """

    convolution: str = "gatv2"
    decision: str = "pooling"
    hidden: int = 64
    heads: int = 4
    encoder_layers: int = 2
    decision_layers: int = 1

    def __post_init__(self) -> None:
        """Checks every field."""
        for name, known in (("convolution", CONVOLUTIONS), ("decision", DECISIONS)):
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
