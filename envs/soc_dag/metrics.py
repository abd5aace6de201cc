"""What an execution is judged by: latency, throughput, utilisation, energy; length ratio, speed-up, efficiency.

Times are in the time unit of the instance, energy in watts times that unit (microjoules with microseconds).
"""

from __future__ import annotations

import numpy as np

from envs.soc_dag.types import Floats, SocInstance, Trace


def metrics(instance: SocInstance, trace: Trace) -> dict[str, float]:
    """Returns the metrics of an execution; nan where one is undefined.

    Always:

    - ``mean_latency, p50_latency, p95_latency, p99_latency``: completion minus arrival (with blocking arrivals minus
      admission) over the jobs completed within the window and admitted at or after the warm-up;
    - ``completed_jobs, admitted_jobs``: all of them, before the warm-up too;
    - ``blocked``: jobs that waited for a place (open arrivals; the tries of blocked jobs are not recorded, nan);
    - ``utilisation``: mean of `utilisation` over the processing elements (PEs);
    - ``energy``: active power times busy time plus idle power times idle time, over PEs, up to the `horizon`;
    - ``energy_per_job``: energy over completed jobs;
    - ``energy_delay_product``: mean latency times energy per job;
    - ``cumulative_energy_delay_product``: sum of the latencies of the completed jobs times the energy, the form that
      SoCRATES reports (cumulative execution time × cumulative energy).

    Of static instances also (Topcuoglu, Hariri and Wu, IEEE TPDS 13(3), 2002, section 5.1):

    - ``makespan``: latest completion;
    - ``schedule_length_ratio``: makespan over the longest path of smallest execution times, CP_MIN; with several jobs,
      over the largest release plus path;
    - ``speedup``: smallest total execution time on one PE over the makespan; nan if no PE runs all tasks;
    - ``efficiency``: speed-up over the number of PEs.
    """
    completed = np.isfinite(trace.completed)
    latency = trace.completed - trace.arrived
    counted = latency[completed & (trace.admitted >= instance.arrivals.warm_up)]
    mean, p50, p95, p99 = _mean_and_percentiles(counted)
    energy = _energy(instance, trace)
    per_job = energy / completed.sum() if completed.any() else np.nan
    waited = float((trace.admitted > trace.arrived).sum())
    values = {
        "mean_latency": mean,
        "p50_latency": p50,
        "p95_latency": p95,
        "p99_latency": p99,
        "completed_jobs": float(completed.sum()),
        "admitted_jobs": float(len(trace.admitted)),
        "blocked": np.nan if instance.arrivals.mode == "blocking" else waited,
        "utilisation": float(utilisation(instance, trace).mean()),
        "energy": energy,
        "energy_per_job": float(per_job),
        "energy_delay_product": float(mean * per_job),
        "cumulative_energy_delay_product": float(latency[completed].sum() * energy),
    }
    return values | (_static(instance, trace) if instance.arrivals.mode == "static" else {})


def horizon(instance: SocInstance, trace: Trace) -> float:
    """Time that rates are taken over: the window of a stream, the latest end of a static execution."""
    if instance.arrivals.mode != "static":
        return instance.arrivals.window
    return float(trace.end.max(initial=0.0))


def busy_times(instance: SocInstance, trace: Trace) -> Floats:
    """Time ``(P,)`` that every PE runs tasks up to the horizon, lost runs included."""
    limit = horizon(instance, trace)
    durations = np.minimum(trace.end, limit) - np.minimum(trace.start, limit)
    busy = np.zeros(instance.chip.num_processors)
    np.add.at(busy, trace.processor, durations)
    return busy


def utilisation(instance: SocInstance, trace: Trace) -> Floats:
    """Share ``(P,)`` of the horizon that every PE runs tasks."""
    limit = horizon(instance, trace)
    busy = busy_times(instance, trace)
    return busy / limit if limit > 0 else np.zeros_like(busy)


def _mean_and_percentiles(latency: Floats) -> tuple[float, float, float, float]:
    if not len(latency):
        return np.nan, np.nan, np.nan, np.nan
    p50, p95, p99 = np.percentile(latency, [50, 95, 99])
    return float(latency.mean()), float(p50), float(p95), float(p99)


def _energy(instance: SocInstance, trace: Trace) -> float:
    busy = busy_times(instance, trace)
    idle = horizon(instance, trace) - busy
    return float(instance.chip.active_power @ busy + instance.chip.idle_power @ idle)


def _static(instance: SocInstance, trace: Trace) -> dict[str, float]:
    makespan = float(trace.completed.max()) if len(trace.completed) else np.nan
    totals = np.sum([kind.times.sum(axis=0) for kind in (instance.job_types[k] for k in trace.job_type)], axis=0)
    shortest = max(
        (
            release + float(_least_path(instance, kind))
            for kind, release in zip(trace.job_type.tolist(), trace.arrived.tolist(), strict=True)
        ),
        default=np.nan,
    )
    serial = float(np.min(totals)) if np.isfinite(totals).any() else np.nan
    speedup = serial / makespan if makespan > 0 else np.nan
    return {
        "makespan": makespan,
        "schedule_length_ratio": makespan / shortest if shortest > 0 else np.nan,
        "speedup": speedup,
        "efficiency": speedup / instance.chip.num_processors,
    }


def _least_path(instance: SocInstance, kind: int) -> float:
    """Length of the longest path of smallest execution times of a job type."""
    job_type = instance.job_types[kind]
    lengths = job_type.times.min(axis=1)
    for task in reversed(job_type.order):
        lengths[task] += max((lengths[after] for after, _ in job_type.successors[task]), default=0.0)
    return float(lengths.max())
