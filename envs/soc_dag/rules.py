"""Online list schedulers as dispatching rules.

Each maps the ready task and the processing element (PE) of the smallest value. All use expected times: a task's
finish on a PE is when its data is there and what was mapped to the PE before is done, plus the mean execution time.
Where the task is asked for first, it is that with the smallest value on any PE.

Names: what DS3 and SoCRATES call "ETF" takes the smallest *finish* time, which is min-min; Hwang's ETF takes the
smallest *start*. What SoCRATES calls HEFT ranks the ready tasks by their mean execution time alone; `heft_rank` uses
the upward rank of the whole job with communication.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.problem import Rule
from envs.soc_dag.state import PAIR, TASK, Floats, SocState

_FAR = 1e15
_FIRST = 1e6

PairValue = Callable[["Offers"], Floats]
"""Values ``(lanes, offers, PEs)`` of mapping an offered task to a PE."""


class Offers:
    """What the decision is about, gathered from the state; times are relative to now, in mean execution times.

    Attributes:
        legal: ``(lanes, offers, PEs)`` whether the PE works and can run the task.
        time, start, finish: ``(lanes, offers, PEs)`` execution time, expected start and finish, huge where illegal.
        least, mean, rank, level: ``(lanes, offers, 1)`` of the task, as in the state.
        optimistic: ``(lanes, offers, PEs)`` PEFT's optimistic cost.
        order: ``(1, offers, 1)`` position in the order in which tasks became ready.
        free: ``(lanes, 1, PEs)`` when the PE is expected to be free.
    """

    time: Floats
    start: Floats
    finish: Floats
    optimistic: Floats
    least: Floats
    mean: Floats
    rank: Floats
    level: Floats
    order: Floats
    free: Floats

    def __init__(self, state: SocState) -> None:
        """Gathers the rows of the offered tasks."""
        kernel = np.zeros(state.offer.shape, np.int64)
        _offered_kernels(state, kernel)
        self._kernel = kernel
        self._unit = state.episode["unit"][:, None, None]
        self.legal = np.isfinite(state.pair["finish"])
        now = state.episode["clock"][:, None, None]
        self.time = self._relative(np.take_along_axis(state.time, kernel[:, :, None], axis=1), 0.0)
        self.start = self._relative(state.pair["start"], now)
        self.finish = self._relative(state.pair["finish"], now)
        self.optimistic = np.take_along_axis(state.optimistic, kernel[:, :, None], axis=1) / self._unit
        self.least = self._of_task(state.kernel["least"])
        self.mean = self._of_task(state.kernel["mean"])
        self.rank = self._of_task(state.kernel["rank"])
        self.level = self._of_task(state.kernel["level"])
        self.order = np.arange(state.offer.shape[1], dtype=np.float64)[None, :, None]
        self.free = (state.processor["available"][:, None, :] - now) / self._unit

    def _relative(self, times: Floats, origin: Floats | float) -> Floats:
        relative: Floats = (np.where(self.legal, times, _FAR) - origin) / self._unit
        return relative

    def _of_task(self, values: Floats) -> Floats:
        chosen: Floats = np.take_along_axis(values, self._kernel, axis=1)[:, :, None] / self._unit
        return chosen


@njit(cache=True)
def _offered_kernels(s: SocState, out: NDArray[np.int64]) -> None:
    tasks = s.task.shape[2]
    for lane in range(len(out)):
        for row in range(s.episode[lane].offers):
            cell = s.offer[lane, row]
            kind = s.job[lane, s.place[lane, cell // tasks].job].type
            out[lane, row] = s.offset[lane, kind] + cell % tasks


@njit(cache=True)
def _lay_out(s: SocState, values: Floats, out: Floats) -> None:
    """Turns values of pairs into priorities of actions."""
    offers = s.offer.shape[1]
    for lane in range(len(out)):
        processors = s.episode[lane].processors
        for row in range(s.episode[lane].offers):
            least = values[lane, row, 0]
            for p in range(processors):
                least = min(least, values[lane, row, p])
                if s.episode[lane].decision == PAIR:
                    out[lane, row * processors + p] = values[lane, row, p]
            if s.episode[lane].decision != PAIR:
                out[lane, row] = least
        if s.episode[lane].decision != PAIR and s.episode[lane].decision != TASK and s.episode[lane].chosen >= 0:
            for p in range(processors):
                out[lane, offers + p] = values[lane, s.episode[lane].chosen, p]


def _priority(value: PairValue) -> Callable[[SocState], Floats]:
    def priority(state: SocState) -> Floats:
        offers, out = Offers(state), np.zeros(state.mask.shape)
        _lay_out(state, np.where(offers.legal, value(offers), _FAR), out)
        return out

    return priority


def affinity(weight: float) -> PairValue:
    """Finish time plus ``weight`` times what the PE takes longer than the task's fastest one."""
    return lambda offers: offers.finish + weight * (offers.time - offers.least)


def _rule(name: str, value: PairValue, source: str) -> tuple[str, Rule]:
    return name, Rule(name, _priority(value), source)


_TOPCUOGLU = "Topcuoglu, Hariri and Wu, IEEE TPDS 13(3), 2002"
_DS3 = "Arda et al., IEEE Transactions on Computers 69(8), 2020 (DS3)"
_BRAUN = "Braun et al., Journal of Parallel and Distributed Computing 61(6), 2001"
_OWN = "this project, after Sung and Ryu 2021's remark on processing-element affinity"

RULES: Mapping[str, Rule] = MappingProxyType(
    dict(
        (
            _rule(
                "met",
                lambda o: o.order * _FIRST + o.time + 1e-6 * o.finish,
                f"{_BRAUN}: minimum execution time, tasks in order",
            ),
            _rule("eft", lambda o: o.order * _FIRST + o.finish, f"{_DS3}: earliest finish, tasks in order"),
            _rule("stf", lambda o: o.time + 1e-6 * o.finish, f"{_DS3}: shortest task first, on its fastest PE"),
            _rule("min_min", lambda o: o.finish, f"{_BRAUN}; DS3 and SoCRATES call it ETF"),
            _rule(
                "etf",
                lambda o: o.start - 1e-6 * o.level,
                "Hwang, Chow, Anger and Lee, SIAM Journal on Computing 18(2), 1989: minimum start, tie by static level",
            ),
            _rule(
                "olb",
                lambda o: o.order * _FIRST + o.free,
                f"{_BRAUN}: first free PE",
            ),
            _rule("heft_rank", lambda o: -o.rank * _FIRST + o.finish, f"{_TOPCUOGLU}: HEFT's order, earliest finish"),
            _rule(
                "heft_rank_socrates",
                lambda o: -o.mean * _FIRST + o.finish,
                "Sung and Ryu 2021: rank over ready tasks without edges, that is, by mean execution time",
            ),
            _rule(
                "peft_online",
                lambda o: -o.rank * _FIRST + o.finish + o.optimistic,
                "Arabnejad and Barbosa, IEEE TPDS 25(3), 2014: finish plus optimistic cost",
            ),
            _rule("min_min_affinity_0.5", affinity(0.5), _OWN),
            _rule("min_min_affinity_1", affinity(1.0), _OWN),
        )
    )
)
