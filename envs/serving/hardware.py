"""Models, devices, and what follows from their data sheets: memory for the cache, and times where nothing was measured.

`replica` builds an engine replica from names: coefficients come from the committed profiles (data/profiles.json) where
the model was measured on the device, else from the roofline: memory traffic at 0.8 of the bandwidth, arithmetic at
0.75 of the peak, caches read 1.7 times slower in batches with chunks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from envs.core.errors import UsageError
from envs.serving.execution import Execution
from envs.serving.types import Replica


@dataclass(frozen=True)
class Model:
    """The shape of a transformer, weights and cache in 16 bits.

    Attributes:
        layers: Number of layers.
        hidden: Width.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        head_width: Width of a head.
        parameters: Number of weights.
        vocabulary: Tokens that the output layer tells apart.
        experts: Experts a layer, 0 for a dense model.
        experts_per_token: Experts that a token goes to.
        expert_parameters: Weights of one expert in one layer.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_width: int
    parameters: float
    vocabulary: int
    experts: int = 0
    experts_per_token: int = 0
    expert_parameters: float = 0.0

    @property
    def kv_bytes(self) -> float:
        """Bytes of the cache a token."""
        return 4.0 * self.layers * self.kv_heads * self.head_width

    @property
    def dense_parameters(self) -> float:
        """Weights that every token meets: all but the experts and the two tables of the vocabulary."""
        return (
            self.parameters - self.layers * self.experts * self.expert_parameters - 2.0 * self.vocabulary * self.hidden
        )


@dataclass(frozen=True)
class Device:
    """A GPU by its data sheet.

    Attributes:
        bandwidth: Bytes a second.
        flops: Dense 16-bit operations a second.
        memory: Bytes.
        link: Bytes a second between two devices that share a model.
        link_latency: Seconds of one exchange.
    """

    bandwidth: float
    flops: float
    memory: float
    link: float = 25e9
    link_latency: float = 4e-5


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "llama_2_7b": Model(32, 4096, 32, 32, 128, 6.74e9, 32000),
        "llama_2_13b": Model(40, 5120, 40, 40, 128, 13.02e9, 32000),
        "llama_2_70b": Model(80, 8192, 64, 8, 128, 68.98e9, 32000),
        "llama_3_8b": Model(32, 4096, 32, 8, 128, 8.03e9, 128256),
        "llama_3_70b": Model(80, 8192, 64, 8, 128, 70.55e9, 128256),
        "mistral_7b": Model(32, 4096, 32, 8, 128, 7.24e9, 32000),
        "yi_34b": Model(60, 7168, 56, 8, 128, 34.39e9, 64000),
        "opt_13b": Model(40, 5120, 40, 40, 128, 12.85e9, 50272),
        "opt_66b": Model(64, 9216, 72, 72, 128, 65.72e9, 50272),
        "qwen_3_8b": Model(36, 4096, 32, 8, 128, 8.19e9, 151936),
        "qwen_3_30b_a3b": Model(48, 2048, 32, 4, 128, 30.53e9, 151936, 128, 8, 4.72e6),
    }
)
"""Models by name."""

DEVICES: Mapping[str, Device] = MappingProxyType(
    {
        "a100": Device(2.039e12, 312e12, 80e9, 103e9, 4.9e-5),
        "h100": Device(3.35e12, 989e12, 80e9, 253e9, 5.1e-5),
        "a10": Device(0.6e12, 125e12, 24e9),
        "a40": Device(0.696e12, 149.7e12, 48e9),
        "rtx_4090": Device(1.008e12, 165.2e12, 24e9),
        "rtx_pro_6000": Device(1.792e12, 503.8e12, 96e9),
    }
)
"""Devices by name; links of A100 and H100 are the all-reduce over four devices that vidur measured."""

BANDWIDTH_SHARE, FLOPS_SHARE, MIXED_FACTOR = 0.8, 0.75, 1.7
"""What is reached of a data sheet, and how much slower caches are read beside chunks."""

_LAUNCH = 1.5e-5
"""Seconds of the attention kernel of a layer, whatever it computes (A100, 14.9 microseconds)."""

_BLEND = 1.5
"""Exponent of the smooth maximum between reading weights and computing, chosen on the profile of the RTX PRO 6000."""


