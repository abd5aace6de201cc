"""What an observation of edge offloading holds."""

from __future__ import annotations

from envs.core.spec import EdgeType, Feature, GraphSpec, NodeType
from envs.offload.state import Capacity

SERVER_STATIC = (
    Feature("cloud", "1", 0.0, 1.0),
    Feature("frequency", "4 GHz", 0.0),
    Feature("mean task sizes processed in a step", "1", 0.0),
    Feature("energy of a mean task", "its energy on the published edge server, 0.032 J", 0.0),
)
SERVER_DYNAMIC = (
    Feature("running tasks", "10", 0.0),
    Feature("tasks being uploaded", "10", 0.0),
    Feature("time to become idle", "100 steps", 0.0),
    Feature("energy of the task", "scaled", 0.0),
    Feature("upload of the task", "steps", 0.0),
    Feature("own delay of the task", "scaled", 0.0),
    Feature("delay that the task brings to others", "scaled", 0.0),
    Feature("tardiness that the task brings", "scaled", 0.0),
    Feature("weighted cost of the task", "scaled", 0.0),
    Feature("weighted cost of the task above the least", "a tenth, scaled", 0.0),
    Feature("running tasks larger than the task", "10", 0.0),
    Feature("delay of the task and the others above the least", "a tenth, scaled", 0.0),
    Feature("least weighted cost", "1", 0.0, 1.0),
    Feature("least delay of the task and the others", "1", 0.0, 1.0),
)
TASK = (
    Feature("size", "mean task", 0.0),
    Feature("log of size over mean", "1"),
    Feature("steps waited in line", "10", 0.0),
    Feature("deadline", "100 steps; 0 without deadlines", 0.0),
)
CONTEXT = (
    Feature("weight of the delay", "1", 0.0, 1.0),
    Feature("weight of the energy", "1", 0.0, 1.0),
    Feature("weight of the tardiness", "1", 0.0, 1.0),
    Feature("place of the preference on the useful part", "1", 0.0, 1.0),
    Feature("part of the horizon that has passed", "1", 0.0, 1.0),
    Feature("tasks waiting in line", "10", 0.0),
    Feature("expected arrivals in the step", "1", 0.0),
    Feature("mean task size", "16 Mbit", 0.0),
)


def offload_spec(capacity: Capacity, bins: int, bin_megabits: float) -> GraphSpec:
    """Returns the specification.

    The action picks the server that the one task node is sent to. Scaled costs are in units of the scalar objective,
    unweighted.

    Args:
        capacity: Largest sizes.
        bins: Bins of the histogram of remaining sizes on a server; the last one is open.
        bin_megabits: Width of a bin.
    """
    histogram = tuple(
        Feature(f"tasks with {i * bin_megabits:g} Mbit left or more, below the next bin", "5", 0.0) for i in range(bins)
    )
    server = NodeType("server", capacity.servers, SERVER_STATIC, (*SERVER_DYNAMIC, *histogram))
    task = NodeType("task", 1, (), TASK)
    edges = (
        EdgeType("task", "may_go_to", "server", capacity.servers, True),
        EdgeType("server", "may_take", "task", capacity.servers, True),
    )
    return GraphSpec((server, task), edges, ("server",), CONTEXT)
