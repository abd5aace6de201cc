"""Binds the flexible job shop's rules to the decision protocol: options, capacities, rewards."""

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
from envs.flexible_job_shop import dynamics
from envs.flexible_job_shop.dynamics import BUILDERS, Draws, FlexibleState
from envs.flexible_job_shop.features import flexible_spec
from envs.flexible_job_shop.observe import observe
from envs.flexible_job_shop.priorities import JOB_KEYS
from envs.flexible_job_shop.rules import ROLLED_OUT
from envs.flexible_job_shop.types import ABSENT, FlexibleJobShopInstance, Schedule

REWARDS = ("scaled", "raw")


@dataclass(frozen=True)
class FlexibleJobShopConfig:
    """Options of the flexible job shop environment.

    Attributes:
        builder: Which pairs can be picked: "append", "active" or "non_delay" (see `envs.flexible_job_shop.dynamics`).
        sizes: Sizes ``(jobs, machines)`` of random instances, one drawn uniformly per episode.
        operations: Fewest and most operations of a random job, as shares of the number of machines.
        most_machines: Most machines that can do a random operation; 0 for all there are.
        times: Least and largest mean processing time of random operations.
        spread: Times of a random operation on its machines lie within this share of its mean; with 1 or more each is
            drawn by itself.
        setup_high: Random set-up times between jobs are uniform on 0 to this.
        roll_outs: Orders of the jobs whose roll-outs are observed: every pair's makespan if the rule, with the machine
            on which an operation is finished first, dispatches without delay from there on.
        max_jobs: Capacity for jobs; by default the most that ``sizes`` and ``instances`` need.
        max_machines: Capacity for machines.
        max_operations: Capacity for operations of a job.
        instances: Instances to draw from, uniformly, instead of random ones.
        reward: "scaled" divides the decrease of the makespan bound by the bound at the start of the episode; "raw"
            leaves it as it is.
        illegal_action_penalty: Taken from the reward when an action is refused.
    """

    builder: str = "non_delay"
    sizes: tuple[tuple[int, int], ...] = ((10, 5),)
    operations: tuple[float, float] = (0.8, 1.2)
    most_machines: int = 0
    times: tuple[int, int] = (1, 20)
    spread: float = 0.2
    setup_high: int = 0
    roll_outs: tuple[str, ...] = ()
    max_jobs: int | None = None
    max_machines: int | None = None
    max_operations: int | None = None
    instances: tuple[FlexibleJobShopInstance, ...] = ()
    reward: str = "scaled"
    illegal_action_penalty: float = 0.1

    def __post_init__(self) -> None:
        """Checks every option; sequences become tuples."""
        object.__setattr__(self, "sizes", tuple(tuple(size) for size in self.sizes))
        for name in ("operations", "times", "roll_outs", "instances"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.builder not in BUILDERS:
            raise UsageError(f"builder is {self.builder!r}; expected one of {', '.join(BUILDERS)}")
        if not self.sizes or not all(len(size) == 2 and min(size) >= 1 for size in self.sizes):
            raise UsageError(f"sizes is {list(self.sizes)}; expected some (jobs, machines), each at least 1")
        if len(self.operations) != 2 or not 0.0 <= self.operations[0] <= self.operations[1] <= 100.0:
            raise UsageError(f"operations is {list(self.operations)}; expected a smallest and a largest share")
        if len(self.times) != 2 or not 1 <= self.times[0] <= self.times[1] < 2**31:
            raise UsageError(f"times is {list(self.times)}; expected a least and a largest time, at least 1")
        for name in ("most_machines", "setup_high"):
            if not 0 <= getattr(self, name) < 2**31:
                raise UsageError(f"{name} is {getattr(self, name)}; expected at least 0")
        if not 0.0 <= self.spread < float("inf"):
            raise UsageError(f"spread is {self.spread}; expected at least 0")
        for rule in self.roll_outs:
            if rule not in ROLLED_OUT or self.roll_outs.count(rule) > 1:
                raise UsageError(f"roll_outs has {rule!r}; expected some of {', '.join(ROLLED_OUT)}, each at most once")
        for name in ("max_jobs", "max_machines", "max_operations"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.reward not in REWARDS:
            raise UsageError(f"reward is {self.reward!r}; expected one of {', '.join(REWARDS)}")
        if not 0.0 <= self.illegal_action_penalty < float("inf"):
            raise UsageError(f"illegal_action_penalty is {self.illegal_action_penalty}; expected at least 0")


class FlexibleJobShop(Problem[FlexibleState, FlexibleJobShopInstance, Schedule]):
    """The flexible job shop with the makespan as objective, under one configuration.

    The objective of a running episode is a lower bound on the makespan of every completion: the largest, over jobs, of
    the end of what is scheduled plus the least times of what is left. It never falls and ends as the makespan.
    """

    def __init__(self, config: FlexibleJobShopConfig) -> None:
        """Fixes the capacities."""
        self.config = config
        self.illegal_action_penalty = config.illegal_action_penalty
        self._builder = BUILDERS[config.builder]
        needed = _needed(config.instances) if config.instances else _needed_when_drawn(config)
        given = (config.max_jobs, config.max_operations, config.max_machines)
        self._capacity = tuple(n if g is None else g for n, g in zip(needed, given, strict=True))
        self.spec = flexible_spec(self._capacity[0], self._capacity[2], config.roll_outs)
        self._rules = np.array([(JOB_KEYS.index(rule), 0) for rule in config.roll_outs], np.int64).reshape(-1, 2)
        self._sizes = np.array(config.sizes, np.int64)
        self._draws = Draws(
            float(config.operations[0]),
            float(config.operations[1]),
            config.most_machines,
            config.times[0],
            config.times[1],
            float(config.spread),
            config.setup_high,
        )
        for instance in config.instances:
            self._check_fit(instance.name, _needed([instance]))
        self._prepared: Prepared[FlexibleJobShopInstance, None] = Prepared(config.instances, _nothing)

    def allocate(self, lanes: int) -> FlexibleState:
        """Returns the zeroed state of ``lanes`` lanes."""
        return dynamics.allocate(lanes, *self._capacity)

    def draw(self, state: FlexibleState, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes``, on one of ``instances`` or a random instance.

        Raises:
            UsageError: ``sizes`` exceed the capacity.
        """
        if not self.config.instances:
            self._check_fit("sizes", _needed_when_drawn(self.config))
            dynamics.draw(state, lanes, self._sizes, self._draws, self._builder)
            return
        for lane in lanes.tolist():
            label = int(dynamics.draw_word(state.generator, lane)) % len(self.config.instances)
            self._load(state, lane, self.config.instances[label], label)

    def load(self, state: FlexibleState, lane: int, instance: FlexibleJobShopInstance) -> None:
        """Begins a new episode in ``lane`` on ``instance``."""
        self._check_fit(instance.name, _needed([instance]))
        self._load(state, lane, instance, self._prepared.label(instance))

    def step(self, state: FlexibleState, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies one action in every active lane; returns the flags of refused actions."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(state, actions, active, refused, self._builder)
        return refused

    def observe(self, state: FlexibleState, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``."""
        del static  # everything may change
        names = ("job_dynamic", "machine_dynamic", "pair_dynamic", "pair_of_job_index", "pair_on_machine_index")
        observe(state, lanes, self._rules, *(out[name] for name in (*names, CONTEXT, COUNTS, ACTION_MASK)))

    def action_masks(self, state: FlexibleState) -> NDArray[np.bool_]:
        """Returns the legal actions of every lane, as they stand in the state."""
        return state.mask

    def finished(self, state: FlexibleState) -> NDArray[np.bool_]:
        """Returns the flags of lanes in which all operations are scheduled."""
        return np.asarray(state.scheduled == state.total)

    def objective(self, state: FlexibleState) -> Floats:
        """Returns the lower bounds on the makespan."""
        return state.bound.astype(np.float64)

    def clock(self, state: FlexibleState) -> Floats:
        """Returns the smallest starts of what can be scheduled next."""
        return state.now.astype(np.float64)

    def reward_unit(self, state: FlexibleState) -> Floats:
        """Returns the bound at the start of the episode, or 1 for the reward "raw"."""
        return state.first_bound.astype(np.float64) if self.config.reward == "scaled" else np.ones(len(state.bound))

    def instance(self, state: FlexibleState, lane: int) -> FlexibleJobShopInstance:
        """Returns the instance that ``lane`` is running."""
        if state.label[lane] >= 0:
            return self._prepared.instance(int(state.label[lane]))
        jobs, machines = state.size[lane].tolist()
        operations = state.operations[lane, :jobs]
        times = state.time[lane, :jobs, : operations.max(), :machines]
        return FlexibleJobShopInstance("drawn", operations, times, state.setup[lane, :machines, :jobs, :jobs])

    def solution(self, state: FlexibleState, lane: int) -> Schedule:
        """Returns the schedule so far."""
        jobs = int(state.size[lane, 0])
        most = int(state.operations[lane, :jobs].max())
        return Schedule(state.machines[lane, :jobs, :most].copy(), state.starts[lane, :jobs, :most].copy())

    def render(self, state: FlexibleState, lane: int, mode: str) -> Any:
        """Draws the schedule of ``lane``."""
        from envs.flexible_job_shop import render

        draw = render.gantt_array if mode == "rgb_array" else render.gantt_text
        return draw(self.instance(state, lane), self.solution(state, lane))

    def _load(self, state: FlexibleState, lane: int, instance: FlexibleJobShopInstance, label: int) -> None:
        jobs, most, machines = instance.times.shape
        state.label[lane] = label
        state.size[lane] = jobs, machines
        state.operations[lane, :jobs] = instance.operations
        state.time[lane] = ABSENT
        state.time[lane, :jobs, :most, :machines] = instance.times
        state.setup[lane, :machines, :jobs, :jobs] = instance.setups
        dynamics.begin(state, lane, self._builder)

    def _check_fit(self, name: str, needed: tuple[int, int, int]) -> None:
        for noun, count, limit in zip(("jobs", "operations", "machines"), needed, self._capacity, strict=True):
            if count > limit:
                raise UsageError(f"{name} has {count} {noun}; the environment was made with max_{noun}={limit}")


def fit(instances: Sequence[FlexibleJobShopInstance]) -> dict[str, Any]:
    """Returns the capacity options under which all of ``instances`` fit."""
    return dict(zip(("max_jobs", "max_operations", "max_machines"), _needed(instances), strict=True))


def _needed(instances: Sequence[FlexibleJobShopInstance]) -> tuple[int, int, int]:
    """Jobs, operations of a job and machines of the largest instance each."""
    jobs, operations, machines = zip(*(instance.times.shape for instance in instances), strict=True)
    return max(jobs), max(operations), max(machines)


def _needed_when_drawn(config: FlexibleJobShopConfig) -> tuple[int, int, int]:
    jobs, machines = (max(size[i] for size in config.sizes) for i in range(2))
    return jobs, max(1, int(config.operations[0] * machines), int(config.operations[1] * machines)), machines


def _nothing(instance: FlexibleJobShopInstance) -> None:
    """No tables are worked out for an instance."""
