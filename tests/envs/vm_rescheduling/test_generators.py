"""Generated instances: published seeds and shares, and what every generator promises."""

import csv
import os
from collections import Counter, defaultdict
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.vm_rescheduling.filling import ANY, BEST, WORST, place
from envs.vm_rescheduling.generators import (
    LEVELS,
    MIXES,
    SPLITS,
    MachineType,
    split_seeds,
    sub_cluster,
    synthetic,
    thin,
    thin_by_size,
    with_churn,
    with_groups,
)
from envs.vm_rescheduling.snapshots import DATA_VARIABLE, FOLDER

seeds = st.integers(0, 2**32 - 1)


def fragment_rate(instance):
    return (instance.free_cores % 16).sum() / instance.free_cores.sum()


def utilisation(instance):
    return 1 - instance.free_cores.sum() / instance.machines.cores.sum()


def vm_rows(instance):
    """Everything about every VM, by name."""
    vms = instance.vms
    columns = [getattr(vms, each.name).tolist() for each in fields(vms) if each.name != "names"]
    return dict(zip(vms.names, zip(*columns, strict=True), strict=True))


def test_published_seeds_give_the_published_instances(snapshot):
    path = Path(os.environ[DATA_VARIABLE], FOLDER, "reference_results_medium_thinned.csv")
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    medium = snapshot("medium")
    rows = list(csv.DictReader(path.open()))
    assert {(row["level"], float(row["keep"])) for row in rows} == {("H", 0.9), ("M", 0.69), ("L", 0.4)}
    for row in rows:
        seed = int(next(value for key, value in row.items() if key.startswith("seed")))
        assert fragment_rate(thin(medium, float(row["keep"]), seed)) == pytest.approx(float(row["fr0"]), abs=5e-5), row
        assert seed in split_seeds("test")


def test_thinning_keeps_vms_as_they_are():
    instance = synthetic(20, np.random.default_rng(0))
    before, after = vm_rows(instance), vm_rows(thin(instance, 0.5, 3))
    assert after.items() < before.items()
    draws = np.random.default_rng(1003).random(len(before))
    assert list(after) == [name for name, draw in zip(before, draws, strict=True) if draw < 0.5]


def test_thinning_by_size_is_the_published_alternative(snapshot):
    medium = snapshot("medium")
    thinned = [thin_by_size(medium, seed) for seed in range(60)]
    assert np.mean([utilisation(each) for each in thinned]) == pytest.approx(0.892, abs=0.005)
    assert np.mean([fragment_rate(each) for each in thinned]) == pytest.approx(0.552, abs=0.02)


@pytest.mark.parametrize(("keep", "seed"), [(1.1, 0), (-0.1, 0), (np.nan, 0), (0.5, -1)])
def test_thinning_refuses_what_is_no_probability_or_seed(keep, seed):
    with pytest.raises(UsageError, match="expected 0 to 1 and at least 0"):
        thin(synthetic(2, np.random.default_rng(0)), keep, seed)


def test_splits_share_no_seed():
    ranges = [split_seeds(name) for name in SPLITS]
    assert split_seeds("test") == range(12)
    ends = sorted((each.start, each.stop) for each in ranges)
    assert all(first[1] <= second[0] for first, second in pairwise(ends))
    with pytest.raises(UsageError, match="no split 'dev'"):
        split_seeds("dev")


@settings(max_examples=25, deadline=None)
@given(seed=seeds, machines=st.integers(1, 20))
def test_a_part_of_a_cluster_is_what_it_was(seed, machines):
    rng = np.random.default_rng(seed)
    whole = synthetic(20, rng, machine_types=(MachineType(), MachineType(1, 32, 65536)), clusters=(1, 2, 1))
    part = sub_cluster(whole, machines, rng)
    assert len(part.machines.names) == machines
    assert [name for name in whole.machines.names if name in part.machines.names] == list(part.machines.names)
    free = {
        name: whole.free_cores[whole.machines.machine_of_numa == machine].tolist()
        for machine, name in enumerate(whole.machines.names)
    }
    for machine, name in enumerate(part.machines.names):
        assert part.free_cores[part.machines.machine_of_numa == machine].tolist() == free[name]
    assert sorted(set(part.machines.cluster.tolist())) == list(range(len(set(part.machines.cluster.tolist()))))


