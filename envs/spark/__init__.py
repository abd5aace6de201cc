"""Stage scheduling on a cluster: the jobs of several users, DAGs of stages of tasks, to be answered soon and fairly."""

from __future__ import annotations

from types import MappingProxyType

from envs.core.problem import ProblemDefinition
from envs.spark.benchmarks import BENCHMARKS
from envs.spark.env import Spark, SparkConfig, fit
from envs.spark.export import trace_json, trace_rows
from envs.spark.instance import read_instance
from envs.spark.metrics import measures
from envs.spark.rules import RULES
from envs.spark.types import Job, SparkInstance, Stage, Trace
from envs.spark.verify import verify

__all__ = ["PROBLEM"]


def _chart_html(instance: SparkInstance, trace: Trace) -> str:
    from envs.spark.render import gantt_html

    return gantt_html(instance, trace)


_FIXED = (
    SparkInstance(
        "fixed_diamond",
        2,
        (
            Job("a", 0.0, (Stage((1.0, 2.0)), Stage((0.5,), (0,), None, 1.5, 2.0), Stage((1.5, 0.5), (0, 1)))),
            Job("b", 0.5, (Stage((0.75, 0.25, 0.5), (), 2.0),)),
            Job("a", 0.25, (Stage((1.0,)),), 1),
        ),
        0.125,
    ),
    SparkInstance("fixed_single", 1, (Job("a", 0.0, (Stage((3.0, 1.0)),)), Job("b", 0.0, (Stage((0.5,)),)))),
)

PROBLEM = ProblemDefinition(
    name="spark",
    env_id="dispatchlab/Spark-v0",
    config=SparkConfig,
    make=Spark,
    fit=fit,
    verify=verify,
    read_instance=read_instance,
    solution_to_json=trace_json,
    solution_to_rows=trace_rows,
    rules=RULES,
    solvers=MappingProxyType({}),
    benchmarks=BENCHMARKS,
    variants=(
        {"workload": "tpch_like", "jobs": 3, "users": 2, "cores": 3, "mean_gap": 20.0, "tasks_per_job": 8.0},
        {"decision": "stage_and_parallelism", "levels": 3, "jobs": 3, "cores": 4, "tasks_per_job": 10.0},
        {"jobs": 3, "cores": 2, "tasks_per_job": 6.0, "waves": False, "atr": 150.0, "reward": "raw"},
        {"decision": "stage_and_parallelism", "levels": 2, "instances": _FIXED, "illegal_action_penalty": 0.5},
        {
            "jobs": 2,
            "cores": 2,
            "tasks_per_job": 5.0,
            "max_users": 5,
            "max_jobs": 4,
            "max_stages": 40,
            "max_tasks": 60,
            "max_edges": 45,
            "max_cores": 3,
        },
    ),
    objective_name="mean response time",
    objective_unit="seconds",
    chart_html=_chart_html,
    behaviour=("decision", "levels"),
    metrics=measures,
    shown_metrics=("response_0_80", "response_95_100", "light_users_response", "dvr", "dsr"),
)
