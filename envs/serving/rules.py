"""The schedulers' rules at the decisions of the serving tasks, smallest value first.

Task "chunk": a fixed budget, or the largest one with which the oldest token is in time, joined with an order of
admission. Task "preempt": an order of admission joined with a choice of the victim. Task "route": a replica.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.problem import Floats, Rule
from envs.serving.engine import ASK_BUDGET, ASK_DISPATCH, ASK_FIRST, ASK_VICTIM
from envs.serving.migration import replica_load
from envs.serving.observe import asking_load, level_time, token_time
from envs.serving.state import ServingState
from envs.serving.strategy import FREENESS, LEAST_REQUESTS, LEAST_TOKENS

BUDGETS = (128, 256, 512, 1024, 2048, 4096)
"""Tokens of the levels."""

RequestKey = Callable[[ServingState, int, NDArray[Any]], Floats]
"""``(state, lane, records of the requests)`` to keys."""

_ORCA = "Yu et al. 2022, OSDI (Orca)"
_SARATHI = "Agrawal et al. 2024, OSDI (Sarathi-Serve)"
_VTC = "Sheng et al. 2024, OSDI (virtual token counter)"
_VLLM = "Kwon et al. 2023, SOSP (vLLM)"
_LLUMNIX = "Sun et al. 2024, OSDI (Llumnix)"


def _first_come(state: ServingState, lane: int, rows: NDArray[Any]) -> Floats:
    return np.asarray(rows["arrival"], np.float64)


def _shortest(state: ServingState, lane: int, rows: NDArray[Any]) -> Floats:
    left = np.maximum(rows["predicted"] - rows["generated"], 0.0)
    return np.asarray(rows["prompt"] + rows["generated"] - rows["computed"] + left, np.float64)


def _fair(state: ServingState, lane: int, rows: NDArray[Any]) -> Floats:
    return np.asarray(state.service[lane, rows["user"]], np.float64)


def _least_late(state: ServingState, lane: int, rows: NDArray[Any]) -> Floats:
    """Those that can still have their first token in time, by age; then those that are late already."""
    age = state.control[lane]["clock"] - rows["arrival"]
    late = (age > state.level[lane, 0]) & (rows["generated"] == 0)
    return np.asarray(np.where(late, 1e6 + rows["arrival"], -age), np.float64)


def _latest(state: ServingState, lane: int, rows: NDArray[Any]) -> Floats:
    return np.asarray(-rows["arrival"], np.float64)


def _largest(state: ServingState, lane: int, rows: NDArray[Any]) -> Floats:
    return np.asarray(-rows["blocks"], np.float64)


def _smallest(state: ServingState, lane: int, rows: NDArray[Any]) -> Floats:
    return np.asarray(rows["blocks"], np.float64)


def _most_served(state: ServingState, lane: int, rows: NDArray[Any]) -> Floats:
    return -_fair(state, lane, rows)


_ORDERS: Mapping[str, tuple[RequestKey, str]] = {
    "fcfs": (_first_come, f"first come, first served: {_ORCA}"),
    "shortest": (_shortest, "fewest tokens left by prediction, as in shortest-job-first"),
    "fair": (_fair, f"the user with the least service: {_VTC}"),
    "least_late": (_least_late, "oldest among those that are not late yet, after earliest deadline first"),
}
_VICTIMS: Mapping[str, tuple[RequestKey, str]] = {
    "latest": (_latest, f"latest arrival: {_VLLM}"),
    "largest": (_largest, "most blocks"),
    "smallest": (_smallest, "fewest blocks, the least to compute again"),
    "most_served": (_most_served, f"of the user with the most service, after {_VTC}"),
}


def _fill(state: ServingState, lane: int, key: RequestKey, levels: int, out: Floats) -> None:
    count = int(state.visible_count[lane])
    rows = state.request[lane][state.visible[lane, :count]]
    out[levels : levels + count] = key(state, lane, rows)


def _fixed_budget(tokens: int) -> Callable[[ServingState, int], Floats]:
    return lambda state, lane: np.abs(np.log2(np.array(BUDGETS)) - np.log2(tokens))


def _in_time(state: ServingState, lane: int) -> Floats:
    """The largest level with which the oldest token is in time, else the smallest."""
    result = np.empty(len(BUDGETS))
    load = asking_load(state, lane)
    for place, budget in enumerate(BUDGETS):
        late = load[4] + level_time(state, lane, load, budget)[0] > state.level[lane, 1]
        result[place] = budget if late else -budget
    return result


def _chunk_rule(name: str, target: Callable[[ServingState, int], Floats], order: str, source: str) -> Rule:
    def priority(state: ServingState) -> Floats:
        result = np.full(state.mask.shape, np.inf)
        for lane, control in enumerate(state.control):
            if control["asked"] == ASK_BUDGET:
                result[lane, : len(BUDGETS)] = target(state, lane)
            elif control["asked"] == ASK_FIRST:
                _fill(state, lane, _ORDERS[order][0], len(BUDGETS), result[lane])
        return result

    return Rule(f"{name}_{order}", priority, f"{source}; {_ORDERS[order][1]}")


def _preempt_rule(order: str, victim: str) -> Rule:
    def priority(state: ServingState) -> Floats:
        result = np.full(state.mask.shape, np.inf)
        for lane, control in enumerate(state.control):
            if control["asked"] == ASK_FIRST:
                _fill(state, lane, _ORDERS[order][0], 0, result[lane])
            elif control["asked"] == ASK_VICTIM:
                _fill(state, lane, _VICTIMS[victim][0], 0, result[lane])
        return result

    return Rule(f"{order}_{victim}", priority, f"{_ORDERS[order][1]}; preempts {_VICTIMS[victim][1]}")


def _route_rule(name: str, load: Callable[[ServingState, int, int], float], source: str) -> Rule:
    def priority(state: ServingState) -> Floats:
        result = np.full(state.mask.shape, np.inf)
        for lane, control in enumerate(state.control):
            if control["asked"] == ASK_DISPATCH:
                for k in range(int(control["replicas"])):
                    result[lane, k] = load(state, lane, k)
        return result

    return Rule(name, priority, source)


def _turn(state: ServingState, lane: int, k: int) -> float:
    """Places after the replica whose turn it is, by the number of requests that came before."""
    replicas = int(state.control[lane]["replicas"])
    before = int((state.request[lane]["replica"][: int(state.control[lane]["requests"])] >= 0).sum())
    return float((k - before) % replicas)


def _wait(state: ServingState, lane: int, k: int) -> float:
    """Seconds of prompt and decode work ahead, by the replica's own speed."""
    seconds = token_time(state.execution[lane][k], state.running.shape[2])
    return float(state.replica[lane][k]["outstanding"] * seconds)


