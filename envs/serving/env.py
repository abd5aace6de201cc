"""The serving tasks: one engine, and a policy at one of its strategy points at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.problem import Floats, Lanes, Problem
from envs.core.spec import ACTION_MASK, CONTEXT, COUNTS, Observation
from envs.serving import decisions
from envs.serving.decisions import ASKS
from envs.serving.features import serving_spec
from envs.serving.hardware import replica
from envs.serving.objective import incurred
from envs.serving.observe import observe, observe_levels
from envs.serving.rules import BUDGETS
from envs.serving.simulation import Log, Outcome, load
from envs.serving.state import Capacity, ServingState, allocate
from envs.serving.strategy import Strategy
from envs.serving.trace import Trace
from envs.serving.types import Replica, Requests, ServiceLevel, ServingInstance
from envs.serving.workloads import length_tables, synthetic

_Kind = tuple[str, tuple[Replica, ...], ServiceLevel]

REWARD_UNIT = 0.1
"""Decrease of the objective, which lies between 0 and 1, that is worth a reward of 1."""


@dataclass(frozen=True)
class ServingConfig:
    """Options of the serving tasks; the tasks differ in their defaults.

    Attributes:
        task: What a policy decides: "chunk", "preempt" or "route"; fixed by the environment.
        model: Model of a drawn instance's replicas (see `envs.serving.hardware`).
        devices: Device of every replica; a name twice is two replicas.
        kv_blocks: Blocks of every replica's cache; 0 for what fits beside the weights.
        lengths: Table of prompt and output lengths (see `envs.serving.workloads`).
        requests: Requests of a drawn instance.
        rates: Lowest and highest mean arrivals a second, drawn log-uniformly for every instance.
        variation: Coefficient of variation of the gaps between arrivals.
        scales: Lowest and highest factor of all lengths, drawn log-uniformly for every instance; its arrivals come
            slower by the same factor, so that the work a second stays what the rate says.
        users: Users of a drawn instance; the first sends half of all requests.
        longest: Tokens of a request at most.
        prediction_noise: Standard deviation of the logarithm of predicted over true output.
        first_token: Promised seconds to the first token.
        between_tokens: Promised seconds between tokens.
        per_user: Every user counts the same in the objective.
        max_running: Sequences of a batch.
        budget: Tokens of an iteration where no policy decides it.
        max_visible: Requests that an observation shows.
        max_requests: Capacity for requests; by default what drawn instances or ``instances`` need.
        max_replicas: Capacity for replicas.
        max_users: Capacity for users.
        max_tokens: Capacity for output tokens of all requests together.
        instances: Instances to draw from, uniformly, instead of random ones.
        illegal_action_penalty: Taken from the reward when an action is refused.
    """

    task: ClassVar[str] = "chunk"
    model: str = "llama_3_8b"
    devices: tuple[str, ...] = ("a100",)
    kv_blocks: int = 0
    lengths: str = "sharegpt"
    requests: int = 96
    rates: tuple[float, float] = (1.0, 5.0)
    variation: float = 1.0
    scales: tuple[float, float] = (1.0, 1.0)
    users: int = 1
    longest: int = 8192
    prediction_noise: float = 0.3
    first_token: float = 1.0
    between_tokens: float = 0.05
    per_user: bool = False
    max_running: int = 64
    budget: int = 512
    max_visible: int = 64
    max_requests: int | None = None
    max_replicas: int | None = None
    max_users: int | None = None
    max_tokens: int | None = None
    instances: tuple[ServingInstance, ...] = ()
    illegal_action_penalty: float = 0.1

    def __post_init__(self) -> None:
        """Checks every option; sequences become tuples."""
        for name in ("devices", "rates", "scales", "instances"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("requests", "users", "longest", "max_running", "budget", "max_visible"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("max_requests", "max_replicas", "max_users", "max_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; expected at least 1")
        if self.max_visible < self.max_running:
            raise UsageError(f"max_visible is {self.max_visible}; expected at least max_running, {self.max_running}")
        for name, noun in (("rates", "rate"), ("scales", "factor")):
            low_high = getattr(self, name)
            if len(low_high) != 2 or not 0.0 < low_high[0] <= low_high[1] < float("inf"):
                raise UsageError(f"{name} is {list(low_high)}; expected a lowest and a highest {noun} above 0")
        if not self.devices:
            raise UsageError("devices is empty; expected at least one")
        if self.kv_blocks < 0:
            raise UsageError(f"kv_blocks is {self.kv_blocks}; expected at least 0")
        if not 0.0 <= self.illegal_action_penalty < float("inf"):
            raise UsageError(f"illegal_action_penalty is {self.illegal_action_penalty}; expected at least 0")


@dataclass(frozen=True)
class ChunkConfig(ServingConfig):
    """Options of ServingChunk-v0: the budget of every iteration with prompts, and the prompt that comes first."""


@dataclass(frozen=True)
class PreemptConfig(ServingConfig):
    """Options of ServingPreempt-v0: who is admitted first and who is preempted, users counting the same."""

    task: ClassVar[str] = "preempt"
    kv_blocks: int = 2400
    rates: tuple[float, float] = (0.7, 2.5)
    users: int = 6
    per_user: bool = True


@dataclass(frozen=True)
class RouteConfig(ServingConfig):
    """Options of ServingRoute-v0: the replica of every request, replicas being of different speed."""

    task: ClassVar[str] = "route"
    devices: tuple[str, ...] = ("a100", "a100", "rtx_4090", "rtx_4090")
    requests: int = 256
    rates: tuple[float, float] = (5.0, 16.0)
    longest: int = 4096
    kv_blocks: int = 2600


class Serving(Problem[ServingState, ServingInstance, Trace]):
    """One serving task under one configuration.

    The objective is the smooth loss of goodput: the mean over requests (or over users, of the means of their requests)
    of half the lateness of the first token and half the mean lateness of the gaps between tokens. The lateness of a
    time t promised to be at most s is 0 up to s and ``1 - s / t`` beyond, so that both late requests and late tokens
    cost, and what is hopeless costs no more than 1. It is incurred as time passes, by what is late already too.
    """

    def __init__(self, config: ServingConfig) -> None:
        """Fixes the capacities."""
        self.config = config
        self.illegal_action_penalty = config.illegal_action_penalty
        self._asks = ASKS[config.task]
        self._budgets = np.array(BUDGETS if config.task == "chunk" else (), np.int64)
        self._kinds: list[_Kind] = []
        self.strategy = Strategy(
            batching="chunked",
            decodes_first=True,
            reserve="input",
            budget=config.budget,
            max_running=config.max_running,
        )
        self._codes = self.strategy.codes()
        # What a finished episode is checked against: a policy may choose any of the budgets.
        self._claimed = replace(self.strategy, budget=max(config.budget, *BUDGETS))
        self._replicas = tuple(
            replica(config.model, device, kv_blocks=config.kv_blocks or None) for device in config.devices
        )
        self._level = ServiceLevel(config.first_token, config.between_tokens, config.per_user)
        needed = _needed(config.instances) if config.instances else self._needed_when_drawn()
        given = (config.max_requests, config.max_replicas, config.max_users, config.max_tokens)
        self._limits = tuple(n if g is None else g for n, g in zip(needed, given, strict=True))
        requests, replicas, users, tokens = self._limits
        visible = 1 if config.task == "route" else config.max_visible
        self.spec = serving_spec(config.task, visible, replicas, len(self._budgets))
        log = 2 * tokens + _LOG_EACH * requests
        self._capacity = Capacity(requests, replicas, config.max_running, users, log, visible, self.spec.num_actions)
        for instance in config.instances:
            self._check_fit(instance)
            self._label(instance)

    def allocate(self, lanes: int) -> ServingState:
        """Returns the zeroed state of ``lanes`` lanes."""
        return allocate(lanes, self._capacity)

    def draw(self, state: ServingState, lanes: Lanes) -> None:
        """Begins a new episode in each of ``lanes``, on one of ``instances`` or a random instance."""
        for lane in lanes:
            word = int(decisions.draw_word(state.generator, lane))
            if self.config.instances:
                self._load(state, int(lane), self.config.instances[word % len(self.config.instances)])
            else:
                self._load(state, int(lane), self.random_instance(word))

    def load(self, state: ServingState, lane: int, instance: ServingInstance) -> None:
        """Begins a new episode in ``lane`` on ``instance``."""
        self._check_fit(instance)
        self._load(state, lane, instance)

    def step(self, state: ServingState, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Applies one action in every active lane; returns the flags of refused actions."""
        refused = np.empty(len(actions), np.bool_)
        decisions.step(state, actions, active, refused, self._budgets, self._asks, self._codes)
        self._check_log(state)
        return refused

    def observe(self, state: ServingState, lanes: Lanes, out: Observation, *, static: bool) -> None:
        """Writes the observation of ``lanes[i]`` into row ``i`` of ``out``."""
        chunk = self.config.task == "chunk"
        if static and chunk:
            observe_levels(self._budgets, lanes, out["level_static"])
        observe(
            state,
            lanes,
            out["request_dynamic"],
            out["replica_dynamic"],
            out["level_dynamic"] if chunk else np.empty((0, 0, 0), np.float32),
            out["request_competes_on_replica_index"],
            out["level_offered_by_replica_index"] if chunk else np.empty((0, 0, 0), np.int32),
            out[CONTEXT],
            out[COUNTS],
            out[ACTION_MASK],
            self._budgets,
        )

    def action_masks(self, state: ServingState) -> NDArray[np.bool_]:
        """Returns the legal actions of every lane, as they stand in the state."""
        return state.mask

    def finished(self, state: ServingState) -> NDArray[np.bool_]:
        """Returns the flags of lanes in which all requests are answered."""
        return np.asarray(state.control["done"] != 0)

    def objective(self, state: ServingState) -> Floats:
        """Returns the loss so far, with what tokens that are late already cost at least."""
        loss = np.empty(len(state.control))
        incurred(state, loss)
        return loss

    def clock(self, state: ServingState) -> Floats:
        """Returns the simulated times, in seconds."""
        return np.array(state.control["clock"])

    def reward_unit(self, state: ServingState) -> Floats:
        """Returns a tenth of the whole loss."""
        return np.full(len(state.control), REWARD_UNIT)

    def instance(self, state: ServingState, lane: int) -> ServingInstance:
        """Returns the instance that ``lane`` is running."""
        name, replicas, level = self._kinds[int(state.label[lane])]
        rows = state.request[lane, : state.control[lane]["requests"]]
        columns = {name: rows[name].astype(np.int64) for name in ("prompt", "output", "user", "follows")}
        requests = Requests(arrival=rows["given"].copy(), predicted=rows["predicted"].copy(), **columns)
        return ServingInstance(name, replicas, requests, level)

    def solution(self, state: ServingState, lane: int) -> Trace:
        """Returns the execution so far."""
        control = state.control[lane]
        lengths = state.logged[lane].tolist()
        logs = (state.iteration_log, state.entry_log, state.event_log)
        log = Log(*(each[lane, :length].copy() for each, length in zip(logs, lengths, strict=True)))
        outcome = Outcome(
            state.request[lane, : control["requests"]].copy(),
            state.replica[lane, : control["replicas"]].copy(),
            state.histogram[lane].copy(),
            float(control["clock"]),
            log,
        )
        return Trace(self._claimed, outcome, decided=True)

    def render(self, state: ServingState, lane: int, mode: str) -> Any:
        """Draws the timeline of ``lane``."""
        from envs.serving import render

        draw = render.timeline_array if mode == "rgb_array" else render.timeline_text
        return draw(self.instance(state, lane), self.solution(state, lane))

    def random_instance(self, seed: int) -> ServingInstance:
        """Draws an instance that fits into the capacity.

        Raises:
            UsageError: Hardly any does.
        """
        config = self.config
        for attempt in range(_ATTEMPTS):
            generator = np.random.default_rng((seed, attempt))
            rate = float(np.exp(generator.uniform(*np.log(config.rates))))
            factor = float(np.exp(generator.uniform(*np.log(config.scales)))) if config.scales != (1.0, 1.0) else 1.0
            drawn = synthetic(
                config.lengths,
                config.requests,
                rate / factor,
                int(generator.integers(2**63)),
                variation=config.variation,
                prediction_noise=config.prediction_noise,
                longest=int(config.longest / factor),
            )
            drawn = _scaled(drawn, factor)
            if int(drawn.output.sum()) <= self._limits[3]:
                break
        else:
            raise UsageError(f"max_tokens is {self._limits[3]}; hardly any random instance has so few output tokens")
        owners = np.maximum(generator.integers(1 - config.users, config.users, config.requests), 0)
        requests = replace(drawn, user=np.unique(owners, return_inverse=True)[1])
        return ServingInstance(f"{config.lengths}_{config.requests}", self._replicas, requests, self._level)

    def _load(self, state: ServingState, lane: int, instance: ServingInstance) -> None:
        load(state, lane, instance, self._codes)
        state.label[lane] = self._label(instance)
        lanes = len(state.control)
        alone = np.arange(lanes) == lane
        decisions.step(
            state, np.zeros(lanes, np.int64), alone, np.empty(lanes, np.bool_), self._budgets, self._asks, self._codes
        )
        self._check_log(state)

    def _label(self, instance: ServingInstance) -> int:
        kind = instance.name, instance.replicas, instance.service_level
        if kind not in self._kinds:
            self._kinds.append(kind)
        return self._kinds.index(kind)

    def _check_log(self, state: ServingState) -> None:
        if state.control["full"].any():
            raise UsageError(
                f"an episode has more iterations than fit into the log; expected max_tokens above {self._limits[3]}"
            )

    def _needed_when_drawn(self) -> tuple[int, int, int, int]:
        """What drawn instances need; output tokens to spare over the mean."""
        config = self.config
        mean, largest = _usual_output(config.lengths, config.longest)
        tokens = int((_SPARE * config.requests * mean + largest) * max(config.scales[1], 1.0))
        return config.requests, len(config.devices), config.users, tokens

    def _check_fit(self, instance: ServingInstance) -> None:
        names = ("requests", "replicas", "users", "tokens")
        for noun, count, limit in zip(names, _needed([instance]), self._limits, strict=True):
            if count > limit:
                raise UsageError(
                    f"instance {instance.name} has {count} {noun}; the environment was made with max_{noun}={limit}"
                )


