"""Which devices networks can run on here."""

from __future__ import annotations

import torch

from envs.core import UsageError


def check_device(device: str) -> None:
    """Checks that torch can compute on a device; stable-baselines3 would quietly take the CPU instead.

    Raises:
        UsageError: The device does not exist here.
    """
    try:
        torch.empty(0, device=None if device == "auto" else device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"device is {device!r}, which torch cannot use here: {reason}") from None
