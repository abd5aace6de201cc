"""Measures of modes beside the objective."""

from __future__ import annotations

from collections.abc import Mapping

from envs.binary_offload.types import BinaryOffloadInstance, Modes
from envs.binary_offload.verify import best_frame


def measures(instance: BinaryOffloadInstance, modes: Modes) -> Mapping[str, float]:
    """Returns the rate and what makes it.

    ``computation_rate``: weighted, in bit/s. ``offloading_devices``: how many. ``charging_share``: of the frame. Where
    the instance carries its optimum, ``rate_ratio``: the rate over the largest.
    """
    rate, charging, _ = best_frame(instance, modes)
    found = {
        "computation_rate": rate,
        "offloading_devices": float(modes.offloads.sum()),
        "charging_share": charging,
    }
    if instance.optimal_rate is not None:
        found["rate_ratio"] = rate / instance.optimal_rate
    return found
