"""Binds the single machine's rules to the decision protocol: options, capacities, rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.prepared import Prepared
from envs.core.problem import Floats, Lanes, Problem
from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS, Observation
from envs.single_machine import dynamics
from envs.single_machine.dynamics import SingleMachineState
from envs.single_machine.features import single_machine_spec
from envs.single_machine.generators import TIMES, potts_van_wassenhove
from envs.single_machine.observe import observe_dynamic, observe_static
from envs.single_machine.priorities import KINDS, STATIC
from envs.single_machine.types import JobOrder, SingleMachineInstance

REWARDS = ("scaled", "raw")

LOOK_AHEAD = 2.0
"""Parameter k of rules that have one, in roll-outs."""

ROLL_OUTS = tuple(kind for kind in KINDS if kind not in STATIC)
"""Rules that can be rolled out."""


@dataclass(frozen=True)
class SingleMachineConfig:
    """Options of the single machine environment.

    Attributes:
        jobs: Fewest and most jobs of random instances.
        tardiness_factors: TF of random instances, one drawn for every instance (see
            `envs.single_machine.generators`).
        due_date_ranges: RDD of random instances, likewise.
        times: Processing times of random instances: "uniform" or "normal".
        largest_weight: Weights of random instances are uniform on 1 to this; 1 is total tardiness.
        release_range: Release times of random instances are uniform on 0 to this share of the sum of the times.
        non_delay: Only jobs that have been released can be started; otherwise the machine may wait for one.
        roll_outs: Rules whose roll-outs are observed: what every candidate costs if the rule decides from there on.
            They make a decision slower and better.
        max_jobs: Capacity; by default what ``jobs`` and ``instances`` need.
        instances: Instances to draw from, uniformly, instead of random ones.
        reward: "scaled" divides the decrease of the objective by the mean processing time times the sum of the
            weights; "raw" leaves it as it is.
        illegal_action_penalty: Taken from the reward when an action is refused.
    """

    jobs: tuple[int, int] = (40, 40)
    tardiness_factors: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
    due_date_ranges: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    times: str = "uniform"
    largest_weight: int = 10
    release_range: float = 0.0
    non_delay: bool = True
    roll_outs: tuple[str, ...] = ()
    max_jobs: int | None = None
    instances: tuple[SingleMachineInstance, ...] = ()
    reward: str = "scaled"
    illegal_action_penalty: float = 0.1

    def __post_init__(self) -> None:
        """Checks every option; sequences become tuples."""
        for name in ("jobs", "tardiness_factors", "due_date_ranges", "roll_outs", "instances"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.jobs) != 2 or not 1 <= self.jobs[0] <= self.jobs[1]:
            raise UsageError(f"jobs is {list(self.jobs)}; expected a fewest and a most, at least 1")
        for name in ("tardiness_factors", "due_date_ranges"):
            values = getattr(self, name)
            if not values or not all(0.0 <= value <= 2.0 for value in values):
                raise UsageError(f"{name} is {list(values)}; expected some numbers from 0 to 2")
        if self.times not in TIMES:
            raise UsageError(f"times is {self.times!r}; expected one of {', '.join(TIMES)}")
        if self.largest_weight < 1:
            raise UsageError(f"largest_weight is {self.largest_weight}; expected at least 1")
        if not 0.0 <= self.release_range <= 10.0:
            raise UsageError(f"release_range is {self.release_range}; expected 0 to 10")
        for rule in self.roll_outs:
            if rule not in ROLL_OUTS or self.roll_outs.count(rule) > 1:
                raise UsageError(f"roll_outs has {rule!r}; expected some of {', '.join(ROLL_OUTS)}, each at most once")
        if self.max_jobs is not None and self.max_jobs < 1:
            raise UsageError(f"max_jobs is {self.max_jobs}; expected at least 1")
        if self.reward not in REWARDS:
            raise UsageError(f"reward is {self.reward!r}; expected one of {', '.join(REWARDS)}")
        if not 0.0 <= self.illegal_action_penalty < float("inf"):
            raise UsageError(f"illegal_action_penalty is {self.illegal_action_penalty}; expected at least 0")


class SingleMachine(Problem[SingleMachineState, SingleMachineInstance, JobOrder]):
    """The single machine with the total weighted tardiness as objective, under one configuration.

    The objective of a running episode is what the started jobs cost, and what each of the others would if it were
    next: a lower bound that never falls.
    """

    def __init__(self, config: SingleMachineConfig) -> None:
        """Fixes the capacity."""
        self.config = config
        self.illegal_action_penalty = config.illegal_action_penalty
        most = max((instance.jobs for instance in config.instances), default=config.jobs[1])
        self.capacity = most if config.max_jobs is None else config.max_jobs
        self.spec = single_machine_spec(self.capacity, config.roll_outs)
        self._kinds = np.array([KINDS.index(rule) for rule in config.roll_outs], np.int64)
        self._parameters = np.full(len(self._kinds), LOOK_AHEAD)
        self._prepared: Prepared[SingleMachineInstance, None] = Prepared(config.instances, _nothing)
        for instance in config.instances:
            self._check_fit(instance.name, instance.jobs)

    def allocate(self, lanes: int) -> SingleMachineState:
        """Returns the zeroed state of ``lanes`` lanes."""
        return dynamics.allocate(lanes, self.capacity)

    def draw(self, state: SingleMachineState, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes``, on one of ``instances`` or a random instance.

        Raises:
            UsageError: ``jobs`` exceeds the capacity.
        """
        if not self.config.instances:
            self._check_fit("jobs", self.config.jobs[1])
        for lane in lanes.tolist():
            word = int(dynamics.draw_word(state.generator, lane))
            if self.config.instances:
                label = word % len(self.config.instances)
                self._load(state, lane, self.config.instances[label], label)
            else:
                self._load(state, lane, self.random_instance(word), -1)

    def load(self, state: SingleMachineState, lane: int, instance: SingleMachineInstance) -> None:
        """Begins a new episode in ``lane`` on ``instance``."""
        self._check_fit(instance.name, instance.jobs)
        self._load(state, lane, instance, self._prepared.label(instance))

    def step(
        self, state: SingleMachineState, actions: NDArray[np.int64], active: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Applies one action in every active lane; returns the flags of refused actions."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(state, actions, active, refused, self.config.non_delay)
        return refused

    def observe(self, state: SingleMachineState, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``."""
        if static:
            observe_static(state, lanes, out["job_static"])
        dynamic = (out[key] for key in ("job_dynamic", CONTEXT, COUNTS, ACTION_MASK))
        observe_dynamic(state, lanes, self._kinds, self._parameters, *dynamic)

    def action_masks(self, state: SingleMachineState) -> NDArray[np.bool_]:
        """Returns the legal actions of every lane, as they stand in the state."""
        return state.mask

    def finished(self, state: SingleMachineState) -> NDArray[np.bool_]:
        """Returns the flags of lanes in which all jobs have been started."""
        return np.asarray(state.started == state.jobs)

    def objective(self, state: SingleMachineState) -> Floats:
        """Returns the weighted tardiness so far, with what every job left costs at least."""
        bound = np.empty(len(state.jobs))
        dynamics.incurred(state, bound)
        return bound

    def clock(self, state: SingleMachineState) -> Floats:
        """Returns the moments when the machine is free."""
        return state.clock.astype(np.float64)

    def reward_unit(self, state: SingleMachineState) -> Floats:
        """Returns the mean processing time times the sum of the weights, or 1 for the reward "raw"."""
        return state.unit.copy() if self.config.reward == "scaled" else np.ones(len(state.unit))

    def instance(self, state: SingleMachineState, lane: int) -> SingleMachineInstance:
        """Returns the instance that ``lane`` is running."""
        label, jobs = int(state.label[lane]), int(state.jobs[lane])
        if label >= 0:
            return self._prepared.instance(label)
        columns = (each[lane, :jobs] for each in (state.time, state.weight, state.due, state.release))
        return SingleMachineInstance("drawn", *columns)

    def solution(self, state: SingleMachineState, lane: int) -> JobOrder:
        """Returns the order so far."""
        return JobOrder(state.order[lane, : state.started[lane]].copy())

    def render(self, state: SingleMachineState, lane: int, mode: str) -> Any:
        """Draws the jobs of ``lane`` that have been started."""
        from envs.single_machine import render

        draw = render.order_array if mode == "rgb_array" else render.order_text
        return draw(self.instance(state, lane), self.solution(state, lane))

    def random_instance(self, seed: int) -> SingleMachineInstance:
        """Draws an instance by the options."""
        config, generator = self.config, np.random.default_rng(seed)
        return potts_van_wassenhove(
            int(generator.integers(*config.jobs, endpoint=True)),
            float(generator.choice(config.tardiness_factors)),
            float(generator.choice(config.due_date_ranges)),
            generator,
            times=config.times,
            largest_weight=config.largest_weight,
            release_range=config.release_range,
        )

    def _load(self, state: SingleMachineState, lane: int, instance: SingleMachineInstance, label: int) -> None:
        state.label[lane], state.jobs[lane] = label, instance.jobs
        for name in ("time", "weight", "due", "release"):
            row = getattr(state, name)[lane]
            row[: instance.jobs], row[instance.jobs :] = getattr(instance, name), 0
        dynamics.begin(state, lane, self.config.non_delay)

    def _check_fit(self, name: str, jobs: int) -> None:
        if jobs > self.capacity:
            raise UsageError(f"{name} has {jobs} jobs; the environment was made with max_jobs={self.capacity}")


def _nothing(instance: SingleMachineInstance) -> None:
    """No tables are worked out for an instance."""


def fit(instances: Sequence[SingleMachineInstance]) -> dict[str, Any]:
    """Returns the capacity option under which all of ``instances`` fit."""
    return {"max_jobs": max(instance.jobs for instance in instances)}
