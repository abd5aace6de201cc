"""Dispatching rules of the stochastic and dynamic job shop, all from expected processing times.

With t the time, of the operation that a job waits with: p its expected time; of the job: r release, d due date, w
weight, W its work, R the work and n the number of its operations that are not completed. A smaller value is better,
ties go to the smaller job index, and the wait action is never preferred. Without a due date d is infinite.

Sources:
    S. S. Panwalkar, W. Iskander, "A survey of scheduling rules", Operations Research 25(1), 1977.
    R. Haupt, "A survey of priority rule-based scheduling", OR Spektrum 11, 1989.
    A. P. J. Vepsalainen, T. E. Morton, "Priority rules for job shops with weighted tardiness costs", Management
    Science 33(8), 1987 (ATC, COVERT, WSPT).
    D. C. Carroll, "Heuristic sequencing of single and multiple component jobs", PhD thesis, MIT, 1965 (COVERT).
    K. R. Baker, J. W. M. Bertrand, "A dynamic priority rule for scheduling against due-dates", Journal of Operations
    Management 3(1), 1982 (MDD).
    J. J. Kanet, X. Li, "A weighted modified due date rule for sequencing to minimize weighted tardiness", Journal of
    Scheduling 7(4), 2004 (WMDD).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from envs.core.problem import Floats, Rule
from envs.stochastic_job_shop.state import ShopState

ATC_LOOK_AHEAD, COVERT_LOOK_AHEAD, LEAD_TIME = 3.0, 2.0, 2.0
"""Look-ahead factors k of ATC and COVERT, and the waiting time that ATC expects before each later operation, as a
multiple b of its processing time (Vepsalainen and Morton's values)."""


class Waiting(NamedTuple):
    """What rules look at, ``(lanes, jobs)`` float64 each; values of jobs that do not wait mean nothing.

    Attributes:
        now: ``(lanes, 1)`` the time t.
        time: p.
        following: Expected time of the operation after it, 0 for the last.
        remaining: R.
        work: W.
        operations: n.
        ready: When the job came to its machine.
        release: r.
        due: d.
        weight: w.
        queue_mean: Mean expected time of the operations that wait for the same machine.
        state: The state.
    """

    now: Floats
    time: Floats
    following: Floats
    remaining: Floats
    work: Floats
    operations: Floats
    ready: Floats
    release: Floats
    due: Floats
    weight: Floats
    queue_mean: Floats
    state: ShopState


Formula = Callable[[Waiting], Floats]


def waiting(state: ShopState) -> Waiting:
    """Reads the waiting operations off a state."""
    operations = state.size[:, 1, None]
    later = np.minimum(state.job_next + 1, state.expected.shape[2] - 1)
    following = np.take_along_axis(state.expected, later[:, :, None], axis=2)[:, :, 0]
    machine = np.maximum(state.job_machine, 0)
    queue = np.take_along_axis(state.machine_queue_work, machine, axis=1)
    number = np.take_along_axis(state.machine_queue, machine, axis=1)
    return Waiting(
        now=state.clock[:, None],
        time=state.job_time,
        following=np.where(state.job_next + 1 < operations, following, 0.0),
        remaining=state.job_remaining,
        work=state.job_work,
        operations=np.maximum(operations - state.job_next, 1).astype(np.float64),
        ready=state.job_ready,
        release=state.job_release,
        due=state.job_due,
        weight=state.job_weight,
        queue_mean=queue / np.maximum(number, 1),
        state=state,
    )


def _over(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient, with a denominator of at least 1e-9."""
    return numerator / np.maximum(denominator, 1e-9)


def _operation_due_date(n: Waiting) -> Floats:
    """The allowance d - r handed out in proportion to the work up to and including the operation."""
    return n.release + (n.due - n.release) * np.maximum(_over(n.work - n.remaining + n.time, n.work), 1e-9)


def _atc(n: Waiting) -> Floats:
    slack = n.due - n.now - n.time - (1.0 + LEAD_TIME) * (n.remaining - n.time)
    urgency = np.exp(-np.maximum(slack, 0.0) / np.maximum(ATC_LOOK_AHEAD * n.queue_mean, 1e-9))
    return -_over(n.weight, n.time) * urgency


def _covert(n: Waiting) -> Floats:
    slack = np.maximum(n.due - n.now - n.remaining, 0.0)
    urgency = np.maximum(1.0 - slack / np.maximum(COVERT_LOOK_AHEAD * n.remaining, 1e-9), 0.0)
    return -_over(n.weight, n.time) * urgency


def _random(n: Waiting) -> Floats:
    """Uniform numbers, a pure function of the episode's key and progress (SplitMix64's mixer)."""
    jobs = np.arange(n.time.shape[1], dtype=np.uint64)
    progress = n.state.decisions.astype(np.uint64)
    word = n.state.key[:, None] + (progress[:, None] * np.uint64(65536) + jobs) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Floats = ((word ^ (word >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    return result


_LAST = 1e300
"""Priority of waiting, and of what would be infinite: an action that is legal is always worth a number."""


def _rule(name: str, formula: Formula, source: str) -> Rule:
    def priority(state: ShopState) -> Floats:
        result = np.full(state.mask.shape, _LAST)
        with np.errstate(invalid="ignore", over="ignore"):
            values = formula(waiting(state))
        jobs = state.job_next.shape[1]
        result[:, :jobs] = np.where(state.mask[:, :jobs], np.minimum(values, _LAST), np.inf)
        return result

    return Rule(name, priority, source)


_PANWALKAR = "Panwalkar and Iskander 1977, Operations Research 25(1)"
_HAUPT = "Haupt 1989, OR Spektrum 11"
_VEPSALAINEN = "Vepsalainen and Morton 1987, Management Science 33(8)"

_ALL = (
    _rule("fifo", lambda n: n.ready, f"first in, first out, at the machine: {_PANWALKAR}"),
    _rule("spt", lambda n: n.time, f"shortest processing time: {_PANWALKAR}"),
    _rule("lpt", lambda n: -n.time, f"longest processing time: {_PANWALKAR}"),
    _rule("mopnr", lambda n: -n.operations, f"most operations remaining: {_PANWALKAR}"),
    _rule("mwkr", lambda n: -n.remaining, f"most work remaining: {_PANWALKAR}"),
    _rule("lwkr", lambda n: n.remaining, f"least work remaining: {_PANWALKAR}"),
    _rule("spt_mwkr", lambda n: _over(n.time, n.remaining), f"processing time over work remaining: {_HAUPT}"),
    _rule("edd", lambda n: n.due, f"earliest due date: {_PANWALKAR}"),
    _rule(
        "mdd",
        lambda n: np.maximum(n.due, n.now + n.remaining),
        "modified due date, max(d, t + R): Baker and Bertrand 1982, J. Operations Management 3(1)",
    ),
    _rule("odd", _operation_due_date, f"operation due date, r + (d - r) times the share of work through it: {_HAUPT}"),
    _rule("slack", lambda n: n.due - n.now - n.remaining, f"least slack, d - t - R: {_PANWALKAR}"),
    _rule(
        "s_ro",
        lambda n: (n.due - n.now - n.remaining) / n.operations,
        f"slack per remaining operation, (d - t - R) / n: {_PANWALKAR}",
    ),
    _rule("cr", lambda n: _over(n.due - n.now, n.remaining), f"critical ratio, (d - t) / R: {_PANWALKAR}"),
    _rule("wspt", lambda n: _over(n.time, n.weight), f"weighted shortest processing time, p / w: {_VEPSALAINEN}"),
    _rule(
        "wmdd",
        lambda n: _over(np.maximum(n.remaining, n.due - n.now), n.weight),
        "weighted modified due date, max(R, d - t) / w: Kanet and Li 2004, J. Scheduling 7(4)",
    ),
    _rule(
        "atc",
        _atc,
        "apparent tardiness cost, w/p exp(-(d - t - p - 3 (R - p))+ / (3 times the queue's mean time)): "
        f"{_VEPSALAINEN}",
    ),
    _rule(
        "covert",
        _covert,
        f"cost over time, w/p (1 - (d - t - R)+ / (2 R))+: Carroll 1965, MIT; {_VEPSALAINEN}",
    ),
    _rule("random", _random, f"uniformly random choice: {_PANWALKAR}"),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
"""Every rule by name."""
