"""Classical dispatching rules of the job shop.

Every rule is a formula over the *next operation* of each job: a smaller value is better, ties go to the smaller job
index. The wait action, where there is one, is never preferred. Sources:

* Panwalkar and Iskander, "A survey of scheduling rules", Operations Research 25(1), 1977.
* Haupt, "A survey of priority rule-based scheduling", OR Spektrum 11, 1989.
* Sels, Gheysen and Vanhoucke, "A comparison of priority rules for the job shop scheduling problem under different flow
  time- and tardiness-related objective functions", International Journal of Production Research 50(15), 2012.
* Zhang, Song, Cao, Zhang, Tan and Xu, "Learning to dispatch for job shop scheduling via deep reinforcement learning",
  NeurIPS 2020 (FDD/MWKR among its baselines).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from envs.core.problem import Floats, Rule
from envs.job_shop.dynamics import JobShopState
from envs.job_shop.look_ahead import look_ahead, pilot


class NextOperations(NamedTuple):
    """The next operation of every job: ``(lanes, jobs)`` float64 arrays, times in the instance's unit.

    Values of finished jobs and of padding mean nothing.

    Attributes:
        time: Its processing time.
        following_time: Processing time of the operation after it; 0 if it is the last.
        remaining: Processing time of the job's operations not yet scheduled, this one included.
        work: Processing time of the whole job.
        operations: Number of the job's operations not yet scheduled.
        ready: Completion of the operation before it.
        state: The state that the above was read from.
    """

    time: Floats
    following_time: Floats
    remaining: Floats
    work: Floats
    operations: Floats
    ready: Floats
    state: JobShopState


Formula = Callable[[NextOperations], Floats]


def next_operations(state: JobShopState) -> NextOperations:
    """Reads the next operations off a state."""
    operations = state.size[:, 1, None]
    following = np.minimum(state.next_op + 1, state.time.shape[2] - 1)
    following_time = np.take_along_axis(state.time, following[:, :, None], axis=2)[:, :, 0]
    return NextOperations(
        time=state.job_time.astype(np.float64),
        following_time=np.where(state.next_op + 1 < operations, following_time, 0).astype(np.float64),
        remaining=state.job_remaining.astype(np.float64),
        work=state.job_work.astype(np.float64),
        operations=(operations - state.next_op).astype(np.float64),
        ready=state.job_ready.astype(np.float64),
        state=state,
    )


def _over(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient; 0 where the denominator is 0 (every such numerator is 0 too)."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def _flow_due_date(n: NextOperations) -> Floats:
    """Work of the job up to and including the operation."""
    return n.work - n.remaining + n.time


def _random(n: NextOperations) -> Floats:
    """Uniform numbers, a pure function of the lane's generator and the episode's progress (SplitMix64's mixer)."""
    jobs = np.arange(n.time.shape[1], dtype=np.uint64)
    progress = (n.state.scheduled + n.state.floor * 65537).astype(np.uint64)
    word = n.state.generator[:, None] + (progress[:, None] * np.uint64(65536) + jobs) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Floats = ((word ^ (word >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    return result


def _rule(name: str, formula: Formula, source: str) -> Rule:
    def priority(state: JobShopState) -> Floats:
        result = np.full(state.mask.shape, np.inf)
        result[:, : state.next_op.shape[1]] = formula(next_operations(state))
        return result

    return Rule(name, priority, source)


_PANWALKAR = "Panwalkar and Iskander 1977, Operations Research 25(1)"
_HAUPT = "Haupt 1989, OR Spektrum 11"
_SELS = "Sels, Gheysen and Vanhoucke 2012, Int. J. Production Research 50(15)"
_ZHANG = "Zhang et al. 2020, NeurIPS (Learning to dispatch)"

_ALL = (
    _rule("spt", lambda n: n.time, f"shortest processing time: {_PANWALKAR}"),
    _rule("lpt", lambda n: -n.time, f"longest processing time: {_PANWALKAR}"),
    _rule("mwkr", lambda n: -n.remaining, f"most work remaining: {_PANWALKAR}"),
    _rule("lwkr", lambda n: n.remaining, f"least work remaining: {_PANWALKAR}"),
    _rule("mopnr", lambda n: -n.operations, f"most operations remaining: {_PANWALKAR}"),
    _rule("lopnr", lambda n: n.operations, f"fewest operations remaining: {_PANWALKAR}"),
    _rule("fifo", lambda n: n.ready, f"first in, first out: {_PANWALKAR}"),
    _rule("fdd", _flow_due_date, f"flow due date, the work up to and including the operation: {_SELS}"),
    _rule(
        "fdd_mwkr",
        lambda n: _over(_flow_due_date(n), n.remaining),
        f"flow due date over work remaining: {_SELS}; {_ZHANG}",
    ),
    _rule("spt_mwkr", lambda n: _over(n.time, n.remaining), f"processing time over work remaining: {_HAUPT}; {_SELS}"),
    _rule("spt_twkr", lambda n: _over(n.time, n.work), f"processing time over total work: {_PANWALKAR}"),
    _rule("spt_x_twk", lambda n: n.time * n.work, f"processing time times total work: {_PANWALKAR}"),
    _rule(
        "mwkr_after", lambda n: n.time - n.remaining, f"most work remaining after the operation (tail): {_PANWALKAR}"
    ),
    _rule("lso", lambda n: -n.following_time, f"longest subsequent operation: {_PANWALKAR}"),
    _rule("sso", lambda n: n.following_time, f"shortest subsequent operation: {_PANWALKAR}"),
    _rule(
        "spt_mwkr_squared",
        lambda n: _over(n.time, n.remaining**2),
        f"processing time over squared work remaining, a variation on the ratio rules of {_HAUPT}; meant for sampling",
    ),
    _rule("random", _random, f"uniformly random choice: {_PANWALKAR}"),
    Rule(
        "pilot",
        pilot,
        "least makespan of five rules' roll-outs: Bertsekas, Tsitsiklis and Wu 1997, J. Heuristics 3; Duin and Voss "
        "1999, Networks 34",
        expected=True,
    ),
    Rule(
        "look_ahead",
        look_ahead,
        "mean makespan of randomised roll-outs: Bertsekas, Tsitsiklis and Wu 1997, J. Heuristics 3",
        expected=True,
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
"""Every rule by name."""
