"""Benchmarks: names, settings and references of the published instances, fixed draws of the others."""

import hashlib

import numpy as np
import pytest

from envs.soc_dag.benchmarks import BENCHMARKS, DS3_TABLE_5, derived_chip
from envs.soc_dag.profiles import load_profile


def by_name(benchmark):
    return {instance.name: instance for instance in BENCHMARKS[benchmark]().instances}


def test_every_benchmark_is_listed():
    assert set(BENCHMARKS) == {"canonical", "noise", "transfer", "static", "ds3_table5"}
    for name, make in BENCHMARKS.items():
        benchmark = make()
        assert benchmark.name == name
        names = [instance.name for instance in benchmark.instances]
        assert len(set(names)) == len(names)
        assert set(benchmark.references) <= set(names)
        assert set(benchmark.groups) <= set(names)


@pytest.mark.parametrize(
    ("name", "types", "limit"), [("top_q3", 1, 3), ("p5_q3", 5, 3), ("p10_q3", 10, 3), ("p5_q5", 5, 5)]
)
def test_canonical_streams(name, types, limit):
    instance = by_name("canonical")[name]
    assert [job_type.name for job_type in instance.job_types] == [f"Top_{i}" for i in range(1, types + 1)]
    arrivals = instance.arrivals
    assert (arrivals.limit, arrivals.scale, arrivals.window, arrivals.mode) == (limit, 25, 5000, "blocking")
    assert (arrivals.warm_up, instance.noise, instance.whole_ticks) == (0, 0, True)


def test_noise_names_say_the_noise():
    instances = by_name("noise")
    assert len(instances) == 15
    assert {instances[f"p10_q3_noise{noise}"].noise for noise in (0.1, 0.2, 0.3, 0.4, 0.5)} == {0.1, 0.2, 0.3, 0.4, 0.5}
    assert len(instances["p10_q3_noise0.3"].job_types) == 10


def test_static_optima_are_the_proven_ones():
    benchmark = BENCHMARKS["static"]()
    assert [benchmark.references[f"top{i}"].value for i in range(1, 11)] == [73, 81, 80, 87, 85, 80, 72, 65, 72, 74]
    assert benchmark.references["topcuoglu"].value == 73
    assert benchmark.references["peft"].value == 113
    for reference in benchmark.references.values():
        assert reference.source == "CP-SAT, proven"
        assert reference.lower_bound == reference.value
        assert not reference.is_bound


def test_static_graphs():
    instances = by_name("static")
    assert all(instance.objective == "makespan" for instance in instances.values())
    np.testing.assert_array_equal(instances["topcuoglu"].job_types[0].times, instances["top1"].job_types[0].times)
    peft = instances["peft"].job_types[0]
    assert peft.times[4].tolist() == [29, 27, 35]
    assert dict(peft.predecessors[8]) == {1: 30, 3: 7, 4: 57}
    random = [instance for name, instance in instances.items() if name.startswith("dag")]
    assert len(random) == 36
    assert {instance.job_types[0].num_tasks for instance in random} == {20, 40, 60}


def test_transfer_has_other_chips_and_graphs():
    instances = by_name("transfer")
    sizes = [instances[f"derived_p{count}"].chip.num_processors for count in (2, 4, 5, 8)]
    assert sizes == [2, 4, 5, 8]
    assert {name[:6] for name in instances if name.startswith("dag")} == {"dag_p4", "dag_p8"}
    assert instances["wifi_tx80"].arrivals.probabilities == (0.8, 0.2)
    assert instances["wifi_tx20"].chip.num_processors == 16
    static = by_name("static")
    assert not set(static) & set(instances)


def test_derived_chips_stay_near_the_canonical_times():
    canonical = load_profile("canonical").job_types[0].times
    _, job_types = derived_chip(8, 1)
    assert len(job_types) == 10
    for row, known in zip(job_types[0].times, canonical, strict=True):
        assert (row % 1 == 0).all()
        assert known.min() * 0.75 - 0.5 <= row.min()
        assert row.max() <= known.max() * 1.25 + 0.5
    np.testing.assert_array_equal(job_types[0].times, job_types[9].times)


def test_ds3_table5_has_the_published_jobs():
    assert list(by_name("ds3_table5")) == [f"ds3_{name}" for name in DS3_TABLE_5["MET"]]
    assert DS3_TABLE_5["ETF"]["wifi_rx"] == 301
    for instance in by_name("ds3_table5").values():
        assert instance.chip.num_processors == 16
        assert instance.whole_ticks


def test_ds3_table5_references_are_the_published_optima_but_for_a_tick():
    references = BENCHMARKS["ds3_table5"]().references
    published = DS3_TABLE_5["CP"]
    assert references["ds3_wifi_tx"].value == published["wifi_tx"]
    assert references["ds3_wifi_rx"].value == published["wifi_rx"]
    assert references["ds3_range_detection"].value == published["range_detection"] - 1
    assert references["ds3_pulse_doppler"].value == published["pulse_doppler"]
    assert references["ds3_pulse_doppler"].is_bound


def test_drawn_instances_never_change():
    digest = hashlib.sha256()
    for benchmark in ("transfer", "static"):
        for name, instance in by_name(benchmark).items():
            if name.startswith(("dag", "derived")):
                for job_type in instance.job_types:
                    for array in (job_type.times, job_type.volumes, job_type.sources, job_type.targets):
                        digest.update(np.ascontiguousarray(array).astype("<f8").tobytes())
    assert digest.hexdigest() == "70d9bf05a39b0671b438973b260dee3f10eb87414f56ab4e0dde7765aadf0c08"
