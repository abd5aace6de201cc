"""Migration heuristics as dispatching rules: the VM, or the stop, then the place, of the smallest value.

Gains are those of `envs.vm_rescheduling.dynamics`: decreases of the weighted sum, of leaving a place and of coming to
one. A rule stops when what it would do next gains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.core.problem import Floats, Rule
from envs.vm_rescheduling.dynamics import TINY, best_gain, fits, gain_of_move
from envs.vm_rescheduling.state import VmState

_LARGEST_OF_FILTER = 16

_YANG = "Yang et al., Towards VM rescheduling optimization through deep reinforcement learning, EuroSys 2025"


@njit(cache=True, nogil=True)
def _gain_elsewhere(state: VmState, lane: int, v: int) -> float:
    """Returns the largest gain of putting a VM on another machine; -inf if none takes it."""
    vm = state.vm[lane, v]
    own = state.numa[lane, vm.host].machine
    best = -np.inf
    for n in range(state.episode[lane].numas):
        gain = state.gain[lane, vm.type, n]
        if gain > best and state.numa[lane, n].machine != own and fits(state, lane, v, n):
            best = gain
    return best


@njit(cache=True, nogil=True)
def _score(state: VmState, out: NDArray[np.float64], filtered: bool) -> None:
    """Writes the priorities of local search, or of the filter and score of the baseline HA."""
    for lane in range(len(out)):
        if state.episode[lane].chosen >= 0:
            _score_places(state, lane, out[lane], filtered)
        elif filtered:
            _filter_vms(state, lane, out[lane])
        else:
            _score_vms(state, lane, out[lane])


@njit(cache=True, nogil=True)
def _filter_vms(state: VmState, lane: int, out: NDArray[np.float64]) -> None:
    vms, picked = state.vm.shape[1], -1
    for v in range(state.episode[lane].vms):
        vm = state.vm[lane, v]
        if not state.mask[lane, v] or vm.cores > _LARGEST_OF_FILTER:
            continue
        if (picked < 0 or vm.leave > state.vm[lane, picked].leave + TINY) and _gain_elsewhere(state, lane, v) > -np.inf:
            picked = v
    stop = picked < 0 or state.vm[lane, picked].leave + _gain_elsewhere(state, lane, picked) <= TINY
    out[vms if stop else picked] = -1.0


@njit(cache=True, nogil=True)
def _score_vms(state: VmState, lane: int, out: NDArray[np.float64]) -> None:
    out[state.vm.shape[1]] = -TINY
    for v in range(state.episode[lane].vms):
        if state.mask[lane, v]:
            out[v] = -best_gain(state, lane, v)


@njit(cache=True, nogil=True)
def _score_places(state: VmState, lane: int, out: NDArray[np.float64], elsewhere: bool) -> None:
    episode = state.episode[lane]
    vms, vm = state.vm.shape[1], state.vm[lane, episode.chosen]
    own = state.numa[lane, vm.host].machine
    for n in range(episode.numas):
        if state.mask[lane, vms + 1 + n]:
            out[vms + 1 + n] = -state.gain[lane, vm.type, n]
            if state.numa[lane, n].machine == own:
                out[vms + 1 + n] = 1e6 if elsewhere else vm.leave - gain_of_move(state, lane, episode.chosen, n)


def _priority(state: VmState, *, filtered: bool) -> Floats:
    out = np.zeros(state.mask.shape)
    _score(state, out, filtered)
    return out


def _random(state: VmState) -> Floats:
    """Uniform numbers, a pure function of the lane's generator and the episode's progress (SplitMix64's mixer)."""
    steps = 2 * state.episode["migrations"] + (state.episode["chosen"] >= 0)
    progress = steps.astype(np.uint64)[:, None] * np.uint64(1 << 20)
    number = np.arange(state.mask.shape[1], dtype=np.uint64)
    word = state.generator[:, None] + (progress + number) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Floats = ((word ^ (word >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    return result


_ALL = (
    Rule(
        "ha",
        partial(_priority, filtered=True),
        "of the VMs with up to 16 cores the one whose leaving gains most, to the place on another machine where it "
        f"gains most, with the check of memory: {_YANG}, the baseline HA",
    ),
    Rule(
        "best_move",
        partial(_priority, filtered=False),
        "the migration of any VM, NUMA flips included, that gains most: local search",
    ),
    Rule("random", _random, f"uniformly random choice: {_YANG}"),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
"""Every rule by name."""
