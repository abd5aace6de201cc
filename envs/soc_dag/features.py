"""What an observation holds: names, units and bounds of every feature, and the graph around them.

The static graph is that of the job types: a *kernel* is a task of a job type. The dynamic graph is that of the tasks to
be mapped (*task*), the jobs in the system (*job*) and the processing elements (*processor*); with pair decisions, every
combination of an offered task and a processing element is a node (*pair*), otherwise an edge.

``unit`` is the mean execution time over all kernels and the processing elements that run them; ``now`` is the simulated
time. Expected times use mean durations and the queues as they stand.
"""

from __future__ import annotations

import numpy as np

from envs.core.spec import EdgeType, Feature, GraphSpec, NodeType
from envs.soc_dag.state import PAIR, TASK, TWO_STEP, Capacity

_UNIT = "mean execution time"


def _time(name: str) -> Feature:
    return Feature(name, _UNIT, 0.0, np.inf)


def _difference(name: str) -> Feature:
    return Feature(name, _UNIT)


def _share(name: str) -> Feature:
    return Feature(name, "1", 0.0, 1.0)


def _ratio(name: str) -> Feature:
    return Feature(name, "1", 0.0, np.inf)


KERNEL = (
    _time("mean_execution_time"),
    _time("least_execution_time"),
    _time("upward_rank"),
    _time("static_level"),
    _time("longest_path_of_least_times"),
    _share("fraction_of_job_on_longest_path"),
    _share("share_of_processors_that_run_it"),
    _ratio("successors"),
    _ratio("predecessors"),
    _time("mean_transfer_time_to_successors"),
    _time("mean_transfer_time_from_predecessors"),
)

PROCESSOR_STATIC = (
    _ratio("mean_execution_time_over_mean"),
    _share("share_of_kernels_it_runs"),
    _share("share_of_kernels_it_runs_fastest"),
    _time("mean_transfer_time_of_edges_to_it"),
    _share("active_power_over_largest"),
)

PROCESSOR = (
    _share("works"),
    _share("busy"),
    _time("expected_free_after_now"),
    _time("rest_of_running_task"),
    _ratio("tasks_in_queue"),
    _difference("expected_free_after_mean_over_processors"),
)

JOB = (
    _time("age"),
    _time("expected_end_after_now"),
    _share("fraction_of_tasks_left"),
    _ratio("expected_latency_over_least"),
    _ratio("tasks_to_be_mapped"),
)

TASK_FEATURES = (
    _time("waited"),
    _time("upward_rank"),
    _time("longest_path_of_least_times"),
    _time("least_execution_time"),
    _time("mean_execution_time"),
    _difference("slack_in_job"),
    _time("age_of_job"),
    _time("best_finish_after_now"),
    _time("second_best_finish_above_best"),
    _time("best_finish_above_best_of_all_tasks"),
    _share("fastest_processor_is_free"),
    _share("place_in_order"),
    _share("chosen"),
)

PAIR_FEATURES = (
    _share("legal"),
    _time("execution_time"),
    _time("execution_time_above_least"),
    _ratio("execution_time_over_least"),
    _time("data_after_now"),
    _time("expected_start_after_now"),
    _time("expected_finish_after_now"),
    _time("finish_above_best_of_task"),
    _time("finish_above_best_of_all"),
    _time("start_above_earliest_of_all"),
    _time("idle_time_before_start"),
    _difference("path_end_above_expected_end_of_job"),
    _share("sender_of_data"),
    _time("best_execution_time_of_other_tasks_there"),
    _difference("advantage_over_best_other_task_there"),
    _time("optimistic_rest_above_least"),
)

CONTEXT_FEATURES = (
    _share("processor_is_asked_for"),
    _ratio("log_processors"),
    _ratio("log_jobs_in_system"),
    _ratio("log_tasks_to_be_mapped"),
    _share("stream"),
    _share("fraction_of_places_taken"),
    _ratio("noise"),
    _ratio("mean_transfer_over_mean_execution_time"),
    _share("shared_memory"),
)


def soc_dag_spec(capacity: Capacity, decision: int) -> GraphSpec:
    """Returns the graph specification.

    Rows: kernels in the order of the job types; jobs by place, free places are left out; tasks in the order in which
    they became ready; pairs ``task * processors of the instance + processor``.
    """
    pairs = capacity.offers * capacity.processors
    relation = PAIR_FEATURES if decision != PAIR else ()
    nodes = (
        NodeType("kernel", capacity.kernels, static=KERNEL),
        NodeType("processor", capacity.processors, static=PROCESSOR_STATIC, dynamic=PROCESSOR),
        NodeType("job", capacity.places, dynamic=JOB),
        NodeType("task", capacity.offers, dynamic=TASK_FEATURES),
        *((NodeType("pair", pairs, dynamic=PAIR_FEATURES),) if decision == PAIR else ()),
    )
    between = (
        (
            EdgeType("pair", "maps", "task", pairs, static=False),
            EdgeType("pair", "to", "processor", pairs, static=False),
        )
        if decision == PAIR
        else (EdgeType("task", "can_run_on", "processor", pairs, static=False, features=relation),)
    )
    edges = (
        EdgeType("kernel", "precedes", "kernel", capacity.edges, static=True, features=(_time("mean_transfer_time"),)),
        EdgeType(
            "kernel",
            "runs_on",
            "processor",
            capacity.kernels * capacity.processors,
            static=True,
            features=(_time("execution_time"), _ratio("execution_time_over_least")),
        ),
        EdgeType("task", "instance_of", "kernel", capacity.offers, static=False),
        EdgeType("task", "part_of", "job", capacity.offers, static=False),
        EdgeType("job", "awaits", "kernel", capacity.places * capacity.tasks, static=False),
        *between,
    )
    actions = {PAIR: ("pair",), TWO_STEP: ("task", "processor"), TASK: ("task",)}[decision]
    return GraphSpec(nodes, edges, actions, CONTEXT_FEATURES)
