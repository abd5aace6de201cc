"""Speed of edge offloading on the published system (six edge servers, 100 steps).

    python -m benchmarks.offload_speed

Decisions a second of the environment's step on one thread of one core, in processor time: features, masks and the
drawing of new episodes included. Actions are drawn beforehand, uniformly over the servers or with the cloud left out,
which overloads the edge and makes queues long.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, describe, last_core, single_thread
from benchmarks.measurements import markdown

RESULTS = ROOT / "benchmarks" / "results" / "offload_speed.json"


def measure(lanes: int, decisions: int, channel: str, edges_only: bool) -> dict[str, Any]:
    """Runs random decisions after a warm-up of a full episode.

    Args:
        lanes: Episodes side by side.
        decisions: Decisions to time.
        channel: Option of the environment.
        edges_only: Leave the cloud out.
    """
    import numpy as np

    from envs.core import GraphVectorEnv, problem

    env = GraphVectorEnv(problem("offload").bind({"channel": channel}), lanes, copy=False)
    env.reset(seed=0)
    steps = max(100, decisions // lanes)
    actions = np.random.default_rng(0).integers(int(edges_only), 7, (steps + 100, lanes))
    for step in range(100):
        env.step(actions[step])
    started = time.process_time()
    for step in range(100, steps + 100):
        env.step(actions[step])
    seconds = time.process_time() - started
    return {
        "lanes": lanes,
        "channel": channel,
        "servers": "edges only" if edges_only else "all",
        "decisions_per_second": steps * lanes / seconds,
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 64, 256, 1024])
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--core", type=int, default=last_core())
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    single_thread(arguments.core)
    settings = [("as_published", False), ("as_published", True), ("physical", False)]
    rows = [
        measure(lanes, arguments.decisions if lanes > 1 else arguments.decisions // 20, channel, edges_only)
        for channel, edges_only in settings
        for lanes in arguments.lanes
    ]
    cells = [[str(r["lanes"]), r["channel"], r["servers"], f"{r['decisions_per_second']:,.0f}"] for r in rows]
    print(markdown(list(rows[0]), cells))
    result = {
        "machine": describe(("numpy", "numba", "gymnasium")),
        "settings": {"decisions": arguments.decisions},
        "rows": rows,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
