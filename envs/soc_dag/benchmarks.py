"""Benchmarks of DAG scheduling: streams on the canonical chip, noise, transfer, static graphs, DS3's single jobs.

Everything is part of the package or drawn from fixed seeds, far from those of training. Streams have no reference
values; static graphs that CP-SAT has solved to optimality have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

import numpy as np

from envs.core.problem import Benchmark, Reference
from envs.soc_dag.generators import random_chip, topcuoglu
from envs.soc_dag.profiles import canonical, load_profile, single_job, with_job_types
from envs.soc_dag.types import Arrivals, Chip, JobType, SocInstance, make_chip, single_dag

CANONICAL = {"top_q3": (1, 3), "p5_q3": (5, 3), "p10_q3": (10, 3), "p5_q5": (5, 5)}
"""Job types and jobs in the system of the canonical streams."""

NOISE = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Standard deviations of the noise benchmark, as a share of the mean execution time."""

OPTIMA = {
    "topcuoglu": 73, "peft": 113, "top1": 73, "top2": 81, "top3": 80, "top4": 87, "top5": 85, "top6": 80, "top7": 72,
    "top8": 65, "top9": 72, "top10": 74,
}  # fmt: skip
"""Proven optimal makespans of the published example graphs."""

DS3_TABLE_5 = MappingProxyType(
    {
        "MET": MappingProxyType({"wifi_tx": 69, "wifi_rx": 389, "range_detection": 177, "pulse_doppler": 1665}),
        "ETF": MappingProxyType({"wifi_tx": 69, "wifi_rx": 301, "range_detection": 177, "pulse_doppler": 1045}),
        "CP": MappingProxyType({"wifi_tx": 69, "wifi_rx": 288, "range_detection": 177, "pulse_doppler": 1000}),
    }
)
"""Execution times of single jobs in microseconds, as published (DS3 paper, Table 5). Its ETF is min-min."""

_DS3_OPTIMA = {"ds3_wifi_tx": 69, "ds3_wifi_rx": 288, "ds3_range_detection": 176}
"""Proven optima of our model; DS3's clock gives the zero-time start of range detection one tick, hence 177 there."""

_PULSE_DOPPLER = Reference(value=1000.0, source="DS3 paper, Table 5, CP", is_bound=True, lower_bound=840.0)
"""Bound: the 64 multiplications keep the CPUs busy for 420, and so do the 64 amplitudes after the realignment."""

_CP_SAT = "CP-SAT, proven"
_CHIP_SEED, _DAG_SEED = 710_000, 720_000


@cache
def canonical_streams() -> Benchmark:
    """The four canonical streams: Top alone, five and ten job types, three or five jobs; scale 25, window 5000."""
    return _benchmark("canonical", (canonical(types, limit, name=name) for name, (types, limit) in CANONICAL.items()))


@cache
def noisy_streams() -> Benchmark:
    """The canonical streams with three jobs in the system under noise with a standard deviation of 0.1 to 0.5."""
    settings = [(name, *CANONICAL[name], noise) for name in ("top_q3", "p5_q3", "p10_q3") for noise in NOISE]
    instances = [
        canonical(types, limit, noise=noise, name=f"{name}_noise{noise:g}") for name, types, limit, noise in settings
    ]
    groups = {instance.name: f"noise {instance.noise:g}" for instance in instances}
    return _benchmark("noise", instances, groups)


def derived_chip(processors: int, seed: int) -> tuple[Chip, tuple[JobType, ...]]:
    """Returns a chip of another size for the canonical job types.

    The time of a task on a processing element is one of its three canonical times, drawn uniformly, times
    U(0.75, 1.25), rounded, at least 1; every job type has the same times, as on the canonical chip. Bandwidths are the
    canonical ones.

    Args:
        processors: Number of processing elements.
        seed: Seed of the draw.
    """
    rng = np.random.default_rng(seed)
    known = load_profile("canonical").job_types
    times = known[0].times
    columns = rng.integers(times.shape[1], size=(len(times), processors))
    factors = rng.uniform(0.75, 1.25, columns.shape)
    derived = np.maximum(np.round(np.take_along_axis(times, columns, axis=1) * factors), 1.0)
    names = tuple(f"P{index + 1}" for index in range(processors))
    chip = make_chip(f"derived_p{processors}", names, bandwidth=1.0, memory_bandwidth=2.0)
    return chip, tuple(replace(job_type, times=derived) for job_type in known)


def derived_stream(processors: int) -> SocInstance:
    """Returns five canonical job types on a derived chip, with as many jobs in the system as there are PEs.

    The mean time between arrivals is 75 over the number of PEs, so that the load is about the canonical one.
    """
    chip, job_types = derived_chip(processors, _CHIP_SEED + processors)
    arrivals = Arrivals(mode="blocking", scale=75.0 / processors, window=5000.0, limit=processors)
    return SocInstance(
        f"derived_p{processors}", chip, job_types[:5], arrivals, whole_ticks=True, objective="mean_latency"
    )


