"""The job shop: jobs of ordered operations, one machine each, to be finished as early as possible."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from envs.core.problem import ProblemDefinition, Solver
from envs.job_shop.benchmarks import BENCHMARKS
from envs.job_shop.decisions import decisions
from envs.job_shop.env import JobShop, JobShopConfig, fit
from envs.job_shop.export import schedule_json, schedule_rows
from envs.job_shop.instance import read_instance
from envs.job_shop.rules import RULES
from envs.job_shop.types import JobShopInstance, Schedule
from envs.job_shop.verify import verify

__all__ = ["PROBLEM"]


def _cp_sat(**options: Any) -> Solver:
    from envs.job_shop.exact import cp_sat

    return cp_sat(**options)


def _lns(**options: Any) -> Solver:
    from envs.job_shop.neighbourhood import lns

    return lns(**options)


def _insa(**options: Any) -> Solver:
    from envs.job_shop.constructive import insa

    return insa(**options)


def _shifting_bottleneck(**options: Any) -> Solver:
    from envs.job_shop.constructive import shifting_bottleneck

    return shifting_bottleneck(**options)


def _chart_html(instance: JobShopInstance, schedule: Schedule) -> str:
    from envs.job_shop.render import gantt_html

    return gantt_html(instance, schedule)


_FIXED = (
    JobShopInstance("fixed_3x2", [[0, 1], [1, 0], [0, 1]], [[3, 2], [2, 4], [4, 3]], 2),  # type: ignore[arg-type]
    JobShopInstance("fixed_2x3", [[0, 1, 2], [2, 1, 0]], [[3, 0, 2], [2, 4, 1]], 3),  # type: ignore[arg-type]
)

PROBLEM = ProblemDefinition(
    name="job_shop",
    env_id="dispatchlab/JobShop-v0",
    config=JobShopConfig,
    make=JobShop,
    fit=fit,
    verify=verify,
    read_instance=read_instance,
    solution_to_json=schedule_json,
    solution_to_rows=schedule_rows,
    rules=RULES,
    solvers=MappingProxyType(
        {"cp_sat": _cp_sat, "lns": _lns, "insa": _insa, "shifting_bottleneck": _shifting_bottleneck}
    ),
    benchmarks=BENCHMARKS,
    variants=(
        {"builder": "non_delay", "sizes": ((4, 3),)},
        {"builder": "non_delay", "wait": True, "sizes": ((3, 3), (4, 2)), "time_low": 0, "time_high": 5},
        {"builder": "active", "sizes": ((2, 2), (5, 3)), "max_jobs": 6, "max_machines": 4, "max_operations": 5},
        {"builder": "insertion", "sizes": ((4, 4),), "reward": "raw"},
        {"builder": "append", "sizes": ((3, 4),), "illegal_action_penalty": 0.5},
        {"builder": "active", "instances": _FIXED, "roll_outs": ("spt_mwkr", "mopnr")},
    ),
    objective_name="makespan",
    objective_unit="time unit of the instance",
    chart_html=_chart_html,
    decisions=decisions,
    behaviour=("builder", "wait", "roll_outs"),
)
