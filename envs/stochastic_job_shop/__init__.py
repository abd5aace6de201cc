"""The stochastic job shop: uncertain times, jobs that come over time, due dates, breakdowns; decided as time passes."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from envs.core.problem import ProblemDefinition, Solver
from envs.stochastic_job_shop.benchmarks import BENCHMARKS
from envs.stochastic_job_shop.env import StochasticJobShop, StochasticJobShopConfig, fit
from envs.stochastic_job_shop.export import execution_json, execution_rows
from envs.stochastic_job_shop.instance import read_instance
from envs.stochastic_job_shop.metrics import metrics
from envs.stochastic_job_shop.rules import RULES
from envs.stochastic_job_shop.types import Execution, StochasticJobShopInstance
from envs.stochastic_job_shop.verify import verify

__all__ = ["PROBLEM"]


def _cp_sat(**options: Any) -> Solver:
    from envs.stochastic_job_shop.exact import cp_sat

    return cp_sat(**options)


def _cp_sat_reactive(**options: Any) -> Solver:
    from envs.stochastic_job_shop.exact import cp_sat_reactive

    return cp_sat_reactive(**options)


def _chart_html(instance: StochasticJobShopInstance, execution: Execution) -> str:
    from envs.stochastic_job_shop.render import gantt_html

    return gantt_html(instance, execution)


def _stochastic(instance: StochasticJobShopInstance) -> bool:
    return instance.is_stochastic


def _expected(instance: StochasticJobShopInstance) -> StochasticJobShopInstance:
    """The instance with every time at its expectation and without failures."""
    return replace(
        instance, times=instance.expected, law="deterministic", sigma=0.0, time_to_failure=0.0, repair_time=0.0
    )


def _fixed(law: str, **options: Any) -> StochasticJobShopInstance:
    """Three jobs of two operations on two machines."""
    mode = np.array([[3.0, 2.0], [2.0, 4.0], [4.0, 3.0]])
    spread = 1.0 if law in ("triangular", "pert") else 0.0
    times = np.stack([mode - spread, mode, mode + 3 * spread], axis=2)
    return StochasticJobShopInstance(f"fixed_{law}", np.array([[0, 1], [1, 0], [0, 1]]), times, 2, law, **options)


PROBLEM = ProblemDefinition(
    name="stochastic_job_shop",
    env_id="dispatchlab/StochasticJobShop-v0",
    config=StochasticJobShopConfig,
    make=StochasticJobShop,
    fit=fit,
    verify=verify,
    read_instance=read_instance,
    solution_to_json=execution_json,
    solution_to_rows=execution_rows,
    rules=RULES,
    solvers=MappingProxyType({"cp_sat": _cp_sat, "cp_sat_reactive": _cp_sat_reactive}),
    benchmarks=BENCHMARKS,
    variants=(
        {"sizes": ((4, 3),), "sigmas": (0.1, 0.5)},
        {"sizes": ((3, 3), (5, 2)), "law": "triangular", "below": 4, "wait": True, "objective": "flow_time"},
        {
            "sizes": ((6, 3),),
            "law": "pert",
            "above": 30,
            "utilisation": 0.9,
            "due_factors": (1.0, 1.2),
            "weighted": True,
            "objective": "weighted_tardiness",
            "wait": True,
        },
        {
            "sizes": ((4, 3),),
            "law": "deterministic",
            "time_low": 0,
            "time_high": 5,
            "failure_gap": 4.0,
            "repair_time": 1.0,
            "reward": "incurred",
            "wait": True,
            "max_jobs": 6,
            "max_machines": 4,
            "max_operations": 5,
        },
        {"sizes": ((5, 4),), "law": "deterministic", "scaled": False, "illegal_action_penalty": 0.5},
        {
            "instances": (
                _fixed("triangular", releases=[0.0, 1.0, 5.0], due_dates=[4.0, 5.0, 9.0], objective="tardiness"),
                _fixed("lognormal", sigma=0.4, time_to_failure=9.0, repair_time=2.0, objective="flow_time"),
            ),
        },
    ),
    objective_name="makespan, flow time or tardiness",
    objective_unit="time unit of the instance",
    chart_html=_chart_html,
    behaviour=("wait",),
    metrics=metrics,
    shown_metrics=("makespan", "mean_tardiness"),
    stochastic=_stochastic,
    expected=_expected,
)