def test_a_part_of_a_churning_cluster_has_its_share_of_arrivals():
    rng = np.random.default_rng(1)
    whole = with_churn(synthetic(40, rng), 10.0, 200.0, rng)
    arriving = (whole.vms.host < 0).sum()
    parts = [sub_cluster(whole, 10, rng) for _ in range(20)]
    assert np.mean([(part.vms.host < 0).sum() for part in parts]) == pytest.approx(arriving / 4, rel=0.1)
    assert sub_cluster(whole, 40, rng).vms.names == whole.vms.names


@pytest.mark.parametrize("machines", [0, 3])
def test_a_part_of_no_size_is_refused(machines):
    with pytest.raises(UsageError, match=f"has 2 machines; cannot choose {machines}"):
        sub_cluster(synthetic(2, np.random.default_rng(0)), machines, np.random.default_rng(0))


@settings(max_examples=40, deadline=None)
@given(seed=seeds, level=st.sampled_from([0.0, 0.1, 0.5, 1.0]), size=st.integers(1, 7), machines=st.integers(1, 30))
def test_groups_are_valid_at_the_start(seed, level, size, machines):
    rng = np.random.default_rng(seed)
    instance = with_groups(with_churn(synthetic(machines, rng, keep=0.8), 1.0, 5.0, rng), level, rng, size=size)
    on_machine = defaultdict(list)
    for vm in np.flatnonzero(instance.vms.group >= 0):
        if instance.vms.host[vm] >= 0:
            on_machine[instance.machines.machine_of_numa[instance.vms.host[vm]]].append(instance.vms.group[vm])
    assert all(len(groups) == len(set(groups)) for groups in on_machine.values())
    sizes = Counter(instance.vms.group[instance.vms.group >= 0].tolist())
    assert all(count <= size for count in sizes.values())
    if level == 0:
        assert not sizes


def test_groups_have_the_size_and_the_share_asked_for():
    instance = synthetic(100, np.random.default_rng(0))
    everyone = with_groups(instance, 1.0, np.random.default_rng(1))
    sizes = Counter(everyone.vms.group.tolist())
    assert -1 not in sizes
    assert set(sizes.values()) <= {4, 5}
    half = with_groups(instance, 0.5, np.random.default_rng(1), size=3)
    assert (half.vms.group >= 0).mean() == pytest.approx(0.5, abs=0.05)
    assert set(Counter(half.vms.group[half.vms.group >= 0].tolist()).values()) <= {2, 3}
    with pytest.raises(UsageError, match="level=2"):
        with_groups(instance, 2, np.random.default_rng(1))


def test_churn_has_its_rate_and_the_flavours_of_the_instance():
    instance = synthetic(50, np.random.default_rng(0), clusters=(3, 2))
    count = len(instance.vms.names)
    changing = with_churn(instance, 8.0, 500.0, np.random.default_rng(1))
    vms = changing.vms
    assert (vms.host < 0).sum() == pytest.approx(2000, rel=0.08)  # half of 4000 changes
    assert np.isfinite(vms.departure).sum() == pytest.approx(2000, rel=0.08)
    assert vms.arrival.max() <= 500
    assert vms.departure[np.isfinite(vms.departure)].max() <= 500
    assert (vms.host[count:] == -1).all()
    assert (np.diff(vms.arrival[count:]) > 0).all()
    assert (
        vm_rows(replace(changing, vms=replace(vms, departure=np.full(len(vms.names), np.inf)))).items()
        >= vm_rows(instance).items()
    )
    known = set(
        zip(*(getattr(instance.vms, w).tolist() for w in ("cores", "memory", "numa_count", "home")), strict=True)
    )
    later = zip(*(getattr(vms, w)[count:].tolist() for w in ("cores", "memory", "numa_count", "home")), strict=True)
    assert set(later) <= known


