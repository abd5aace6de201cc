"""What an observation of the job shop holds: the names, units and bounds of every feature, and the graph around them.

Two scales make the features comparable across sizes and time units: ``mean``, the mean processing time of the instance,
and ``bound``, the makespan's lower bound at the start of the episode. ``now`` is the smallest earliest start over
unfinished jobs, ``est`` the earliest start of a job's next operation under the builder.
"""

from __future__ import annotations

import math

from envs.core.spec import EdgeType, Feature, GraphSpec, NodeType

_MEAN = "mean processing time"
_BOUND = "initial makespan bound"


class _Limits:
    """Makes features whose limits follow from the capacity.

    Every builder starts an operation at time 0 or when another one ends, so no time exceeds the total work: the mean
    times the number of operations, and at most the number of machines times the initial bound.
    """

    def __init__(self, jobs: int, operations: int, machines: int) -> None:
        self.jobs = jobs
        self.machines = machines
        self.means_at_most = jobs * operations + 1.0
        self.bounds_at_most = machines + 1.0

    def means(self, name: str) -> Feature:
        """A duration in mean processing times."""
        return Feature(name, _MEAN, 0.0, self.means_at_most)

    def difference(self, name: str) -> Feature:
        """A difference of times, in mean processing times."""
        return Feature(name, _MEAN, -self.means_at_most, self.means_at_most)

    def bounds(self, name: str) -> Feature:
        """A duration in initial bounds."""
        return Feature(name, _BOUND, 0.0, self.bounds_at_most)

    def bounds_difference(self, name: str) -> Feature:
        """A difference of times, in initial bounds."""
        return Feature(name, _BOUND, -self.bounds_at_most, self.bounds_at_most)


def _share(name: str) -> Feature:
    return Feature(name, "1", 0.0, 1.0)


def _part(name: str) -> Feature:
    """A duration that never exceeds the initial bound."""
    return Feature(name, _BOUND, 0.0, 1.0)


def _operation_static(limits: _Limits) -> tuple[Feature, ...]:
    return (
        limits.means("processing_time"),
        _share("fraction_of_job_work_before"),
        _share("fraction_of_job_work_after"),
        _part("head"),
        _part("tail"),
        limits.difference("processing_time_above_job_lower_quartile"),
        limits.difference("processing_time_above_job_median"),
        limits.difference("processing_time_above_job_upper_quartile"),
        limits.difference("processing_time_above_machine_lower_quartile"),
        limits.difference("processing_time_above_machine_median"),
        limits.difference("processing_time_above_machine_upper_quartile"),
        _part("machine_load"),
    )


def _job_dynamic(limits: _Limits, roll_outs: tuple[str, ...]) -> tuple[Feature, ...]:
    return (
        _share("unfinished"),
        _share("legal"),
        limits.difference("ready_time_after_now"),
        limits.means("earliest_start_after_now"),
        limits.means("processing_time"),
        _share("processing_time_over_remaining_work"),
        Feature("log_processing_time_over_remaining_work", "1", -50.0, 0.0),
        _part("remaining_work"),
        _part("work_after_operation"),
        _share("fraction_of_operations_remaining"),
        limits.bounds("slack"),
        _part("machine_remaining_load"),
        limits.bounds_difference("machine_slack"),
        _share("share_of_unfinished_jobs_at_same_machine"),
        limits.means("waiting_time"),
        limits.means("processing_time_of_following_operation"),
        limits.difference("free_time_of_following_machine_after_completion"),
        _part("remaining_load_of_following_machine"),
        _share("flow_due_date_over_due_date_plus_remaining_work"),
        limits.means("completion_after_first_completion_at_same_machine"),
        Feature("log_ratio_above_best_competitor_at_same_machine", "1", -50.0, 50.0),
        *(limits.means(f"{rule}_makespan_after_choice_above_least") for rule in roll_outs),
        *((limits.means("best_makespan_after_choice_above_least"),) if roll_outs else ()),
    )


def _machine_dynamic(limits: _Limits) -> tuple[Feature, ...]:
    return (
        limits.difference("free_time_after_now"),
        _part("remaining_load"),
        _share("fraction_of_operations_remaining"),
        limits.bounds_difference("slack"),
        _share("share_of_unfinished_jobs_in_queue"),
        limits.means("work_in_queue"),
        limits.means("earliest_start_in_queue_after_now"),
    )


def _wait_dynamic(limits: _Limits) -> tuple[Feature, ...]:
    return (_share("legal"), limits.means("time_to_next_earliest_start"))


def _context(limits: _Limits, roll_outs: tuple[str, ...]) -> tuple[Feature, ...]:
    log_jobs, log_machines = math.log(limits.jobs) + 1e-3, math.log(limits.machines) + 1e-3
    return (
        _share("fraction_of_operations_scheduled"),
        limits.bounds("bound_increase"),
        limits.bounds("now"),
        Feature("log_jobs", "1", 0.0, log_jobs),
        Feature("log_machines", "1", 0.0, log_machines),
        Feature("log_jobs_per_machine", "1", -log_machines, log_jobs),
        _share("builder_append"),
        _share("builder_insertion"),
        _share("builder_active"),
        _share("builder_non_delay"),
        _share("wait_action"),
        *(limits.means(f"least_{rule}_makespan_above_bound") for rule in roll_outs),
    )


def job_shop_spec(jobs: int, operations: int, machines: int, wait: bool, roll_outs: tuple[str, ...] = ()) -> GraphSpec:
    """Returns the graph specification for instances of up to the given size.

    Rows: operation ``k`` of job ``j`` is row ``j * operations_of_the_instance + k``. A finished job has no edges to an
    operation or a machine.
    """
    cells = jobs * operations
    limits = _Limits(jobs, operations, machines)
    nodes = (
        NodeType("operation", cells, static=_operation_static(limits)),
        NodeType("job", jobs, dynamic=_job_dynamic(limits, roll_outs)),
        NodeType("machine", machines, dynamic=_machine_dynamic(limits)),
        *((NodeType("wait", 1, dynamic=_wait_dynamic(limits)),) if wait else ()),
    )
    edges = (
        EdgeType("operation", "precedes", "operation", max(jobs * (operations - 1), 1), static=True),
        EdgeType("operation", "runs_on", "machine", cells, static=True),
        EdgeType("operation", "part_of", "job", cells, static=True),
        EdgeType("job", "next", "operation", jobs, static=False),
        EdgeType("job", "needs", "machine", jobs, static=False),
    )
    return GraphSpec(nodes, edges, ("job", "wait") if wait else ("job",), _context(limits, roll_outs))
