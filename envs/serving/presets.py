"""Schedulers of the literature as choices at the strategy points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from envs.serving.strategy import Strategy

_WHOLE = 1 << 30
"""A budget that never binds."""


@dataclass(frozen=True)
class Preset:
    """A named scheduler.

    Attributes:
        strategy: Its choices.
        source: Where it was published, and what was left out.
    """

    strategy: Strategy
    source: str


_VLLM = {"reserve": "prompt", "watermark": 0.01, "max_running": 256}
_SARATHI = {"batching": "chunked", "decodes_first": True, **_VLLM}
_ORCA = "Yu et al. 2022, OSDI (Orca)"
_SARATHI_PAPER = "Agrawal et al. 2024, OSDI (Sarathi-Serve)"
_FASTSWITCH = "Shen et al. 2024, arXiv 2411.18424 (FastSwitch)"

_PRIORITIES = {
    "batching": "prefill_first",
    "order": "priority",
    "victim": "lowest_priority",
    "mode": "swap",
    "budget": 8192,
    "priority_trace": "markov",
    **_VLLM,
}

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "static": Preset(
            Strategy(batching="static", reserve="maximum", budget=_WHOLE, max_running=32),
            f"a batch is answered whole before the next one begins; the baseline of {_ORCA}",
        ),
        "orca": Preset(
            Strategy(batching="mixed", reserve="maximum", budget=_WHOLE, max_running=128),
            f"iteration-level batches of decodes and whole prompts, memory for the longest request: {_ORCA}",
        ),
        "vllm_v0": Preset(
            Strategy(batching="prefill_first", budget=8192, **_VLLM),  # type: ignore[arg-type]
            "prompts first, paged memory, recompute: Kwon et al. 2023, SOSP (vLLM)",
        ),
        "vllm_v1": Preset(
            Strategy(batching="chunked", budget=2048, max_running=256),
            "running requests first within a budget of tokens: vLLM's engine from version 0.8 on",
        ),
        "sarathi_512": Preset(
            Strategy(budget=512, **_SARATHI),  # type: ignore[arg-type]
            f"decodes, then chunks, in 512 tokens: {_SARATHI_PAPER}",
        ),
        "sarathi_2048": Preset(
            Strategy(budget=2048, **_SARATHI),  # type: ignore[arg-type]
            f"decodes, then chunks, in 2,048 tokens: {_SARATHI_PAPER}",
        ),
        "sarathi_hybrid_only": Preset(
            Strategy(batching="mixed", budget=_WHOLE, **_VLLM),  # type: ignore[arg-type]
            f"decodes and whole prompts together, table 4 of {_SARATHI_PAPER}",
        ),
        "sarathi_chunk_only": Preset(
            Strategy(batching="alternating", budget=1024, **_VLLM),  # type: ignore[arg-type]
            f"chunks of 1,024 tokens and decodes in turn, table 4 of {_SARATHI_PAPER}",
        ),
        "sarathi_1024": Preset(
            Strategy(budget=1024, **_SARATHI),  # type: ignore[arg-type]
            f"both, in 1,024 tokens, table 4 of {_SARATHI_PAPER}",
        ),
        "dynamic_chunk": Preset(
            Strategy(budget=8192, slack=0.08, **_SARATHI),  # type: ignore[arg-type]
            "the largest chunk with which the oldest decode has its token within 80 ms: arXiv 2609.07883 (SLOWeave)",
        ),
        "layered_prefill": Preset(
            Strategy(batching="layered", budget=8192, **_VLLM),  # type: ignore[arg-type]
            "a group of layers of the prompts with every batch of decodes, so that experts are read once a prompt: "
            "Lee et al. 2025 (Layered Prefill)",
        ),
        "shortest_job_first": Preset(
            Strategy(batching="chunked", order="shortest", max_running=256),
            "vLLM V1 that admits the smallest predicted output first",
        ),
        "virtual_token_counter": Preset(
            Strategy(batching="chunked", order="fair", max_running=256),
            "vLLM V1 that admits the user with the least service first: Sheng et al. 2024, OSDI (VTC)",
        ),
        "llumnix": Preset(
            Strategy(batching="chunked", dispatch="freeness", migration_period=0.1, max_running=256),
            "vLLM V1 on several replicas with dispatch by freeness and live migration: Sun et al. 2024, OSDI (Llumnix)",
        ),
        "priority_swap": Preset(
            Strategy(**_PRIORITIES),  # type: ignore[arg-type]
            f"vLLM with changing priorities and swapping, the baseline of {_FASTSWITCH}",
        ),
        "fastswitch": Preset(
            Strategy(**{**_PRIORITIES, "group_blocks": 16, "asynchronous": True, "reuse": True}),  # type: ignore[arg-type]
            f"block groups, asynchronous swapping, reuse of copies on the host: {_FASTSWITCH}",
        ),
    }
)
"""Every preset by name."""
