"""Total weighted completion time on a single machine: the example of the tutorial "Add a problem"."""

from envs.core import Benchmark, ProblemDefinition, Reference
from envs.weighted_completion.env import WeightedCompletion, WeightedCompletionConfig, fit
from envs.weighted_completion.instance import Sequence, WeightedCompletionInstance, read_instance, to_rows
from envs.weighted_completion.rules import RULES, Smith
from envs.weighted_completion.verify import verify


def _two_jobs() -> Benchmark:
    instance = WeightedCompletionInstance("two_jobs", times=(3, 1), weights=(1, 2))
    best = Reference(6.0, "both sequences compared by hand", is_bound=False, lower_bound=6.0)
    return Benchmark("two_jobs", (instance,), {"two_jobs": best}, {"two_jobs": "2"})


def _chart(instance: WeightedCompletionInstance, solution: Sequence) -> str:
    bars = "".join(
        f'<rect x="{row["start"]}" y="0" width="{row["end"] - row["start"]}" height="20" stroke="white"/>'
        for row in to_rows(instance, solution)
    )
    return f'<svg viewBox="0 0 {sum(instance.times)} 20" role="img" fill="steelblue">{bars}</svg>'


PROBLEM = ProblemDefinition(
    name="weighted_completion",
    env_id="dispatchlab/WeightedCompletion-v0",
    config=WeightedCompletionConfig,
    make=WeightedCompletion,
    fit=fit,
    verify=verify,
    read_instance=read_instance,
    solution_to_json=to_rows,
    solution_to_rows=to_rows,
    rules=RULES,
    solvers={"smith": Smith},
    benchmarks={"two_jobs": _two_jobs},
    variants=({}, {"jobs": (1, 3), "illegal_action_penalty": 0.5}, {"jobs": (2, 4), "max_jobs": 6}),
    objective_name="total weighted completion time",
    objective_unit="weighted time units",
    chart_html=_chart,
)
