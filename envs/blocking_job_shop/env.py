"""Binds the blocking job shop's rules to the decision protocol: options, capacities, rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.blocking_job_shop import dynamics
from envs.blocking_job_shop.features import blocking_spec
from envs.blocking_job_shop.observe import observe, rows_of
from envs.blocking_job_shop.priorities import KEYS
from envs.blocking_job_shop.rules import ROLLED_OUT
from envs.blocking_job_shop.state import NOT_YET, BlockingState, Draws, allocate
from envs.blocking_job_shop.types import BlockingJobShopInstance, Execution
from envs.core.errors import UsageError
from envs.core.prepared import Prepared
from envs.core.problem import Floats, Lanes, Problem
from envs.core.spec import Observation

REWARDS = ("scaled", "raw")
GRAPHS = ("disjunctive", "compact")


@dataclass(frozen=True)
class BlockingJobShopConfig:
    """Options of the blocking job shop environment.

    Attributes:
        wait: Adds the wait action; without it a job comes to a free machine whenever one can.
        graph: What is observed: the "disjunctive" graph, or a "compact" one without nodes of operations.
        roll_outs: Rules whose roll-outs are observed: every action's makespan if the rule decides from there on and no
            machine is shut down any more.
        sizes: Sizes ``(jobs, machines)`` of random instances, one drawn uniformly per episode.
        operations: Operations of a random job, on different machines; 0 for one on every machine.
        times: Least and largest processing time of random instances.
        swap: Whether the jobs of random instances may change places.
        shutdowns: Least and largest probability of a shutdown during an operation of random instances; an instance's
            own is drawn uniformly.
        shutdown_rate: Shutdowns of a machine of random instances per mean processing time.
        repair_time: Mean time of a repair in mean processing times.
        max_jobs: Capacity for jobs; by default the most that ``sizes`` and ``instances`` need.
        max_operations: Capacity for operations of a job.
        max_machines: Capacity for machines.
        instances: Instances to draw from, uniformly, instead of random ones.
        reward: "scaled" divides the decrease of the estimated makespan by the estimate at the start of the episode;
            "raw" leaves it as it is.
        illegal_action_penalty: Taken from the reward when an action is refused.
    """

    wait: bool = True
    graph: str = "disjunctive"
    roll_outs: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ((10, 10),)
    operations: int = 0
    times: tuple[int, int] = (1, 99)
    swap: bool = True
    shutdowns: tuple[float, float] = (0.0, 0.0)
    shutdown_rate: float = 0.0
    repair_time: float = 2.0
    max_jobs: int | None = None
    max_operations: int | None = None
    max_machines: int | None = None
    instances: tuple[BlockingJobShopInstance, ...] = ()
    reward: str = "scaled"
    illegal_action_penalty: float = 0.1

    def __post_init__(self) -> None:
        """Checks every option; sequences become tuples."""
        object.__setattr__(self, "sizes", tuple(tuple(size) for size in self.sizes))
        for name in ("roll_outs", "times", "shutdowns", "instances"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, known in (("graph", GRAPHS), ("reward", REWARDS)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}")
        for rule in self.roll_outs:
            if rule not in ROLLED_OUT or self.roll_outs.count(rule) > 1:
                raise UsageError(f"roll_outs has {rule!r}; expected some of {', '.join(ROLLED_OUT)}, each at most once")
        if not self.sizes or not all(len(size) == 2 and min(size) >= 1 for size in self.sizes):
            raise UsageError(f"sizes is {list(self.sizes)}; expected some (jobs, machines), each at least 1")
        if self.operations < 0:
            raise UsageError(f"operations is {self.operations}; expected at least 0")
        if len(self.times) != 2 or not 0 <= self.times[0] <= self.times[1] < 2**31:
            raise UsageError(f"times is {list(self.times)}; expected a least and a largest time, at least 0")
        if len(self.shutdowns) != 2 or not 0.0 <= self.shutdowns[0] <= self.shutdowns[1] <= 1.0:
            raise UsageError(f"shutdowns is {list(self.shutdowns)}; expected a least and a largest probability")
        for name in ("shutdown_rate", "illegal_action_penalty"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise UsageError(f"{name} is {getattr(self, name)}; expected a number of at least 0")
        if not 0.0 < self.repair_time < np.inf:
            raise UsageError(f"repair_time is {self.repair_time}; expected a number above 0")
        for name in ("max_jobs", "max_operations", "max_machines"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected at least 1")


class BlockingJobShop(Problem[BlockingState, BlockingJobShopInstance, Execution]):
    """The blocking job shop with the makespan as objective, under one configuration.

    The objective of a running episode is the time that has passed; it ends as the makespan. Rewards come from an
    estimate of the makespan, in which nothing waits or is shut down any more.
    """

    def __init__(self, config: BlockingJobShopConfig) -> None:
        """Fixes the capacities."""
        self.config = config
        self.illegal_action_penalty = config.illegal_action_penalty
        needed = _needed(config.instances) if config.instances else _needed_when_drawn(config)
        given = (config.max_jobs, config.max_operations, config.max_machines)
        jobs, operations, machines = (n if g is None else g for n, g in zip(needed, given, strict=True))
        self._capacity = (jobs, operations, machines)
        self.spec = blocking_spec(*self._capacity, wait=config.wait, graph=config.graph, roll_outs=config.roll_outs)
        self._rolled_out = np.array([KEYS.index(rule) for rule in config.roll_outs], np.int64)
        self._scratch = allocate(1, *self._capacity, config.wait)
        self._sizes = np.array(config.sizes, np.int64)
        self._draws = Draws(
            config.times[0],
            config.times[1],
            config.operations,
            config.swap,
            float(config.shutdowns[0]),
            float(config.shutdowns[1]),
            float(config.shutdown_rate),
            float(config.repair_time),
        )
        for instance in config.instances:
            self._check_fit(instance.name, _needed([instance]))
        self._prepared: Prepared[BlockingJobShopInstance, None] = Prepared(config.instances, _nothing)

    def allocate(self, lanes: int) -> BlockingState:
        """Returns the zeroed state of ``lanes`` lanes."""
        return allocate(lanes, *self._capacity, self.config.wait)

    def draw(self, state: BlockingState, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes``, on one of ``instances`` or a random instance.

        Raises:
            UsageError: ``sizes`` exceed the capacity.
        """
        if not self.config.instances:
            self._check_fit("sizes", _needed_when_drawn(self.config))
            dynamics.draw(state, lanes, self._sizes, self._draws)
            return
        for lane in lanes.tolist():
            label = int(dynamics.draw_word(state, lane)) % len(self.config.instances)
            self._load(state, lane, self.config.instances[label], label)

    def load(self, state: BlockingState, lane: int, instance: BlockingJobShopInstance) -> None:
        """Begins a new episode in ``lane`` on ``instance``."""
        self._check_fit(instance.name, _needed([instance]))
        self._load(state, lane, instance, self._prepared.label(instance))

    def step(self, state: BlockingState, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies one action in every active lane; returns the flags of refused actions."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(state, actions, active, refused)
        return refused

    def resample(self, state: BlockingState, lanes: Lanes) -> None:
        """Draws another future for each of ``lanes`` with its generator, in keeping with what has been observed.

        The state is for planning: the shutdowns before the call are not kept, so that the solution of an instance with
        shutdowns is no longer one that can be verified.
        """
        dynamics.resample(state, lanes)

    def observe(self, state: BlockingState, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``."""
        del static  # everything may change
        observe(state, lanes, self._rolled_out, self._scratch, rows_of(out))

    def action_masks(self, state: BlockingState) -> NDArray[np.bool_]:
        """Returns the legal actions of every lane, as they stand in the state."""
        return state.mask

    def finished(self, state: BlockingState) -> NDArray[np.bool_]:
        """Returns the flags of lanes in which all operations are processed."""
        return np.asarray(state.completed == state.size[:, 0] * state.size[:, 1])

    def objective(self, state: BlockingState) -> Floats:
        """Returns the times that have passed."""
        return state.clock.copy()

    def potential(self, state: BlockingState) -> Floats:
        """Returns the makespans if nothing waits or is shut down any more."""
        return state.estimate.copy()

    def clock(self, state: BlockingState) -> Floats:
        """Returns the simulated times."""
        return state.clock.copy()

    def reward_unit(self, state: BlockingState) -> Floats:
        """Returns the estimate at the start of the episode, or 1 for the reward "raw"."""
        return state.unit.copy() if self.config.reward == "scaled" else np.ones(len(state.unit))

    def instance(self, state: BlockingState, lane: int) -> BlockingJobShopInstance:
        """Returns the instance that ``lane`` is running."""
        if state.label[lane] >= 0:
            return self._prepared.instance(int(state.label[lane]))
        jobs, operations, machines = state.size[lane].tolist()
        return BlockingJobShopInstance(
            "drawn",
            state.machine[lane, :jobs, :operations],
            state.time[lane, :jobs, :operations].astype(np.int64),
            machines,
            bool(state.swap[lane]),
            float(state.shutdown[lane]),
            float(state.shutdown_rate[lane]),
            float(state.repair_time[lane]),
        )

    def solution(self, state: BlockingState, lane: int) -> Execution:
        """Returns what has happened so far."""
        jobs, operations, machines = state.size[lane].tolist()
        shut: list[tuple[int, float, float]] = []
        for job, k in np.argwhere(state.halted_at[lane, :jobs, :operations] != NOT_YET).tolist():
            began, ended = float(state.halted_at[lane, job, k]), float(state.resumed_at[lane, job, k])
            shut.append((int(state.machine[lane, job, k]), began, ended if ended <= state.clock[lane] else np.nan))
        for machine in range(machines):
            shut.extend(self._rated(state, lane, machine))
        columns = list(zip(*shut, strict=True)) or [(), (), ()]
        starts, ends = state.starts[lane, :jobs, :operations], state.ends[lane, :jobs, :operations]
        return Execution(
            np.where(starts == NOT_YET, np.nan, starts),
            np.where(ends == NOT_YET, np.nan, ends),
            np.array(columns[0], np.int64),
            np.array(columns[1], np.float64),
            np.array(columns[2], np.float64),
        )

    def render(self, state: BlockingState, lane: int, mode: str) -> Any:
        """Draws the Gantt chart of ``lane``."""
        from envs.blocking_job_shop import render

        draw = render.gantt_array if mode == "rgb_array" else render.gantt_text
        return draw(self.instance(state, lane), self.solution(state, lane))

    def _rated(self, state: BlockingState, lane: int, machine: int) -> list[tuple[int, float, float]]:
        """The machine's shutdowns by the rate so far, drawn over again from the episode's key."""
        key, changes = state.key[lane], int(state.machine_changes[lane, machine])
        means = (1.0 / state.shutdown_rate[lane] if changes else 0.0, state.repair_time[lane])
        times = np.cumsum([dynamics.gap(key, machine, change, means[change % 2]) for change in range(changes)])
        ends = [*times[1::2].tolist(), np.nan]
        return [(machine, float(began), ends[i]) for i, began in enumerate(times[0::2])]

    def _load(self, state: BlockingState, lane: int, instance: BlockingJobShopInstance, label: int) -> None:
        jobs, operations = instance.machines.shape
        state.label[lane] = label
        state.size[lane] = jobs, operations, instance.num_machines
        state.swap[lane] = instance.swap
        state.shutdown[lane], state.shutdown_rate[lane] = instance.shutdown, instance.shutdown_rate
        state.repair_time[lane] = instance.repair_time
        state.machine[lane, :jobs, :operations] = instance.machines
        state.time[lane, :jobs, :operations] = instance.times
        dynamics.start(state, lane)

    def _check_fit(self, name: str, needed: tuple[int, int, int]) -> None:
        for noun, count, limit in zip(("jobs", "operations", "machines"), needed, self._capacity, strict=True):
            if count > limit:
                raise UsageError(f"{name} has {count} {noun}; the environment was made with max_{noun}={limit}")


def fit(instances: Sequence[BlockingJobShopInstance]) -> dict[str, Any]:
    """Returns the capacity options under which all of ``instances`` fit."""
    return dict(zip(("max_jobs", "max_operations", "max_machines"), _needed(instances), strict=True))


def _needed(instances: Sequence[BlockingJobShopInstance]) -> tuple[int, int, int]:
    """Jobs, operations of a job and machines of the largest instance each."""
    shapes = [(one.jobs, one.operations, one.num_machines) for one in instances]
    jobs, operations, machines = (max(column) for column in zip(*shapes, strict=True))
    return jobs, operations, machines


def _needed_when_drawn(config: BlockingJobShopConfig) -> tuple[int, int, int]:
    jobs, machines = (max(size[i] for size in config.sizes) for i in range(2))
    return jobs, min(config.operations, machines) or machines, machines


def _nothing(instance: BlockingJobShopInstance) -> None:
    """No tables are worked out for an instance."""