def replica(
    model: str,
    device: str,
    *,
    devices: int = 1,
    kv_blocks: int | None = None,
    block_size: int = 16,
    cpu: float = 0.4,
    utilisation: float = 0.9,
    backend: str = "fitted",
) -> Replica:
    """Builds an engine replica.

    Args:
        model: Name of the model.
        device: Name of the device.
        devices: Devices that share the model (tensor parallelism).
        kv_blocks: Blocks of the cache; by default what fits beside the weights.
        block_size: Tokens of a block.
        cpu: Milliseconds that the engine itself takes for an iteration.
        utilisation: Share of the memory that may be used.
        backend: "fitted" (a committed profile, the roofline where there is none) or "roofline".

    Raises:
        UsageError: A name is unknown, or the model does not fit.
    """
    for what, name, known in (("model", model, tuple(MODELS)), ("device", device, tuple(DEVICES))):
        if name not in known:
            raise UsageError(f"{what} is {name!r}; expected one of {', '.join(known)}")
    if backend not in ("fitted", "roofline"):
        raise UsageError(f"backend is {backend!r}; expected fitted or roofline")
    key = profile_name(model, device, devices)
    measured = profiles().get(key) if backend == "fitted" else None
    execution = measured or roofline(MODELS[model], DEVICES[device], devices)
    if kv_blocks is None:
        kv_blocks = derived_blocks(model, device, devices, block_size, utilisation)
    shape = MODELS[model]
    return Replica(
        key,
        replace(execution, cpu0=execution.cpu0 + cpu),
        kv_blocks,
        block_size,
        shape.kv_bytes,
        shape.layers,
    )


def profile_name(model: str, device: str, devices: int) -> str:
    """Name of a model on a number of devices."""
    return f"{model}/{device}" + (f"x{devices}" if devices > 1 else "")


def derived_blocks(model: str, device: str, devices: int, block_size: int, utilisation: float) -> int:
    """Returns the blocks that fit beside the weights and 2 GB of activations a device.

    Raises:
        UsageError: There is no room.
    """
    shape = MODELS[model]
    room = devices * (DEVICES[device].memory * utilisation - 2e9) - 2.0 * shape.parameters
    blocks = int(room / (block_size * shape.kv_bytes))
    if blocks < 1:
        raise UsageError(f"{model} does not fit on {devices} x {device}; expected more devices, or kv_blocks")
    return blocks


def roofline(model: Model, device: Device, devices: int = 1) -> Execution:
    """Returns coefficients that follow from the data sheets alone."""
    bandwidth, flops = BANDWIDTH_SHARE * device.bandwidth * devices, FLOPS_SHARE * device.flops * devices
    return replace(
        attention(model, device, devices),
        a=1e3 * 2.0 * model.dense_parameters / bandwidth,
        c=1e3 * 2.0 * model.dense_parameters / flops,
        p=_BLEND,
        experts=model.experts,
        experts_per_token=model.experts_per_token,
        expert0=1e3 * 2.0 * model.layers * model.expert_parameters / bandwidth,
        expert1=1e3 * 2.0 * model.layers * model.experts_per_token * model.expert_parameters / flops,
        expert_bytes=2.0 * model.layers * model.expert_parameters,
    )


def attention(model: Model, device: Device, devices: int = 1) -> Execution:
    """Returns the coefficients of attention, output layer and communication by data sheet, all others 0."""
    bandwidth, flops = BANDWIDTH_SHARE * device.bandwidth * devices, FLOPS_SHARE * device.flops * devices
    context = 1e3 * model.kv_bytes / bandwidth
    exchanges = 2 * model.layers if devices > 1 else 0
    return Execution(
        d0=1e3 * _LAUNCH * model.layers,
        d2=context,
        m0=1e3 * _LAUNCH * model.layers,
        m2=context,
        m3=1e3 * 4.0 * model.layers * model.heads * model.head_width / flops,
        m5=MIXED_FACTOR * context,
        head0=1e3 * 2.0 * model.vocabulary * model.hidden / bandwidth,
        head1=1e3 * 2.0 * model.vocabulary * model.hidden / flops,
        comm0=1e3 * exchanges * device.link_latency,
        comm1=1e3 * exchanges * 2.0 * model.hidden / device.link,
    )


@cache
def profiles() -> Mapping[str, Execution]:
    """Returns the committed profiles by name."""
    return MappingProxyType({name: Execution(**entry["execution"]) for name, entry in _document().items()})


def provenance(name: str) -> tuple[str, Mapping[str, float]]:
    """Returns where a profile comes from, and the mean absolute percentage error of its parts."""
    entry = _document()[name]
    return str(entry["source"]), dict(entry["errors_percent"])


@cache
def _document() -> Mapping[str, Any]:
    path = Path(__file__).parent / "data" / "profiles.json"
    document: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
