"""The compiled rules of binary offloading, over many lanes at once.

All devices compute locally at first. An action picks a device, which offloads from then on, or the stop, which ends the
episode. The time shares are the optimal ones for the modes at every moment (`envs.binary_offload.allocation`); what the
rate would be with one more device is known for every device.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.binary_offload.allocation import best_shares
from envs.core.random import next_integer, next_uniform

Floats = NDArray[np.float64]

LIGHT_SPEED = 3e8
LEAST_FADING = 1e-6
"""Weakest fading that is drawn, so that no channel is dead; one draw in a million is weaker."""


class OffloadState(NamedTuple):
    """State of L lanes with room for N devices.

    Devices of equal weight are of one *kind*; kinds are numbered as they come.

    Attributes:
        generator: ``(L,)`` generator word.
        label: ``(L,)`` number of a named instance, -1 for a drawn one.
        devices: ``(L,)`` number of devices.
        kinds: ``(L,)`` number of kinds.
        gain: ``(L, N)`` channel power gains.
        weight: ``(L, N)`` weights.
        kind: ``(L, N)`` kind of each device.
        local: ``(L, N)`` weighted rate of a device that computes locally while the whole frame charges it, bit/s.
        snr: ``(L, N)`` signal-to-noise ratio for an uplink as long as the charging.
        unit_rate: ``(L, N)`` weighted rate of an uplink a nat, by kind, bit/s.
        offloads: ``(L, N)`` modes.
        local_sum: ``(L,)`` sum of ``local`` over the devices that compute locally.
        snr_sum: ``(L, N)`` sum of ``snr`` over the devices that offload, by kind.
        rate: ``(L,)`` weighted computation rate, bit/s.
        price: ``(L,)`` rate that a whole frame more of time is worth at the margin, bit/s.
        share: ``(L,)`` share of the frame that charges.
        next_rate: ``(L, N)`` the rate if the device offloaded too; the rate itself for one that does.
        next_price: ``(L, N)`` the price that would go with it.
        next_share: ``(L, N)`` the charging share that would go with it.
        first_rate: ``(L,)`` the rate with all devices local.
        trivial_rate: ``(L,)`` the better of the rates with all local and with all offloading.
        stopped: ``(L,)`` whether the episode is over.
        mask: ``(L, N + 1)`` legal actions: devices, stop.
    """

    generator: NDArray[np.uint64]
    label: NDArray[np.int64]
    devices: NDArray[np.int64]
    kinds: NDArray[np.int64]
    gain: Floats
    weight: Floats
    kind: NDArray[np.int64]
    local: Floats
    snr: Floats
    unit_rate: Floats
    offloads: NDArray[np.bool_]
    local_sum: Floats
    snr_sum: Floats
    rate: Floats
    price: Floats
    share: Floats
    next_rate: Floats
    next_price: Floats
    next_share: Floats
    first_rate: Floats
    trivial_rate: Floats
    stopped: NDArray[np.bool_]
    mask: NDArray[np.bool_]


class Constants(NamedTuple):
    """What of a `envs.binary_offload.types.System` the rules need.

    Attributes:
        harvested: Power harvested over a channel of gain 1, W.
        computing_efficiency: Effective capacitance, J s² / cycle³.
        cycles_per_bit: Cycles a bit.
        noise: Noise power, W.
        uplink: Bits of data a second and nat.
    """

    harvested: float
    computing_efficiency: float
    cycles_per_bit: float
    noise: float
    uplink: float


class Channels(NamedTuple):
    """How channels are drawn: path loss over evenly spread distances, times Rayleigh fading.

    Attributes:
        fewest: Fewest devices.
        most: Most devices.
        nearest: Distance of the first device, m.
        farthest: Distance of the last, m.
        antenna_gain: Gain of the antennas.
        carrier: Carrier frequency, Hz.
        exponent: Path-loss exponent.
        shuffled: Whether weights are drawn for each device rather than dealt in turn.
    """

    fewest: int
    most: int
    nearest: float
    farthest: float
    antenna_gain: float
    carrier: float
    exponent: float
    shuffled: bool


def allocate(lanes: int, capacity: int) -> OffloadState:
    """Returns the zeroed state of ``lanes`` lanes with room for ``capacity`` devices."""
    table = (lanes, capacity)
    return OffloadState(
        generator=np.zeros(lanes, np.uint64),
        label=np.zeros(lanes, np.int64),
        devices=np.zeros(lanes, np.int64),
        kinds=np.zeros(lanes, np.int64),
        gain=np.zeros(table),
        weight=np.zeros(table),
        kind=np.zeros(table, np.int64),
        local=np.zeros(table),
        snr=np.zeros(table),
        unit_rate=np.zeros(table),
        offloads=np.zeros(table, np.bool_),
        local_sum=np.zeros(lanes),
        snr_sum=np.zeros(table),
        rate=np.zeros(lanes),
        price=np.zeros(lanes),
        share=np.zeros(lanes),
        next_rate=np.zeros(table),
        next_price=np.zeros(table),
        next_share=np.zeros(table),
        first_rate=np.zeros(lanes),
        trivial_rate=np.zeros(lanes),
        stopped=np.zeros(lanes, np.bool_),
        mask=np.zeros((lanes, capacity + 1), np.bool_),
    )


@njit(cache=True, nogil=True)
def draw(
    state: OffloadState, lanes: NDArray[np.int64], channels: Channels, weights: Floats, constants: Constants
) -> None:
    """Begins an episode on drawn channels in each of ``lanes``."""
    for lane in lanes:
        devices = next_integer(state.generator, lane, channels.fewest, channels.most)
        state.label[lane], state.devices[lane] = -1, devices
        state.gain[lane], state.weight[lane] = 0.0, 0.0
        for i in range(devices):
            distance = channels.nearest + (channels.farthest - channels.nearest) * i / max(1, devices - 1)
            free_space = LIGHT_SPEED / (4.0 * np.pi * channels.carrier * distance)
            fading = max(LEAST_FADING, -np.log(1.0 - next_uniform(state.generator, lane)))
            state.gain[lane, i] = min(1.0, channels.antenna_gain * free_space**channels.exponent * fading)
            turn = next_integer(state.generator, lane, 0, len(weights) - 1) if channels.shuffled else i % len(weights)
            state.weight[lane, i] = weights[turn]
        begin(state, lane, constants)


@njit(cache=True, nogil=True)
def begin(state: OffloadState, lane: int, constants: Constants) -> None:
    """Begins an episode on the devices that stand in the lane."""
    devices = state.devices[lane]
    kinds = 0
    for table in (state.local, state.snr, state.unit_rate, state.snr_sum):
        table[lane] = 0.0
    for table in (state.next_rate, state.next_price, state.next_share):
        table[lane] = 0.0
    state.offloads[lane], state.kind[lane], state.stopped[lane] = False, 0, False
    state.mask[lane, devices:] = False
    state.mask[lane, :devices] = True
    state.mask[lane, state.gain.shape[1]] = True
    state.local_sum[lane] = 0.0
    for i in range(devices):
        gain, weight = state.gain[lane, i], state.weight[lane, i]
        power = constants.harvested * gain
        speed = (power / constants.computing_efficiency) ** (1.0 / 3.0)
        state.local[lane, i] = weight * speed / constants.cycles_per_bit
        state.local_sum[lane] += state.local[lane, i]
        state.snr[lane, i] = power * gain / constants.noise
        unit_rate = weight * constants.uplink
        kind = 0
        while kind < kinds and state.unit_rate[lane, kind] != unit_rate:
            kind += 1
        kinds = max(kinds, kind + 1)
        state.unit_rate[lane, kind], state.kind[lane, i] = unit_rate, kind
    state.kinds[lane] = kinds
    local = state.local_sum[lane]
    state.rate[lane], state.price[lane], state.share[lane] = local, local / 3.0, 1.0
    state.first_rate[lane] = local
    for i in range(devices):
        state.snr_sum[lane, state.kind[lane, i]] += state.snr[lane, i]
    everyone = best_shares(0.0, state.unit_rate[lane, :kinds], state.snr_sum[lane, :kinds], 0, 0.0, local / 3.0)[0]
    state.trivial_rate[lane] = max(local, everyone)
    state.snr_sum[lane] = 0.0
    _look_ahead(state, lane)


@njit(cache=True, nogil=True)
def step(
    state: OffloadState, actions: NDArray[np.int64], active: NDArray[np.bool_], refused: NDArray[np.bool_]
) -> None:
    """Takes one action in every active lane; sets ``refused`` where it was illegal and changed nothing."""
    capacity = state.gain.shape[1]
    for lane in range(len(actions)):
        refused[lane] = False
        if not active[lane]:
            continue
        action = actions[lane]
        if action < 0 or action > capacity or not state.mask[lane, action]:
            refused[lane] = True
        elif action == capacity:
            state.stopped[lane] = True
            state.mask[lane] = False
        else:
            _offload(state, lane, action)


@njit(cache=True, nogil=True)
def _offload(state: OffloadState, lane: int, device: int) -> None:
    state.offloads[lane, device], state.mask[lane, device] = True, False
    state.rate[lane] = state.next_rate[lane, device]
    state.price[lane] = state.next_price[lane, device]
    state.share[lane] = state.next_share[lane, device]
    state.snr_sum[lane, state.kind[lane, device]] += state.snr[lane, device]
    state.local_sum[lane] = _local_without(state, lane, -1)
    _look_ahead(state, lane)


@njit(cache=True, nogil=True)
def _local_without(state: OffloadState, lane: int, device: int) -> float:
    """Sums the local rates up afresh: differences would leave rounding where nothing is left."""
    local = 0.0
    for i in range(state.devices[lane]):
        if not state.offloads[lane, i] and i != device:
            local += state.local[lane, i]
    return local


@njit(cache=True, nogil=True)
def _look_ahead(state: OffloadState, lane: int) -> None:
    """Computes what would be with each device offloading too."""
    kinds = state.kinds[lane]
    unit_rate, snr_sum = state.unit_rate[lane, :kinds], state.snr_sum[lane, :kinds]
    for i in range(state.devices[lane]):
        if state.offloads[lane, i]:
            rate, price, share = state.rate[lane], state.price[lane], state.share[lane]
        else:
            local = _local_without(state, lane, i)
            rate, price, share = best_shares(
                local, unit_rate, snr_sum, state.kind[lane, i], state.snr[lane, i], state.price[lane]
            )
        state.next_rate[lane, i], state.next_price[lane, i], state.next_share[lane, i] = rate, price, share
