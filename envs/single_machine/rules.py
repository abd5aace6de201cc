"""Dispatching rules of the single machine; the priorities themselves are in `envs.single_machine.priorities`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from envs.core.problem import Floats, Rule
from envs.single_machine.dynamics import SingleMachineState, roll_outs
from envs.single_machine.priorities import KINDS, STATIC, Integers, write_priorities

_BAKER = "Baker 1974, Introduction to Sequencing and Scheduling"
_CETINKAYA = "Cetinkaya, Buyuktahtakin, Shojaee and Reddy 2025, arXiv 2510.24013"

LOOK_AHEADS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
"""Values of the parameter k of the rules that look ahead."""


def _ranked(scores: Floats, due: Integers, time: Integers) -> Floats:
    """Ranks by score, and among equals by due date and then time, as in the compiled comparison."""
    ranks = np.empty(scores.shape)
    numbers = np.arange(scores.shape[1], dtype=np.float64)
    for row, score in enumerate(scores):
        ranks[row, np.lexsort((numbers, time[row], due[row], score))] = numbers
    return ranks


def _rule(name: str, kind: str, source: str, look_ahead: float = 1.0) -> Rule:
    code = KINDS.index(kind)

    def priority(state: SingleMachineState) -> Floats:
        scores = np.full(state.mask.shape, np.inf)
        for lane, jobs in enumerate(state.jobs.tolist()):
            free = np.ones(jobs, np.bool_) if kind in STATIC else state.mask[lane, :jobs]
            time, weight, due = (each[lane, :jobs] for each in (state.time, state.weight, state.due))
            write_priorities(code, look_ahead, time, weight, due, free, int(state.clock[lane]), scores[lane, :jobs])
        return _ranked(scores, state.due, state.time)

    return Rule(name, priority, source)


def _pilot(name: str, kind: str, source: str, look_ahead: float = 1.0) -> Rule:
    code = KINDS.index(kind)

    def priority(state: SingleMachineState) -> Floats:
        result = np.empty(state.mask.shape)
        for lane in range(len(result)):
            roll_outs(state, lane, code, look_ahead, result[lane])
        return result

    return Rule(name, priority, source, expected=True)


def _random(state: SingleMachineState) -> Floats:
    """Uniform numbers, a pure function of the lane's generator and the episode's progress (SplitMix64's mixer)."""
    jobs = np.arange(state.mask.shape[1], dtype=np.uint64)
    word = state.generator[:, None] + (state.started.astype(np.uint64)[:, None] * np.uint64(65536) + jobs) * np.uint64(
        0x9E3779B97F4A7C15
    )
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Floats = ((word ^ (word >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    return result


_ALL = (
    _rule("edd", "edd", f"earliest due date: Jackson 1955; {_BAKER}"),
    _rule("spt", "spt", f"shortest processing time: {_BAKER}"),
    _rule("wspt", "wspt", "weighted shortest processing time: Smith 1956, Naval Research Logistics Quarterly 3"),
    _rule("mdd", "mdd", "modified due date: Baker and Bertrand 1982, J. Operations Management 3(1)"),
    _rule("wmdd", "wmdd", "weighted modified due date: Kanet and Li 2004, J. Scheduling 7(4)"),
    _rule("slack", "slack", f"least slack: {_BAKER}"),
    *(
        _rule(
            f"atc_{k:g}",
            "atc",
            f"apparent tardiness cost with k = {k:g}: Vepsalainen and Morton 1987, Management Science 33(8); for equal "
            "weights apparent urgency (AU), Morton, Rachamadugu and Vepsalainen 1984",
            k,
        )
        for k in LOOK_AHEADS
    ),
    *(
        _rule(f"covert_{k:g}", "covert", f"cost over time with k = {k:g}: Carroll 1965; Vepsalainen and Morton 1987", k)
        for k in LOOK_AHEADS
    ),
    _rule("psk", "psk", "Panwalkar, Smith and Koulamas 1993, European J. Operational Research 70(3)"),
    _rule("eddc", "eddc", f"EDDC as in the code behind the published tables: {_CETINKAYA}"),
    _rule("eddc_printed", "eddc_printed", f"EDDC as printed, which is the order of the due dates: {_CETINKAYA}"),
    _rule("mddc", "mddc", f"MDDC: {_CETINKAYA}"),
    _pilot("pilot_wmdd", "wmdd", "least cost of roll-outs by WMDD: Duin and Voss 1999, Networks 34"),
    _pilot("pilot_atc", "atc", "least cost of roll-outs by ATC with k = 2: Duin and Voss 1999, Networks 34", 2.0),
    Rule("random", _random, f"uniformly random choice: {_BAKER}"),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
"""Every rule by name."""