_LOG_EACH = 64
"""Iterations and chunks that the log has room for beside the output tokens, a request."""

_ATTEMPTS = 100
_PROBES = 10_000
_SPARE = 1.3


def _scaled(requests: Requests, factor: float) -> Requests:
    """The same requests with all lengths multiplied."""
    if factor == 1.0:
        return requests
    lengths = (np.maximum(np.rint(factor * each), 1).astype(np.int64) for each in (requests.prompt, requests.output))
    prompt, output = lengths
    return replace(requests, prompt=prompt, output=output, predicted=factor * requests.predicted)


@cache
def _usual_output(lengths: str, longest: int) -> tuple[float, int]:
    """Mean and largest of many drawn outputs."""
    if lengths not in length_tables():
        raise UsageError(f"lengths is {lengths!r}; expected one of {', '.join(length_tables())}")
    _, output = length_tables()[lengths].draw(_PROBES, np.random.default_rng(0), longest)
    return float(output.mean()), int(output.max())


def fit(instances: Sequence[ServingInstance]) -> dict[str, Any]:
    """Returns the capacity options under which all of ``instances`` fit.

    Tokens are rounded up to a power of two: instances that need the same capacity can be run side by side.
    """
    requests, replicas, users, tokens = _needed(instances)
    return {
        "max_requests": requests,
        "max_replicas": replicas,
        "max_users": users,
        "max_tokens": 1 << (tokens - 1).bit_length(),
    }


def _needed(instances: Sequence[ServingInstance]) -> tuple[int, int, int, int]:
    """Requests, replicas, users and output tokens of the largest instance each."""
    return (
        max(len(instance.requests) for instance in instances),
        max(len(instance.replicas) for instance in instances),
        max(int(instance.requests.user.max()) + 1 for instance in instances),
        max(int(instance.requests.output.sum()) for instance in instances),
    )
