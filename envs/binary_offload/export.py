"""Modes and time shares as JSON and as rows for a CSV file."""

from __future__ import annotations

from typing import Any

from envs.binary_offload.types import BinaryOffloadInstance, Modes
from envs.binary_offload.verify import best_frame


def modes_rows(instance: BinaryOffloadInstance, modes: Modes) -> list[dict[str, Any]]:
    """Returns one row a device: channel gain, weight, mode (1 for offloading) and share of the frame that it sends."""
    uplinks = best_frame(instance, modes)[2]
    columns = zip(instance.gains.tolist(), instance.weights.tolist(), modes.offloads.tolist(), uplinks, strict=True)
    return [
        {"device": device, "gain": gain, "weight": weight, "offloads": int(offloads), "uplink_share": uplink}
        for device, (gain, weight, offloads, uplink) in enumerate(columns)
    ]


def modes_json(instance: BinaryOffloadInstance, modes: Modes) -> dict[str, Any]:
    """Returns the rate, the share of the frame that charges, and the devices."""
    rate, charging, _ = best_frame(instance, modes)
    return {
        "instance": instance.name,
        "computation_rate": rate,
        "charging_share": charging,
        "devices": modes_rows(instance, modes),
    }
