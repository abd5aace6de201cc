"""What the observation of stage scheduling holds: the specification that `envs.spark.observe` fills, in its order.

Only jobs in the system are shown, so that a policy sees what an online scheduler knows. Times are divided by the mean
ideal response time of the instance (the longest path of a job, or its work over all cores), work by that times the
number of cores, and counts of cores by the number of cores. Deadlines are virtual, as in `envs.spark.virtual_time`.
"""

from __future__ import annotations

from envs.core.spec import EdgeType, Feature, GraphSpec, NodeType
from envs.spark.state import Capacity

TIME = "mean ideal response time"
WORK = "mean ideal response time x cores"
CORES = "cores"


def _share(name: str) -> Feature:
    return Feature(name, CORES, 0.0, 1.0)


def _ratio(name: str) -> Feature:
    return Feature(name, "1", 0.0, 1.0)


USER_STATIC = (_share("fair_share"),)

USER = (
    _share("running_tasks"),
    Feature("jobs_in_system", CORES, 0.0),
    Feature("estimated_work_left", WORK, 0.0),
    Feature("last_global_deadline_after_virtual_time", WORK),
    _ratio("virtually_active"),
)

JOB = (
    Feature("age", TIME, 0.0),
    _share("running_tasks"),
    _share("parallelism_limit"),
    Feature("estimated_work_left", WORK, 0.0),
    Feature("fraction_of_estimated_work_left", "1", 0.0, 1.0),
    Feature("bound_on_time_to_completion", TIME, 0.0),
    Feature("global_deadline_after_virtual_time", WORK),
    _share("running_tasks_of_user"),
    _ratio("chosen"),
)

STAGE = (
    _ratio("ready"),
    _ratio("legal"),
    _ratio("chosen"),
    _share("running_tasks"),
    Feature("unstarted_tasks", CORES, 0.0),
    _ratio("fraction_of_tasks_unstarted"),
    Feature("estimated_task_duration", TIME, 0.0),
    Feature("estimated_work_unstarted", WORK, 0.0),
    Feature("longest_path_after", TIME, 0.0),
    Feature("virtual_deadline_after_virtual_time", WORK),
    _share("free_cores_of_same_job"),
)

LEVEL_STATIC = (_share("limit"),)

LEVEL = (Feature("limit_above_running_tasks", CORES, -1.0, 1.0), _ratio("legal"))

CONTEXT = (
    _share("free_cores"),
    Feature("log_cores", "1", 0.0),
    Feature("jobs_in_system", CORES, 0.0),
    Feature("estimated_work_left", WORK, 0.0),
    _ratio("asks_for_parallelism"),
)


def spark_spec(capacity: Capacity, levels: int) -> GraphSpec:
    """Returns the specification; level nodes exist only where parallelism is decided (``levels`` above 0)."""
    users, jobs, stages, _, edges, _ = capacity
    nodes = [
        NodeType("stage", stages, dynamic=STAGE),
        NodeType("job", jobs, dynamic=JOB),
        NodeType("user", users, USER_STATIC, USER),
    ]
    relations = [
        EdgeType("stage", "precedes", "stage", edges, static=False),
        EdgeType("stage", "part_of", "job", stages, static=False),
        EdgeType("job", "owned_by", "user", jobs, static=False),
    ]
    if levels:
        nodes.append(NodeType("level", levels, LEVEL_STATIC, LEVEL))
        relations.append(EdgeType("job", "may_take", "level", levels, static=False))
    actions = ("stage", "level") if levels else ("stage",)
    return GraphSpec(tuple(nodes), tuple(relations), actions, CONTEXT)
