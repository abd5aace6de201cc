"""Speed and memory of VM rescheduling, from 279 to 10,000 machines.

    python -m benchmarks.vm_rescheduling_speed

Decisions a second of the environment's step on one thread of one core, features and masks included, in processor time:
an episode of 50 migrations by a random policy that never stops, which decides outside the clock. Every size is a
process of its own, whose peak memory (resident set, libraries included) stands beside. "medium" and "large" are the
published snapshots, see docs/vm_rescheduling.md; the others are synthetic clusters, the largest with some 100,000 VMs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, describe, last_core, single_thread
from benchmarks.measurements import markdown, number

RESULTS = ROOT / "benchmarks" / "results" / "vm_rescheduling_speed.json"
SIZES = ("medium", "large", "300", "1000", "3000", "10000", "13500")


def measure(size: str, lanes: int, episodes: int) -> dict[str, Any]:
    """Runs random episodes after one to warm up.

    Args:
        size: "medium" or "large", or a number of synthetic machines.
        lanes: Episodes side by side.
        episodes: Episodes a lane.
    """
    import numpy as np
    from gymnasium.vector import AutoresetMode

    from envs.core import GraphVectorEnv, problem
    from envs.vm_rescheduling.generators import synthetic
    from envs.vm_rescheduling.snapshots import load_snapshot

    rng = np.random.default_rng(0)
    instance = synthetic(int(size), rng) if size.isdecimal() else load_snapshot(size)
    bound = problem("vm_rescheduling").bind({"instances": (instance,)})
    env = GraphVectorEnv(bound, lanes, copy=False, autoreset_mode=AutoresetMode.DISABLED)
    seconds, decisions, vms = 0.0, 0, len(instance.vms.names)
    for episode in range(-1, episodes):
        observation, _ = env.reset(seed=episode + 1)
        if episode == 0:
            seconds, decisions = 0.0, 0
        running = np.ones(lanes, np.bool_)
        while running.any():
            mask = observation["action_mask"].copy()
            mask[:, vms] &= ~mask[:, :vms].any(axis=1)
            actions = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)
            started = time.process_time()
            observation, _, terminated, _, _ = env.step(actions)
            seconds += time.process_time() - started
            decisions += int(running.sum())
            running &= ~terminated
    return {
        "size": size,
        "machines": len(instance.machines.names),
        "vms": vms,
        "decisions_per_second": decisions / seconds,
        "microseconds_per_decision_and_1000_vms": 1e9 * seconds / decisions / vms,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES))
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--episodes", type=int, default=2, help="episodes a lane")
    parser.add_argument("--core", type=int, default=last_core())
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--one", action="store_true", help="measure one size in this process and print it as JSON")
    arguments = parser.parse_args()
    single_thread(arguments.core)
    if arguments.one:
        print(json.dumps(measure(arguments.sizes[0], arguments.lanes, arguments.episodes)))
        return
    common = ["--lanes", str(arguments.lanes), "--episodes", str(arguments.episodes)]
    common += [] if arguments.core is None else ["--core", str(arguments.core)]
    rows = []
    for size in arguments.sizes:
        command = [sys.executable, "-m", "benchmarks.vm_rescheduling_speed", "--one", "--sizes", size, *common]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    print(markdown(list(rows[0]), [[str(row["size"]), *map(number, list(row.values())[1:])] for row in rows]))
    settings = {"lanes": arguments.lanes, "episodes": arguments.episodes}
    result = {"machine": describe(("numpy", "numba", "gymnasium")), "settings": settings, "rows": rows}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
