"""What an instance of LLM serving is: engine replicas and the requests that come to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.serving.execution import Execution

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Replica:
    """An engine replica: a model on one device or on several that share it.

    Attributes:
        name: Model and device, for reports.
        execution: How long its iterations take.
        kv_blocks: Blocks of its paged key-value cache.
        block_size: Tokens of a block.
        kv_bytes: Bytes of the cache a token.
        layers: Layers of the model.
        swap_bandwidth: Bytes a second between device and host memory.
        swap_launch: Seconds that starting one copy takes; a block is one copy a layer for keys and one for values.
    """

    name: str
    execution: Execution
    kv_blocks: int
    block_size: int = 16
    kv_bytes: float = 131072.0
    layers: int = 32
    swap_bandwidth: float = 25e9
    swap_launch: float = 5e-6

    def __post_init__(self) -> None:
        """Checks every value."""
        for name in ("kv_blocks", "block_size", "layers"):
            if getattr(self, name) < 1:
                raise UsageError(f"replica {self.name}: {name} is {getattr(self, name)}; expected at least 1")
        for name in ("kv_bytes", "swap_bandwidth", "swap_launch"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0) or (name == "swap_bandwidth" and value == 0.0):
                raise UsageError(f"replica {self.name}: {name} is {value}; expected a finite number above 0")


@dataclass(frozen=True, eq=False)
class Requests:
    """The requests of an instance, by arrival; N of them.

    Attributes:
        arrival: ``(N,)`` seconds; for a later turn of a conversation, seconds after the turn before was answered.
        prompt: ``(N,)`` tokens of the prompt, all turns before included.
        output: ``(N,)`` tokens that will be generated, at least 1; schedulers do not know them.
        predicted: ``(N,)`` tokens that schedulers believe will be generated.
        user: ``(N,)`` user, counted from 0.
        follows: ``(N,)`` the turn before in the same conversation, -1 for none.
    """

    arrival: Floats
    prompt: Indices
    output: Indices
    predicted: Floats
    user: Indices
    follows: Indices

    def __len__(self) -> int:
        """Number of requests."""
        return len(self.arrival)

    def __post_init__(self) -> None:
        """Checks every value."""
        count = len(self.arrival)
        if count == 0:
            raise UsageError("there are no requests; expected at least one")
        for name in ("prompt", "output", "predicted", "user", "follows"):
            if len(getattr(self, name)) != count:
                raise UsageError(f"{name} has {len(getattr(self, name))} entries; expected {count}, one a request")
        checks = (
            ("arrival", ~(np.isfinite(self.arrival) & (self.arrival >= 0.0)), "a finite number of at least 0"),
            ("prompt", self.prompt < 1, "at least 1"),
            ("output", self.output < 1, "at least 1"),
            ("predicted", ~(np.isfinite(self.predicted) & (self.predicted >= 0.0)), "a finite number of at least 0"),
            ("user", self.user < 0, "at least 0"),
            ("follows", (self.follows < -1) | (self.follows >= np.arange(count)), "-1 or an earlier request"),
        )
        for name, wrong, expected in checks:
            if wrong.any():
                first = int(np.flatnonzero(wrong)[0])
                raise UsageError(f"request {first}: {name} is {getattr(self, name)[first]}; expected {expected}")
        free = self.arrival[self.follows < 0]
        if (np.diff(free) < 0.0).any():
            raise UsageError("arrivals are out of order; expected requests sorted by arrival")
        if len(np.unique(self.follows[self.follows >= 0])) != int((self.follows >= 0).sum()):
            raise UsageError("two requests follow the same one; expected one next turn at most")


def make_requests(
    arrival: Sequence[float] | Floats,
    prompt: Sequence[int] | Indices,
    output: Sequence[int] | Indices,
    *,
    predicted: Sequence[float] | Floats | None = None,
    user: Sequence[int] | Indices | None = None,
    follows: Sequence[int] | Indices | None = None,
) -> Requests:
    """Builds requests; by default predictions are right, all users are one, and no request follows another."""
    count = len(arrival)
    return Requests(
        np.asarray(arrival, np.float64),
        np.asarray(prompt, np.int64),
        np.asarray(output, np.int64),
        np.asarray(output if predicted is None else predicted, np.float64),
        np.zeros(count, np.int64) if user is None else np.asarray(user, np.int64),
        np.full(count, -1) if follows is None else np.asarray(follows, np.int64),
    )


@dataclass(frozen=True)
class ServiceLevel:
    """What a request is promised, in seconds.

    Attributes:
        first_token: Time to the first token (TTFT).
        between_tokens: Time between two tokens (TBT).
        per_user: Whether every user counts the same in the objective, instead of every request.
    """

    first_token: float = 1.0
    between_tokens: float = 0.1
    per_user: bool = False

    def __post_init__(self) -> None:
        """Checks both."""
        for name in ("first_token", "between_tokens"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0.0):
                raise UsageError(f"{name} is {value}; expected a finite number above 0")


@dataclass(frozen=True, eq=False)
class ServingInstance:
    """Replicas, requests, and what was promised.

    Attributes:
        name: Name for reports.
        replicas: The replicas.
        requests: The requests.
        service_level: The promise.
    """

    name: str
    replicas: tuple[Replica, ...]
    requests: Requests
    service_level: ServiceLevel = field(default_factory=ServiceLevel)

    def weights(self) -> Floats:
        """Returns the ``(N,)`` shares of the requests in the objective, which add up to 1."""
        count = len(self.requests)
        if not self.service_level.per_user:
            return np.full(count, 1.0 / count)
        requests_of = np.bincount(self.requests.user)
        return 1.0 / (np.count_nonzero(requests_of) * requests_of[self.requests.user])

    def __eq__(self, other: object) -> bool:
        """Compares the data; the name is a label only."""
        return (
            isinstance(other, ServingInstance)
            and (self.replicas, self.service_level) == (other.replicas, other.service_level)
            and all(
                np.array_equal(getattr(self.requests, name), getattr(other.requests, name))
                for name in ("arrival", "prompt", "output", "predicted", "user", "follows")
            )
        )

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash((self.replicas, self.requests.arrival.tobytes(), self.requests.prompt.tobytes()))

    def __post_init__(self) -> None:
        """Checks that every request fits into every replica on its own."""
        if not self.replicas:
            raise UsageError(f"{self.name}: replicas is empty; expected at least one")
        longest = int((self.requests.prompt + self.requests.output).max())
        for replica in self.replicas:
            if longest > replica.kv_blocks * replica.block_size:
                raise UsageError(
                    f"{self.name}: a request has {longest} tokens; the cache of replica {replica.name} holds "
                    f"{replica.kv_blocks * replica.block_size}"
                )
