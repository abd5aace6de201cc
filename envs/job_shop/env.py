"""Binds the job shop's rules to the decision protocol: options, capacities, rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.handle import HandleCache
from envs.core.problem import Floats, Lanes, Problem
from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS, Observation
from envs.job_shop import dynamics
from envs.job_shop.dynamics import BUILDERS, JobShopState
from envs.job_shop.features import job_shop_spec
from envs.job_shop.observe import ObservationArrays, observation_handle, observe_dynamic, observe_static
from envs.job_shop.roll_outs import RULES as ROLL_OUTS
from envs.job_shop.roll_outs import observe_roll_outs
from envs.job_shop.types import JobShopInstance, Schedule

REWARDS = ("scaled", "raw")


@dataclass(frozen=True)
class JobShopConfig:
    """Options of the job shop environment.

    Attributes:
        builder: How decisions become a schedule: "non_delay", "active", "insertion" or "append" (see
            `envs.job_shop.dynamics`).
        wait: Adds the wait action (only with "non_delay").
        roll_outs: Rules whose roll-outs are observed: every candidate's makespan if the rule dispatches without delay
            from there on (see `envs.job_shop.roll_outs`). They make a decision slower and better.
        sizes: Sizes ``(jobs, machines)`` of random instances, one drawn uniformly per episode.
        time_low: Smallest processing time of random instances.
        time_high: Largest processing time of random instances.
        max_jobs: Capacity for jobs; by default the most that ``sizes`` and ``instances`` need.
        max_machines: Capacity for machines.
        max_operations: Capacity for operations of a job.
        instances: Instances to draw from, uniformly, instead of random ones.
        reward: "scaled" divides the decrease of the makespan bound by the bound at the start of the episode, so that
            the return is ``(bound - makespan) / bound``; "raw" leaves it in the time unit of the instance.
        illegal_action_penalty: Taken from the reward when an action is refused; by default 0.1 (scaled) or 1 (raw).
    """

    builder: str = "non_delay"
    wait: bool = False
    roll_outs: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ((10, 10),)
    time_low: int = 1
    time_high: int = 99
    max_jobs: int | None = None
    max_machines: int | None = None
    max_operations: int | None = None
    instances: tuple[JobShopInstance, ...] = ()
    reward: str = "scaled"
    illegal_action_penalty: float | None = None

    def __post_init__(self) -> None:
        """Checks every option; sequences become tuples."""
        if self.builder not in BUILDERS:
            raise UsageError(f"builder is {self.builder!r}; expected one of {', '.join(BUILDERS)}")
        if self.wait and self.builder != "non_delay":
            raise UsageError(f"wait is True with builder {self.builder!r}; it exists only with 'non_delay'")
        object.__setattr__(self, "roll_outs", tuple(self.roll_outs))
        for rule in self.roll_outs:
            if rule not in ROLL_OUTS or self.roll_outs.count(rule) > 1:
                raise UsageError(f"roll_outs has {rule!r}; expected some of {', '.join(ROLL_OUTS)}, each at most once")
        if self.reward not in REWARDS:
            raise UsageError(f"reward is {self.reward!r}; expected one of {', '.join(REWARDS)}")
        object.__setattr__(self, "sizes", _checked_sizes(self.sizes))
        object.__setattr__(self, "instances", tuple(self.instances))
        if not 0 <= self.time_low <= self.time_high < 2**31:
            raise UsageError(
                f"time_low is {self.time_low} and time_high {self.time_high}; "
                "expected 0 <= time_low <= time_high < 2**31"
            )
        for name in ("max_jobs", "max_machines", "max_operations"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.illegal_action_penalty is not None and not 0.0 <= self.illegal_action_penalty < float("inf"):
            raise UsageError(
                f"illegal_action_penalty is {self.illegal_action_penalty}; expected a number of at least 0"
            )


class JobShop(Problem[JobShopState, JobShopInstance, Schedule]):
    """The job shop with the makespan as objective, under one configuration.

    The objective of a running episode is a lower bound on the makespan of every completion: the largest of, over jobs,
    earliest start plus remaining work and, over machines, free time plus remaining load (for the insertion builder,
    which may go back into gaps, the machine's total load). It never falls and ends as the makespan.
    """

    def __init__(self, config: JobShopConfig) -> None:
        """Fixes the capacities and packs the given instances."""
        self.config = config
        self.illegal_action_penalty = (
            config.illegal_action_penalty
            if config.illegal_action_penalty is not None
            else (0.1 if config.reward == "scaled" else 1.0)
        )
        self._builder = BUILDERS[config.builder]
        self._capacity = _capacity(config)
        self._sizes = np.array(config.sizes, np.int64)
        self._labels = {instance.name: i for i, instance in enumerate(config.instances)}
        self._names = [instance.name for instance in config.instances]
        for instance in config.instances:
            self._check_size(instance)
        self._packed = _pack(config.instances, *self._capacity[:2])
        self.spec = job_shop_spec(*self._capacity, config.wait, config.roll_outs)
        self._roll_outs = np.array([ROLL_OUTS.index(rule) for rule in config.roll_outs], np.int64)
        self._no_wait = np.empty((0, 0, 0), np.float32)
        self._state_handles = HandleCache(dynamics.state_handle)
        self._observation_handles = HandleCache(observation_handle)

    def allocate(self, lanes: int) -> JobShopState:
        """Returns the zeroed state of ``lanes`` lanes."""
        return dynamics.allocate(lanes, *self._capacity, self._builder, self.config.wait)

    def draw(self, state: JobShopState, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes``, on one of ``instances`` or a random instance.

        Raises:
            UsageError: One of ``sizes`` exceeds the capacity.
        """
        if self.config.instances:
            chosen = dynamics.draw_integers(state.generator, lanes, len(self.config.instances))
            state.label[lanes] = chosen
            packed_sizes, packed_machines, packed_times = self._packed
            state.size[lanes] = packed_sizes[chosen]
            state.machine[lanes] = packed_machines[chosen]
            state.time[lanes] = packed_times[chosen]
        else:
            for jobs, machines in self.config.sizes:
                self._check_fit(f"sizes entry ({jobs}, {machines})", jobs, machines, machines)
            handle = self._state_handles(state)
            dynamics.draw_random(handle, lanes, self._sizes, self.config.time_low, self.config.time_high)
        dynamics.begin(self._state_handles(state), lanes, self._builder)

    def load(self, state: JobShopState, lane: int, instance: JobShopInstance) -> None:
        """Begins a new episode in ``lane`` on ``instance``."""
        self._check_size(instance)
        if instance.name not in self._labels:
            self._labels[instance.name] = len(self._names)
            self._names.append(instance.name)
        jobs, operations = instance.num_jobs, instance.num_operations
        state.label[lane] = self._labels[instance.name]
        state.size[lane] = jobs, operations, instance.num_machines
        state.machine[lane, :jobs, :operations] = instance.machines
        state.time[lane, :jobs, :operations] = instance.times
        dynamics.begin(self._state_handles(state), np.array([lane]), self._builder)

    def step(self, state: JobShopState, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies one action in every active lane; returns the flags of refused actions."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(self._state_handles(state), actions, active, refused, False, self._builder)
        return refused

    def step_to_choice(
        self, state: JobShopState, actions: NDArray[np.int64], active: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Steps, then takes every following decision with a single legal action."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(self._state_handles(state), actions, active, refused, True, self._builder)
        return refused

    def observe(self, state: JobShopState, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``."""
        self._write(state, lanes, np.arange(len(lanes)), out, static=static)

    def observe_in_place(self, state: JobShopState, lanes: Lanes, out: Observation) -> None:
        """Writes all arrays of each of ``lanes`` into the lane's own row of ``out``."""
        self._write(state, lanes, lanes, out, static=True)

    def _write(self, state: JobShopState, lanes: Lanes, rows: Lanes, out: Observation, *, static: bool) -> None:
        states = self._state_handles(state)
        arrays = self._observation_handles(
            ObservationArrays(
                out["operation_static"],
                out["operation_precedes_operation_index"],
                out["operation_runs_on_machine_index"],
                out["operation_part_of_job_index"],
                out["job_dynamic"],
                out["machine_dynamic"],
                out["wait_dynamic"] if self.config.wait else self._no_wait,
                out["job_next_operation_index"],
                out["job_needs_machine_index"],
                out[CONTEXT],
                out[COUNTS],
                out[ACTION_MASK],
            )
        )
        if static:
            observe_static(states, lanes, rows, arrays)
        observe_dynamic(states, lanes, rows, arrays, self._builder)
        if len(self._roll_outs):
            observe_roll_outs(states, lanes, rows, arrays, self._roll_outs)

    def action_masks(self, state: JobShopState) -> NDArray[np.bool_]:
        """Returns the legal actions of every lane, as they stand in the state."""
        return state.mask

    def finished(self, state: JobShopState) -> NDArray[np.bool_]:
        """Returns the flags of lanes in which every operation is scheduled."""
        done: NDArray[np.bool_] = state.scheduled == state.total
        return done

    def objective(self, state: JobShopState) -> Floats:
        """Returns the lower bounds on the makespan, in the time unit of the instance."""
        return state.bound.astype(np.float64)

    def reward_unit(self, state: JobShopState) -> Floats:
        """Returns the bound at the start of the episode (scaled) or 1 (raw)."""
        if self.config.reward == "raw":
            return np.ones(len(state.bound))
        return np.maximum(state.first_bound, 1).astype(np.float64)

    def instance(self, state: JobShopState, lane: int) -> JobShopInstance:
        """Returns the instance that ``lane`` is running."""
        jobs, operations, machines = (int(n) for n in state.size[lane])
        label = int(state.label[lane])
        name = self._names[label] if label >= 0 else f"random_{jobs}x{machines}"
        return JobShopInstance(
            name, state.machine[lane, :jobs, :operations], state.time[lane, :jobs, :operations], machines
        )

    def solution(self, state: JobShopState, lane: int) -> Schedule:
        """Returns the schedule that ``lane`` has built so far."""
        jobs, operations, _ = state.size[lane]
        return Schedule(state.starts[lane, :jobs, :operations].copy())

    def render(self, state: JobShopState, lane: int, mode: str) -> Any:
        """Draws the Gantt chart of ``lane``."""
        from envs.job_shop import render

        draw = render.gantt_array if mode == "rgb_array" else render.gantt_text
        return draw(self.instance(state, lane), self.solution(state, lane))

    def _check_size(self, instance: JobShopInstance) -> None:
        self._check_fit(f"instance {instance.name}", instance.num_jobs, instance.num_operations, instance.num_machines)

    def _check_fit(self, what: str, jobs: int, operations: int, machines: int) -> None:
        size = {"jobs": jobs, "operations": operations, "machines": machines}
        for (noun, count), limit in zip(size.items(), self._capacity, strict=True):
            if count > limit:
                raise UsageError(f"{what} has {count} {noun}; the environment was made with max_{noun}={limit}")


def fit(instances: Sequence[JobShopInstance]) -> dict[str, Any]:
    """Returns the capacity options under which all of ``instances`` fit."""
    return {
        "max_jobs": max(instance.num_jobs for instance in instances),
        "max_operations": max(instance.num_operations for instance in instances),
        "max_machines": max(instance.num_machines for instance in instances),
    }


def _checked_sizes(sizes: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    checked = tuple(tuple(int(n) for n in size) for size in sizes)
    if not checked:
        raise UsageError("sizes is empty; expected at least one (jobs, machines) pair")
    for size in checked:
        if len(size) != 2 or min(size) < 1:
            raise UsageError(f"sizes has the entry {size}; expected (jobs, machines), both at least 1")
    return tuple((size[0], size[1]) for size in checked)


def _capacity(config: JobShopConfig) -> tuple[int, int, int]:
    """Capacities for jobs, operations of a job and machines."""
    if config.instances:
        needed = fit(config.instances)
    else:
        jobs, machines = (max(column) for column in zip(*config.sizes, strict=True))
        needed = {"max_jobs": jobs, "max_operations": machines, "max_machines": machines}
    given = {name: getattr(config, name) for name in needed}
    chosen = {name: needed[name] if given[name] is None else int(given[name]) for name in needed}
    return chosen["max_jobs"], chosen["max_operations"], chosen["max_machines"]


def _pack(
    instances: Sequence[JobShopInstance], jobs: int, operations: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Stacks instances into padded arrays: sizes ``(N, 3)``, machines and times ``(N, jobs, operations)``."""
    sizes = np.zeros((len(instances), 3), np.int64)
    machines = np.zeros((len(instances), jobs, operations), np.int32)
    times = np.zeros_like(machines)
    for i, instance in enumerate(instances):
        sizes[i] = instance.num_jobs, instance.num_operations, instance.num_machines
        machines[i, : instance.num_jobs, : instance.num_operations] = instance.machines
        times[i, : instance.num_jobs, : instance.num_operations] = instance.times
    return sizes, machines, times
