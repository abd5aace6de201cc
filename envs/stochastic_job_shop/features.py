"""What an observation of the stochastic job shop holds: names, units and bounds of every feature, and the graph.

Nothing that has not happened is observed: no drawn processing time before the operation is completed, no failure or
repair before it comes, and nothing of a job before its release (its row is zero). ``mean`` is the mean expected
processing time of the instance.
"""

from __future__ import annotations

import math

from envs.core.spec import EdgeType, Feature, GraphSpec, NodeType
from envs.stochastic_job_shop.types import OBJECTIVES

_MEAN = "mean processing time"


def _means(name: str) -> Feature:
    return Feature(name, _MEAN, 0.0)


def _difference(name: str) -> Feature:
    return Feature(name, _MEAN)


def _share(name: str) -> Feature:
    return Feature(name, "1", 0.0, 1.0)


_JOB = (
    _share("in_system"),
    _share("legal"),
    _share("running"),
    _means("expected_processing_time"),
    Feature("coefficient_of_variation_of_processing_time", "1", 0.0),
    _means("least_processing_time"),
    _means("greatest_processing_time"),
    _means("expected_processing_time_left"),
    _means("remaining_work"),
    _share("fraction_of_work_remaining"),
    _share("fraction_of_operations_remaining"),
    _share("expected_processing_time_over_remaining_work"),
    _means("expected_processing_time_of_following_operation"),
    _means("waiting_time"),
    _means("time_since_release"),
    _share("has_due_date"),
    _difference("time_to_due_date"),
    _difference("slack"),
    _difference("slack_per_remaining_operation"),
    Feature("weight", "mean weight", 0.0),
    _means("load_of_machine"),
    _share("share_of_jobs_in_queue_of_machine"),
    _means("expected_time_to_free_following_machine"),
    _means("load_of_following_machine"),
)

_MACHINE = (
    _share("up"),
    _share("idle"),
    _means("expected_time_to_free"),
    _means("load"),
    _share("share_of_jobs_in_queue"),
    _means("work_in_queue"),
    _means("load_beyond_queue"),
)

_WAIT = (_share("legal"), _means("expected_time_to_next_completion"))


def stochastic_job_shop_spec(jobs: int, operations: int, machines: int, wait: bool) -> GraphSpec:
    """Returns the graph specification for instances of up to the given size."""
    context = (
        *(_share(f"objective_{name}") for name in OBJECTIVES),
        _share("fraction_of_operations_completed"),
        _share("fraction_of_jobs_in_system"),
        Feature("log_jobs_in_system_per_machine", "1", -math.log(machines) - 1e-3, math.log(jobs) + 1e-3),
        Feature("sigma", "1", 0.0),
        Feature("mean_failure_rate", f"1 / {_MEAN}", 0.0),
        _means("mean_repair_time"),
        _share("machines_up"),
        _share("machines_idle"),
        _means("mean_machine_load"),
        _means("mean_expected_processing_time_in_queues"),
        _share("wait_action"),
    )
    nodes = (
        NodeType("job", jobs, dynamic=_JOB),
        NodeType("machine", machines, dynamic=_MACHINE),
        *((NodeType("wait", 1, dynamic=_WAIT),) if wait else ()),
    )
    edges = (
        EdgeType("job", "needs", "machine", jobs, static=False),
        EdgeType(
            "job",
            "visits",
            "machine",
            max(jobs * (operations - 1), 1),
            static=False,
            features=(_means("expected_processing_time"), _means("expected_work_before")),
        ),
    )
    return GraphSpec(nodes, edges, ("job", "wait") if wait else ("job",), context)
