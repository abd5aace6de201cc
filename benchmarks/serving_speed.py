"""Speed and memory of the serving engine.

    python -m benchmarks.serving_speed

Three loads, in processor time on one core, compilation outside the clock: 256 running requests that decode, wave after
wave; the same number of running requests under an overload of Azure's conversations, with admissions in nearly every
iteration and a long queue; and a million requests of that distribution on four replicas, with the peak memory of the
process. Published for comparison: vidur ran 35,565 simulations in 12.5 hours on 96 cores, about two
core-minutes each (Agrawal et al., "Vidur", MLSys 2024).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import ROOT, describe, last_core, single_thread
from benchmarks.measurements import markdown

if TYPE_CHECKING:
    from envs.serving.types import Requests

RESULTS = ROOT / "benchmarks" / "results" / "serving_speed.json"


def measure(name: str, requests: Requests, replicas: int) -> dict[str, float | str]:
    """Simulates a load under vLLM V1's rules with up to 256 running requests.

    Args:
        name: Name of the row.
        requests: The requests.
        replicas: Number of replicas.

    Returns:
        Requests, iterations, mean running requests, seconds, iterations a second, and the peak memory in GiB.
    """
    from envs.serving.hardware import replica
    from envs.serving.presets import PRESETS
    from envs.serving.simulation import simulate
    from envs.serving.types import ServingInstance
    from envs.serving.workloads import synthetic

    strategy = replace(PRESETS["vllm_v1"].strategy, dispatch="least_requests")
    engines = (replica("llama_3_8b", "h100", devices=2, kv_blocks=60_000),) * replicas
    simulate(ServingInstance("warm-up", engines, synthetic("azure_conversation", 50, 10.0, 1)), strategy)
    instance = ServingInstance(name, engines, requests)
    started = time.process_time()
    outcome = simulate(instance, strategy)
    seconds = time.process_time() - started
    iterations = int(outcome.replicas["iterations"].sum())
    computed = float(instance.requests.output.sum())
    return {
        "load": name,
        "requests": len(requests),
        "iterations": iterations,
        "tokens_per_iteration": computed / iterations,
        "seconds": seconds,
        "iterations_per_second": iterations / seconds,
        "requests_per_second": len(requests) / seconds,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000, help="requests of the large load")
    parser.add_argument("--core", type=int, default=last_core())
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    single_thread(arguments.core)
    import numpy as np

    from envs.serving.types import make_requests
    from envs.serving.workloads import synthetic

    rows = [
        measure("decodes", make_requests(np.zeros(2560), np.full(2560, 100), np.full(2560, 3000)), 1),
        measure("overload", synthetic("azure_conversation", 50_000, 200.0, 0), 1),
        measure("a million requests", synthetic("azure_conversation", arguments.requests, 60.0, 0), 4),
    ]
    print(markdown(list(rows[0]), [[_shown(value) for value in row.values()] for row in rows]))
    result: dict[str, Any] = {"machine": describe(("numpy", "numba")), "rows": rows}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


if __name__ == "__main__":
    main()
