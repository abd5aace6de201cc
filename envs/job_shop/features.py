"""What an observation of the job shop holds: the names, units and bounds of every feature, and the graph around them.

Two scales make the features comparable across sizes and time units: ``mean``, the mean processing time of the instance,
and ``bound``, the makespan's lower bound at the start of the episode. ``now`` is the smallest earliest start over
unfinished jobs, ``est`` the earliest start of a job's next operation under the builder.
"""

from __future__ import annotations

from envs.core.spec import EdgeType, Feature, GraphSpec, NodeType

_MEAN = "mean processing time"
_BOUND = "initial makespan bound"


def _means(name: str, low: float = 0.0) -> Feature:
    return Feature(name, _MEAN, low)


def _bounds(name: str, low: float = 0.0, high: float = float("inf")) -> Feature:
    return Feature(name, _BOUND, low, high)


def _share(name: str) -> Feature:
    return Feature(name, "1", 0.0, 1.0)


_ANY = -float("inf")

OPERATION_STATIC = (
    _means("processing_time"),
    _share("fraction_of_job_work_before"),
    _share("fraction_of_job_work_after"),
    _bounds("head", high=1.0),
    _bounds("tail", high=1.0),
    _means("processing_time_above_job_lower_quartile", _ANY),
    _means("processing_time_above_job_median", _ANY),
    _means("processing_time_above_job_upper_quartile", _ANY),
    _means("processing_time_above_machine_lower_quartile", _ANY),
    _means("processing_time_above_machine_median", _ANY),
    _means("processing_time_above_machine_upper_quartile", _ANY),
    _bounds("machine_load", high=1.0),
)

JOB_DYNAMIC = (
    _share("unfinished"),
    _share("legal"),
    _means("ready_time_after_now", _ANY),
    _means("earliest_start_after_now"),
    _means("processing_time"),
    _share("processing_time_over_remaining_work"),
    Feature("log_processing_time_over_remaining_work", "1", -50.0, 0.0),
    _bounds("remaining_work", high=1.0),
    _bounds("work_after_operation", high=1.0),
    _share("fraction_of_operations_remaining"),
    _bounds("slack"),
    _bounds("machine_remaining_load", high=1.0),
    _bounds("machine_slack", _ANY),
    _share("share_of_jobs_at_same_machine"),
    _means("waiting_time"),
    _means("processing_time_of_following_operation"),
    _means("free_time_of_following_machine_after_completion", _ANY),
    _bounds("remaining_load_of_following_machine", high=1.0),
    _share("flow_due_date_over_due_date_plus_remaining_work"),
    _means("completion_after_first_completion_at_same_machine"),
    Feature("log_ratio_above_best_competitor_at_same_machine", "1", -50.0, 50.0),
)

MACHINE_DYNAMIC = (
    _means("free_time_after_now", _ANY),
    _bounds("remaining_load", high=1.0),
    _share("fraction_of_operations_remaining"),
    _bounds("slack", _ANY),
    _share("share_of_unfinished_jobs_in_queue"),
    _means("work_in_queue"),
    _means("earliest_start_in_queue_after_now"),
)

WAIT_DYNAMIC = (_share("legal"), _means("time_to_next_earliest_start"))

CONTEXT = (
    _share("fraction_of_operations_scheduled"),
    _bounds("bound_increase"),
    _bounds("now"),
    Feature("log_jobs", "1", 0.0),
    Feature("log_machines", "1", 0.0),
    Feature("log_jobs_per_machine", "1"),
    _share("builder_append"),
    _share("builder_insertion"),
    _share("builder_active"),
    _share("builder_non_delay"),
    _share("wait_action"),
)


def job_shop_spec(jobs: int, operations: int, machines: int, wait: bool) -> GraphSpec:
    """Returns the graph specification for instances of up to the given size.

    Rows: operation ``k`` of job ``j`` is row ``j * operations_of_the_instance + k``. A finished job has no edges to an
    operation or a machine.
    """
    cells = jobs * operations
    nodes = (
        NodeType("operation", cells, static=OPERATION_STATIC),
        NodeType("job", jobs, dynamic=JOB_DYNAMIC),
        NodeType("machine", machines, dynamic=MACHINE_DYNAMIC),
        *((NodeType("wait", 1, dynamic=WAIT_DYNAMIC),) if wait else ()),
    )
    edges = (
        EdgeType("operation", "precedes", "operation", max(jobs * (operations - 1), 1), static=True),
        EdgeType("operation", "runs_on", "machine", cells, static=True),
        EdgeType("operation", "part_of", "job", cells, static=True),
        EdgeType("job", "next", "operation", jobs, static=False),
        EdgeType("job", "needs", "machine", jobs, static=False),
    )
    return GraphSpec(nodes, edges, ("job", "wait") if wait else ("job",), CONTEXT)
