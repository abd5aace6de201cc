"""Binds binary offloading to the decision protocol: options, capacities, rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.binary_offload import dynamics
from envs.binary_offload.dynamics import Channels, Constants, OffloadState
from envs.binary_offload.features import offload_spec
from envs.binary_offload.observe import observe_dynamic, observe_static
from envs.binary_offload.types import BinaryOffloadInstance, Modes, System
from envs.core.errors import UsageError
from envs.core.problem import Floats, Lanes, Problem
from envs.core.random import next_word
from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS, Observation

BITS = 1e6
"""The objective is the time that so many weighted bits take."""

WEIGHTINGS = ("alternating", "random")
REWARDS = ("scaled", "raw")


@dataclass(frozen=True)
class BinaryOffloadConfig:
    """Options of the binary offloading environment; the defaults are those of the published draws.

    Attributes:
        fewest: Fewest devices of a random instance.
        most: Most devices of a random instance.
        nearest: Distance of the first device from the access point, m; the others are spread evenly.
        farthest: Distance of the last device, m.
        antenna_gain: Gain of the antennas.
        carrier: Carrier frequency, Hz.
        exponent: Path-loss exponent.
        weights: Weights of the devices of a random instance.
        weighting: "alternating" (the weights in turn) or "random" (drawn for each device).
        max_devices: Capacity; by default the most that random instances, or ``instances``, have.
        instances: Instances to draw from, uniformly, instead of random ones.
        look_ahead: Whether the observation holds what the rate would be with each device offloading next.
        reward: "scaled" is the rise of the logarithm of the rate; "raw" the fall of the objective.
        illegal_action_penalty: Taken from the reward when an action is refused.
    """

    fewest: int = 10
    most: int = 10
    nearest: float = 2.5
    farthest: float = 5.2
    antenna_gain: float = 3.0
    carrier: float = 915e6
    exponent: float = 2.8
    weights: tuple[float, ...] = (1.0, 1.5)
    weighting: str = "alternating"
    max_devices: int | None = None
    instances: tuple[BinaryOffloadInstance, ...] = ()
    look_ahead: bool = True
    reward: str = "scaled"
    illegal_action_penalty: float = 0.1

    def __post_init__(self) -> None:
        """Checks every option; sequences become tuples."""
        object.__setattr__(self, "instances", tuple(self.instances))
        object.__setattr__(self, "weights", tuple(float(weight) for weight in self.weights))
        if not 1 <= self.fewest <= self.most:
            raise UsageError(f"fewest is {self.fewest}, most {self.most}; expected 1 <= fewest <= most")
        if not 0.0 < self.nearest <= self.farthest:
            raise UsageError(f"nearest is {self.nearest}, farthest {self.farthest}; expected 0 < nearest <= farthest")
        for name in ("antenna_gain", "carrier", "exponent"):
            if not getattr(self, name) > 0.0:
                raise UsageError(f"{name} is {getattr(self, name)}; expected a number above 0")
        if not self.weights or not all(0.0 < weight < float("inf") for weight in self.weights):
            raise UsageError(f"weights is {list(self.weights)}; expected finite numbers above 0, at least one")
        for name, known in (("weighting", WEIGHTINGS), ("reward", REWARDS)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}")
        if self.max_devices is not None and self.max_devices < self.least_capacity:
            raise UsageError(f"max_devices is {self.max_devices}; expected at least {self.least_capacity}")
        if not 0.0 <= self.illegal_action_penalty < float("inf"):
            raise UsageError(
                f"illegal_action_penalty is {self.illegal_action_penalty}; expected a finite number of at least 0"
            )

    @property
    def least_capacity(self) -> int:
        """The most devices that an episode may have."""
        return max((len(instance.gains) for instance in self.instances), default=self.most)


class BinaryOffload(Problem[OffloadState, BinaryOffloadInstance, Modes]):
    """Binary offloading under one configuration.

    Modes stand at every moment and each decision changes one, so the objective of a running episode is not a bound
    but what the modes are worth as they stand.
    """

    improves = True

    def __init__(self, config: BinaryOffloadConfig) -> None:
        """Fixes the capacity."""
        self.config = config
        self.illegal_action_penalty = config.illegal_action_penalty
        self.capacity = config.least_capacity if config.max_devices is None else config.max_devices
        self.spec = offload_spec(self.capacity, config.look_ahead)
        self._named: list[BinaryOffloadInstance] = list(config.instances)
        self._labels = {id(instance): label for label, instance in enumerate(self._named)}
        self._channels = Channels(
            config.fewest,
            config.most,
            config.nearest,
            config.farthest,
            config.antenna_gain,
            config.carrier,
            config.exponent,
            config.weighting == "random",
        )
        self._constants = constants_of(System())
        self._weights = np.array(config.weights)

    def allocate(self, lanes: int) -> OffloadState:
        """Returns the zeroed state of ``lanes`` lanes."""
        return dynamics.allocate(lanes, self.capacity)

    def draw(self, state: OffloadState, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes`` on an instance drawn with the lane's generator."""
        if not self.config.instances:
            dynamics.draw(state, lanes, self._channels, self._weights, self._constants)
            return
        for lane in lanes.tolist():
            label = int(next_word(state.generator, lane)) % len(self.config.instances)
            load_devices(state, lane, self._named[label], label)

    def load(self, state: OffloadState, lane: int, instance: BinaryOffloadInstance) -> None:
        """Begins a new episode in ``lane`` on ``instance``."""
        if len(instance.gains) > self.capacity:
            raise UsageError(f"{instance.name} has {len(instance.gains)} devices, but max_devices is {self.capacity}")
        label = self._labels.get(id(instance), len(self._named))
        if label == len(self._named):
            self._labels[id(instance)] = label
            self._named.append(instance)
        load_devices(state, lane, instance, label)

    def step(self, state: OffloadState, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies one action in every active lane; returns the flags of refused actions."""
        refused = np.empty(len(actions), np.bool_)
        dynamics.step(state, actions, active, refused)
        return refused

    def observe(self, state: OffloadState, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``."""
        if static:
            observe_static(state, lanes, out["device_static"])
        dynamic = (out[key] for key in ("device_dynamic", "stop_dynamic", CONTEXT, COUNTS, ACTION_MASK))
        observe_dynamic(state, lanes, *dynamic)

    def action_masks(self, state: OffloadState) -> NDArray[np.bool_]:
        """Returns the legal actions of every lane, as they stand in the state."""
        return state.mask

    def finished(self, state: OffloadState) -> NDArray[np.bool_]:
        """Returns the flags of lanes that stopped."""
        return state.stopped.copy()

    def objective(self, state: OffloadState) -> Floats:
        """Returns the seconds that a megabit takes with the modes as they stand."""
        seconds: Floats = BITS / state.rate
        return seconds

    def potential(self, state: OffloadState) -> Floats:
        """Returns the logarithm of the objective, in units of reward; for the reward "raw" the objective itself."""
        if self.config.reward == "raw":
            return self.objective(state)
        scaled: Floats = self.reward_unit(state) * np.log(self.objective(state))
        return scaled

    def reward_unit(self, state: OffloadState) -> Floats:
        """Returns the objective of the better of all local and all offloading, or 1 for the reward "raw"."""
        if self.config.reward == "raw":
            return np.ones(len(state.rate))
        unit: Floats = BITS / state.trivial_rate
        return unit

    def instance(self, state: OffloadState, lane: int) -> BinaryOffloadInstance:
        """Returns the instance that ``lane`` is running."""
        label, devices = int(state.label[lane]), int(state.devices[lane])
        if label >= 0:
            return self._named[label]
        return BinaryOffloadInstance("drawn", state.gain[lane, :devices], state.weight[lane, :devices])

    def solution(self, state: OffloadState, lane: int) -> Modes:
        """Returns the modes of ``lane``."""
        return Modes(state.offloads[lane, : state.devices[lane]].copy())

    def render(self, state: OffloadState, lane: int, mode: str) -> Any:
        """Draws the frame of ``lane``, and who computes where."""
        from envs.binary_offload import render

        draw = render.frame_array if mode == "rgb_array" else render.frame_text
        return draw(self.instance(state, lane), self.solution(state, lane), settled=bool(state.stopped[lane]))


def constants_of(system: System) -> Constants:
    """Returns what of a system the compiled rules need."""
    return Constants(system.harvested, system.computing_efficiency, system.cycles_per_bit, system.noise, system.uplink)


def load_devices(state: OffloadState, lane: int, instance: BinaryOffloadInstance, label: int) -> None:
    """Begins an episode in ``lane`` on an instance that fits."""
    devices = len(instance.gains)
    state.label[lane], state.devices[lane] = label, devices
    state.gain[lane], state.weight[lane] = 0.0, 0.0
    state.gain[lane, :devices], state.weight[lane, :devices] = instance.gains, instance.weights
    dynamics.begin(state, lane, constants_of(instance.system))


def fit(instances: Sequence[BinaryOffloadInstance]) -> dict[str, Any]:
    """Returns the capacity option under which all of ``instances`` fit."""
    most = max(len(instance.gains) for instance in instances)
    return {"fewest": 1, "most": most, "max_devices": most}