def _context(state: ServingState, lane: int, k: int) -> float:
    row = state.replica[lane][k]
    return float(row["kv_blocks"] - row["free"])


def _load_by(dispatch: int) -> Callable[[ServingState, int, int], float]:
    return lambda state, lane, k: float(replica_load(state, lane, k, dispatch))


def _by_name(*rules: Rule) -> Mapping[str, Rule]:
    return MappingProxyType({rule.name: rule for rule in rules})


CHUNK_RULES = _by_name(
    *(
        _chunk_rule(name, target, order, source)
        for order in ("fcfs", "shortest", "least_late")
        for name, target, source in (
            *((f"budget_{tokens}", _fixed_budget(tokens), f"{tokens} tokens: {_SARATHI}") for tokens in BUDGETS),
            ("in_time", _in_time, "the largest budget with which no token is late: arXiv 2609.07883 (SLOWeave)"),
        )
    )
)
"""Rules of the task "chunk" by name."""

PREEMPT_RULES = _by_name(*(_preempt_rule(order, victim) for order in _ORDERS for victim in _VICTIMS))
"""Rules of the task "preempt" by name."""

ROUTE_RULES = _by_name(
    _route_rule("round_robin", _turn, "in turn"),
    _route_rule("least_requests", _load_by(LEAST_REQUESTS), "fewest requests: Agrawal et al. 2024, MLSys (vidur)"),
    _route_rule("least_tokens", _load_by(LEAST_TOKENS), "fewest tokens to compute, by prediction"),
    _route_rule("least_wait", _wait, "least work ahead in seconds, by prediction and the speed of the replica"),
    _route_rule("least_context", _context, "fewest blocks in use"),
    _route_rule("freeness", _load_by(FREENESS), f"most free blocks less queued demand, a request: {_LLUMNIX}"),
)
"""Rules of the task "route" by name."""
