"""The single machine: jobs with due dates and weights on one machine, for the least total weighted tardiness."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from envs.core.problem import ProblemDefinition, Solver
from envs.single_machine.benchmarks import BENCHMARKS
from envs.single_machine.dynasearch import dynasearch
from envs.single_machine.env import SingleMachine, SingleMachineConfig, fit
from envs.single_machine.export import order_json, order_rows
from envs.single_machine.heuristics import augmented
from envs.single_machine.instance import read_instance
from envs.single_machine.rules import RULES
from envs.single_machine.subsets import dynamic_programming
from envs.single_machine.types import JobOrder, SingleMachineInstance
from envs.single_machine.verify import verify

__all__ = ["PROBLEM"]


def _highs(**options: Any) -> Solver:
    from envs.single_machine.exact import highs

    return highs(**options)


def _cp_sat(**options: Any) -> Solver:
    from envs.single_machine.exact import cp_sat

    return cp_sat(**options)


def _chart_html(instance: SingleMachineInstance, order: JobOrder) -> str:
    from envs.single_machine.render import order_html

    return order_html(instance, order)


_FIXED = (
    SingleMachineInstance("fixed_six", [10, 11, 10, 10, 11, 10], [1] * 6, [15, 11, 13, 11, 12, 11]),  # type: ignore[arg-type]
    SingleMachineInstance("fixed_waiting", [4, 2, 1], [1, 9, 0], [4, 4, -1], [0, 1, 30]),  # type: ignore[arg-type]
)

PROBLEM = ProblemDefinition(
    name="single_machine",
    env_id="dispatchlab/SingleMachine-v0",
    config=SingleMachineConfig,
    make=SingleMachine,
    fit=fit,
    verify=verify,
    read_instance=read_instance,
    solution_to_json=order_json,
    solution_to_rows=order_rows,
    rules=RULES,
    solvers=MappingProxyType(
        {
            "augmented": augmented,
            "dynamic_programming": dynamic_programming,
            "dynasearch": dynasearch,
            "highs": _highs,
            "cp_sat": _cp_sat,
        }
    ),
    benchmarks=BENCHMARKS,
    variants=(
        {"jobs": (3, 6)},
        {"jobs": (5, 5), "largest_weight": 1, "times": "normal", "roll_outs": ("wmdd", "atc"), "max_jobs": 7},
        {"jobs": (4, 6), "release_range": 0.8, "non_delay": False, "reward": "raw"},
        {"jobs": (6, 6), "release_range": 1.5, "tardiness_factors": (0.5,), "due_date_ranges": (0.4,)},
        {"instances": _FIXED, "illegal_action_penalty": 0.5},
    ),
    objective_name="total weighted tardiness",
    objective_unit="time unit of the instance",
    chart_html=_chart_html,
    behaviour=("non_delay", "roll_outs"),
)
