"""What an observation holds: names, units and bounds of every feature, and the graph.

Jobs, machines, and pairs of a job's next operation with a machine, which an action picks. Times are counted in mean
processing times.
"""

from __future__ import annotations

from envs.core.spec import EdgeType, Feature, GraphSpec, NodeType

MEANS = "mean processing time"


def _share(name: str) -> Feature:
    return Feature(name, "1", 0.0, 1.0)


JOB = (
    _share("unfinished"),
    Feature("ready_after_now", MEANS),
    Feature("mean_time_of_next_operation", MEANS, 0.0),
    Feature("remaining_work", "10 mean processing times", 0.0),
    Feature("least_remaining_work", "10 mean processing times", 0.0),
    _share("share_of_operations_left"),
    Feature("slack_to_bound", "10 mean processing times"),
    _share("share_of_machines_able"),
    _share("rank_by_remaining_work"),
)

MACHINE = (
    Feature("free_after_now", MEANS),
    Feature("load_left", "10 mean processing times"),
    Feature("slack_to_bound", "10 mean processing times"),
    _share("share_of_jobs_that_can_be_next"),
)

PAIR = (
    _share("legal"),
    Feature("time", MEANS, 0.0),
    Feature("time_over_mean", "1", 0.0),
    Feature("time_above_least", MEANS, 0.0),
    Feature("start_after_now", MEANS, 0.0),
    Feature("end_above_earliest_of_job", MEANS, 0.0),
    Feature("end_above_earliest_of_all", MEANS, 0.0),
    Feature("idle_time_before_start", MEANS, 0.0),
    Feature("setup_time", MEANS, 0.0),
    Feature("end_and_least_rest_above_bound", "10 mean processing times"),
    _share("share_of_other_jobs_faster_there"),
)

PAIR_AHEAD = (
    Feature("excess_of_best_roll_out", "share of the least of all pairs", 0.0),
    Feature("excess_of_best_roll_out_magnified", "1", 0.0, 1.0),
)
"""Over all rules that are rolled out, if there are any; the excess of each follows."""

CONTEXT = (
    _share("share_of_operations_scheduled"),
    Feature("now", "first bound", 0.0),
    Feature("bound", "first bound", 0.0),
    Feature("log_jobs", "1"),
    Feature("log_machines", "1"),
    _share("mean_share_of_machines_able"),
)


def flexible_spec(jobs: int, machines: int, roll_outs: tuple[str, ...]) -> GraphSpec:
    """Returns the graph specification with room for so many jobs and machines."""
    each = tuple(Feature(f"excess_of_roll_out_by_{rule}", PAIR_AHEAD[0].unit, 0.0) for rule in roll_outs)
    ahead = (*PAIR_AHEAD, *each) if roll_outs else ()
    pairs = jobs * machines
    return GraphSpec(
        nodes=(
            NodeType("job", jobs, (), JOB),
            NodeType("machine", machines, (), MACHINE),
            NodeType("pair", pairs, (), PAIR + ahead),
        ),
        edges=(
            EdgeType("pair", "of", "job", pairs, static=False),
            EdgeType("pair", "on", "machine", pairs, static=False),
        ),
        actions=("pair",),
        context=CONTEXT,
    )
