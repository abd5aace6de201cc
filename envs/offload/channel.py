"""Upload rates between users and servers, drawn once an episode.

``as_published`` is the rate of the published environment's program (github.com/gracefulning/mec_morl_multipolicy): path
loss 133.6 + 35 log10(d in km) + 8 dB, Rayleigh fading, noise of -174 dBm/Hz over the bandwidth, and capacity
W log2(1 + p h² / N) with h the channel gain *over the noise power* N. The noise thus enters three times and the rates
come out far above what physics allows (some 410 Mbit/s to the cloud and 720 Mbit/s to an edge server, on 16.6 MHz). The
formula of the paper with the same constants would leave the cloud at a few kbit/s, so that no task could be sent there.

``physical`` is W log2(1 + p g / N) with the urban micro path loss of 3GPP TR 36.814 (non-line-of-sight, 2 GHz), 30.5 +
36.7 log10(d in m) dB, and 0.2 W instead of 0.01 W. A task for the cloud is sent to the base station with the best
channel and on over a wired backhaul, one after the other.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.core.random import next_uniform
from envs.offload.state import OffloadState

NOISE_WATTS_PER_HERTZ = 1e-3 * 10.0**-17.4
CLOUD_METRES = (1000.0, 2000.0)
EDGE_METRES = (50.0, 500.0)


@njit(cache=True, nogil=True)
def published_rate(metres: float, fading: float, bandwidth: float, watts: float) -> float:
    """Bits a second by the published program; ``fading`` is exponential of mean 1."""
    noise = NOISE_WATTS_PER_HERTZ * bandwidth
    loss = 133.6 + 35.0 * np.log10(metres / 1000.0) + 8.0
    relative = 10.0 ** (-loss / 10.0) * fading / noise
    return float(bandwidth * np.log2(1.0 + watts * relative * relative / noise))


@njit(cache=True, nogil=True)
def physical_rate(metres: float, fading: float, bandwidth: float, watts: float) -> float:
    """Bits a second by Shannon's formula; ``fading`` is exponential of mean 1."""
    loss = 30.5 + 36.7 * np.log10(metres)
    received = watts * 10.0 ** (-loss / 10.0) * fading
    return float(bandwidth * np.log2(1.0 + received / (NOISE_WATTS_PER_HERTZ * bandwidth)))


@njit(cache=True, nogil=True)
def draw_rates(state: OffloadState, lane: int) -> None:
    """Draws the distances and fadings of all pairs of users and servers of a lane and writes the rates."""
    system = state.system[lane]
    servers, users = state.size[lane, 0], state.size[lane, 2]
    for u in range(users):
        best = 0.0
        for s in range(servers):
            place, power = next_uniform(state.generator, lane), next_uniform(state.generator, lane)
            fading = max(-np.log(1.0 - power), _LEAST_FADING)
            low, high = CLOUD_METRES if s == 0 else EDGE_METRES
            metres = low + place * (high - low)
            if system.physical == 0.0:
                state.rate[lane, u, s] = published_rate(metres, fading, system.bandwidth_hertz, system.upload_watts)
            else:
                state.rate[lane, u, s] = physical_rate(metres, fading, system.bandwidth_hertz, system.upload_watts)
                if s > 0:
                    best = max(best, state.rate[lane, u, s])
        if system.physical == 1.0:
            radio = best if servers > 1 else state.rate[lane, u, 0]
            state.rate[lane, u, 0] = 1.0 / (1.0 / radio + 1e-6 / system.backhaul_megabits)


_LEAST_FADING = 1e-6
"""Keeps the rate above zero; one draw in a million is below it."""
