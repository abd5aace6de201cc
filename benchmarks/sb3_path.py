"""Speed of training through stable-baselines3 on the native vector environment, and what the adapter costs.

    python -m benchmarks.sb3_path

Trains MaskablePPO with the default policy for a few updates on one thread of one core and times, inside the running
training: the environment's step, the adapter around it, the whole of collection, the update. Before that it times the
environment and the adapter around it under a random policy, where nothing else empties the processor's caches.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, describe, last_core, single_thread
from benchmarks.measurements import markdown, number

RESULTS = ROOT / "benchmarks" / "results" / "sb3_path.json"


@dataclass
class Clock:
    """Processor seconds spent in one part of the training; what it calls is included."""

    seconds: float = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns ``function``, timed."""

        def timed(*arguments: Any, **keywords: Any) -> Any:
            started = time.process_time()
            try:
                return function(*arguments, **keywords)
            finally:
                self.seconds += time.process_time() - started

        return timed


def measure(size: tuple[int, int], lanes: int, steps: int, updates: int, model: dict[str, Any]) -> dict[str, float]:
    """Trains for ``updates`` updates after one to warm up.

    Args:
        size: Jobs and machines of the random instances.
        lanes: Episodes side by side.
        steps: Decisions a lane takes between two updates.
        updates: Updates to time.
        model: Fields of `models.config.ModelConfig` that differ from the default.

    Returns:
        Microseconds of the core a decision, by part: environment, adapter, collection, all.
    """
    from agents.ppo.config import PPOConfig
    from agents.ppo.learner import make_learner
    from envs.core import problem
    from models.config import ModelConfig

    decisions = lanes * steps
    config = PPOConfig(decisions=decisions * updates, lanes=lanes, steps=steps, threads=1)
    learner = make_learner(problem("job_shop"), {"sizes": (size,)}, ModelConfig.from_mapping(model), config)
    learner.learn(decisions)
    clocks = {name: Clock() for name in ("environment", "adapter", "collection", "all")}
    adapter: Any = learner.env
    adapter.env.step = clocks["environment"].around(adapter.env.step)
    adapter.step = clocks["adapter"].around(adapter.step)
    adapter.env_method = clocks["adapter"].around(adapter.env_method)
    learner.collect_rollouts = clocks["collection"].around(learner.collect_rollouts)  # type: ignore[method-assign]
    clocks["all"].around(learner.learn)(decisions * updates)
    return {name: 1e6 * clock.seconds / (decisions * updates) for name, clock in clocks.items()}


def measure_alone(size: tuple[int, int], lanes: int, steps: int) -> dict[str, float]:
    """Steps with random legal actions, as `measure`, without a learner.

    Returns:
        Microseconds of the core a step of all lanes: environment, adapter (with the environment and the masks).
    """
    import numpy as np

    from agents.ppo.adapter import GraphVecEnv
    from envs.core import GraphVectorEnv, problem
    from envs.core.spec import ACTION_MASK

    env = GraphVectorEnv(
        problem("job_shop").bind({"sizes": (size,)}), lanes, copy=False, double_buffer=True, skip_forced=True
    )
    adapter: Any = GraphVecEnv(env)
    adapter.seed(0)
    mask = adapter.reset()[ACTION_MASK]
    rng = np.random.default_rng(0)
    clocks = {name: Clock() for name in ("environment", "adapter")}
    inner: Any = env
    inner.step = clocks["environment"].around(env.step)

    def step_and_masks(actions: Any) -> Any:
        observation = adapter.step(actions)[0]
        adapter.env_method("action_masks")
        return observation

    timed = clocks["adapter"].around(step_and_masks)
    for step in range(steps + steps // 10):
        if step == steps // 10:
            for clock in clocks.values():
                clock.seconds = 0.0
        mask = timed(np.where(mask, rng.random(mask.shape), -1).argmax(axis=1))[ACTION_MASK]
    return {name: 1e6 * clock.seconds / steps for name, clock in clocks.items()}


def summarise(microseconds: dict[str, float]) -> dict[str, float]:
    """Turns microseconds a decision into rates and the adapter's own share."""
    own = microseconds["adapter"] - microseconds["environment"]
    return {
        "environment_decisions_per_second": 1e6 / microseconds["environment"],
        "adapter_decisions_per_second": 1e6 / microseconds["adapter"],
        "collection_decisions_per_second": 1e6 / microseconds["collection"],
        "training_decisions_per_second": 1e6 / microseconds["all"],
        "adapter_own_microseconds": own,
        "adapter_own_share_of_collection": own / microseconds["collection"],
        "adapter_own_share_of_training": own / microseconds["all"],
    }


def table(summary: dict[str, float], alone: dict[int, dict[str, float]]) -> str:
    """Returns Markdown tables."""
    apart = markdown(
        ["random policy, lanes", "environment, µs a step", "adapter on top, µs", "adapter on top"],
        [
            [
                str(lanes),
                number(times["environment"]),
                number(times["adapter"] - times["environment"]),
                f"{100 * (times['adapter'] / times['environment'] - 1):.1f} %",
            ]
            for lanes, times in alone.items()
        ],
    )
    rows = [
        ["environment step alone", number(summary["environment_decisions_per_second"])],
        ["environment step through the adapter", number(summary["adapter_decisions_per_second"])],
        ["collection: policy, environment, adapter, buffer", number(summary["collection_decisions_per_second"])],
        ["training: collection and updates", number(summary["training_decisions_per_second"])],
    ]
    shares = (
        f"The adapter itself takes {number(summary['adapter_own_microseconds'])} µs a decision, "
        f"{100 * summary['adapter_own_share_of_collection']:.1f} % of a collection step and "
        f"{100 * summary['adapter_own_share_of_training']:.1f} % of training."
    )
    return f"{apart}\n\n{markdown(['MaskablePPO, one core', 'decisions/s'], rows)}\n\n{shares}"


def main(argv: list[str] | None = None) -> None:
    """Measures, writes the results file and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="15x15", help="jobs x machines")
    parser.add_argument("--lanes", type=int, default=64)
    parser.add_argument("--steps", type=int, default=128, help="decisions a lane takes between two updates")
    parser.add_argument("--updates", type=int, default=3)
    parser.add_argument("--model", type=json.loads, default={}, help='JSON, e.g. {"decision": "attention"}')
    parser.add_argument("--core", type=int, default=last_core())
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    single_thread(arguments.core)
    jobs, machines = (int(n) for n in arguments.size.split("x"))
    machine = describe(("torch", "stable-baselines3", "sb3-contrib", "numpy", "numba"))
    alone = {lanes: measure_alone((jobs, machines), lanes, 2000) for lanes in (16, 64, 128, 256)}
    microseconds = measure((jobs, machines), arguments.lanes, arguments.steps, arguments.updates, arguments.model)
    summary = summarise(microseconds)
    settings = {key: value for key, value in vars(arguments).items() if key not in ("core", "output")}
    result = {"machine": machine, "settings": settings, "alone_microseconds_a_step": alone}
    result |= {"microseconds": microseconds, **summary}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(summary, alone))


if __name__ == "__main__":
    main()