def random_dag(processors: int, number: int) -> SocInstance:
    """Returns held-out random graph ``number`` (from 1) for ``processors`` processing elements.

    Parameters go round Topcuoglu's grids: 20, 40, 60 tasks; CCR 0.1, 1, 5, 10; alpha, out-degree and beta are drawn.
    """
    rng = np.random.default_rng([_DAG_SEED, processors, number])
    tasks, ccr = (20, 40, 60)[number % 3], (0.1, 1.0, 5.0, 10.0)[number % 4]
    alpha, beta = (0.5, 1.0, 2.0)[int(rng.integers(3))], (0.1, 0.25, 0.5, 0.75, 1.0)[int(rng.integers(5))]
    job_type = topcuoglu(
        rng, tasks=tasks, alpha=alpha, out_degree=int(rng.integers(1, 6)), ccr=ccr, beta=beta, processors=processors
    )
    name = f"dag_p{processors}_{number:02d}"
    return single_dag(name, random_chip(rng, processors=processors), job_type, time_unit="time")


def wifi_stream(transmitters: float) -> SocInstance:
    """Returns DS3's WiFi mix on its released chip: open arrivals, 12 jobs at a time, a tenth of DS3's window.

    Args:
        transmitters: Share of transmitter jobs; the rest are receivers.
    """
    mix = with_job_types(
        load_profile("ds3_released"), ["wifi_tx", "wifi_rx"], [transmitters, round(1.0 - transmitters, 6)]
    )
    arrivals = replace(mix.arrivals, scale=100.0, window=10_000.0, warm_up=1_000.0)
    return replace(mix, name=f"wifi_tx{round(100 * transmitters)}", arrivals=arrivals)


@cache
def transfer() -> Benchmark:
    """Chips and graphs not seen in training: 2, 4, 5 and 8 PEs, DS3's WiFi mixes, random graphs on 4 and 8 PEs."""
    chips = [derived_stream(processors) for processors in (2, 4, 5, 8)]
    mixes = [wifi_stream(0.8), wifi_stream(0.2)]
    dags = [random_dag(processors, number) for processors in (4, 8) for number in range(1, 13)]
    groups = {
        **{instance.name: "stream, canonical jobs" for instance in chips},
        **{instance.name: "stream, WiFi" for instance in mixes},
        **{instance.name: f"static, {instance.chip.num_processors} PEs" for instance in dags},
    }
    return _benchmark("transfer", [*chips, *mixes, *dags], groups)


@cache
def static() -> Benchmark:
    """Single graphs for the makespan: the published examples with proven optima, and 36 random graphs.

    ``topcuoglu`` is the example of the HEFT paper and the same graph as ``top1``, the first canonical job type;
    ``peft`` is the example of the PEFT paper. The random graphs, on 3, 4 and 8 PEs, have no references.
    """
    examples = [single_job("canonical", "Top_1", "topcuoglu"), load_profile("peft")]
    examples += [single_job("canonical", f"Top_{index}", f"top{index}") for index in range(1, 11)]
    dags = [random_dag(processors, number) for processors in (3, 4, 8) for number in range(13, 25)]
    groups = {
        **{instance.name: "published" for instance in examples},
        **{instance.name: f"random, {instance.chip.num_processors} PEs" for instance in dags},
    }
    return _benchmark("static", [*examples, *dags], groups, OPTIMA)


@cache
def ds3_table5() -> Benchmark:
    """Single jobs of DS3's applications on the 16 PEs of its scheduler study, see `DS3_TABLE_5`."""
    instances = [single_job("ds3_paper", name, f"ds3_{name}") for name in DS3_TABLE_5["CP"]]
    benchmark = _benchmark("ds3_table5", instances, optima=_DS3_OPTIMA)
    return replace(benchmark, references={**benchmark.references, "ds3_pulse_doppler": _PULSE_DOPPLER})


BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = MappingProxyType(
    {
        "canonical": canonical_streams,
        "noise": noisy_streams,
        "transfer": transfer,
        "static": static,
        "ds3_table5": ds3_table5,
    }
)
"""Benchmark factories by name."""


def _benchmark(
    name: str,
    instances: Iterable[SocInstance],
    groups: Mapping[str, str] | None = None,
    optima: Mapping[str, float] | None = None,
) -> Benchmark:
    references = {
        instance: Reference(value=float(value), source=_CP_SAT, is_bound=False, lower_bound=float(value))
        for instance, value in (optima or {}).items()
    }
    return Benchmark(name, tuple(instances), references, groups or {})
