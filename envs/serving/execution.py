"""How long one iteration of an engine takes: closed forms with a handful of coefficients.

An iteration computes T new tokens of B sequences. Some are decodes (one token each, over their whole context), some are
chunks of prompts: a chunk of q tokens after ``past`` tokens that are in the cache already. Three forms are known:

``fitted``: ``cpu + lin(T) + attention + head + communication + experts`` with ``lin(T) = (a^p + (b + c T)^p)^(1/p)``, a
smooth maximum of the time to read the weights once and the time to compute; attention is
``d0 + d1 n + d2 kv`` for n decodes over kv tokens of context, and as soon as there is a chunk
``m0 + m1 sum(q) + m2 sum(past) + m3 sum(q (past + q / 2)) + m4 n + m5 kv``. Decodes in a mixed batch read the cache
less efficiently than alone, so that the two cannot be added up.

``distserve``: prefill ``A + B tokens + C sum(q^2)``, decode ``A + B kv + C n`` with other coefficients from a threshold
of n on (Zhong et al., "DistServe", OSDI 2024). ``splitwise``: prefill ``A + C T``, decode ``A + B n + C kv``, mixed
batches 1.1 times the sum of the token terms (Patel et al., "Splitwise", ISCA 2024, and its simulator).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.errors import UsageError

FITTED, DISTSERVE, SPLITWISE = 0, 1, 2
FORMS = ("fitted", "distserve", "splitwise")

_SPLITWISE_MIXED = 1.1


@dataclass(frozen=True)
class Execution:
    """Coefficients of one model on one device, all times in milliseconds; see the module for the forms.

    Attributes:
        form: "fitted", "distserve" or "splitwise".
        a, b, c, p: Work on all tokens; for the other forms the prefill.
        d0, d1, d2: Attention of decodes alone: once, a sequence, a token of context.
        m0, m1, m2, m3, m4, m5: Attention with chunks; for "distserve" m0, m1, m2 stand for d0, d1, d2 in large batches.
        large_batch: Sequences from which a "distserve" batch is large.
        head0, head1: Output layer and sampler: once, a sequence that emits a token.
        cpu0, cpu1: Engine overhead: once, a sequence.
        comm0, comm1: Communication between the devices that share the model: once, a token.
        experts: Experts a layer of a mixture-of-experts model, 0 for a dense one.
        experts_per_token: Experts that a token goes to.
        expert0, expert1: Mixture layers, all together: a distinct expert read in every layer, a token.
        expert_bytes: Bytes of one expert in every layer together.
    """

    form: str = "fitted"
    a: float = 0.0
    b: float = 0.0
    c: float = 0.0
    p: float = 1.0
    d0: float = 0.0
    d1: float = 0.0
    d2: float = 0.0
    m0: float = 0.0
    m1: float = 0.0
    m2: float = 0.0
    m3: float = 0.0
    m4: float = 0.0
    m5: float = 0.0
    large_batch: float = 0.0
    head0: float = 0.0
    head1: float = 0.0
    cpu0: float = 0.0
    cpu1: float = 0.0
    comm0: float = 0.0
    comm1: float = 0.0
    experts: float = 0.0
    experts_per_token: float = 0.0
    expert0: float = 0.0
    expert1: float = 0.0
    expert_bytes: float = 0.0

    def __post_init__(self) -> None:
        """Checks every coefficient."""
        if self.form not in FORMS:
            raise UsageError(f"form is {self.form!r}; expected one of {', '.join(FORMS)}")
        for name, value in self.coefficients().items():
            if not np.isfinite(value) or value < 0.0:
                raise UsageError(f"{name} is {value}; expected a finite number of at least 0")
        if self.form == "fitted" and self.p < 1.0:
            raise UsageError(f"p is {self.p}; expected at least 1")
        if self.experts > 0 and not 1 <= self.experts_per_token <= self.experts:
            raise UsageError(f"experts_per_token is {self.experts_per_token}; expected 1 to {self.experts:g}")

    def coefficients(self) -> Mapping[str, float]:
        """Returns the numbers by name, in milliseconds."""
        return {field.name: float(getattr(self, field.name)) for field in fields(self) if field.name != "form"}

    def record(self) -> NDArray[np.void]:
        """Returns the coefficients as the compiled rules read them: a scalar of `EXECUTION`, in seconds."""
        rows = np.zeros(1, EXECUTION)
        row = rows[0]
        for name, value in self.coefficients().items():
            row[name] = value if name in _UNITLESS else value / 1e3
        row["form"] = FORMS.index(self.form)
        return cast("NDArray[np.void]", row)


_UNITLESS = ("p", "large_batch", "experts", "experts_per_token", "expert_bytes")

EXECUTION = np.dtype(
    [("form", np.int64), *((field.name, np.float64) for field in fields(Execution) if field.name != "form")]
)
"""Coefficients in seconds, as laid out in `Execution`."""


class Batch(NamedTuple):
    """What the time of an iteration depends on.

    Attributes:
        chunks: Number of chunks of prompts.
        tokens: Their tokens, sum(q).
        past: Tokens before them, sum(past).
        pairs: sum(q (past + q / 2)).
        squares: sum(q^2).
        decodes: Number of decodes.
        context: Their tokens of context.
        outputs: Sequences that emit a token.
    """

    chunks: int
    tokens: int
    past: float
    pairs: float
    squares: float
    decodes: int
    context: float
    outputs: int


@njit(cache=True, nogil=True)
def active_experts(execution: Any, tokens: float) -> float:
    """Distinct experts that a batch of tokens reaches in a layer.

    The share is ``1 - exp(-(T / 33)^0.507)``, which goes near the coverage published for Qwen3-30B-A3B (below 50 % at
    16 tokens, below 70 % at 64, 86 % at 128); uniform routing would reach far more.
    """
    if execution.experts <= 0.0 or tokens <= 0:
        return 0.0
    share = 1.0 - np.exp(-((tokens / 33.0) ** 0.507))
    return min(execution.experts * share, execution.experts_per_token * tokens)


@njit(cache=True, nogil=True)
def overhead(execution: Any, batch: Batch) -> float:
    """Seconds that the engine itself takes, whatever the device does."""
    count = batch.chunks + batch.decodes
    return execution.cpu0 + execution.cpu1 * count


@njit(cache=True, nogil=True)
def device_time(execution: Any, batch: Batch) -> float:
    """Seconds that the device takes for an iteration."""
    if batch.chunks + batch.decodes == 0:
        return 0.0
    if execution.form == DISTSERVE:
        return _distserve(execution, batch)
    if execution.form == SPLITWISE:
        return _splitwise(execution, batch)
    tokens = batch.tokens + batch.decodes
    floor, work = execution.a, execution.b + execution.c * tokens
    high = max(floor, work)
    linear = high
    if high > 0.0:
        linear = high * (1.0 + (min(floor, work) / high) ** execution.p) ** (1.0 / execution.p)
    if batch.chunks == 0:
        attention = execution.d0 + execution.d1 * batch.decodes + execution.d2 * batch.context
    else:
        attention = (
            execution.m0
            + execution.m1 * batch.tokens
            + execution.m2 * batch.past
            + execution.m3 * batch.pairs
            + execution.m4 * batch.decodes
            + execution.m5 * batch.context
        )
    head = execution.head0 + execution.head1 * batch.outputs
    experts = execution.expert0 * active_experts(execution, tokens) + execution.expert1 * tokens
    return linear + attention + head + experts + execution.comm0 + execution.comm1 * tokens


@njit(cache=True, nogil=True)
def _distserve(execution: Any, batch: Batch) -> float:
    total = 0.0
    if batch.chunks > 0:
        total = execution.a + execution.b * batch.tokens + execution.c * batch.squares
    if batch.decodes > 0:
        if batch.decodes < execution.large_batch:
            once, each, context = execution.d0, execution.d1, execution.d2
        else:
            once, each, context = execution.m0, execution.m1, execution.m2
        rest = each * batch.decodes + context * batch.context
        total = total + rest if batch.chunks > 0 else once + rest
    return total + execution.comm0 + execution.comm1 * (batch.tokens + batch.decodes)


@njit(cache=True, nogil=True)
def _splitwise(execution: Any, batch: Batch) -> float:
    decode = execution.d1 * batch.decodes + execution.d2 * batch.context
    if batch.chunks == 0:
        return execution.d0 + decode
    prefill = execution.a + execution.c * batch.tokens
    return prefill if batch.decodes == 0 else _SPLITWISE_MIXED * (prefill + decode)
