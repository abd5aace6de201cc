"""Binds the rules of the stochastic job shop to the decision protocol: options, capacities, rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.handle import HandleCache
from envs.core.problem import Floats, Lanes, Problem
from envs.core.random import next_word
from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS, Observation
from envs.stochastic_job_shop import dynamics, generators
from envs.stochastic_job_shop.features import stochastic_job_shop_spec
from envs.stochastic_job_shop.observe import ObservationArrays, observation_handle, observe
from envs.stochastic_job_shop.solution import read_execution
from envs.stochastic_job_shop.state import ShopState, allocate, state_handle
from envs.stochastic_job_shop.types import LAWS, OBJECTIVES, Execution, StochasticJobShopInstance

REWARDS = ("expected", "incurred")


@dataclass(frozen=True)
class StochasticJobShopConfig:
    """Options of the stochastic job shop environment.

    Attributes:
        wait: Adds the wait action; without it no free machine idles while a job waits for it (non-delay).
        sizes: Sizes ``(jobs, machines)`` of random instances, one drawn uniformly per episode.
        time_low: Smallest expected (most likely) processing time of random instances.
        time_high: Largest of them.
        law: Law of the processing times of random instances: "deterministic", "lognormal", "triangular" or "pert".
        sigmas: Standard deviations of the log-normal law's logarithm, one drawn uniformly per episode.
        below: Most that the least time lies below the most likely one ("triangular" and "pert").
        above: Most that the greatest time lies above it.
        utilisation: Expected machine load under Poisson arrivals of jobs; 0 for jobs that are all there at time 0.
        due_factors: Smallest and largest factor k of due dates by total work content (release + k times work), uniform
            in between; (0, 0) for no due dates.
        weighted: Draws weights 1, 2 and 4 for 20, 60 and 20 percent of the jobs.
        failure_gap: Mean time to failure of a machine, in mean processing times; 0 for none.
        repair_time: Mean time of a repair, in mean processing times.
        objective: "makespan", "flow_time", "tardiness" or "weighted_tardiness" of random instances.
        max_jobs: Capacity for jobs; by default the most that ``sizes`` and ``instances`` need.
        max_machines: Capacity for machines.
        max_operations: Capacity for operations of a job.
        instances: Instances to draw from, uniformly, instead of random ones.
        reward: What a decision is rewarded for: the decrease of the "expected" objective (every job goes on without
            waiting) or of what is "incurred" of it; both end as the objective.
        scaled: Divides the reward by the first estimate of the makespan, or for sums over jobs by the (weighted) work.
        illegal_action_penalty: Taken from the reward when an action is refused.
    """

    wait: bool = False
    sizes: tuple[tuple[int, int], ...] = ((10, 10),)
    time_low: int = 1
    time_high: int = 99
    law: str = "lognormal"
    sigmas: tuple[float, ...] = (0.3,)
    below: int = 9
    above: int = 199
    utilisation: float = 0.0
    due_factors: tuple[float, float] = (0.0, 0.0)
    weighted: bool = False
    failure_gap: float = 0.0
    repair_time: float = 0.0
    objective: str = "makespan"
    max_jobs: int | None = None
    max_machines: int | None = None
    max_operations: int | None = None
    instances: tuple[StochasticJobShopInstance, ...] = ()
    reward: str = "expected"
    scaled: bool = True
    illegal_action_penalty: float = 0.1

    def __post_init__(self) -> None:
        """Checks every option; sequences become tuples."""
        for name, known in (("law", LAWS), ("objective", OBJECTIVES), ("reward", REWARDS)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}")
        object.__setattr__(self, "sizes", _checked_sizes(self.sizes))
        for name in ("sigmas", "due_factors", "instances"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.sigmas or not all(0.0 <= sigma < np.inf for sigma in self.sigmas):
            raise UsageError(f"sigmas is {self.sigmas}; expected at least one number, all at least 0")
        if len(self.due_factors) != 2 or not 0.0 <= self.due_factors[0] <= self.due_factors[1] < np.inf:
            raise UsageError(f"due_factors is {self.due_factors}; expected two numbers, 0 <= smallest <= largest")
        if not 0 <= self.time_low <= self.time_high < 2**31:
            raise UsageError(
                f"time_low is {self.time_low} and time_high {self.time_high}; "
                "expected 0 <= time_low <= time_high < 2**31"
            )
        for name in ("below", "above", "max_jobs", "max_machines", "max_operations"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("utilisation", "failure_gap", "repair_time", "illegal_action_penalty"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise UsageError(f"{name} is {getattr(self, name)}; expected a number of at least 0")
        if self.failure_gap > 0 and self.repair_time <= 0:
            raise UsageError(f"repair_time is {self.repair_time}; expected more than 0 where machines fail")

    @property
    def family(self) -> generators.Family:
        """What random instances are drawn from."""
        return generators.Family(
            time_low=self.time_low,
            time_high=self.time_high,
            law=LAWS.index(self.law),
            below=self.below,
            above=self.above,
            utilisation=float(self.utilisation),
            due_factor_low=float(self.due_factors[0]),
            due_factor_high=float(self.due_factors[1]),
            weighted=self.weighted,
            failure_gap=float(self.failure_gap),
            repair_time=float(self.repair_time),
            goal=OBJECTIVES.index(self.objective),
        )


class StochasticJobShop(Problem[ShopState, StochasticJobShopInstance, Execution]):
    """The stochastic job shop under one configuration.

    The objective of a running episode is what has been incurred of it: the time (makespan), the flow times or the
    tardinesses so far. It never falls and ends as the objective.
    """

    post_decision = True

    def __init__(self, config: StochasticJobShopConfig) -> None:
        """Fixes the capacities."""
        self.config = config
        self.illegal_action_penalty = config.illegal_action_penalty
        self._capacity = _capacity(config)
        self._sizes = np.array(config.sizes, np.int64)
        self._sigmas = np.array(config.sigmas)
        self._family = config.family
        self._names = [instance.name for instance in config.instances]
        self._labels = {name: i for i, name in enumerate(self._names)}
        for instance in config.instances:
            self._check_size(instance)
        self.spec = stochastic_job_shop_spec(*self._capacity, config.wait)
        self._no_wait = np.empty((0, 0, 0), np.float32)
        self._state_handles = HandleCache(state_handle)
        self._observation_handles = HandleCache(observation_handle)

    def allocate(self, lanes: int) -> ShopState:
        """Returns the zeroed state of ``lanes`` lanes."""
        return allocate(lanes, *self._capacity, self.config.wait)

    def draw(self, state: ShopState, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes``, on one of ``instances`` or a random instance.

        Raises:
            UsageError: One of ``sizes`` exceeds the capacity.
        """
        handle = self._state_handles(state)
        if self.config.instances:
            for lane in lanes:
                word = int(next_word(state.generator, int(lane)))
                self._put(state, int(lane), self.config.instances[word % len(self.config.instances)])
        else:
            for jobs, machines in self.config.sizes:
                self._check_fit(f"sizes entry ({jobs}, {machines})", jobs, machines, machines)
            generators.draw_random(handle, lanes, self._sizes, self._sigmas, self._family)
        dynamics.begin(handle, lanes)

    def load(self, state: ShopState, lane: int, instance: StochasticJobShopInstance) -> None:
        """Begins a new episode in ``lane`` on ``instance``."""
        self._check_size(instance)
        self._put(state, lane, instance)
        dynamics.begin(self._state_handles(state), np.array([lane]))

    def step(self, state: ShopState, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies one action in every active lane and goes to its next decision; returns the flags of refused actions.

        The same as `decide` and then `advance` in the lanes that did not refuse.
        """
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(self._state_handles(state), actions, active, refused, False)
        return refused

    def step_to_choice(
        self, state: ShopState, actions: NDArray[np.int64], active: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Steps, then takes every following decision with a single legal action."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(self._state_handles(state), actions, active, refused, True)
        return refused

    def decide(self, state: ShopState, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies what follows from one action alone, before time passes or anything is drawn.

        The state then is the post-decision state: it can be observed, but takes no action before `advance`.
        """
        refused = np.empty(len(actions), np.bool_)
        dynamics.decide(self._state_handles(state), actions, active, refused)
        return refused

    def advance(self, state: ShopState, active: NDArray[np.bool_]) -> None:
        """Lets time pass in every active lane until its next decision or its end."""
        dynamics.advance(self._state_handles(state), active)

    def resample(self, state: ShopState, lanes: Lanes) -> None:
        """Draws another future for each of ``lanes`` with its generator, in keeping with what has been observed.

        Times of running operations are drawn anew given how long they have run; failures and repairs are exponential
        and start afresh. The state is for planning: the log of failures before the call is not kept, so that the
        solution of an instance with breakdowns is no longer one that can be verified.
        """
        dynamics.resample(self._state_handles(state), lanes)

    def observe(self, state: ShopState, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``; there are no static arrays."""
        self._write(state, lanes, np.arange(len(lanes)), out)

    def observe_in_place(self, state: ShopState, lanes: Lanes, out: Observation) -> None:
        """Writes all arrays of each of ``lanes`` into the lane's own row of ``out``."""
        self._write(state, lanes, lanes, out)

    def _write(self, state: ShopState, lanes: Lanes, rows: Lanes, out: Observation) -> None:
        arrays = ObservationArrays(
            out["job_dynamic"],
            out["machine_dynamic"],
            out["wait_dynamic"] if self.config.wait else self._no_wait,
            out["job_needs_machine_index"],
            out["job_visits_machine_index"],
            out["job_visits_machine_features"],
            out[CONTEXT],
            out[COUNTS],
            out[ACTION_MASK],
        )
        observe(self._state_handles(state), lanes, rows, self._observation_handles(arrays))

    def action_masks(self, state: ShopState) -> NDArray[np.bool_]:
        """Returns the legal actions of every lane, as they stand in the state."""
        return state.mask

    def finished(self, state: ShopState) -> NDArray[np.bool_]:
        """Returns the flags of lanes in which every operation is completed."""
        done: NDArray[np.bool_] = state.completed == state.size[:, 0] * state.size[:, 1]
        return done

    def objective(self, state: ShopState) -> Floats:
        """Returns what has been incurred of the objectives, in the time unit of the instance."""
        return state.incurred.copy()

    def potential(self, state: ShopState) -> Floats:
        """Returns the expected objectives, or what is incurred, see the option ``reward``."""
        return (state.estimate if self.config.reward == "expected" else state.incurred).copy()

    def clock(self, state: ShopState) -> Floats:
        """Returns the simulated times."""
        return state.clock.copy()

    def reward_unit(self, state: ShopState) -> Floats:
        """Returns the scale of the objective, or 1 without ``scaled``."""
        return state.unit.copy() if self.config.scaled else np.ones(len(state.unit))

    def instance(self, state: ShopState, lane: int) -> StochasticJobShopInstance:
        """Returns the instance that ``lane`` is running."""
        jobs, operations, machines = (int(n) for n in state.size[lane])
        label = int(state.label[lane])
        return StochasticJobShopInstance(
            self._names[label] if label >= 0 else f"random_{jobs}x{machines}",
            state.machine[lane, :jobs, :operations],
            state.time[lane, :jobs, :operations],
            machines,
            LAWS[state.law[lane]],
            float(state.sigma[lane]),
            state.job_release[lane, :jobs],
            state.job_due[lane, :jobs],
            state.job_weight[lane, :jobs],
            float(state.time_to_failure[lane]),
            float(state.repair_time[lane]),
            OBJECTIVES[state.goal[lane]],
        )

    def solution(self, state: ShopState, lane: int) -> Execution:
        """Returns the log of what has happened in ``lane``."""
        return read_execution(state, lane)

    def render(self, state: ShopState, lane: int, mode: str) -> Any:
        """Draws the Gantt chart of ``lane``."""
        from envs.stochastic_job_shop import render

        draw = render.gantt_array if mode == "rgb_array" else render.gantt_text
        return draw(self.instance(state, lane), self.solution(state, lane))

    def _put(self, state: ShopState, lane: int, instance: StochasticJobShopInstance) -> None:
        """Writes an instance into a lane."""
        if instance.name not in self._labels:
            self._labels[instance.name] = len(self._names)
            self._names.append(instance.name)
        jobs, operations = instance.machines.shape
        state.label[lane] = self._labels[instance.name]
        state.size[lane] = jobs, operations, instance.num_machines
        state.law[lane] = LAWS.index(instance.law)
        state.goal[lane] = OBJECTIVES.index(instance.objective)
        state.sigma[lane] = instance.sigma
        state.time_to_failure[lane] = instance.time_to_failure
        state.repair_time[lane] = instance.repair_time
        state.machine[lane, :jobs, :operations] = instance.machines
        state.time[lane, :jobs, :operations] = instance.times
        state.job_release[lane, :jobs] = instance.releases
        state.job_due[lane, :jobs] = instance.due_dates
        state.job_weight[lane, :jobs] = instance.weights
        generators.expect_lane(self._state_handles(state), lane)

    def _check_size(self, instance: StochasticJobShopInstance) -> None:
        self._check_fit(f"instance {instance.name}", instance.num_jobs, instance.num_operations, instance.num_machines)

    def _check_fit(self, what: str, jobs: int, operations: int, machines: int) -> None:
        size = {"jobs": jobs, "operations": operations, "machines": machines}
        for (noun, count), limit in zip(size.items(), self._capacity, strict=True):
            if count > limit:
                raise UsageError(f"{what} has {count} {noun}; the environment was made with max_{noun}={limit}")


def fit(instances: Sequence[StochasticJobShopInstance]) -> dict[str, Any]:
    """Returns the capacity options under which all of ``instances`` fit."""
    return {
        "max_jobs": max(instance.num_jobs for instance in instances),
        "max_operations": max(instance.num_operations for instance in instances),
        "max_machines": max(instance.num_machines for instance in instances),
    }


def _checked_sizes(sizes: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    checked = tuple(tuple(int(n) for n in size) for size in sizes)
    if not checked or any(len(size) != 2 or min(size) < 1 for size in checked):
        raise UsageError(f"sizes is {checked}; expected at least one (jobs, machines), both at least 1")
    return tuple((size[0], size[1]) for size in checked)


def _capacity(config: StochasticJobShopConfig) -> tuple[int, int, int]:
    """Capacities for jobs, operations of a job and machines."""
    if config.instances:
        needed = fit(config.instances)
    else:
        jobs, machines = (max(column) for column in zip(*config.sizes, strict=True))
        needed = {"max_jobs": jobs, "max_operations": machines, "max_machines": machines}
    given = {name: getattr(config, name) for name in needed}
    chosen = {name: needed[name] if given[name] is None else int(given[name]) for name in needed}
    return chosen["max_jobs"], chosen["max_operations"], chosen["max_machines"]
