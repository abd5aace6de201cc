"""What an observation holds: names, units and bounds of every feature, and the graph.

The dynamic disjunctive graph: jobs, machines, and the operations that no job has come to yet, with the order within
the jobs and the machines that they need (a machine node stands for the clique of its disjunctive arcs). Nodes and edges
vanish as operations begin. Nothing that has not happened is observed: no shutdown and no end of one before it comes.
Times are counted in mean processing times of the instance.
"""

from __future__ import annotations

from envs.core.spec import EdgeType, Feature, GraphSpec, NodeType

MEANS = "mean processing time"
TENS = "10 mean processing times"


def _share(name: str) -> Feature:
    return Feature(name, "1", 0.0, 1.0)


JOB = (
    _share("unfinished"),
    _share("legal"),
    _share("outside"),
    _share("processing"),
    _share("blocking"),
    Feature("processing_time", MEANS, 0.0),
    Feature("remaining_work", TENS, 0.0),
    _share("processing_time_over_remaining_work"),
    _share("share_of_operations_left"),
    Feature("processing_left", MEANS, 0.0),
    Feature("time_since_processed", MEANS, 0.0),
    Feature("time_to_free_next_machine", MEANS, 0.0),
    Feature("load_of_next_machine", TENS),
    Feature("time_to_free_following_machine", MEANS, 0.0),
    Feature("load_of_following_machine", TENS),
    Feature("expected_blocking_of_next_machine", MEANS, 0.0),
    Feature("slack_to_estimate", TENS),
    _share("share_of_jobs_that_need_its_machine_next"),
    _share("rank_by_remaining_work"),
)

MACHINE = (
    _share("works"),
    _share("empty"),
    _share("processing"),
    _share("blocked"),
    Feature("time_to_free", MEANS, 0.0),
    Feature("load", TENS),
    Feature("slack_to_estimate", TENS),
    _share("share_of_jobs_that_need_it_next"),
)

OPERATION = (
    Feature("processing_time", MEANS, 0.0),
    Feature("work_before", TENS, 0.0),
    Feature("work_after", TENS, 0.0),
    _share("is_next"),
)

WAIT = (_share("legal"), Feature("expected_time_to_next_event", MEANS, 0.0))

AHEAD = (
    Feature("excess_of_best_roll_out", "share of the least of all actions", 0.0),
    Feature("excess_of_best_roll_out_magnified", "1", 0.0, 1.0),
)
"""Over all rules that are rolled out, if there are any; the excess of each follows."""

CONTEXT = (
    _share("swap"),
    _share("shutdown_probability"),
    Feature("shutdown_rate", "1 / mean processing time", 0.0),
    Feature("repair_time", MEANS, 0.0),
    _share("share_of_operations_processed"),
    Feature("clock", "first estimate", 0.0),
    Feature("estimate", "first estimate", 0.0),
    _share("share_of_machines_that_work"),
    _share("share_of_machines_held"),
    Feature("log_jobs", "1"),
    Feature("log_machines", "1"),
)


def blocking_spec(
    jobs: int, operations: int, machines: int, *, wait: bool, graph: str, roll_outs: tuple[str, ...]
) -> GraphSpec:
    """Returns the graph specification with room for so many jobs, operations of a job and machines."""
    each = tuple(Feature(f"excess_of_roll_out_by_{rule}", AHEAD[0].unit, 0.0) for rule in roll_outs)
    ahead = (*AHEAD, *each) if roll_outs else ()
    total = jobs * operations
    nodes = [NodeType("job", jobs, (), JOB + ahead), NodeType("machine", machines, (), MACHINE)]
    edges = [
        EdgeType("job", "holds", "machine", machines, static=False),
        EdgeType("job", "needs", "machine", jobs, static=False),
    ]
    if graph == "disjunctive":
        nodes.append(NodeType("operation", total, (), OPERATION))
        edges += [
            EdgeType("job", "goes_on_with", "operation", jobs, static=False),
            EdgeType("operation", "precedes", "operation", total, static=False),
            EdgeType("operation", "on", "machine", total, static=False),
        ]
    if wait:
        nodes.append(NodeType("wait", 1, (), WAIT + ahead))
    return GraphSpec(tuple(nodes), tuple(edges), ("job", "wait") if wait else ("job",), CONTEXT)