@settings(max_examples=20, deadline=None)
@given(seed=seeds, short=st.floats(0, 20), longer=st.floats(0, 20))
def test_churn_over_a_longer_time_begins_alike(seed, short, longer):
    instance = synthetic(3, np.random.default_rng(0))
    few = with_churn(instance, 3.0, short, np.random.default_rng(seed)).vms
    many = with_churn(instance, 3.0, short + longer, np.random.default_rng(seed)).vms
    assert many.names[: len(few.names)] == few.names
    later = many.departure[: len(few.names)]
    np.testing.assert_array_equal(np.where(later <= short, later, np.inf), few.departure)
    np.testing.assert_array_equal(many.arrival[: len(few.names)], few.arrival)
    assert (many.arrival[len(few.names) :] > short).all()


def test_churn_is_refused_twice_and_with_odd_numbers():
    rng = np.random.default_rng(0)
    instance = synthetic(3, rng)
    assert with_churn(instance, 0.0, 50.0, rng).vms.names == instance.vms.names
    for changing, rate, horizon in [
        (with_churn(instance, 5.0, 5.0, rng), 1, 1),
        (instance, -1, 1),
        (instance, 1, np.inf),
    ]:
        with pytest.raises(UsageError, match="expected an instance without churn"):
            with_churn(changing, rate, horizon, rng)


@pytest.mark.parametrize("name", ["medium", "large"])
def test_flavour_tables_are_the_snapshots(snapshot, name):
    instance = snapshot(name)
    vms = instance.vms
    counted = Counter(zip(vms.cores.tolist(), vms.memory.tolist(), vms.numa_count.tolist(), strict=True))
    assert {row[:3]: row[3] for row in MIXES[name].flavours} == counted
    assert utilisation(instance) == pytest.approx(MIXES[name].utilisation, abs=1e-3)


@pytest.mark.parametrize("mix", ["medium", "large"])
def test_synthetic_clusters_have_the_shares_of_the_mix(mix):
    instance = synthetic(2000, np.random.default_rng(0), mix=mix)
    assert utilisation(instance) == pytest.approx(MIXES[mix].utilisation, abs=0.003)
    vms = instance.vms
    drawn = Counter(zip(vms.cores.tolist(), vms.memory.tolist(), vms.numa_count.tolist(), strict=True))
    total = sum(row[3] for row in MIXES[mix].flavours)
    for cores, memory, nodes, count in MIXES[mix].flavours:
        assert drawn[cores, memory, nodes] / len(vms.names) == pytest.approx(count / total, abs=0.012)


RATES = {"medium": (0.977, 0.555, 0.382, 0.284), "large": (0.600, 0.477, 0.372, 0.310)}
"""Fragment rates of the snapshots: as they are, and thinned to the levels high, medium and low (mean over seeds)."""


@pytest.mark.parametrize(
    ("mix", "machines", "clusters", "draws"), [("medium", 279, (236, 43), 12), ("large", 1176, (352, 824), 4)]
)
def test_synthetic_clusters_are_as_fragmented_as_the_snapshots(mix, machines, clusters, draws):
    drawn = [synthetic(machines, np.random.default_rng(seed), mix=mix, clusters=clusters) for seed in range(draws)]
    for keep, rate in zip((1.0, *LEVELS.values()), RATES[mix], strict=True):
        found = np.mean([fragment_rate(thin(each, keep, seed)) for seed, each in enumerate(drawn)])
        assert found == pytest.approx(rate, abs=0.025), keep


def test_synthetic_clusters_have_free_cores_like_the_snapshot(snapshot):
    machines = len(snapshot("medium").machines.names)
    drawn = [synthetic(machines, np.random.default_rng(seed), clusters=(236, 43)) for seed in range(8)]
    free = np.concatenate([each.free_cores for each in drawn])
    known = snapshot("medium").free_cores
    assert np.mean(free == 0) == pytest.approx(np.mean(known == 0), abs=0.1)
    assert np.mean(free == 12) == pytest.approx(np.mean(known == 12), abs=0.05)
    assert np.mean(free >= 16) == pytest.approx(np.mean(known >= 16), abs=0.02)
    full = np.mean(free.reshape(-1, 2).sum(axis=1) == 0)
    assert full == pytest.approx(np.mean(known.reshape(-1, 2).sum(axis=1) == 0), abs=0.05)


