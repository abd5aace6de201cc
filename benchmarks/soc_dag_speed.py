"""Speed of DAG scheduling on the canonical stream (Top, three jobs in the system, 5000 microseconds).

    python -m benchmarks.soc_dag_speed

Two figures on one thread of one core, in processor time: decisions a second of the environment's step, features and
masks included, while the minimum-execution-time rule (MET) decides outside the clock; and seconds an episode with MET,
the rule included. The published simulator (SoCRATES, one tick a microsecond) needs 0.50 s for such an episode.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, describe, last_core, single_thread
from benchmarks.measurements import markdown

RESULTS = ROOT / "benchmarks" / "results" / "soc_dag_speed.json"
PUBLISHED_SECONDS = 0.50
"""Seconds an episode of the published simulator with MET, measured on a machine of this kind."""


def measure(lanes: int, episodes: int, seed: int) -> dict[str, float]:
    """Runs ``episodes`` in every lane after a warm-up.

    Args:
        lanes: Episodes side by side.
        episodes: Episodes a lane.
        seed: Seed of the first lane.

    Returns:
        Decisions a second of the step alone, seconds an episode with the rule, decisions an episode.
    """
    import numpy as np
    from gymnasium.vector import AutoresetMode

    from envs.core import GraphVectorEnv, problem

    definition = problem("soc_dag")
    instance = definition.benchmarks["canonical"]().instances[0]
    bound = definition.bind({"instances": (instance,)})
    env = GraphVectorEnv(bound, lanes, copy=False, autoreset_mode=AutoresetMode.DISABLED)
    rule = definition.rules["met"]
    stepping, decisions = 0.0, 0
    started = time.process_time()
    for episode in range(-1, episodes):
        observation, _ = env.reset(seed=seed + lanes * (episode + 1))
        if episode == 0:
            stepping, decisions, started = 0.0, 0, time.process_time()
        running = np.ones(lanes, np.bool_)
        while running.any():
            actions = np.where(observation["action_mask"], rule.priority(env.state), np.inf).argmin(axis=1)
            before = time.process_time()
            observation, _, terminated, _, _ = env.step(actions)
            stepping += time.process_time() - before
            decisions += int(running.sum())
            running &= ~terminated
    seconds = time.process_time() - started
    return {
        "lanes": lanes,
        "decisions_per_second": decisions / stepping,
        "seconds_per_episode": seconds / (lanes * episodes),
        "decisions_per_episode": decisions / (lanes * episodes),
        "times_faster": PUBLISHED_SECONDS / (seconds / (lanes * episodes)),
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 64, 256, 1024])
    parser.add_argument("--episodes", type=int, default=3, help="episodes a lane")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--core", type=int, default=last_core())
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    single_thread(arguments.core)
    rows = [measure(lanes, arguments.episodes, arguments.seed) for lanes in arguments.lanes]
    print(markdown(list(rows[0]), [[_shown(value) for value in row.values()] for row in rows]))
    result: dict[str, Any] = {"machine": describe(("numpy", "numba", "gymnasium")), "rows": rows}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


if __name__ == "__main__":
    main()
