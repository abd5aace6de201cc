"""Ways to choose the modes as dispatching rules: the device of the smallest value offloads next, or the stop comes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from envs.binary_offload.dynamics import OffloadState
from envs.core.problem import Floats, Rule

_HUANG = "Huang, Bi and Zhang, IEEE Transactions on Mobile Computing 19(11), 2020 (DROO)"

_RISE = 1.0 + 1e-12


def _all_local(state: OffloadState) -> Floats:
    return _with_stop(state, np.zeros(state.gain.shape), np.full(len(state.rate), -1.0))


def _all_offloading(state: OffloadState) -> Floats:
    return _with_stop(state, np.zeros(state.gain.shape), np.full(len(state.rate), 1.0))


def _greedy(state: OffloadState) -> Floats:
    """Minus the rate with the device; the stop has minus the rate, so that it comes when nothing raises it."""
    return _with_stop(state, -state.next_rate, -_RISE * state.rate)


def _heaviest_that_rises(state: OffloadState) -> Floats:
    """Minus weight times gain where the rate rises with the device; the stop comes after these."""
    rises = state.next_rate > _RISE * state.rate[:, None]
    return _with_stop(state, np.where(rises, -state.weight * state.gain, 2.0), np.ones(len(state.rate)))


def _strongest_until_it_falls(state: OffloadState) -> Floats:
    """Minus the gain; the stop comes when the strongest device left does not raise the rate."""
    free = state.mask[:, :-1]
    strongest = np.where(free, state.gain, -1.0).argmax(axis=1)
    rises = state.next_rate[np.arange(len(strongest)), strongest] > _RISE * state.rate
    return _with_stop(state, -state.gain, np.where(free.any(axis=1) & rises, 1.0, -2.0))


def _random(state: OffloadState) -> Floats:
    """Uniform numbers, a pure function of the lane's generator and the episode's progress (SplitMix64's mixer)."""
    progress = state.offloads.sum(axis=1).astype(np.uint64)[:, None] * np.uint64(1 << 20)
    number = np.arange(state.mask.shape[1], dtype=np.uint64)
    word = state.generator[:, None] + (progress + number) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Floats = ((word ^ (word >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    return result


def _with_stop(state: OffloadState, devices: Floats, stop: Floats) -> Floats:
    return np.concatenate([devices, stop[:, None]], axis=1)


_ALL = (
    Rule("all_local", _all_local, f"every device computes locally: {_HUANG}, the baseline Local Computing"),
    Rule("all_offloading", _all_offloading, f"every device offloads: {_HUANG}, the baseline Edge Computing"),
    Rule("greedy", _greedy, "the device whose offloading raises the rate most, until none does: greedy addition"),
    Rule(
        "strongest_channel",
        _strongest_until_it_falls,
        "devices in the order of their channel gains, until the rate no longer rises: a threshold on the gain",
    ),
    Rule(
        "heaviest_channel",
        _heaviest_that_rises,
        "devices in the order of weight times channel gain, those with which the rate rises",
    ),
    Rule("random", _random, "uniformly random choice of devices and of the stop"),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
"""Every rule by name."""
