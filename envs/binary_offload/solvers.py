"""Enumeration of all modes, which is exact, and coordinate descent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numba import njit

from envs.binary_offload.allocation import best_shares
from envs.binary_offload.dynamics import OffloadState, allocate
from envs.binary_offload.env import BITS, load_devices
from envs.binary_offload.types import BinaryOffloadInstance, Flags, Modes
from envs.core.errors import UsageError
from envs.core.problem import Solver, SolverResult

MOST_DEVICES = 16
"""Devices up to which all modes are enumerated."""

STARTS = ("local", "offloading", "random")

_RISE = 1.0 + 1e-12


@njit(cache=True, nogil=True)
def rate_of(state: OffloadState, offloads: Flags) -> float:
    """Returns the rate of lane 0 with other modes than its own."""
    kinds = state.kinds[0]
    snr = np.zeros(kinds)
    local = 0.0
    for i in range(state.devices[0]):
        if offloads[i]:
            snr[state.kind[0, i]] += state.snr[0, i]
        else:
            local += state.local[0, i]
    rate: float = best_shares(local, state.unit_rate[0, :kinds], snr, 0, 0.0, state.first_rate[0])[0]
    return rate


@njit(cache=True, nogil=True)
def _enumerate(state: OffloadState, best: Flags) -> float:
    devices = state.devices[0]
    offloads = np.zeros(devices, np.bool_)
    highest = 0.0
    for number in range(1 << devices):
        for i in range(devices):
            offloads[i] = number >> i & 1
        rate = rate_of(state, offloads)
        if rate > highest:
            highest = rate
            best[:] = offloads
    return highest


@njit(cache=True, nogil=True)
def _descend(state: OffloadState, offloads: Flags) -> float:
    """Changes the mode that raises the rate most, until none does."""
    rate = rate_of(state, offloads)
    while True:
        picked, highest = -1, _RISE * rate
        for i in range(len(offloads)):
            offloads[i] = not offloads[i]
            changed = rate_of(state, offloads)
            offloads[i] = not offloads[i]
            if changed > highest:
                picked, highest = i, changed
        if picked < 0:
            return rate
        offloads[picked] = not offloads[picked]
        rate = highest


def started(instance: BinaryOffloadInstance) -> OffloadState:
    """Returns the state of one lane at the beginning of the instance."""
    state = allocate(1, len(instance.gains))
    load_devices(state, 0, instance, 0)
    return state


def highest_rate(instance: BinaryOffloadInstance) -> tuple[float, Modes]:
    """Returns the largest rate over all modes, in bit/s, and the modes.

    Raises:
        UsageError: There are more than `MOST_DEVICES` devices.
    """
    devices = len(instance.gains)
    if devices > MOST_DEVICES:
        raise UsageError(f"{instance.name} has {devices} devices; enumeration takes at most {MOST_DEVICES}")
    best = np.zeros(devices, np.bool_)
    rate = float(_enumerate(started(instance), best))
    return rate, Modes(best)


@dataclass(frozen=True)
class _Enumeration:
    def __call__(self, instance: BinaryOffloadInstance, /, *, seed: int = 0) -> SolverResult:
        rate, modes = highest_rate(instance)
        return SolverResult(modes, BITS / rate, BITS / rate, "optimal")


@dataclass(frozen=True)
class _CoordinateDescent:
    start: str

    def __call__(self, instance: BinaryOffloadInstance, /, *, seed: int = 0) -> SolverResult:
        devices = len(instance.gains)
        if self.start == "random":
            offloads = np.random.default_rng(seed).random(devices) < 0.5
        else:
            offloads = np.full(devices, self.start == "offloading")
        rate = float(_descend(started(instance), offloads))
        return SolverResult(Modes(offloads), BITS / rate, None, "heuristic")


def enumeration() -> Solver:
    """Returns a solver that tries all modes, of up to `MOST_DEVICES` devices: the optimum."""
    return _Enumeration()


def coordinate_descent(*, start: str = "local") -> Solver:
    """Returns a solver that changes the mode that raises the rate most, until none does.

    Bi and Zhang, IEEE Transactions on Wireless Communications 17(6), 2018.

    Args:
        start: Modes at the start: "local", "offloading" or "random".

    Raises:
        UsageError: There is no such start.
    """
    if start not in STARTS:
        raise UsageError(f"coordinate_descent: start is {start!r}; expected one of {', '.join(STARTS)}")
    return _CoordinateDescent(start)


SOLVERS: Mapping[str, Callable[..., Solver]] = MappingProxyType(
    {"enumeration": enumeration, "coordinate_descent": coordinate_descent}
)
"""Solver factories by name."""
