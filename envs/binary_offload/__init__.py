"""Binary offloading: devices charged by radio compute locally or at the edge, for the largest computation rate."""

from __future__ import annotations

from envs.binary_offload.benchmarks import BENCHMARKS
from envs.binary_offload.env import BinaryOffload, BinaryOffloadConfig, fit
from envs.binary_offload.export import modes_json, modes_rows
from envs.binary_offload.instance import read_instance
from envs.binary_offload.metrics import measures
from envs.binary_offload.rules import RULES
from envs.binary_offload.solvers import SOLVERS
from envs.binary_offload.types import BinaryOffloadInstance, Modes, System
from envs.binary_offload.verify import verify
from envs.core.problem import ProblemDefinition

__all__ = ["PROBLEM"]


def _chart_html(instance: BinaryOffloadInstance, modes: Modes) -> str:
    from envs.binary_offload.render import frame_html

    return frame_html(instance, modes)


_FIXED = (
    BinaryOffloadInstance("fixed_three", [5e-6, 1e-6, 1.2e-5], [1.0, 2.0, 0.5]),  # type: ignore[arg-type]
    BinaryOffloadInstance("fixed_low_noise", [2e-7, 4e-7], [1.0, 1.0], System(noise=1e-12)),  # type: ignore[arg-type]
)

PROBLEM = ProblemDefinition(
    name="binary_offload",
    env_id="dispatchlab/BinaryOffload-v0",
    config=BinaryOffloadConfig,
    make=BinaryOffload,
    fit=fit,
    verify=verify,
    read_instance=read_instance,
    solution_to_json=modes_json,
    solution_to_rows=modes_rows,
    rules=RULES,
    solvers=SOLVERS,
    benchmarks=BENCHMARKS,
    variants=(
        {},
        {"fewest": 1, "most": 6, "weighting": "random", "weights": (1.0, 1.5, 4.0), "look_ahead": False},
        {"fewest": 2, "most": 4, "nearest": 1.5, "farthest": 8.0, "max_devices": 7, "illegal_action_penalty": 0.5},
        {"most": 12, "antenna_gain": 4.11, "carrier": 800e6, "exponent": 2.6, "reward": "raw"},
        {"instances": _FIXED},
    ),
    objective_name="time per weighted megabit",
    objective_unit="seconds",
    chart_html=_chart_html,
    behaviour=("look_ahead",),
    metrics=measures,
    shown_metrics=("computation_rate", "offloading_devices"),
)
