"""Fits the tables of prompt and output lengths that synthetic serving workloads are drawn from.

    python scripts/fit_serving_lengths.py DATA --output envs/serving/data/lengths.json

DATA is a folder with the published traces: azure2023/, mooncake/ and vidur/processed_traces/. What a folder lacks is
kept from the file that is already there.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from envs.core.errors import UsageError, exit_on_usage_error
from envs.core.files import write_text
from envs.serving.readers import read_azure, read_lengths, read_mooncake
from envs.serving.workloads import fit_lengths

_SOURCES = {
    "azure_conversation": (
        "azure2023/AzureLLMInferenceTrace_conv.csv",
        "Azure LLM inference trace 2023, conversation (Patel et al., ISCA 2024; CC-BY 4.0)",
    ),
    "azure_code": (
        "azure2023/AzureLLMInferenceTrace_code.csv",
        "Azure LLM inference trace 2023, code (Patel et al., ISCA 2024; CC-BY 4.0)",
    ),
    "mooncake_conversation": (
        "mooncake/conversation_trace.jsonl",
        "Mooncake conversation trace (Qin et al., FAST 2025; Apache-2.0)",
    ),
    "sharegpt": (
        "vidur/processed_traces/sharegpt_8k_filtered_stats_llama2_tokenizer.csv",
        "openchat_sharegpt4, at most 8,192 tokens (Agrawal et al., Sarathi-Serve, OSDI 2024; Apache-2.0)",
    ),
    "arxiv": (
        "vidur/processed_traces/arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv",
        "arXiv summarisation, at most 4,096 tokens (Agrawal et al., vidur, MLSys 2024; MIT)",
    ),
}


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the traces")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args()
    exit_on_usage_error(lambda: run(arguments.data, arguments.output))


def run(data: Path, output: Path) -> None:
    """Fits every table whose trace is there.

    Raises:
        UsageError: The folder has none of the traces, or one is not what it should be.
    """
    tables = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    found = 0
    for name, (place, source) in _SOURCES.items():
        path = data / place
        if not path.exists():
            continue
        found += 1
        if "processed_traces" in place:
            prompt, generated = read_lengths(path)
        else:
            requests = read_mooncake(path) if path.suffix == ".jsonl" else read_azure(path)
            prompt, generated = requests.prompt, requests.output
        tables[name] = asdict(fit_lengths(prompt, generated, source))
        print(f"{name}: {len(prompt):,} requests, mean {prompt.mean():,.0f} in, {generated.mean():,.0f} out")
    if found == 0:
        raise UsageError(f"{data} has none of the traces: {', '.join(place for place, _ in _SOURCES.values())}")
    write_text(output, json.dumps(dict(sorted(tables.items()))) + "\n")


if __name__ == "__main__":
    main()
