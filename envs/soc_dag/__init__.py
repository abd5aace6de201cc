"""DAG scheduling on heterogeneous processors: systems-on-chip, streaming jobs, noise."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from envs.core.problem import ProblemDefinition
from envs.soc_dag.benchmarks import BENCHMARKS
from envs.soc_dag.env import SocDag, SocDagConfig, fit
from envs.soc_dag.export import trace_json, trace_rows
from envs.soc_dag.generators import SCENARIOS
from envs.soc_dag.instance import read_instance
from envs.soc_dag.metrics import metrics
from envs.soc_dag.profiles import canonical
from envs.soc_dag.rules import RULES
from envs.soc_dag.solvers import SOLVERS
from envs.soc_dag.types import Arrivals, Failures, JobType, SocInstance, Trace, make_chip
from envs.soc_dag.verify import verify

__all__ = ["PROBLEM"]


def _chart_html(instance: SocInstance, trace: Trace) -> str:
    from envs.soc_dag.render import gantt_html

    return gantt_html(instance, trace)


def _stochastic(instance: SocInstance) -> bool:
    """Streams, noise and failures draw at random."""
    return instance.arrivals.mode != "static" or instance.noise > 0 or instance.failures.between > 0


def _small(arrivals: Arrivals, **options: Any) -> SocInstance:
    """A chip of three PEs with two small job types, one of whose tasks two PEs cannot run."""
    chip = make_chip("small", ("a", "b", "c"), bandwidth=2.0, latency=1.0, memory_bandwidth=4.0, idle_power=0.1)
    inf = float("inf")
    fork = np.array([[3, 2, 4], [2, 5, inf], [1, 1, 2]])
    join = np.array([[2, 2, 3], [4, 2, 1], [inf, 3, inf]])
    job_types = (
        JobType("fork", ("x", "y", "z"), fork, np.array([0, 0]), np.array([1, 2]), np.array([4.0, 6.0])),
        JobType("join", ("u", "v", "w"), join, np.array([0, 1]), np.array([2, 2]), np.array([2.0, 8.0])),
    )
    objective = "makespan" if arrivals.mode == "static" else "mean_latency"
    return SocInstance("small", chip, job_types, arrivals, objective=objective, **options)


def _variants() -> tuple[Mapping[str, Any], ...]:
    static = Arrivals(releases=((0, 0.0), (1, 0.0), (0, 5.0)))
    other = Arrivals(releases=((1, 0.0), (1, 2.0)))
    blocking = Arrivals("blocking", scale=4.0, window=60.0, limit=2)
    crowded = Arrivals("open", scale=3.0, window=60.0, limit=3, warm_up=10.0)
    failing = Failures(between=25.0, repair=6.0)
    roomy = {f"max_{name}": count + 1 for name, count in SCENARIOS["random_dag"].capacity.items()}
    return (
        {"instances": (_small(static), _small(other))},
        {"instances": (_small(blocking, whole_ticks=True),), "decision": "two_step"},
        {"instances": (_small(crowded, noise=0.3),), "decision": "task", "reward": "objective"},
        {"instances": (_small(blocking, noise=0.2, whole_ticks=True, failures=failing),), "reward": "completion_bonus"},
        {"instances": (_small(static, transfer="shared_memory"), _small(crowded)), "remap": True, "max_offers": 2},
        {
            "instances": (_small(crowded, transfer="shared_memory", failures=failing),),
            "decision": "two_step",
            "remap": True,
        },
        {"instances": (canonical(4, 3, window=150.0),), "max_offers": 3},
        {"scenarios": ("random_dag",), "illegal_action_penalty": 0.5, **roomy},
    )


PROBLEM = ProblemDefinition(
    name="soc_dag",
    env_id="dispatchlab/SocDag-v0",
    config=SocDagConfig,
    make=SocDag,
    fit=fit,
    verify=verify,
    read_instance=read_instance,
    solution_to_json=trace_json,
    solution_to_rows=trace_rows,
    rules=RULES,
    solvers=MappingProxyType(dict(SOLVERS)),
    benchmarks=BENCHMARKS,
    variants=_variants(),
    objective_name="makespan or mean latency",
    objective_unit="time unit of the instance",
    chart_html=_chart_html,
    behaviour=("decision", "remap", "max_offers"),
    metrics=metrics,
    shown_metrics=("completed_jobs", "p95_latency"),
    stochastic=_stochastic,
)
