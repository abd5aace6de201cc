"""Dispatching rules of the blocking job shop, which choose among the moves that are free of deadlock.

With p the processing time of a job's next operation, R its work and n its number of operations that are left, from that
one on. A smaller value is better, ties go to the smaller job number, and waiting is never preferred.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from envs.blocking_job_shop.priorities import KEYS, roll_outs, write_priorities
from envs.blocking_job_shop.state import BlockingState, allocate
from envs.core.problem import Floats, Priority, Rule

_PANWALKAR = "Panwalkar and Iskander 1977, Operations Research 25(1)"
_HAUPT = "Haupt 1989, OR Spektrum 11"

_SOURCES = {
    "fifo": f"first in, first out, by the end of the operation before: {_PANWALKAR}",
    "spt": f"shortest processing time: {_PANWALKAR}",
    "lpt": f"longest processing time: {_PANWALKAR}",
    "mwkr": f"most work remaining: {_PANWALKAR}",
    "lwkr": f"least work remaining: {_PANWALKAR}",
    "mopnr": f"most operations remaining: {_PANWALKAR}",
    "lopnr": f"fewest operations remaining: {_PANWALKAR}",
    "spt_mwkr": f"processing time over work remaining: {_HAUPT}",
    "winq": f"least work to come on the machine after the next one: {_HAUPT}",
    "next_free": f"least expected time for which the job will block its next machine, a look-ahead like NINQ: {_HAUPT}",
}

ROLLED_OUT = KEYS
"""Rules that roll-outs may follow."""

PILOTS = ("fifo", "spt", "mwkr", "lwkr", "mopnr", "spt_mwkr", "next_free")
"""Rules whose roll-outs the pilot method compares."""


def _priority(kind: int) -> Priority:
    def priority(state: BlockingState) -> Floats:
        result = np.empty(state.mask.shape)
        for lane in range(len(result)):
            write_priorities(state, lane, kind, result[lane])
        return result

    return priority


def scratch_for(state: BlockingState) -> BlockingState:
    """Returns room for one lane of the same capacity."""
    jobs = state.job_next.shape[1]
    wait = state.mask.shape[1] > jobs
    return allocate(1, jobs, state.machine.shape[2], state.machine_job.shape[1], wait)


def _pilot(state: BlockingState) -> Floats:
    """The least makespan of the rules' roll-outs; waiting only where it is better than every move."""
    result = np.full(state.mask.shape, np.inf)
    other, scratch = np.empty(state.mask.shape[1]), scratch_for(state)
    for lane in range(len(result)):
        for name in PILOTS:
            roll_outs(state, lane, KEYS.index(name), scratch, other)
            np.minimum(result[lane], other, out=result[lane])
    return result


def _random(state: BlockingState) -> Floats:
    """Uniform numbers, a pure function of the episode's key and progress (SplitMix64's mixer); waiting comes last."""
    jobs = np.arange(state.mask.shape[1], dtype=np.uint64)
    progress = state.decisions.astype(np.uint64)[:, None] * np.uint64(65536)
    word = state.key[:, None] + (progress + jobs) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Floats = ((word ^ (word >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    result[:, state.job_next.shape[1] :] = 1.0
    return result


_ALL = (
    *(Rule(name, _priority(kind), _SOURCES[name]) for kind, name in enumerate(KEYS)),
    Rule("pilot", _pilot, "least makespan of seven rules' roll-outs: Duin and Voss 1999, Networks 34", expected=True),
    Rule("random", _random, "uniformly random choice"),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
"""Every rule by name."""
