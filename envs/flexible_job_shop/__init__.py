"""The flexible job shop: jobs of ordered operations, each with a choice of machines, to be finished early."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from envs.core.problem import ProblemDefinition, Solver
from envs.flexible_job_shop.benchmarks import BENCHMARKS
from envs.flexible_job_shop.env import FlexibleJobShop, FlexibleJobShopConfig, fit
from envs.flexible_job_shop.export import schedule_json, schedule_rows
from envs.flexible_job_shop.instance import from_operations, read_instance
from envs.flexible_job_shop.rules import RULES
from envs.flexible_job_shop.types import FlexibleJobShopInstance, Schedule
from envs.flexible_job_shop.verify import verify

__all__ = ["PROBLEM"]


def _cp_sat(**options: Any) -> Solver:
    from envs.flexible_job_shop.exact import cp_sat

    return cp_sat(**options)


def _chart_html(instance: FlexibleJobShopInstance, schedule: Schedule) -> str:
    from envs.flexible_job_shop.render import gantt_html

    return gantt_html(instance, schedule)


_FIXED = (
    from_operations("fixed_2x2", 2, [[[(0, 3), (1, 4)], [(1, 2)]], [[(0, 2), (1, 1)]]]),
    from_operations(
        "fixed_setups",
        2,
        [[[(0, 1)], [(0, 2), (1, 5)]], [[(0, 4), (1, 4)], [(1, 3)]]],
        [[[0, 2], [1, 0]], [[0, 3], [0, 0]]],
    ),
)

PROBLEM = ProblemDefinition(
    name="flexible_job_shop",
    env_id="dispatchlab/FlexibleJobShop-v0",
    config=FlexibleJobShopConfig,
    make=FlexibleJobShop,
    fit=fit,
    verify=verify,
    read_instance=read_instance,
    solution_to_json=schedule_json,
    solution_to_rows=schedule_rows,
    rules=RULES,
    solvers=MappingProxyType({"cp_sat": _cp_sat}),
    benchmarks=BENCHMARKS,
    variants=(
        {"sizes": ((4, 3),)},
        {
            "builder": "active",
            "sizes": ((3, 3), (4, 2)),
            "setup_high": 9,
            "max_jobs": 5,
            "max_machines": 4,
            "max_operations": 6,
        },
        {"builder": "append", "sizes": ((3, 3),), "spread": 1.0, "times": (3, 9), "most_machines": 2, "reward": "raw"},
        {"sizes": ((4, 3),), "roll_outs": ("mwkr", "spt"), "operations": (0.5, 1.0), "illegal_action_penalty": 0.5},
        {"builder": "active", "instances": _FIXED},
    ),
    objective_name="makespan",
    objective_unit="time unit of the instance",
    chart_html=_chart_html,
    behaviour=("builder", "roll_outs"),
)
