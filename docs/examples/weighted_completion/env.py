"""Binds the rules of the single-machine problem to the decision protocol."""

from __future__ import annotations

from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core import EdgeType, Feature, GraphSpec, NodeType, Observation, Problem, UsageError
from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS
from envs.weighted_completion import dynamics
from envs.weighted_completion.dynamics import State
from envs.weighted_completion.instance import Sequence, WeightedCompletionInstance


@dataclass(frozen=True)
class WeightedCompletionConfig:
    """Options of the environment.

    Attributes:
        jobs: Fewest and most jobs of a drawn instance.
        max_jobs: Capacity; by default the most jobs that are drawn.
        illegal_action_penalty: Subtracted from the reward when a masked action is taken.
    """

    jobs: tuple[int, int] = (5, 10)
    max_jobs: int | None = None
    illegal_action_penalty: float = 1.0


def make_spec(capacity: int) -> GraphSpec:
    """Declares the graph: jobs that wait for one machine."""
    job = NodeType(
        "job",
        capacity,
        static=(
            Feature("processing time", "longest processing time", 0, 1),
            Feature("weight", "largest weight", 0, 1),
        ),
        dynamic=(Feature("done", "1", 0, 1), Feature("completion if next", "sum of processing times", 0, 1)),
    )
    machine = NodeType("machine", 1, dynamic=(Feature("free at", "sum of processing times", 0, 1),))
    edges = (
        EdgeType("job", "runs_on", "machine", capacity, static=True),
        EdgeType("machine", "runs", "job", capacity, static=True),
    )
    return GraphSpec((job, machine), edges, actions=("job",), context=(Feature("share of jobs done", "1", 0, 1),))


class WeightedCompletion(Problem[State, WeightedCompletionInstance, Sequence]):
    """Total weighted completion time on one machine, 1 || sum w_j C_j: an action picks the job to run next."""

    def __init__(self, config: WeightedCompletionConfig) -> None:
        """Checks the options and declares the graph."""
        fewest, most = config.jobs
        capacity = config.max_jobs or most
        if not 1 <= fewest <= most <= capacity:
            raise UsageError(
                f"jobs is {config.jobs} with max_jobs {capacity}; expected 1 <= fewest <= most <= max_jobs"
            )
        self.config = config
        self.capacity = capacity
        self.spec = make_spec(capacity)
        self.illegal_action_penalty = config.illegal_action_penalty

    def allocate(self, lanes: int) -> State:
        """Returns zeroed arrays."""
        table = (lanes, self.capacity)
        numbers, tables = np.zeros((2, lanes), np.int64), np.zeros((3, *table), np.int64)
        return State(np.zeros(lanes, np.uint64), numbers[0], tables[0], tables[1], tables[2], numbers[1])

    def draw(self, state: State, lanes: NDArray[np.int64]) -> None:
        """Begins episodes on drawn instances."""
        dynamics.draw(state, lanes, *self.config.jobs)

    def load(self, state: State, lane: int, instance: WeightedCompletionInstance) -> None:
        """Begins an episode on a given instance."""
        jobs = len(instance.times)
        if jobs > self.capacity:
            raise UsageError(f"{instance.name} has {jobs} jobs; max_jobs is {self.capacity}")
        state.jobs[lane] = jobs
        state.times[lane] = np.pad(instance.times, (0, self.capacity - jobs))
        state.weights[lane] = np.pad(instance.weights, (0, self.capacity - jobs))
        state.completions[lane] = -1
        state.clock[lane] = 0

    def step(self, state: State, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Runs the chosen jobs."""
        refused = np.zeros(len(actions), np.bool_)
        dynamics.step(state, actions, active, refused)
        return refused

    def observe(self, state: State, lanes: NDArray[np.int64], out: Observation, *, static: bool) -> None:
        """Writes the graph of each lane; NumPy is fast enough here."""
        times, clock = state.times[lanes], state.clock[lanes, None]
        exists = np.arange(self.capacity) < state.jobs[lanes, None]
        waiting = exists & (state.completions[lanes] < 0)
        total = times.sum(axis=1, keepdims=True)
        if static:
            weights = state.weights[lanes]
            out["job_static"][..., 0] = times / times.max(axis=1, keepdims=True)
            out["job_static"][..., 1] = weights / weights.max(axis=1, keepdims=True)
            rows = np.where(exists, np.arange(self.capacity), -1)
            machine = np.where(exists, 0, -1)
            out["job_runs_on_machine_index"][...] = np.stack([rows, machine], axis=1)
            out["machine_runs_job_index"][...] = np.stack([machine, rows], axis=1)
        out["job_dynamic"][..., 0] = exists & ~waiting
        out["job_dynamic"][..., 1] = np.where(waiting, clock + times, 0) / total
        out["machine_dynamic"][..., 0] = clock / total
        out[CONTEXT][..., 0] = 1 - waiting.sum(axis=1) / state.jobs[lanes]
        out[COUNTS][...] = state.jobs[lanes, None]
        out[COUNTS][:, 1] = 1
        out[ACTION_MASK][...] = waiting

    def finished(self, state: State) -> NDArray[np.bool_]:
        """A lane is finished when no job waits."""
        done: NDArray[np.bool_] = (state.completions >= 0).sum(axis=1) == state.jobs
        return done

    def objective(self, state: State) -> NDArray[np.float64]:
        """Lower bound on the total weighted completion time, exact at the end."""
        out = np.zeros(len(state.jobs))
        dynamics.objective(state, out)
        return out

    def reward_unit(self, state: State) -> NDArray[np.float64]:
        """Sum of weights times sum of times: no sequence costs more."""
        unit: NDArray[np.float64] = (state.weights.sum(axis=1) * state.times.sum(axis=1)).astype(np.float64)
        return unit

    def instance(self, state: State, lane: int) -> WeightedCompletionInstance:
        """Returns the instance of a lane."""
        jobs = int(state.jobs[lane])
        times, weights = state.times[lane, :jobs], state.weights[lane, :jobs]
        return WeightedCompletionInstance(f"drawn-{lane}", tuple(times.tolist()), tuple(weights.tolist()))

    def solution(self, state: State, lane: int) -> Sequence:
        """Returns the completion times of a lane."""
        return Sequence(state.completions[lane, : state.jobs[lane]].copy())

    def render(self, state: State, lane: int, mode: str) -> Any:
        """Draws the machine's time line: one column of pixels a time unit above an axis, or one line of text."""
        done = [(int(c), j) for j, c in enumerate(self.solution(state, lane).completions) if c >= 0]
        if mode == "ansi":
            bars = [f"[{job} until {completion}]" for completion, job in sorted(done)]
            return " ".join([f"time {state.clock[lane]}:", *bars])
        picture = np.full((20, int(state.times[lane].sum()), 3), 255, np.uint8)
        picture[-2:] = 0
        for completion, job in done:
            picture[:-2, completion - state.times[lane, job] : completion] = (60 + 70 * job % 180, 120, 40 * job % 220)
        return picture


def fit(instances: AnySequence[WeightedCompletionInstance]) -> dict[str, Any]:
    """Returns the capacity that the instances need."""
    most = max(len(instance.times) for instance in instances)
    return {"max_jobs": most, "jobs": (1, most)}
