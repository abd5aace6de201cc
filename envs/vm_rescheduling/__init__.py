"""VM rescheduling: migrations that gather the free cores of a data center, which lie in pieces too small to use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from envs.core.problem import ProblemDefinition
from envs.vm_rescheduling.benchmarks import BENCHMARKS
from envs.vm_rescheduling.env import VmConfig, VmRescheduling, fit
from envs.vm_rescheduling.export import plan_json, plan_rows
from envs.vm_rescheduling.instance import read_instance
from envs.vm_rescheduling.metrics import measures
from envs.vm_rescheduling.rules import RULES
from envs.vm_rescheduling.solvers import SOLVERS
from envs.vm_rescheduling.types import Machines, Objective, Plan, VirtualMachines, VmInstance
from envs.vm_rescheduling.verify import verify

__all__ = ["PROBLEM"]


def _chart_html(instance: VmInstance, plan: Plan) -> str:
    from envs.vm_rescheduling.render import placement_html

    return placement_html(instance, plan)


_FIXED = VmInstance(
    "fixed_four",
    Machines(
        ("a", "b", "c", "d"),
        np.array([0, 0, 1, 0]),
        np.array([0, 0, 1, 2, 2, 3, 3]),
        np.array([24, 20, 18, 40, 40, 20, 20]),
        np.array([100, 100, 300, 200, 200, 150, 150]),
    ),
    VirtualMachines(
        names=("u", "v", "w", "x", "late", "y", "z"),
        cores=np.array([8, 4, 16, 32, 4, 2, 6]),
        memory=np.array([40, 20, 30, 120, 10, 0, 50]),
        numa_count=np.array([1, 1, 2, 2, 1, 1, 1]),
        host=np.array([0, 1, 0, 3, -1, 2, 5]),
        group=np.array([0, 1, -1, -1, 1, 0, -1]),
        movable=np.array([True, True, True, False, True, True, True]),
        arrival=np.array([0, 0, 0, 0, 1.5, 0, 0]),
        departure=np.array([np.inf, 2.5, np.inf, np.inf, np.inf, np.inf, np.inf]),
        home=np.array([0, 0, 0, 1, 0, 0, 0]),
    ),
    migration_limit=4,
    objective=Objective({"fr16": 0.5, "occupied_hosts": 1.0}),
    delay=0.5,
    migration_seconds=1.0,
    in_flight=1,
)

PROBLEM = ProblemDefinition(
    name="vm_rescheduling",
    env_id="dispatchlab/VMRescheduling-v0",
    config=VmConfig,
    make=VmRescheduling,
    fit=fit,
    verify=verify,
    read_instance=read_instance,
    solution_to_json=plan_json,
    solution_to_rows=plan_rows,
    rules=RULES,
    solvers=SOLVERS,
    benchmarks=BENCHMARKS,
    variants=(
        {"source": "synthetic", "machines": 4, "pool": 2, "migration_limit": 4},
        {
            "machines": 3,
            "pool": 2,
            "mix": "large",
            "keep_low": 0.5,
            "keep_high": 0.7,
            "migration_limit": 3,
            "fr64": 0.5,
        },
        {
            "machines": 4,
            "pool": 2,
            "pool_seed": 3,
            "affinity": 0.5,
            "churn": 0.4,
            "delay": 2.0,
            "migration_seconds": 1.0,
            "in_flight": 2,
            "migration_limit": 5,
            "memory64": 0.5,
        },
        {"machines": 3, "pool": 1, "occupied_hosts": 0.5, "goal": 0.4, "migration_limit": 4},
        {
            "instances": (replace(_FIXED, name="fixed_two_moves", migration_limit=2, in_flight=0), _FIXED),
            "reward": "raw",
            "illegal_action_penalty": 0.5,
            "fr16": 0.5,
        },
        {
            "machines": 3,
            "pool": 2,
            "migration_limit": 3,
            "max_vms": 90,
            "max_numas": 8,
            "max_machines": 5,
            "max_types": 20,
            "max_migrations": 6,
            "max_events": 3,
        },
    ),
    objective_name="fragment rate",
    objective_unit="1",
    chart_html=_chart_html,
    metrics=measures,
    shown_metrics=("fr16", "fr64", "migrations"),
)
