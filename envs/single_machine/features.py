"""What an observation holds: names, units and bounds of every feature, and the graph, which has jobs alone.

Times are counted in mean processing times and weights in mean weights, so that instances of any scale look alike.
"""

from __future__ import annotations

from envs.core.spec import Feature, GraphSpec, NodeType

LENGTH = "mean processing time"


def _share(name: str) -> Feature:
    return Feature(name, "1", 0.0, 1.0)


JOB_STATIC = (
    Feature("time", LENGTH, 0.0),
    Feature("weight", "mean weight", 0.0),
    Feature("log_weight_over_time", "1"),
    Feature("due_date", "sum of processing times"),
    Feature("release", "sum of processing times", 0.0),
)

JOB = (
    _share("legal"),
    _share("left"),
    Feature("slack", "10 mean processing times"),
    Feature("slack_saturated", "1", -1.0, 1.0),
    _share("late_if_next"),
    Feature("until_release", LENGTH, 0.0),
    _share("rank_by_due_date"),
    _share("rank_by_weight_over_time"),
    _share("rank_by_wmdd"),
    _share("rank_by_atc"),
)

JOB_AHEAD = (
    Feature("excess_of_roll_out", "share of its least", 0.0),
    Feature("excess_of_roll_out_magnified", "1", 0.0, 1.0),
)
"""For each rule that is rolled out."""

CONTEXT = (
    _share("started"),
    Feature("jobs", "100", 0.0),
    Feature("load_left_over_mean_slack", "1", -10.0, 10.0),
    _share("late_jobs_left"),
    Feature("spread_of_due_dates_left", "load left", 0.0, 10.0),
)


def single_machine_spec(capacity: int, roll_outs: tuple[str, ...]) -> GraphSpec:
    """Returns the graph specification with room for ``capacity`` jobs."""
    ahead = tuple(
        Feature(f"{feature.name}_by_{rule}", feature.unit, feature.low, feature.high)
        for rule in roll_outs
        for feature in JOB_AHEAD
    )
    return GraphSpec((NodeType("job", capacity, JOB_STATIC, JOB + ahead),), (), ("job",), CONTEXT)
