"""Benchmarks: what they hold, and the references of solved instances."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from envs.core import UsageError
from envs.vm_rescheduling.benchmarks import BENCHMARKS, DELAYS, GOALS, LIMITS
from envs.vm_rescheduling.references import best_known, parse_references
from envs.vm_rescheduling.snapshots import DATA_VARIABLE
from envs.vm_rescheduling.types import plan
from envs.vm_rescheduling.verify import verify

SIZES = {
    "synthetic": 20, "medium_h_mnl50": 5, "medium_m_mnl100": 5, "large": 5, "ordering": 25, "affinity": 15, "churn": 24,
    "goal": 15, "objectives": 4, "validation": 5,
}  # fmt: skip
INITIAL = {"h": (0.593, 0.542, 0.5309, 0.534, 0.5565), "m": (0.3935, 0.4029)}
"""Measured fragment rates of the first test seeds before any migration."""

PINNED = {"synthetic_40_high_0": (297, 554), "synthetic_100_medium_4": (543, 3294)}
"""VMs and free cores of two synthetic instances."""


def by_name(benchmark):
    return {instance.name: instance for instance in BENCHMARKS[benchmark]().instances}


def test_every_benchmark_has_a_configuration():
    folder = Path(__file__).resolve().parents[3] / "conf" / "benchmark"
    configured = {path.stem: yaml.safe_load(path.read_text())["benchmark"] for path in folder.glob("vm_*.yaml")}
    assert set(BENCHMARKS) == set(SIZES) == {name.removeprefix("vm_") for name in configured}
    for name, config in configured.items():
        assert config == {"problem": "vm_rescheduling", "name": name.removeprefix("vm_"), "instances": None}


@pytest.mark.parametrize("name", SIZES)
def test_benchmarks_have_their_instances_and_no_name_twice(name, request):
    if name != "synthetic":
        request.getfixturevalue("snapshot")
    benchmark = BENCHMARKS[name]()
    names = [instance.name for instance in benchmark.instances]
    assert len(names) == len(set(names)) == SIZES[name]
    assert set(benchmark.groups) == set(names)
    assert set(benchmark.references) <= set(names)


def test_the_synthetic_benchmark_is_the_same_on_every_machine():
    instances = by_name("synthetic")
    one = instances["synthetic_40_high_0"]
    assert (len(one.machines.names), one.migration_limit) == (40, 10)
    assert instances["synthetic_100_medium_4"].migration_limit == 20
    for name, totals in PINNED.items():
        assert (len(instances[name].vms.names), instances[name].free_cores.sum()) == totals


@pytest.mark.parametrize(("benchmark", "level", "limit"), [("medium_h_mnl50", "h", 50), ("medium_m_mnl100", "m", 100)])
def test_test_seeds_begin_at_the_measured_fragment_rates(snapshot, benchmark, level, limit):
    instances = by_name(benchmark)
    assert {instance.migration_limit for instance in instances.values()} == {limit}
    for seed, rate in enumerate(INITIAL[level]):
        assert verify(instances[f"{level}_{seed}"], plan([])) == pytest.approx(rate, abs=5e-5)


def test_large_is_the_whole_snapshot_at_two_limits_and_thinned(snapshot):
    instances = by_name("large")
    assert [instances[name].migration_limit for name in ("large_mnl50", "large_mnl100", "lh_0")] == [50, 100, 50]
    assert verify(instances["large_mnl50"], plan([])) == pytest.approx(0.600, abs=5e-4)
    assert len(instances["lh_2"].vms.names) == pytest.approx(0.9 * 4546, rel=0.02)


def test_ordering_varies_the_limit_only(snapshot):
    instances = by_name("ordering")
    assert [instances[f"h_3_mnl{limit}"].migration_limit for limit in LIMITS] == list(LIMITS)
    assert len({id(instances[f"h_3_mnl{limit}"].machines) for limit in LIMITS}) == 1
    assert len({instances[f"h_3_mnl{limit}"].vms.names for limit in LIMITS}) == 1


def test_affinity_levels_are_nested(snapshot):
    instances = by_name("affinity")
    joined = [
        set(np.flatnonzero(instances[f"h_1_affinity{level}"].vms.group >= 0)) for level in ("0", "0.1", "0.5", "1")
    ]
    assert [len(each) for each in joined][::3] == [0, len(instances["h_1_affinity1"].vms.names)]
    assert joined[0] < joined[1] < joined[2] < joined[3]


def test_churn_grows_with_the_delay(snapshot):
    instances = by_name("churn")
    assert Counter(instance.delay for instance in instances.values()) == dict.fromkeys(DELAYS, 3)
    assert not instances["h_0_delay0"].changes
    vms = instances["h_0_delay600"].vms
    assert (vms.host < 0).sum() == pytest.approx(300, abs=60)
    assert instances["h_0_delay60"].vms.names == vms.names[: len(instances["h_0_delay60"].vms.names)]


def test_goals_count_migrations(snapshot):
    instances = by_name("goal")
    assert {instance.objective.goal for instance in instances.values()} == set(GOALS)
    assert verify(instances["h_0_goal0.45"], plan([])) == pytest.approx(51 + 100 * (0.59297 - 0.45), abs=0.01)


def test_benchmarks_of_snapshots_say_what_is_missing(monkeypatch):
    for factory in BENCHMARKS.values():
        factory.cache_clear()
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    for name in SIZES:
        if name != "synthetic":
            with pytest.raises(UsageError, match=f"set the environment variable {DATA_VARIABLE}"):
                BENCHMARKS[name]()


def test_references_say_whether_they_are_proven():
    known = parse_references(["instance,value,lower_bound,source", "a,0.25,0.25,HiGHS", "b,0.5,0.4,search"])
    assert (known["a"].value, known["a"].is_bound, known["a"].source) == (0.25, False, "HiGHS")
    assert (known["b"].lower_bound, known["b"].is_bound) == (0.4, True)


def test_known_values_are_no_smaller_than_their_bounds():
    assert all(reference.value >= reference.lower_bound - 1e-6 for reference in best_known().values())
