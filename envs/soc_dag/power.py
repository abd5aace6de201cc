"""Frequencies and energy: what an instance becomes when kinds of processing elements run at other operating points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from envs.core.errors import UsageError
from envs.soc_dag.metrics import busy_times, horizon
from envs.soc_dag.types import Chip, Floats, Integers, OperatingPoint, SocInstance, Trace


def at_frequency(instance: SocInstance, frequencies: Mapping[str, float]) -> SocInstance:
    """Returns ``instance`` with kinds of processing elements (PEs) at chosen operating points.

    Execution times are multiplied by ``f_max / f``; they are not rounded, with whole ticks either. The active power is
    multiplied by ``P(f) / P(f_max)``, the measured powers with all PEs of the kind active, where both points have them,
    and otherwise by ``(V / V_max)^2 f / f_max``: the dynamic power of CMOS is proportional to C V^2 f (Chandrakasan,
    Sheng and Brodersen, IEEE Journal of Solid-State Circuits 27(4), 1992). Idle power, transfers and arrivals stay.

    The chosen point is the highest one of the result, so that it can be lowered further.

    Args:
        instance: The instance.
        frequencies: Frequency in MHz by kind of PE; other kinds stay as they are.

    Raises:
        UsageError: The chip has no such kind, or no such operating point.
    """
    chip = instance.chip
    for kind in frequencies:
        if kind not in chip.kinds:
            raise UsageError(
                f"chip {chip.name} has no kind {kind!r} of processors; it has {', '.join(dict.fromkeys(chip.kinds))}"
            )
    points = tuple(
        _up_to(chip, processor, frequencies[kind]) if kind in frequencies else chip.operating_points[processor]
        for processor, kind in enumerate(chip.kinds)
    )
    ends = [(new[-1], old[-1]) if old else None for new, old in zip(points, chip.operating_points, strict=True)]
    slower = np.array([1.0 if each is None else each[1].frequency / each[0].frequency for each in ends])
    power = np.array([1.0 if each is None else _power_ratio(*each) for each in ends])
    return replace(
        instance,
        chip=replace(chip, active_power=chip.active_power * power, operating_points=points),
        job_types=tuple(replace(job_type, times=job_type.times * slower) for job_type in instance.job_types),
    )


def cluster_energy(instance: SocInstance, trace: Trace) -> float:
    """Returns the energy of an execution, with the measured power of a kind by its number of active PEs.

    A kind whose highest operating point has measured powers takes them while any of its PEs is active, and the idle
    powers otherwise; other kinds count as in `envs.soc_dag.metrics.metrics`. Cores of a cluster share clocks and
    caches, so the first active one costs more than a further one.

    Returns:
        Watts times the time unit of the instance, up to the horizon.
    """
    chip = instance.chip
    kinds, limit = np.array(chip.kinds), horizon(instance, trace)
    busy = busy_times(instance, trace)
    energy = 0.0
    for kind in dict.fromkeys(chip.kinds):
        members = np.flatnonzero(kinds == kind)
        points = chip.operating_points[members[0]]
        if points and points[-1].power:
            watts = np.array([chip.idle_power[members].sum(), *points[-1].power])
            energy += float(watts @ _durations(trace, members, limit))
        else:
            energy += float(chip.active_power[members] @ busy[members])
            energy += float(chip.idle_power[members] @ (limit - busy[members]))
    return energy


def _up_to(chip: Chip, processor: int, frequency: float) -> tuple[OperatingPoint, ...]:
    points = chip.operating_points[processor]
    known = [point.frequency for point in points]
    if frequency not in known:
        raise UsageError(
            f"kind {chip.kinds[processor]} of chip {chip.name} has no operating point at {frequency!r} MHz; "
            f"it has {', '.join(f'{each:g}' for each in known) or 'none'}"
        )
    return points[: known.index(frequency) + 1]


def _power_ratio(point: OperatingPoint, highest: OperatingPoint) -> float:
    if point.power and highest.power:
        return point.power[-1] / highest.power[-1]
    if point.voltage is None or highest.voltage is None:  # the same point, or the chip would not have been made
        return 1.0
    return (point.voltage / highest.voltage) ** 2 * point.frequency / highest.frequency


def _durations(trace: Trace, members: Integers, limit: float) -> Floats:
    """Time ``(n + 1,)`` with 0, 1, ..., n of ``members`` active, up to ``limit``."""
    runs = np.isin(trace.processor, members)
    starts, ends = (np.minimum(times[runs], limit) for times in (trace.start, trace.end))
    moments = np.concatenate([[0.0], ends, starts])
    change = np.concatenate([[0], np.full(len(ends), -1), np.ones(len(starts), np.int64)]).astype(np.int64)
    order = np.argsort(moments, kind="stable")
    active = np.clip(np.cumsum(change[order]), 0, len(members))  # runs of length 0 end before they start
    widths = np.diff(moments[order], append=limit)
    return np.bincount(active, widths, minlength=len(members) + 1).astype(np.float64)
