"""Dispatching rules of the flexible job shop: an order of the jobs' next operations, with a choice of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from envs.core.problem import Floats, Rule
from envs.flexible_job_shop.dynamics import FlexibleState
from envs.flexible_job_shop.priorities import JOB_KEYS, MACHINE_KEYS, roll_outs, write_priorities

_BRANDIMARTE = "Brandimarte 1993, Annals of Operations Research 41"
_SELS = "Sels, Gheysen and Vanhoucke 2012, Int. J. Production Research 50(15)"

_JOBS = {
    "fifo": f"first in, first out: {_SELS}",
    "spt": f"shortest mean processing time: {_SELS}",
    "lpt": f"longest mean processing time: {_SELS}",
    "mwkr": f"most mean work remaining: {_SELS}",
    "lwkr": f"least mean work remaining: {_SELS}",
    "mopnr": f"most operations remaining: {_SELS}",
    "lopnr": f"fewest operations remaining: {_SELS}",
    "spt_mwkr": f"mean processing time over mean work remaining: {_SELS}",
    "any": "no order of the jobs",
}
_MACHINES = {
    "eet": f"the machine on which it is finished first: {_BRANDIMARTE}",
    "spt": f"the machine that is fastest: {_BRANDIMARTE}",
    "least_load": f"the machine with the least load left: {_BRANDIMARTE}",
}
ROLLED_OUT = ("fifo", "spt", "mwkr", "mopnr", "spt_mwkr")
"""Orders of the jobs that roll-outs may follow, with the machine on which the operation is finished first."""


def _rule(job: str, machine: str) -> Rule:
    first, second = JOB_KEYS.index(job), MACHINE_KEYS.index(machine)

    def priority(state: FlexibleState) -> Floats:
        result = np.empty(state.mask.shape)
        for lane in range(len(result)):
            write_priorities(state, lane, first, second, result[lane])
        return result

    return Rule(f"{job}_{machine}", priority, f"{_JOBS[job]}; {_MACHINES[machine]}")


def _pilot(state: FlexibleState) -> Floats:
    """The least makespan over the rules that are rolled out."""
    result = np.full(state.mask.shape, np.inf)
    other = np.empty(state.mask.shape[1])
    for lane in range(len(result)):
        for job in ROLLED_OUT:
            roll_outs(state, lane, JOB_KEYS.index(job), 0, other)
            np.minimum(result[lane], other, out=result[lane])
    return result


def _random(state: FlexibleState) -> Floats:
    """Uniform numbers, a pure function of the lane's generator and the episode's progress (SplitMix64's mixer)."""
    pairs = np.arange(state.mask.shape[1], dtype=np.uint64)
    progress = state.scheduled.astype(np.uint64)[:, None] * np.uint64(1 << 20)
    word = state.generator[:, None] + (progress + pairs) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Floats = ((word ^ (word >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    return result


_ALL = (
    *(_rule(job, machine) for job in _JOBS for machine in _MACHINES),
    Rule(
        "pilot",
        _pilot,
        "least makespan of five rules' roll-outs: Duin and Voss 1999, Networks 34",
        expected=True,
    ),
    Rule("random", _random, "uniformly random choice"),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
"""Every rule by name."""
