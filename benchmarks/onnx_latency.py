"""How long the ONNX dispatcher takes to decide, one thread, one shop at a time.

    python -m benchmarks.onnx_latency [MODEL.onnx]

Runs whole episodes and times every call of `OnnxDispatcher.decide` on its own, and `reset`, which encodes the static
part of the instance once an episode. Wall time, since latency is what a caller waits.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, describe, last_core, single_thread
from benchmarks.measurements import markdown, number

RESULTS = ROOT / "benchmarks" / "results" / "onnx_latency.json"
SIZES = ("6x6", "15x15", "30x20", "100x20")


def measure(model: Path, size: str, decisions: int, seed: int) -> dict[str, Any]:
    """Times at least one episode and ``decisions`` decisions of one lane.

    Args:
        model: ONNX file.
        size: Jobs and machines of the random instances, ``"15x15"``.
        decisions: Least number of decisions.
        seed: Seed of the instances.

    Returns:
        Milliseconds: median and 99th percentile of a decision, median of the encoding.
    """
    import numpy as np

    from agents.onnx_dispatcher import OnnxDispatcher
    from envs.core import make_vector_env

    jobs, machines = (int(n) for n in size.split("x"))
    dispatcher = OnnxDispatcher(model)
    options = {**dispatcher.options, "sizes": ((jobs, machines),)}
    env = make_vector_env("job_shop", 1, options=options, copy=False)
    decide_times: list[float] = []
    reset_times: list[float] = []
    episode = 0
    _warm_up(dispatcher, env)
    while len(decide_times) < decisions:
        observation, _ = env.reset(seed=seed + episode)
        episode += 1
        started = time.perf_counter()
        dispatcher.reset(env, observation)
        reset_times.append(time.perf_counter() - started)
        for _ in range(jobs * machines):
            started = time.perf_counter()
            action = dispatcher.decide(env, observation)
            decide_times.append(time.perf_counter() - started)
            observation, *_ = env.step(action)
    milliseconds = 1e3 * np.array(decide_times)
    return {
        "size": size,
        "decisions": len(decide_times),
        "decide_median_ms": float(np.median(milliseconds)),
        "decide_p99_ms": float(np.percentile(milliseconds, 99)),
        "encode_median_ms": float(1e3 * np.median(reset_times)),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Returns a Markdown table."""
    head = ["size", "decision, median ms", "decision, P99 ms", "encoding an instance, median ms", "decisions timed"]
    keys = ("decide_median_ms", "decide_p99_ms", "encode_median_ms")
    return markdown(head, [[row["size"], *(number(row[key]) for key in keys), str(row["decisions"])] for row in rows])


def find_model() -> Path:
    """Returns the ONNX file that is shipped for the job shop.

    Raises:
        SystemExit: There is none.
    """
    found = sorted((ROOT / "checkpoints" / "job_shop").rglob("*.onnx"))
    if not found:
        raise SystemExit(
            "error: there is no .onnx file under checkpoints/job_shop; name one: scripts/export.py makes it"
        )
    return found[0]


def _warm_up(dispatcher: Any, env: Any) -> None:
    observation, _ = env.reset(seed=0)
    dispatcher.reset(env, observation)
    for _ in range(5):
        observation, *_ = env.step(dispatcher.decide(env, observation))


def main(argv: list[str] | None = None) -> None:
    """Measures, writes the results file and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, help="ONNX file; by default the one shipped for the job shop")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES))
    parser.add_argument("--decisions", type=int, default=2000, help="least number of decisions timed at each size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--core", type=int, default=last_core())
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    single_thread(arguments.core)
    model = arguments.model or find_model()
    machine = describe(("onnxruntime", "numpy"))
    rows = [measure(model, size, arguments.decisions, arguments.seed) for size in arguments.sizes]
    label = model.resolve().relative_to(ROOT) if model.resolve().is_relative_to(ROOT) else Path(model.name)
    result = {"machine": machine, "model": str(label), "rows": rows}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
