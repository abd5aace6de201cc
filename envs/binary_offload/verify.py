"""The independent checker: plain Python, no code shared with the dynamics.

The dynamics solve the conditions of optimality for the price of time. This checker searches the rate itself instead:
along the line of time shares on which all uplinks share a price, which holds the best shares for every charging time,
it looks for the largest rate by golden sections.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from envs.binary_offload.types import BinaryOffloadInstance, Modes
from envs.core.errors import UsageError

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_SECTIONS = 90
_LARGEST = 600.0


def verify(instance: BinaryOffloadInstance, modes: Modes) -> float:
    """Checks the modes and recomputes the objective with the best time shares.

    Args:
        instance: The instance.
        modes: Mode of every device.

    Returns:
        The seconds that a weighted megabit takes.

    Raises:
        UsageError: There is not one mode a device.
    """
    return 1e6 / best_frame(instance, modes)[0]


def best_frame(instance: BinaryOffloadInstance, modes: Modes) -> tuple[float, float, list[float]]:
    """Returns the weighted rate in bit/s, the share of charging, and the share of each device's uplink.

    Raises:
        UsageError: There is not one mode a device.
    """
    offloads = np.asarray(modes.offloads)
    if offloads.dtype != np.bool_ or offloads.shape != instance.gains.shape:
        raise UsageError(
            f"{instance.name}: offloads has type {offloads.dtype} and shape {offloads.shape}; "
            f"expected bool, {instance.gains.shape}"
        )
    system = instance.system
    local, senders = 0.0, []
    for device, (gain, weight) in enumerate(zip(instance.gains.tolist(), instance.weights.tolist(), strict=True)):
        energy = system.harvesting_efficiency * system.power * gain
        if offloads[device]:
            unit = weight * system.bandwidth / (system.overhead * math.log(2.0))
            senders.append((device, unit, energy * gain / system.noise))
        else:
            local += weight * math.pow(energy / system.computing_efficiency, 1.0 / 3.0) / system.cycles_per_bit
    uplinks = [0.0] * len(offloads)
    if not senders:
        return local, 1.0, uplinks

    def frame(log_price: float) -> tuple[float, float, list[float]]:
        price = math.exp(log_price)
        received = [_received(min(_LARGEST, price / unit)) for _, unit, _ in senders]
        lengths = [snr / ratio for (_, _, snr), ratio in zip(senders, received, strict=True)]
        charging = 1.0 / (1.0 + math.fsum(lengths))
        bits = math.fsum(
            unit * charging * length * math.log1p(ratio)
            for (_, unit, _), length, ratio in zip(senders, lengths, received, strict=True)
        )
        return local * charging ** (1.0 / 3.0) + bits, charging, [charging * length for length in lengths]

    largest = max(unit for _, unit, _ in senders)
    rate, charging, lengths = _golden_section(frame, math.log(1e-12 * largest), math.log(100.0 * largest))
    for (device, _, _), length in zip(senders, lengths, strict=True):
        uplinks[device] = length
    return rate, charging, uplinks


def _received(units: float) -> float:
    """The ratio r of signal to noise with ln(1 + r) - r / (1 + r) = ``units``, by Newton's method on ln r."""
    x = 0.5 * math.log(2.0 * units) if units < 1.0 else units + 1.0
    for _ in range(200):
        ratio = math.exp(x)
        log = math.log1p(ratio)
        spread = ratio / (1.0 + ratio)
        step = (log - spread - units) / (spread * spread)
        x -= max(-2.0, min(2.0, step))
        if abs(step) < 1e-13 * max(1.0, abs(x)):
            break
    return math.exp(x)


Frame = tuple[float, float, list[float]]


def _golden_section(frame: Callable[[float], Frame], low: float, high: float) -> Frame:
    """Returns the frame of the largest rate between two logarithms of prices; the rate has one maximum there."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = frame(left), frame(right)
    for _ in range(_SECTIONS):
        if at_left[0] >= at_right[0]:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = frame(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = frame(right)
    return max(at_left, at_right)
