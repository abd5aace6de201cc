"""Dispatching rules: formulas by hand, and makespans of an independent measurement."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from envs.job_shop import PROBLEM
from envs.job_shop.benchmarks import BENCHMARKS
from envs.job_shop.env import JobShop, JobShopConfig, fit
from envs.job_shop.rules import RULES
from envs.job_shop.types import JobShopInstance

# Columns: append, insertion, active, non_delay. The makespan of every rule on ta01, measured with a separate program.
TA01 = {
    "spt": (6493, 2099, 1966, 1462),
    "lpt": (7359, 1786, 1915, 1701),
    "mwkr": (1865, 1562, 1589, 1491),
    "lwkr": (9221, 2148, 2162, 1710),
    "mopnr": (1596, 1490, 1503, 1438),
    "lopnr": (9873, 1911, 2281, 1737),
    "fdd_mwkr": (1722, 1573, 1546, 1433),
    "fdd": (1870, 1633, 1633, 1439),
    "fifo": (1486, 1486, 1486, 1486),
    "spt_twkr": (7093, 1647, 1865, 1499),
    "spt_x_twk": (6931, 1926, 1992, 1536),
    "lso": (6257, 1812, 1984, 1553),
    "sso": (6402, 2231, 1947, 1519),
    "mwkr_after": (2078, 1574, 1560, 1484),
    "spt_mwkr": (3052, 1664, 1687, 1423),
}
BUILDERS = ("append", "insertion", "active", "non_delay")

# Job 0 has done its first operation (2 on machine 0) and has 3 and 5 before it; job 1 has 4, 1 and 1 before it.
PAIR = JobShopInstance("pair", [[0, 1, 2], [1, 2, 0]], [[2, 3, 5], [4, 1, 1]], 3)
BY_HAND = {
    "spt": (3, 4),
    "lpt": (-3, -4),
    "mwkr": (-8, -6),
    "lwkr": (8, 6),
    "mopnr": (-2, -3),
    "lopnr": (2, 3),
    "fifo": (2, 0),
    "fdd": (5, 4),
    "fdd_mwkr": (5 / 8, 4 / 6),
    "spt_mwkr": (3 / 8, 4 / 6),
    "spt_twkr": (3 / 10, 4 / 6),
    "spt_x_twk": (30, 24),
    "mwkr_after": (-5, -2),
    "lso": (-5, -1),
    "sso": (5, 1),
    "spt_mwkr_squared": (3 / 64, 4 / 36),
}


def makespans(instances, rule, builder):
    """Makespans of a rule, all instances side by side; ties go to the smaller job."""
    problem = JobShop(JobShopConfig(builder=builder, **fit(instances)))
    state = problem.allocate(len(instances))
    for lane, instance in enumerate(instances):
        problem.load(state, lane, instance)
    while not (finished := problem.finished(state)).all():
        actions = np.where(state.mask, RULES[rule].priority(state), np.inf).argmin(axis=1)
        assert not problem.step(state, actions, ~finished).any()
    for lane, instance in enumerate(instances):
        assert PROBLEM.verify(instance, problem.solution(state, lane)) == problem.objective(state)[lane]
    return problem.objective(state)


@pytest.fixture(scope="module")
def taillard():
    return BENCHMARKS["taillard"]()


@pytest.mark.parametrize("rule", BY_HAND)
def test_formula_by_hand(rule):
    problem = JobShop(JobShopConfig(wait=True, **fit([PAIR])))
    state = problem.allocate(1)
    problem.load(state, 0, PAIR)
    problem.step(state, np.array([0]), np.ones(1, bool))
    np.testing.assert_allclose(RULES[rule].priority(state), [[*BY_HAND[rule], np.inf]], rtol=1e-15)


def test_every_rule_is_covered_and_cited():
    assert RULES.keys() == BY_HAND.keys() | {"random", "look_ahead", "pilot"}
    assert TA01.keys() == BY_HAND.keys() - {"spt_mwkr_squared"}
    for name, rule in RULES.items():
        assert rule.name == name
        assert any(year in rule.source for year in ("1977", "1989", "1997", "2012"))


def test_last_operation_has_no_following_time():
    instance = JobShopInstance("single", [[0], [0]], [[3], [4]], 1)
    problem = JobShop(JobShopConfig(**fit([instance])))
    state = problem.allocate(1)
    problem.load(state, 0, instance)
    assert RULES["lso"].priority(state).tolist() == [[0, 0]]


def test_priorities_of_work_free_jobs_are_numbers():
    instance = JobShopInstance("zero", [[0, 1]], [[0, 0]], 2)
    problem = JobShop(JobShopConfig(**fit([instance])))
    state = problem.allocate(1)
    problem.load(state, 0, instance)
    for rule in RULES.values():
        assert np.isfinite(rule.priority(state)).all()


def test_random_rule_is_uniform_and_touches_nothing():
    config = JobShopConfig(sizes=((4, 3),))
    problem = JobShop(config)
    state = problem.allocate(4000)
    state.generator[:] = np.random.default_rng(0).integers(2**63, size=4000, dtype=np.uint64)
    problem.draw(state, np.arange(4000))
    before = state.generator.copy()
    first = RULES["random"].priority(state)
    np.testing.assert_array_equal(RULES["random"].priority(state), first)
    np.testing.assert_array_equal(state.generator, before)
    counts = np.bincount(first.argmin(axis=1), minlength=4)
    assert ((counts - 1000) ** 2 / 1000).sum() < 20  # chi-squared, 3 degrees of freedom
    problem.step(state, np.zeros(4000, np.int64), np.ones(4000, bool))
    assert (RULES["random"].priority(state) != first).all()


@pytest.mark.parametrize("rule", TA01)
def test_makespans_on_ta01(rule, taillard):
    ta01 = taillard.instances[:1]
    assert tuple(int(makespans(ta01, rule, builder)[0]) for builder in BUILDERS) == TA01[rule]


def test_fifo_gives_the_same_schedule_in_every_builder(taillard):
    results = [makespans(taillard.instances[:50], "fifo", builder) for builder in BUILDERS]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


# Mean gaps in percent to the best known makespans, to two decimals, with the non-delay builder.
@pytest.mark.parametrize(
    ("rule", "on_taillard", "on_demirkol"),
    [
        ("spt_mwkr", 14.49, 21.60),
        ("mwkr", 19.57, 29.43),
        ("mopnr", 19.73, 33.74),
        ("spt", 27.54, 30.48),
        ("fifo", 25.42, 37.79),
    ],
)
def test_mean_gaps(rule, on_taillard, on_demirkol, taillard):
    for benchmark, expected in ((taillard, on_taillard), (BENCHMARKS["demirkol"](), on_demirkol)):
        best = np.array([benchmark.references[instance.name].value for instance in benchmark.instances])
        gaps = makespans(benchmark.instances, rule, "non_delay") / best - 1
        assert round(100 * gaps.mean(), 2) == pytest.approx(expected, abs=0.011)


MEASURED_NAMES = {"MWKR-P": "mwkr_after", "SPT*TWK": "spt_x_twk"}
MEASURED_BUILDERS = {"nondelay": "non_delay", "insert": "insertion", "active": "active", "append": "append"}


def measured_makespans():
    """Every row of the measurement: ``(rule, builder) -> {instance: makespan}``."""
    path = Path(os.environ.get("DISPATCHLAB_DATA", "")) / "jobshop" / "measured_dispatch_rules_ta_dmu.csv"
    if not path.is_file():
        pytest.skip("DISPATCHLAB_DATA names no folder with jobshop/measured_dispatch_rules_ta_dmu.csv")
    table = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            rule = MEASURED_NAMES.get(row["rule"], row["rule"].lower().replace("/", "_"))
            key = rule, MEASURED_BUILDERS[row["mode"]]
            table.setdefault(key, {})[row["instance"]] = int(row["makespan"])
    return table


@pytest.mark.slow
def test_every_measured_makespan(taillard):
    instances = (*taillard.instances, *BENCHMARKS["demirkol"]().instances)
    table = measured_makespans()
    assert len(table) == 60
    for (rule, builder), expected in table.items():
        found = makespans(instances, rule, builder)
        differences = {
            instance.name: (int(makespan), expected[instance.name])
            for instance, makespan in zip(instances, found, strict=True)
            if makespan != expected[instance.name]
        }
        assert not differences, (rule, builder)
