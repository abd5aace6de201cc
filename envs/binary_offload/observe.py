"""Observations of binary offloading, compiled; what they hold stands in `envs.binary_offload.features`."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.binary_offload.allocation import best_shares
from envs.binary_offload.dynamics import OffloadState

Reals = NDArray[np.float32]

_FINE = 20.0
_FURTHEST = 10.0


@njit(cache=True, nogil=True)
def observe_static(state: OffloadState, lanes: NDArray[np.int64], device_out: Reals) -> None:
    """Writes the arrays that stay for an episode."""
    for row, lane in enumerate(lanes):
        devices = state.devices[lane]
        device_out[row] = 0.0
        mean_weight = state.weight[lane, :devices].mean()
        for i in range(devices):
            out, kind = device_out[row, i], state.kind[lane, i]
            weaker = 0
            for j in range(devices):
                weaker += state.gain[lane, j] < state.gain[lane, i]
            alone = best_shares(
                0.0, state.unit_rate[lane, kind : kind + 1], state.snr[lane, i : i + 1], 0, 0.0, state.first_rate[lane]
            )[0]
            out[0] = np.log10(state.snr[lane, i])
            out[1] = weaker / max(1, devices - 1)
            out[2] = state.weight[lane, i] / mean_weight
            out[3] = state.local[lane, i] / state.first_rate[lane]
            out[4] = np.log(alone / state.local[lane, i])


@njit(cache=True, nogil=True)
def observe_dynamic(
    state: OffloadState,
    lanes: NDArray[np.int64],
    device_out: Reals,
    stop_out: Reals,
    context: Reals,
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
) -> None:
    """Writes the arrays that change; of features that look ahead, those for which there is room."""
    ahead = stop_out.shape[2] > 1
    capacity = state.gain.shape[1]
    for row, lane in enumerate(lanes):
        devices, rate = state.devices[lane], state.rate[lane]
        counts[row, 0], counts[row, 1] = devices, 1
        mask[row] = state.mask[lane]
        device_out[row, devices:] = 0.0
        best, offloading = 0.0, 0
        for i in range(devices):
            offloading += state.offloads[lane, i]
            if not state.offloads[lane, i]:
                best = max(best, state.next_rate[lane, i])
        for i in range(devices):
            out = device_out[row, i]
            out[:] = 0.0
            out[0], out[1] = state.offloads[lane, i], state.mask[lane, i]
            if state.offloads[lane, i] or not ahead:
                continue
            gain = np.log(state.next_rate[lane, i] / rate)
            out[2], out[3] = gain, np.tanh(_FINE * gain)
            out[4] = max(-_FURTHEST, 10.0 * np.log(state.next_rate[lane, i] / best))
            out[5] = np.log(state.next_price[lane, i] / state.price[lane])
            out[6] = state.next_share[lane, i] - state.share[lane]
        stop_out[row, 0, 0] = state.mask[lane, capacity]
        if ahead:
            stop_out[row, 0, 1] = np.tanh(_FINE * np.log(best / rate)) if best > 0.0 else -1.0
        context[row, 0], context[row, 1] = devices / 10.0, offloading / devices
        context[row, 2] = state.share[lane]
        context[row, 3] = np.log(rate / state.first_rate[lane])
        context[row, 4] = np.log(rate / state.trivial_rate[lane])
        context[row, 5] = np.log(state.price[lane] / rate)
        context[row, 6] = min(1.0, max(0.0, 1.0 - state.local_sum[lane] / state.first_rate[lane]))
