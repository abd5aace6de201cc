"""Binds DAG scheduling to the decision protocol: options, capacities, rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.prepared import Prepared
from envs.core.problem import Floats, Lanes, Problem
from envs.core.random import next_word
from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS, Observation
from envs.soc_dag import dynamics
from envs.soc_dag.estimates import expected_excesses
from envs.soc_dag.features import soc_dag_spec
from envs.soc_dag.generators import SCENARIOS
from envs.soc_dag.observe import observe_dynamic, observe_static
from envs.soc_dag.state import PAIR, TASK, TWO_STEP, Capacity, SocState, allocate
from envs.soc_dag.tables import Tables, build_tables, check_fit, load_tables, needed_capacity, read_tables
from envs.soc_dag.types import SocInstance, Trace

DECISIONS = {"pair": PAIR, "two_step": TWO_STEP, "task": TASK}
REWARDS = ("bound", "objective", "completion_bonus")
_STEP_COST, _COMPLETION_BONUS = 0.5, 50.0


@dataclass(frozen=True)
class SocDagConfig:
    """Options of the environment.

    Attributes:
        decision: What an action picks: "pair", a ready task together with its PE; "two_step", the task, then the PE;
            "task", the task, whose PE is the one of earliest finish.
        remap: Map tasks that have not started anew whenever something happens.
        max_offers: Most ready tasks that a decision is about; further ones wait for their turn at the same instant.
        scenarios: Families that episodes are drawn from, see `envs.soc_dag.generators`.
        instances: Instances to draw from, uniformly, instead.
        reward: "bound": decrease of the expected makespan over its first value or, where the objective is the mean
            latency, of the expected latency of all jobs above their least one, in least latencies; "objective": of the
            objective itself, in the same unit; "completion_bonus": -0.5 a time unit and 50 a completed job (SoCRATES).
        illegal_action_penalty: Taken from the reward when an action is refused.
        max_types: Capacity for job types; by default, as for the others, what ``scenarios`` or ``instances`` need.
        max_kernels: Capacity for tasks of all job types together.
        max_edges: Capacity for edges of all job types together.
        max_processors: Capacity for PEs.
        max_tasks: Capacity for tasks of a job.
        max_places: Capacity for jobs in the system.
        max_jobs: Capacity for jobs of an episode; when it is reached, none arrives any more.
        max_runs: Capacity for runs of tasks in an episode.
    """

    decision: str = "pair"
    remap: bool = False
    max_offers: int = 8
    scenarios: tuple[str, ...] = ("canonical",)
    instances: tuple[SocInstance, ...] = ()
    reward: str = "bound"
    illegal_action_penalty: float = 0.1
    max_types: int | None = None
    max_kernels: int | None = None
    max_edges: int | None = None
    max_processors: int | None = None
    max_tasks: int | None = None
    max_places: int | None = None
    max_jobs: int | None = None
    max_runs: int | None = None

    def __post_init__(self) -> None:
        """Checks every option; sequences become tuples."""
        for name, known in (("decision", tuple(DECISIONS)), ("reward", REWARDS)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}")
        object.__setattr__(self, "scenarios", tuple(self.scenarios))
        object.__setattr__(self, "instances", tuple(self.instances))
        for name in self.scenarios:
            if name not in SCENARIOS:
                raise UsageError(f"scenarios has the entry {name!r}; expected one of {', '.join(SCENARIOS)}")
        if not self.scenarios and not self.instances:
            raise UsageError("scenarios and instances are empty; expected something to draw episodes from")
        if self.max_offers < 1:
            raise UsageError(f"max_offers is {self.max_offers}; expected at least 1")
        if not 0.0 <= self.illegal_action_penalty < float("inf"):
            raise UsageError(
                f"illegal_action_penalty is {self.illegal_action_penalty}; expected a number of at least 0"
            )


class SocDag(Problem[SocState, SocInstance, Trace]):
    """DAG scheduling on heterogeneous processors under one configuration.

    The objective is the makespan of a static instance (while it runs, the expected one), or the mean latency of the
    jobs completed so far.
    """

    def __init__(self, config: SocDagConfig) -> None:
        """Fixes the capacities and lays out the given instances."""
        self.config = config
        self.illegal_action_penalty = config.illegal_action_penalty
        self._decision = DECISIONS[config.decision]
        self.capacity = _capacity(config)
        self._prepared = Prepared(config.instances, build_tables)
        for instance in config.instances:
            check_fit(instance, self.capacity)
        self.spec = soc_dag_spec(self.capacity, self._decision)

    def allocate(self, lanes: int) -> SocState:
        """Returns the zeroed state of ``lanes`` lanes."""
        return allocate(lanes, self.capacity, self._decision)

    def draw(self, state: SocState, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes``, on one of ``instances`` or an instance of one of ``scenarios``."""
        for lane in lanes:
            word = int(next_word(state.generator, int(lane)))
            if self.config.instances:
                label = word % len(self.config.instances)
                self._load(state, int(lane), label, self._prepared.instance(label), self._prepared.tables(label))
            else:
                rng = np.random.default_rng(word)
                scenario = self.config.scenarios[int(rng.integers(len(self.config.scenarios)))]
                instance = SCENARIOS[scenario](rng)
                check_fit(instance, self.capacity)
                self._load(state, int(lane), -1, instance, build_tables(instance))
        dynamics.begin(state, lanes, self._decision, self.config.remap)

    def load(self, state: SocState, lane: int, instance: SocInstance) -> None:
        """Begins a new episode in ``lane`` on ``instance``."""
        check_fit(instance, self.capacity)
        label = self._prepared.label(instance)
        self._load(state, lane, label, instance, self._prepared.tables(label))
        dynamics.begin(state, np.array([lane]), self._decision, self.config.remap)

    def step(self, state: SocState, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies one action in every active lane; returns the flags of refused actions."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(state, actions, active, refused, self._decision, self.config.remap)
        return refused

    def observe(self, state: SocState, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``."""
        if static:
            observe_static(
                state,
                lanes,
                out["kernel_static"],
                out["processor_static"],
                out["kernel_precedes_kernel_index"],
                out["kernel_precedes_kernel_features"],
                out["kernel_runs_on_processor_index"],
                out["kernel_runs_on_processor_features"],
            )
        pair = self._decision == PAIR
        relation = "pair_maps_task" if pair else "task_can_run_on_processor"
        observe_dynamic(
            state,
            lanes,
            out["processor_dynamic"],
            out["job_dynamic"],
            out["task_dynamic"],
            out["pair_dynamic" if pair else f"{relation}_features"],
            out["task_instance_of_kernel_index"],
            out["task_part_of_job_index"],
            out["job_awaits_kernel_index"],
            out[f"{relation}_index"],
            out["pair_to_processor_index" if pair else f"{relation}_index"],
            out[CONTEXT],
            out[COUNTS],
            out[ACTION_MASK],
            self._decision,
        )

    def action_masks(self, state: SocState) -> NDArray[np.bool_]:
        """Returns the legal actions of every lane, as they stand in the state."""
        return state.mask

    def finished(self, state: SocState) -> NDArray[np.bool_]:
        """Returns the flags of lanes whose static jobs are completed or whose window is over."""
        return state.episode["done"].copy()

    def objective(self, state: SocState) -> Floats:
        """Returns the expected makespan or the mean latency so far, in the time unit of the instance."""
        none = np.where(np.isfinite(state.episode["window"]), state.episode["window"], state.episode["makespan"])
        latency = np.where(
            state.episode["latency_count"] > 0,
            state.episode["latency_sum"] / np.maximum(state.episode["latency_count"], 1),
            none,
        )
        return np.where(state.episode["latency_objective"], latency, state.episode["makespan"])

    def potential(self, state: SocState) -> Floats:
        """Returns the quantity whose decrease is rewarded, see the option ``reward``."""
        if self.config.reward == "objective":
            return self.objective(state)
        if self.config.reward == "completion_bonus":
            return _STEP_COST * state.episode["clock"] - _COMPLETION_BONUS * state.episode["completed_jobs"]
        excess = np.empty(len(state.episode["clock"]))
        expected_excesses(state, excess)
        return np.where(state.episode["latency_objective"], excess, state.episode["makespan"])

    def reward_unit(self, state: SocState) -> Floats:
        """Returns the first expected makespan or the mean least latency of a job; 1 for "completion_bonus"."""
        if self.config.reward == "completion_bonus":
            return np.ones(len(state.episode["clock"]))
        return np.where(
            state.episode["latency_objective"], state.episode["typical_length"], state.episode["first_makespan"]
        )

    def clock(self, state: SocState) -> Floats:
        """Returns the simulated times."""
        return state.episode["clock"].copy()

    def instance(self, state: SocState, lane: int) -> SocInstance:
        """Returns the instance that ``lane`` is running."""
        label = int(state.episode["label"][lane])
        return self._prepared.instance(label) if label >= 0 else read_tables(state, lane, "drawn")

    def solution(self, state: SocState, lane: int) -> Trace:
        """Returns what ``lane`` has run so far."""
        jobs, runs = int(state.episode["admitted_jobs"][lane]), int(state.episode["records"][lane])
        completed = state.job["completed"][lane, :jobs]
        return Trace(
            job_type=state.job["type"][lane, :jobs].astype(np.int64),
            arrived=state.job["arrived"][lane, :jobs].copy(),
            admitted=state.job["admitted"][lane, :jobs].copy(),
            completed=np.where(np.isinf(completed), np.nan, completed),
            job=state.record["job"][lane, :runs].astype(np.int64),
            task=state.record["task"][lane, :runs].astype(np.int64),
            processor=state.record["processor"][lane, :runs].astype(np.int64),
            mapped=state.record["mapped"][lane, :runs].copy(),
            start=state.record["start"][lane, :runs].copy(),
            end=state.record["end"][lane, :runs].copy(),
            lost=state.record["lost"][lane, :runs].copy(),
            until=float(state.episode["clock"][lane]),
        )

    def render(self, state: SocState, lane: int, mode: str) -> Any:
        """Draws the Gantt chart of ``lane``."""
        from envs.soc_dag import render

        draw = render.gantt_array if mode == "rgb_array" else render.gantt_text
        return draw(self.instance(state, lane), self.solution(state, lane))

    def _load(self, state: SocState, lane: int, label: int, instance: SocInstance, tables: Tables) -> None:
        load_tables(state, lane, instance, tables)
        state.episode["label"][lane] = label


def fit(instances: Sequence[SocInstance]) -> dict[str, Any]:
    """Returns the capacity options under which all of ``instances`` fit."""
    return {f"max_{name}": count for name, count in needed_capacity(instances).items()}


def _capacity(config: SocDagConfig) -> Capacity:
    if config.instances:
        needed = needed_capacity(config.instances)
    else:
        needs = [SCENARIOS[name].capacity for name in config.scenarios]
        needed = {name: max(each[name] for each in needs) for name in needs[0]}
    given = {name: getattr(config, f"max_{name}") for name in needed}
    for name, count in given.items():
        if count is not None and count < 1:
            raise UsageError(f"max_{name} is {count}; expected at least 1")
    chosen = {name: int(needed[name] if given[name] is None else given[name]) for name in needed}
    return Capacity(**chosen, offers=min(config.max_offers, chosen["places"] * chosen["tasks"]))
