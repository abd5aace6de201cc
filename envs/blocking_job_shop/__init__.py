"""The blocking job shop: no buffers, swaps allowed or not, machines that are shut down; decided as time passes."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from envs.blocking_job_shop.benchmarks import BENCHMARKS
from envs.blocking_job_shop.env import BlockingJobShop, BlockingJobShopConfig, fit
from envs.blocking_job_shop.export import execution_json, execution_rows
from envs.blocking_job_shop.instance import read_instance
from envs.blocking_job_shop.metrics import metrics
from envs.blocking_job_shop.rules import RULES
from envs.blocking_job_shop.types import BlockingJobShopInstance, Execution
from envs.blocking_job_shop.verify import verify
from envs.core.problem import ProblemDefinition, Solver

__all__ = ["PROBLEM"]


def _cp_sat(**options: Any) -> Solver:
    from envs.blocking_job_shop.exact import cp_sat

    return cp_sat(**options)


def _chart_html(instance: BlockingJobShopInstance, execution: Execution) -> str:
    from envs.blocking_job_shop.render import gantt_html

    return gantt_html(instance, execution)


def _stochastic(instance: BlockingJobShopInstance) -> bool:
    return instance.is_stochastic


def _expected(instance: BlockingJobShopInstance) -> BlockingJobShopInstance:
    """The instance without shutdowns."""
    return replace(instance, shutdown=0.0, shutdown_rate=0.0, repair_time=0.0)


def _fixed(name: str, **options: Any) -> BlockingJobShopInstance:
    """Three jobs of two operations on two machines, of which the first two block each other."""
    return BlockingJobShopInstance(
        f"fixed_{name}", np.array([[0, 1], [1, 0], [0, 1]]), np.array([[3, 2], [2, 4], [4, 3]]), 2, **options
    )


PROBLEM = ProblemDefinition(
    name="blocking_job_shop",
    env_id="dispatchlab/BlockingJobShop-v0",
    config=BlockingJobShopConfig,
    make=BlockingJobShop,
    fit=fit,
    verify=verify,
    read_instance=read_instance,
    solution_to_json=execution_json,
    solution_to_rows=execution_rows,
    rules=RULES,
    solvers=MappingProxyType({"cp_sat": _cp_sat}),
    benchmarks=BENCHMARKS,
    variants=(
        {"sizes": ((4, 3),)},
        {
            "sizes": ((3, 3), (5, 2)),
            "swap": False,
            "wait": False,
            "times": (1, 9),
            "max_jobs": 6,
            "max_operations": 4,
            "max_machines": 5,
        },
        {
            "sizes": ((4, 4),),
            "operations": 3,
            "shutdowns": (0.1, 0.5),
            "shutdown_rate": 0.1,
            "repair_time": 1.0,
            "graph": "compact",
            "roll_outs": ("spt", "mwkr"),
            "reward": "raw",
        },
        {"sizes": ((4, 3),), "swap": False, "shutdowns": (0.3, 0.3), "illegal_action_penalty": 0.5},
        {"instances": (_fixed("swap"), _fixed("no_swap", swap=False, shutdown=0.5, repair_time=3.0))},
    ),
    objective_name="makespan",
    objective_unit="time unit of the instance",
    chart_html=_chart_html,
    behaviour=("wait", "graph", "roll_outs"),
    metrics=metrics,
    shown_metrics=("blocked_share", "shut_share"),
    stochastic=_stochastic,
    expected=_expected,
)
