"""What an execution is judged by, beside its weighted cost."""

from __future__ import annotations

import numpy as np

from envs.offload.types import EventLog, OffloadInstance


def measures(instance: OffloadInstance, log: EventLog) -> dict[str, float]:
    """Returns delay (s), energy (J), their parts, and how the bits were shared, of a finished execution."""
    system, tasks = instance.system, np.arange(len(instance.bits))
    delay = log.completed - instance.dispatch_seconds
    upload = instance.bits / instance.bits_per_second[instance.user, log.server]
    computing = system.energy_coefficient * system.cycles_per_bit * system.hertz[log.server] ** 2 * instance.bits
    assert system.upload_watts is not None
    late = np.maximum(delay - instance.deadline, 0.0)
    found = {
        "delay": float(delay.sum()),
        "energy": float((system.upload_watts * upload + computing).sum()),
        "mean_delay": float(delay.mean()),
        "p95_delay": float(np.quantile(delay, 0.95)),
        "mean_upload": float(upload.mean()),
        "mean_wait": float((instance.dispatch - instance.arrival).mean() * system.step_seconds),
        "cloud_share": float(instance.bits[log.server == 0].sum() / instance.bits.sum()),
        "tasks": float(len(tasks)),
    }
    if system.deadline_factor > 0.0:
        found |= {"tardiness": float(late.sum()), "missed_deadlines": float((late > 0.0).mean())}
    return found
