"""Binds stage scheduling to the decision protocol: options, capacities, rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.problem import Floats, Lanes, Problem
from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS, Observation
from envs.spark import dynamics
from envs.spark.features import spark_spec
from envs.spark.generators import WORKLOADS, WorkloadSize
from envs.spark.observe import observe_dynamic, observe_static
from envs.spark.partition import partition
from envs.spark.state import Capacity, SparkState, allocate, clear
from envs.spark.types import Job, SparkInstance, Stage, Trace

DECISIONS = ("stage", "stage_and_parallelism")
REWARDS = ("scaled", "raw")


@dataclass(frozen=True)
class SparkConfig:
    """Options of the stage scheduling environment.

    Attributes:
        decision: "stage" (one task of the picked stage starts) or "stage_and_parallelism" (then a limit on the cores of
            its job is picked: Decima's action); see `envs.spark.dynamics`.
        levels: Number of parallelism levels that cut the cluster into equal steps.
        workload: What random instances look like: "tpch_like", "power_small", "large_small", "large", "super_small",
            "homo_like" or "hetero_like" (see `envs.spark.generators`).
        jobs: Jobs of a "tpch_like" instance.
        users: Users of a "tpch_like" instance.
        cores: Cores of a random instance.
        mean_gap: Mean seconds between arrivals of a "tpch_like" instance.
        tasks_per_job: Mean tasks of a "tpch_like" job; its work does not depend on it.
        waves: Slower first tasks and a moving delay in "tpch_like" instances.
        atr: Advisory task runtime in seconds that random instances are partitioned with; 0 for no partitioning.
        max_users: Capacity for users; by default the most that the workload or ``instances`` need.
        max_jobs: Capacity for jobs.
        max_stages: Capacity for stages of all jobs together.
        max_tasks: Capacity for tasks of all jobs together.
        max_edges: Capacity for precedence edges of all jobs together.
        max_cores: Capacity for cores.
        instances: Instances to draw from, uniformly, instead of random ones.
        reward: "scaled" divides the reward by the mean ideal response time of the instance's jobs; "raw" leaves it in
            seconds.
        illegal_action_penalty: Taken from the reward when an action is refused.
    """

    decision: str = "stage"
    levels: int = 8
    workload: str = "tpch_like"
    jobs: int = 10
    users: int = 4
    cores: int = 10
    mean_gap: float = 40.0
    tasks_per_job: float = 40.0
    waves: bool = True
    atr: float = 0.0
    max_users: int | None = None
    max_jobs: int | None = None
    max_stages: int | None = None
    max_tasks: int | None = None
    max_edges: int | None = None
    max_cores: int | None = None
    instances: tuple[SparkInstance, ...] = ()
    reward: str = "scaled"
    illegal_action_penalty: float = 0.1

    def __post_init__(self) -> None:
        """Checks every option; sequences become tuples."""
        object.__setattr__(self, "instances", tuple(self.instances))
        for name, value, known in (
            ("decision", self.decision, DECISIONS),
            ("workload", self.workload, tuple(WORKLOADS)),
            ("reward", self.reward, REWARDS),
        ):
            if value not in known:
                raise UsageError(f"{name} is {value!r}; expected one of {', '.join(known)}")
        limits = [f"max_{name}" for name in Capacity._fields]
        for name in ("levels", "jobs", "users", "cores", *limits):
            value = getattr(self, name)
            if not (value is None and name in limits) and value < 1:
                raise UsageError(f"{name} is {value}; expected at least 1")
        for name, least in (("mean_gap", 0.0), ("tasks_per_job", 1.0), ("atr", 0.0), ("illegal_action_penalty", 0.0)):
            value = getattr(self, name)
            if not least <= value < float("inf"):
                raise UsageError(f"{name} is {value}; expected a finite number of at least {least:g}")


class Spark(Problem[SparkState, SparkInstance, Trace]):
    """Stage scheduling with the mean response time of all jobs as objective, under one configuration.

    The objective of a running episode is the mean of lower bounds on the response times: for a job that has not been
    submitted its longest path or its work over all cores, for one in the system what follows from now, from its running
    and from its unstarted tasks. It never falls and ends as the mean response time.
    """

    def __init__(self, config: SparkConfig) -> None:
        """Fixes the capacities."""
        self.config = config
        self.illegal_action_penalty = config.illegal_action_penalty
        self._levels = config.levels if config.decision == "stage_and_parallelism" else 0
        self._names: list[tuple[str, tuple[str, ...]]] = []
        self._labels: dict[tuple[str, tuple[str, ...]], int] = {}
        self._size = WorkloadSize(
            config.jobs, config.users, config.cores, config.mean_gap, config.tasks_per_job, config.waves
        )
        self._capacity = self._choose_capacity()
        for instance in config.instances:
            self._check_fit(instance)
            self._label(instance)
        self.spec = spark_spec(self._capacity, self._levels)

    def allocate(self, lanes: int) -> SparkState:
        """Returns the zeroed state of ``lanes`` lanes."""
        return allocate(lanes, self._capacity, self._levels)

    def draw(self, state: SparkState, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes``, on one of ``instances`` or a random instance.

        A random instance that exceeds the capacity is drawn again.

        Raises:
            UsageError: Hardly any random instance fits into the capacity.
        """
        for lane in lanes:
            word = int(dynamics.draw_word(state.generator, lane))
            if self.config.instances:
                instance = self.config.instances[word % len(self.config.instances)]
                label = self._label(instance)
            else:
                instance, label = self._fitting_instance(word), -1
            self._load(state, int(lane), instance, label)

    def load(self, state: SparkState, lane: int, instance: SparkInstance) -> None:
        """Begins a new episode in ``lane`` on ``instance``."""
        self._check_fit(instance)
        self._load(state, lane, instance, self._label(instance))

    def step(self, state: SparkState, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies one action in every active lane; returns the flags of refused actions."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(state, actions, active, refused, self._levels)
        return refused

    def observe(self, state: SparkState, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``."""
        without = self._levels == 0
        if static:
            fixed = np.empty((len(lanes), 0, 0), np.float32) if without else out["level_static"]
            observe_static(state, lanes, out["user_static"], fixed)
        observe_dynamic(
            state,
            lanes,
            out["stage_dynamic"],
            out["job_dynamic"],
            out["user_dynamic"],
            np.empty((0, 0, 0), np.float32) if without else out["level_dynamic"],
            out["stage_precedes_stage_index"],
            out["stage_part_of_job_index"],
            out["job_owned_by_user_index"],
            np.empty((0, 0, 0), np.int32) if without else out["job_may_take_level_index"],
            out[CONTEXT],
            out[COUNTS],
            out[ACTION_MASK],
            self._levels,
        )

    def action_masks(self, state: SparkState) -> NDArray[np.bool_]:
        """Returns the legal actions of every lane, as they stand in the state."""
        return state.mask

    def finished(self, state: SparkState) -> NDArray[np.bool_]:
        """Returns the flags of lanes in which all jobs are complete."""
        return state.done.copy()

    def objective(self, state: SparkState) -> Floats:
        """Returns the lower bounds on the mean response time, in seconds."""
        result = np.empty(len(state.done))
        dynamics.mean_bound(state.job_bound, state.size, result)
        return result

    def clock(self, state: SparkState) -> Floats:
        """Returns the simulated times, in seconds."""
        return state.clock.copy()

    def reward_unit(self, state: SparkState) -> Floats:
        """Returns the mean ideal response time (scaled) or 1 (raw)."""
        return np.ones(len(state.unit)) if self.config.reward == "raw" else state.unit.copy()

    def instance(self, state: SparkState, lane: int) -> SparkInstance:
        """Returns the instance that ``lane`` is running."""
        count, jobs, _, _, edges, cores = (int(n) for n in state.size[lane])
        label = int(state.label[lane])
        anonymous = f"{self.config.workload}_{jobs}x{cores}", tuple(f"user{u}" for u in range(count))
        name, users = self._names[label] if label >= 0 else anonymous
        stages = _stages(state, lane, state.edge[lane, :edges].tolist())
        listed = tuple(
            Job(users[state.job_user[lane, j]], float(state.job_arrival[lane, j]), own, int(state.job_after[lane, j]))
            for j, own in enumerate(stages)
        )
        return SparkInstance(name, cores, listed, float(state.moving_delay[lane]))

    def solution(self, state: SparkState, lane: int) -> Trace:
        """Returns the execution so far."""
        tasks = state.size[lane, 3]
        return Trace(state.start[lane, :tasks].copy(), state.core[lane, :tasks].copy())

    def render(self, state: SparkState, lane: int, mode: str) -> Any:
        """Draws the Gantt chart of ``lane``."""
        from envs.spark import render

        draw = render.gantt_array if mode == "rgb_array" else render.gantt_text
        return draw(self.instance(state, lane), self.solution(state, lane))

    def _random_instance(self, seed: int) -> SparkInstance:
        instance = WORKLOADS[self.config.workload](seed, self._size)
        return partition(instance, self.config.atr) if self.config.atr > 0.0 else instance

    def _fitting_instance(self, seed: int) -> SparkInstance:
        for attempt in range(_ATTEMPTS):
            instance = self._random_instance((seed + attempt) % 2**64)
            if all(count <= limit for count, limit in zip(_needed(instance), self._capacity, strict=True)):
                break
        self._check_fit(instance)
        return instance

    def _label(self, instance: SparkInstance) -> int:
        key = (instance.name, instance.users)
        if key not in self._labels:
            self._labels[key] = len(self._names)
            self._names.append(key)
        return self._labels[key]

    def _load(self, state: SparkState, lane: int, instance: SparkInstance, label: int) -> None:
        users, jobs, stages, tasks, _, cores = _needed(instance)
        edges = len(instance.edges)
        state.label[lane] = label
        state.size[lane] = users, jobs, stages, tasks, edges, cores
        state.job_user[lane, :jobs] = instance.job_user
        state.job_arrival[lane, :jobs] = [job.arrival for job in instance.jobs]
        state.job_after[lane, :jobs] = [job.after for job in instance.jobs]
        state.stage_job[lane, :stages] = instance.stage_job
        state.estimate[lane, :stages] = instance.estimates
        state.first_wave[lane, :stages] = [stage.first_wave for stage in instance.stages]
        state.fresh[lane, :stages] = [stage.fresh for stage in instance.stages]
        state.task_from[lane, : stages + 1] = instance.task_from
        state.duration[lane, :tasks] = instance.durations
        state.edge[lane, :edges] = instance.edges
        state.moving_delay[lane] = instance.moving_delay
        clear(state, lane)
        dynamics.begin(state, lane, self._levels)

    def _choose_capacity(self) -> Capacity:
        config = self.config
        given = {name: getattr(config, f"max_{name}") for name in Capacity._fields}
        if all(value is not None for value in given.values()):
            return Capacity(**given)
        samples = config.instances or tuple(self._random_instance(seed) for seed in range(_PROBES))
        spare = 1.0 if config.instances else _SPARE
        needed = Capacity(*(max(column) for column in zip(*(_needed(s) for s in samples), strict=True)))
        fixed = {"users": needed.users, "jobs": needed.jobs, "cores": needed.cores}
        if not config.instances and config.workload == "tpch_like":
            fixed |= {"users": config.users, "jobs": config.jobs}
        wanted = {name: fixed.get(name, int(np.ceil(spare * value))) for name, value in needed._asdict().items()}
        return Capacity(**{name: wanted[name] if given[name] is None else int(given[name]) for name in wanted})

    def _check_fit(self, instance: SparkInstance) -> None:
        for noun, count, limit in zip(Capacity._fields, _needed(instance), self._capacity, strict=True):
            if count > limit:
                raise UsageError(
                    f"instance {instance.name} has {count} {noun}; the environment was made with max_{noun}={limit}"
                )


_PROBES = 16
_SPARE = 1.5
"""Capacities for random instances: this many are drawn, and the largest gets this factor to spare."""

_ATTEMPTS = 100
"""Random instances drawn for one episode before the capacity is called too small."""


def fit(instances: Sequence[SparkInstance]) -> dict[str, Any]:
    """Returns the capacity options under which all of ``instances`` fit."""
    columns = zip(*(_needed(instance) for instance in instances), strict=True)
    return {f"max_{name}": max(column) for name, column in zip(Capacity._fields, columns, strict=True)}


def _needed(instance: SparkInstance) -> Capacity:
    """The capacity that an instance needs; at least one edge, as arrays cannot be empty."""
    return Capacity(
        len(instance.users),
        len(instance.jobs),
        len(instance.stage_job),
        len(instance.durations),
        max(len(instance.edges), 1),
        instance.cores,
    )


def _stages(state: SparkState, lane: int, edges: list[list[int]]) -> list[tuple[Stage, ...]]:
    """Reads the stages of every job off a state."""
    jobs, stages = int(state.size[lane, 1]), int(state.size[lane, 2])
    owner = state.stage_job[lane, :stages].tolist()
    first = [owner.index(j) for j in range(jobs)]
    parents: list[list[int]] = [[] for _ in range(stages)]
    for parent, child in edges:
        parents[child].append(parent - first[owner[child]])
    result: list[list[Stage]] = [[] for _ in range(jobs)]
    for s in range(stages):
        begin, end = state.task_from[lane, s : s + 2]
        durations = tuple(state.duration[lane, begin:end].tolist())
        factors = float(state.first_wave[lane, s]), float(state.fresh[lane, s])
        result[owner[s]].append(Stage(durations, tuple(parents[s]), float(state.estimate[lane, s]), *factors))
    return [tuple(own) for own in result]