@settings(max_examples=30, deadline=None)
@given(
    seed=seeds,
    machines=st.integers(1, 40),
    mix=st.sampled_from(sorted(MIXES)),
    share=st.floats(0.1, 1.0),
    keep=st.floats(0.1, 1.0),
    kinds=st.lists(
        st.builds(
            MachineType,
            numas=st.integers(1, 2),
            cores=st.integers(1, 128),
            memory=st.integers(2048, 400_000),
            share=st.floats(0.1, 5.0),
        ),
        min_size=1,
        max_size=3,
    ),
    clusters=st.lists(st.floats(0.1, 3.0), min_size=1, max_size=3),
)
def test_any_cluster_is_valid_and_not_too_full(seed, machines, mix, share, keep, kinds, clusters):
    rng = np.random.default_rng(seed)
    instance = synthetic(
        machines, rng, mix=mix, utilisation=share, keep=keep, machine_types=kinds, clusters=clusters, migration_limit=3
    )  # the instance itself checks that its VMs fit
    assert len(instance.machines.names) == machines
    assert utilisation(instance) <= share
    assert instance.migration_limit == 3
    shapes = {(kind.numas, kind.cores, kind.memory) for kind in kinds}
    first = instance.machines.first_numa
    built = zip(
        instance.machines.numa_count.tolist(),
        instance.machines.cores[first].tolist(),
        instance.machines.memory[first].tolist(),
        strict=True,
    )
    assert set(built) <= shapes


def test_memory_binds_where_there_is_little_of_it():
    little = (MachineType(2, 44, 30_000),)
    instance = synthetic(30, np.random.default_rng(0), machine_types=little)
    assert instance.free_memory.min() >= 0
    assert instance.free_memory.max() < 4096 * 16
    assert utilisation(instance) < 0.5


def test_ten_thousand_machines_hold_a_hundred_thousand_vms():
    instance = synthetic(
        10_000, np.random.default_rng(0), utilisation=0.98, machine_types=(MachineType(2, 56, 225_280),)
    )
    assert len(instance.machines.names) == 10_000
    assert len(instance.vms.names) > 95_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mix": "small"}, "mix is 'small'"),
        ({"machines": 0}, "machines=0"),
        ({"utilisation": 1.5}, r"utilisation=1\.5"),
        ({"keep": 0.0}, r"keep=0\.0"),
        ({"machine_types": ()}, "expected at least one"),
        ({"clusters": (1.0, 0.0)}, "of positive shares"),
    ],
)
def test_clusters_that_cannot_be_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        synthetic(options.pop("machines", 3), np.random.default_rng(0), **options)


@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_placement_follows_its_rule(seed):
    """Against a search over all nodes: the fullest, the emptiest, or any with room, and none only if none has room."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 3, rng.integers(1, 6))
    first = np.concatenate([[0], np.cumsum(counts)])
    owner = np.repeat(np.arange(len(counts)), counts)
    cores, memory = rng.integers(1, 20, first[-1]), rng.integers(1, 20, first[-1])
    nodes = rng.integers(1, 3, 25)
    need = np.column_stack([rng.integers(1, 8, 25), rng.integers(0, 5, 25)]) * nodes[:, None]
    rule = rng.integers(0, 3, 25)
    free_cores, free_memory = cores.copy(), memory.copy()
    hosts = place(need[:, 0], need[:, 1], nodes, rule, rng.random(25), first, owner, free_cores, free_memory)
    for vm, host in enumerate(hosts.tolist()):
        share, width = need[vm] // nodes[vm], int(nodes[vm])
        starts = range(len(cores)) if width == 1 else [first[m] for m in range(len(counts)) if counts[m] == 2]
        with_cores = {n: cores[n : n + width].min() for n in starts if cores[n : n + width].min() >= share[0]}
        with_both = {n: left for n, left in with_cores.items() if memory[n : n + width].min() >= share[1]}
        assert (host >= 0) == bool(with_both)
        if host < 0:
            continue
        assert host in with_both
        wanted = {BEST: min, WORST: max}.get(int(rule[vm]))
        if wanted is not None and with_cores == with_both:
            assert with_both[host] == wanted(with_both.values())
        cores[host : host + width] -= share[0]
        memory[host : host + width] -= share[1]
    assert free_cores.tolist() == cores.tolist()
    assert free_memory.tolist() == memory.tolist()
    assert {BEST, WORST, ANY} == {0, 1, 2}
