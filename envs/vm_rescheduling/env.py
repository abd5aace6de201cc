"""Binds VM rescheduling to the decision protocol: options, capacities, rewards."""

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
from envs.vm_rescheduling import dynamics
from envs.vm_rescheduling.features import vm_spec
from envs.vm_rescheduling.observe import observe_dynamic, observe_static
from envs.vm_rescheduling.scenarios import SOURCES, Scenario
from envs.vm_rescheduling.state import Capacity, VmState, allocate
from envs.vm_rescheduling.tables import build_tables, check_fit, fits, load_tables, needed_capacity, read_tables
from envs.vm_rescheduling.types import TERMS, Objective, Plan, VmInstance

REWARDS = ("scaled", "raw")

_DRAWS = 100
"""Draws after which an instance that never fits is a mistake in the options."""


@dataclass(frozen=True)
class VmConfig:
    """Options of the VM rescheduling environment.

    Attributes:
        source: Where random instances come from: "synthetic" (clusters from scratch, see
            `envs.vm_rescheduling.generators.synthetic`), or "medium" or "large", machines chosen at random from a
            published snapshot (see `envs.vm_rescheduling.snapshots`).
        machines: Machines of a random instance.
        mix: Flavours of synthetic VMs: "medium" or "large".
        pool: Synthetic clusters, or choices of machines, that random instances are thinned from.
        pool_seed: Seed of the pool.
        keep_low: Least share of VMs that stay when an instance is thinned.
        keep_high: Largest share; both 1 to leave all.
        affinity: Share of VMs in anti-affinity groups.
        churn: VMs that come, and that go, a second.
        delay: Seconds before the first migration.
        migration_seconds: Seconds a migration.
        in_flight: Migrations under way that hold the room at their sources.
        migration_limit: Most migrations.
        fr16: Weight of the fragment rate of 16-core VMs.
        fr64: Weight of that of 64-core VMs.
        memory64: Weight of that of memory in pieces of 64 GiB.
        occupied_hosts: Weight of the share of machines in use.
        goal: Weighted sum to reach with the fewest migrations; null to minimise the sum.
        max_vms: Capacity for VMs; by default the most that random instances, or ``instances``, may need. Random
            instances that need more of anything are drawn anew.
        max_numas: Capacity for NUMA nodes.
        max_machines: Capacity for machines.
        max_types: Capacity for types of VMs: cores, memory, NUMA nodes, cluster.
        max_migrations: Capacity for migrations.
        max_events: Capacity for arrivals and departures.
        instances: Instances to draw from, uniformly, instead of random ones.
        reward: "scaled" divides the reward by what 16 free cores are worth at the start (with a goal, by one
            migration); "raw" leaves it.
        illegal_action_penalty: Taken from the reward when an action is refused.
    """

    source: str = "synthetic"
    machines: int = 40
    mix: str = "medium"
    pool: int = 16
    pool_seed: int = 0
    keep_low: float = 0.85
    keep_high: float = 0.95
    affinity: float = 0.0
    churn: float = 0.0
    delay: float = 0.0
    migration_seconds: float = 0.0
    in_flight: int = 0
    migration_limit: int = 8
    fr16: float = 1.0
    fr64: float = 0.0
    memory64: float = 0.0
    occupied_hosts: float = 0.0
    goal: float | None = None
    max_vms: int | None = None
    max_numas: int | None = None
    max_machines: int | None = None
    max_types: int | None = None
    max_migrations: int | None = None
    max_events: int | None = None
    instances: tuple[VmInstance, ...] = ()
    reward: str = "scaled"
    illegal_action_penalty: float = 0.1

    def __post_init__(self) -> None:
        """Checks every option; sequences become tuples."""
        object.__setattr__(self, "instances", tuple(self.instances))
        for name, value, known in (
            ("source", self.source, SOURCES),
            ("mix", self.mix, ("medium", "large")),
            ("reward", self.reward, REWARDS),
        ):
            if value not in known:
                raise UsageError(f"{name} is {value!r}; expected one of {', '.join(known)}")
        limits = [f"max_{name}" for name in Capacity._fields]
        for name in ("machines", "pool", "migration_limit", *limits):
            value = getattr(self, name)
            if not (value is None and name in limits) and value < 1:
                raise UsageError(f"{name} is {value}; expected at least 1")
        for name in ("churn", "delay", "migration_seconds", "in_flight", *TERMS, "illegal_action_penalty"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise UsageError(f"{name} is {value}; expected a finite number of at least 0")
        if not 0 < self.keep_low <= self.keep_high <= 1 or not 0 <= self.affinity <= 1:
            raise UsageError(
                f"keep_low is {self.keep_low}, keep_high {self.keep_high}, affinity {self.affinity}; "
                "expected 0 < keep_low <= keep_high <= 1 and an affinity from 0 to 1"
            )
        self.objective  # noqa: B018 - an objective without terms is refused here

    @property
    def objective(self) -> Objective:
        """What random instances minimise."""
        return Objective({name: getattr(self, name) for name in TERMS if getattr(self, name) > 0}, self.goal)


class VmRescheduling(Problem[VmState, VmInstance, Plan]):
    """VM rescheduling under one configuration.

    A plan stands at every moment and is improved, so the objective of a running episode is not a bound but what the
    plan is worth as it stands.
    """

    improves = True

    def __init__(self, config: VmConfig) -> None:
        """Fixes the capacities."""
        self.config = config
        self.illegal_action_penalty = config.illegal_action_penalty
        self._prepared = Prepared(config.instances, build_tables)
        self._scenario = None if config.instances else _scenario(config)
        needed = needed_capacity(config.instances) if self._scenario is None else self._scenario.capacity
        given = {name: getattr(config, f"max_{name}") for name in Capacity._fields}
        self.capacity = Capacity(
            *(count if given[name] is None else given[name] for name, count in needed._asdict().items())
        )
        for instance in config.instances:
            check_fit(instance, self.capacity)
        self.spec = vm_spec(self.capacity)

    def allocate(self, lanes: int) -> VmState:
        """Returns the zeroed state of ``lanes`` lanes."""
        return allocate(lanes, self.capacity)

    def draw(self, state: VmState, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes`` on an instance drawn with the lane's generator."""
        for lane in lanes.tolist():
            word = int(next_word(state.generator, lane))
            if self._scenario is None:
                label = word % len(self.config.instances)
                load_tables(state, lane, label, self._prepared.instance(label), self._prepared.tables(label))
                continue
            instance = self._draw(self._scenario, np.random.default_rng(word))
            load_tables(state, lane, -1, instance, build_tables(instance))
        dynamics.begin(state, lanes)

    def _draw(self, scenario: Scenario, rng: np.random.Generator) -> VmInstance:
        """Returns a random instance that fits; one that does not is drawn anew."""
        for _ in range(_DRAWS - 1):
            instance = scenario.draw(rng)
            if fits(instance, self.capacity):
                return instance
        instance = scenario.draw(rng)
        check_fit(instance, self.capacity)
        return instance

    def load(self, state: VmState, lane: int, instance: VmInstance) -> None:
        """Begins a new episode in ``lane`` on ``instance``."""
        check_fit(instance, self.capacity)
        label = self._prepared.label(instance)
        load_tables(state, lane, label, instance, self._prepared.tables(label))
        dynamics.begin(state, np.array([lane]))

    def step(self, state: VmState, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies one action in every active lane; returns the flags of refused actions."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(state, actions, active, refused)
        return refused

    def observe(self, state: VmState, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``."""
        if static:
            observe_static(
                state,
                lanes,
                out["vm_static"],
                out["numa_static"],
                out["machine_static"],
                out["numa_part_of_machine_index"],
                out["vm_apart_from_vm_index"],
            )
        observe_dynamic(
            state,
            lanes,
            out["vm_dynamic"],
            out["stop_dynamic"],
            out["numa_dynamic"],
            out["machine_dynamic"],
            out["vm_hosted_on_numa_index"],
            out[CONTEXT],
            out[COUNTS],
            out[ACTION_MASK],
        )

    def action_masks(self, state: VmState) -> NDArray[np.bool_]:
        """Returns the legal actions of every lane, as they stand in the state."""
        return state.mask

    def finished(self, state: VmState) -> NDArray[np.bool_]:
        """Returns the flags of lanes that stopped, are at the limit or have come to their goal."""
        out = np.empty(len(state.generator), np.bool_)
        dynamics.finished(state, out)
        return out

    def objective(self, state: VmState) -> Floats:
        """Returns the objectives of the plans as they stand."""
        out = np.empty(len(state.generator))
        dynamics.objectives(state, out)
        return out

    def reward_unit(self, state: VmState) -> Floats:
        """Returns what 16 free cores were worth at the start, or 1 with a goal and for the reward "raw"."""
        if self.config.reward == "raw":
            return np.ones(len(state.generator))
        return np.where(state.episode["goal"] < 0, state.episode["unit"], 1.0)

    def instance(self, state: VmState, lane: int) -> VmInstance:
        """Returns the instance that ``lane`` is running."""
        label = int(state.episode["label"][lane])
        return self._prepared.instance(label) if label >= 0 else read_tables(state, lane, "drawn")

    def solution(self, state: VmState, lane: int) -> Plan:
        """Returns the migrations of ``lane`` so far."""
        moves = state.move[lane, : state.episode["migrations"][lane]]
        return Plan(moves["vm"].copy(), moves["numa"].copy())

    def render(self, state: VmState, lane: int, mode: str) -> Any:
        """Draws the free cores of ``lane`` before and after its migrations."""
        from envs.vm_rescheduling import render

        draw = render.placement_array if mode == "rgb_array" else render.placement_text
        return draw(self.instance(state, lane), self.solution(state, lane))


def fit(instances: Sequence[VmInstance]) -> dict[str, Any]:
    """Returns the capacity options under which all of ``instances`` fit."""
    return {f"max_{name}": count for name, count in needed_capacity(instances)._asdict().items()}


def _scenario(config: VmConfig) -> Scenario:
    return Scenario(
        source=config.source,
        machines=config.machines,
        mix=config.mix,
        pool=config.pool,
        pool_seed=config.pool_seed,
        keep=(config.keep_low, config.keep_high),
        affinity=config.affinity,
        churn=config.churn,
        delay=config.delay,
        migration_seconds=config.migration_seconds,
        in_flight=config.in_flight,
        migration_limit=config.migration_limit,
        objective=config.objective,
    )
