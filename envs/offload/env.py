"""Binds edge offloading to the decision protocol: options, capacities, rewards."""

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
from envs.core.trade_off import check_weights
from envs.offload import draws, dynamics
from envs.offload.features import offload_spec
from envs.offload.observe import ObservationArrays, observation_handle, observe
from envs.offload.packing import load_instance, read_instance, system_numbers
from envs.offload.preferences import BEND, HIGH, LOW
from envs.offload.state import Capacity, OffloadState, allocate, state_handle
from envs.offload.types import EventLog, OffloadInstance, System

REWARDS = ("cost", "excess")


@dataclass(frozen=True)
class OffloadConfig:
    """Options of the offloading environment; by default the published system of six edge servers.

    Attributes:
        edges_low: Fewest edge servers.
        edges_high: Most edge servers.
        cloud_ghz_low: Lowest frequency of the cloud; frequencies are uniform between their limits.
        cloud_ghz_high: Highest frequency of the cloud.
        edge_ghz_low: Lowest frequency of an edge server.
        edge_ghz_high: Highest frequency of an edge server.
        users: Number of users.
        horizon: Steps in which tasks arrive and are dispatched.
        step_seconds: Length of a step.
        arrivals_per_user: Mean arrivals of a user in a step.
        load_peak: Amplitude, from 0 to 1, of the sine that modulates the arrivals.
        load_period: Steps of a period of that sine.
        mean_megabits: Mean task size; null for the one that balances load and capacity (see `types.System`).
        least_megabits: Smaller sizes are raised to this.
        most_megabits: Larger sizes are cut to this.
        cycles_per_bit: Processor cycles that a bit needs.
        energy_coefficient: Effective capacitance of the processors.
        channel: "as_published" or "physical" (see `envs.offload.channel`).
        bandwidth_mhz: Bandwidth of a user's channel.
        upload_watts: Transmission power of a user; null for the channel's own.
        backhaul_megabits: Megabits a second between base stations and cloud, for the physical channel.
        deadline_factor: Deadline as a multiple of a task's time alone on an edge server; 0 for none. With deadlines,
            tardiness is a third objective.
        delay_scale: What a second of delay is worth in the scalar objective.
        energy_scale: What a joule is worth.
        tardiness_scale: What a second of tardiness is worth.
        preference: Weights of delay, energy (and tardiness) in every episode; null draws them for each.
        preference_low: Least weight of the delay (and tardiness together) that is drawn.
        preference_high: Largest one.
        preference_bend: How strongly draws lean towards the largest (see `envs.offload.preferences`).
        histogram_bins: Bins of the histogram of remaining task sizes that is observed of every server.
        histogram_megabits: Width of a bin.
        max_servers: Capacity for servers, the cloud included; by default the most that the options need.
        max_tasks: Capacity for tasks.
        max_users: Capacity for users.
        instances: Instances to draw from, uniformly, instead of random ones.
        reward: "cost" (the rise of the weighted cost) or "excess" (without what the task costs at the least, alone on
            the fastest way and with the least energy, which no decision changes but which makes rewards noisy).
        illegal_action_penalty: Taken from the reward when an action is refused.
    """

    edges_low: int = 6
    edges_high: int = 6
    cloud_ghz_low: float = 4.0
    cloud_ghz_high: float = 4.0
    edge_ghz_low: float = 2.0
    edge_ghz_high: float = 2.0
    users: int = 10
    horizon: int = 100
    step_seconds: float = 1.0
    arrivals_per_user: float = 0.1
    load_peak: float = 0.0
    load_period: float = 100.0
    mean_megabits: float | None = None
    least_megabits: float = 0.1
    most_megabits: float = 100.0
    cycles_per_bit: float = 1000.0
    energy_coefficient: float = 5e-31
    channel: str = "as_published"
    bandwidth_mhz: float = 16.6
    upload_watts: float | None = None
    backhaul_megabits: float = 1000.0
    deadline_factor: float = 0.0
    delay_scale: float = 0.01
    energy_scale: float = 50.0
    tardiness_scale: float = 0.01
    preference: tuple[float, ...] | None = None
    preference_low: float = LOW
    preference_high: float = HIGH
    preference_bend: float = BEND
    histogram_bins: int = 60
    histogram_megabits: float = 1.0
    max_servers: int | None = None
    max_tasks: int | None = None
    max_users: int | None = None
    instances: tuple[OffloadInstance, ...] = ()
    reward: str = "cost"
    illegal_action_penalty: float = 0.1

    def __post_init__(self) -> None:
        """Checks every option; sequences become tuples."""
        object.__setattr__(self, "instances", tuple(self.instances))
        if self.reward not in REWARDS:
            raise UsageError(f"reward is {self.reward!r}; expected one of {', '.join(REWARDS)}")
        for name in ("edges", "cloud_ghz", "edge_ghz"):
            low, high = (getattr(self, f"{name}_{end}") for end in ("low", "high"))
            if not (low >= 0 if name == "edges" else low > 0.0) or high < low:
                raise UsageError(f"{name}_low and {name}_high are {low} and {high}; expected positive limits in order")
        if not 0.0 <= self.preference_low <= self.preference_high <= 1.0:
            raise UsageError(
                f"preference_low and preference_high are {self.preference_low} and {self.preference_high}; expected "
                "limits from 0 to 1 in order"
            )
        for name in ("preference_bend", "histogram_megabits"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise UsageError(f"{name} is {getattr(self, name)}; expected a finite number above 0")
        for name in ("histogram_bins", "max_servers", "max_tasks", "max_users"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; expected at least 1")
        if not 0.0 <= self.illegal_action_penalty < np.inf:
            raise UsageError(f"illegal_action_penalty is {self.illegal_action_penalty}; expected at least 0")
        if self.preference is not None:
            count = len(self.largest_system().criteria)
            object.__setattr__(self, "preference", check_weights("preference", self.preference, count))

    def largest_system(self) -> System:
        """The system with the most and fastest servers that is drawn."""
        return System(
            self.cloud_ghz_high * 1e9,
            (self.edge_ghz_high * 1e9,) * self.edges_high,
            self.users,
            self.horizon,
            self.step_seconds,
            self.arrivals_per_user,
            self.load_peak,
            self.load_period,
            self.mean_megabits,
            self.least_megabits,
            self.most_megabits,
            self.cycles_per_bit,
            self.energy_coefficient,
            self.channel,
            self.bandwidth_mhz * 1e6,
            self.upload_watts,
            self.backhaul_megabits,
            self.deadline_factor,
            (self.delay_scale, self.energy_scale, self.tardiness_scale),
        )


class Offload(Problem[OffloadState, OffloadInstance, EventLog]):
    """Edge offloading with the weighted sum of delay and energy (and tardiness) as objective, under one configuration.

    The objective of a running episode is the weighted cost of all tasks that were dispatched, counted to their
    completion as if no other task came: what later decisions add is their own exact credit.
    """

    def __init__(self, config: OffloadConfig) -> None:
        """Fixes the capacities; with any instance that has deadlines, tardiness is a criterion of all."""
        self.config = config
        self.illegal_action_penalty = config.illegal_action_penalty
        self._system = config.largest_system()
        systems = [self._system, *(instance.system for instance in config.instances)]
        self.criteria = max((system.criteria for system in systems), key=len)
        self._numbers = system_numbers(self._system)
        self._capacity = _choose_capacity(config)
        self._names: list[str] = []
        self._labels: dict[str, int] = {}
        for instance in config.instances:
            self._check(instance)
            self._label(instance)
        self._bin_bits = config.histogram_megabits * 1e6
        self.spec = offload_spec(self._capacity, config.histogram_bins, config.histogram_megabits)
        self._states = HandleCache(state_handle)
        self._observations = HandleCache(observation_handle)

    def allocate(self, lanes: int) -> OffloadState:
        """Returns the zeroed state of ``lanes`` lanes."""
        return allocate(lanes, self._capacity)

    def draw(self, state: OffloadState, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes``, on one of ``instances`` or a random instance."""
        if self.config.instances:
            for lane, chosen in zip(
                lanes, draws.draw_integers(state.generator, lanes, len(self.config.instances)), strict=True
            ):
                self._load(state, int(lane), self.config.instances[chosen])
            return
        config, handle = self.config, self._states(state)
        state.label[lanes] = -1
        state.system[lanes] = self._numbers
        state.size[lanes] = 0, 0, config.users, config.horizon
        mean = draws.BALANCED if config.mean_megabits is None else config.mean_megabits * 1e6
        cloud, edge = ((low * 1e9, high * 1e9) for low, high in self._frequencies())
        draws.draw_system(handle, lanes, (config.edges_low, config.edges_high), cloud, edge, mean)
        draws.draw_tasks(handle, lanes)
        if config.preference is None:
            limits = config.preference_low, config.preference_high, config.preference_bend
            draws.draw_weights(handle, lanes, *limits, len(self.criteria))
        else:
            state.weights[lanes] = 0.0
            state.weights[lanes, : len(self.criteria)] = config.preference
        dynamics.begin(handle, lanes)

    def load(self, state: OffloadState, lane: int, instance: OffloadInstance) -> None:
        """Begins a new episode in ``lane`` on ``instance``."""
        self._check(instance)
        self._load(state, lane, instance)

    def step(self, state: OffloadState, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies one action in every active lane; returns the flags of refused actions."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(self._states(state), actions, active, refused, False)
        return refused

    def step_to_choice(
        self, state: OffloadState, actions: NDArray[np.int64], active: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Steps, then runs lanes with a single server to their end."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(self._states(state), actions, active, refused, True)
        return refused

    def observe(self, state: OffloadState, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``."""
        self._write(state, lanes, np.arange(len(lanes)), out, static=static)

    def observe_in_place(self, state: OffloadState, lanes: Lanes, out: Observation) -> None:
        """Writes all arrays of each of ``lanes`` into the lane's own row of ``out``."""
        self._write(state, lanes, lanes, out, static=True)

    def action_masks(self, state: OffloadState) -> NDArray[np.bool_]:
        """Returns the servers of every lane that has a task to dispatch."""
        legal = np.arange(self._capacity.servers) < state.size[:, :1]
        return np.asarray(legal & ~self.finished(state)[:, None])

    def finished(self, state: OffloadState) -> NDArray[np.bool_]:
        """Returns the flags of lanes in which every task is dispatched; then all have been run to their completion."""
        done: NDArray[np.bool_] = state.next_task == state.size[:, 1]
        return done

    def objective(self, state: OffloadState) -> Floats:
        """Returns the weighted costs."""
        result = np.empty(len(state.next_task))
        dynamics.weighted(self._states(state), result)
        return result

    def potential(self, state: OffloadState) -> Floats:
        """Returns what is rewarded to keep small, see the option ``reward``."""
        whole = self.objective(state)
        return whole - state.floor if self.config.reward == "excess" else whole

    def costs(self, state: OffloadState) -> Floats:
        """Returns delay in seconds, energy in joules and, with deadlines, tardiness in seconds, of every lane."""
        return state.cost[:, : len(self.criteria)].copy()

    def preferences(self, state: OffloadState) -> Floats:
        """Returns the weights of every lane."""
        return state.weights[:, : len(self.criteria)].copy()

    def clock(self, state: OffloadState) -> Floats:
        """Returns the simulated times, in seconds."""
        return state.clock.copy()

    def reward_unit(self, state: OffloadState) -> Floats:
        """Returns 1: scales are part of the objective."""
        return np.ones(len(state.next_task))

    def instance(self, state: OffloadState, lane: int) -> OffloadInstance:
        """Returns the instance that ``lane`` is running."""
        label = int(state.label[lane])
        name = self._names[label] if label >= 0 else f"random_{int(state.size[lane, 0]) - 1}"
        return read_instance(state, lane, name)

    def solution(self, state: OffloadState, lane: int) -> EventLog:
        """Returns what happened so far."""
        tasks = state.size[lane, 1]
        server, uploaded = state.server[lane, :tasks], state.uploaded[lane, :tasks]
        return EventLog(server.copy(), uploaded.copy(), state.completed[lane, :tasks].copy())

    def render(self, state: OffloadState, lane: int, mode: str) -> Any:
        """Draws the servers' loads over time."""
        from envs.offload import render

        draw = render.timeline_array if mode == "rgb_array" else render.timeline_text
        return draw(self.instance(state, lane), self.solution(state, lane))

    def _write(self, state: OffloadState, lanes: Lanes, rows: Lanes, out: Observation, *, static: bool) -> None:
        arrays = self._observations(
            ObservationArrays(
                out["server_static"],
                out["server_dynamic"],
                out["task_dynamic"],
                out["task_may_go_to_server_index"],
                out["server_may_take_task_index"],
                out[CONTEXT],
                out[COUNTS],
                out[ACTION_MASK],
            )
        )
        observe(self._states(state), lanes, rows, arrays, static, self.config.histogram_bins, self._bin_bits)

    def _frequencies(self) -> tuple[tuple[float, float], tuple[float, float]]:
        config = self.config
        return (config.cloud_ghz_low, config.cloud_ghz_high), (config.edge_ghz_low, config.edge_ghz_high)

    def _load(self, state: OffloadState, lane: int, instance: OffloadInstance) -> None:
        state.label[lane] = self._label(instance)
        load_instance(state, lane, instance)
        dynamics.begin(self._states(state), np.array([lane]))

    def _label(self, instance: OffloadInstance) -> int:
        if instance.name not in self._labels:
            self._labels[instance.name] = len(self._names)
            self._names.append(instance.name)
        return self._labels[instance.name]

    def _check(self, instance: OffloadInstance) -> None:
        for noun, count, limit in zip(Capacity._fields, needed(instance), self._capacity, strict=True):
            if count > limit:
                raise UsageError(
                    f"instance {instance.name} has {count} {noun}; the environment was made with max_{noun}={limit}"
                )
        if len(instance.system.criteria) > len(self.criteria):
            raise UsageError(f"instance {instance.name} has deadlines; the environment was made with deadline_factor=0")


def fit(instances: Sequence[OffloadInstance]) -> dict[str, Any]:
    """Returns the options under which all of ``instances`` fit: capacities, and deadlines where they have some."""
    columns = zip(*(needed(instance) for instance in instances), strict=True)
    sizes = {f"max_{name}": max(column) for name, column in zip(Capacity._fields, columns, strict=True)}
    return {**sizes, "deadline_factor": max(instance.system.deadline_factor for instance in instances)}


def needed(instance: OffloadInstance) -> Capacity:
    """Returns the capacity that an instance needs; there are at most as many tasks as steps."""
    return Capacity(len(instance.system.hertz), instance.system.horizon, instance.system.users)


def _choose_capacity(config: OffloadConfig) -> Capacity:
    if config.instances:
        wanted = Capacity(*(max(column) for column in zip(*map(needed, config.instances), strict=True)))
    else:
        wanted = Capacity(config.edges_high + 1, config.horizon, config.users)
    given = (config.max_servers, config.max_tasks, config.max_users)
    return Capacity(*(want if limit is None else limit for want, limit in zip(wanted, given, strict=True)))
