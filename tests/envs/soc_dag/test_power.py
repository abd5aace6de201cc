"""Operating points: published figures, times and powers by hand, energy by the number of active cores."""

from dataclasses import replace

import numpy as np
import pytest

from envs.core import UsageError
from envs.soc_dag.exact import cp_sat
from envs.soc_dag.metrics import metrics
from envs.soc_dag.power import at_frequency, cluster_energy
from envs.soc_dag.profiles import load_profile, single_job
from envs.soc_dag.static.heft import heft
from envs.soc_dag.types import Arrivals, JobType, OperatingPoint, SocInstance, make_chip, static_trace

SOCRATES = [
    (600, 900), (800, 950), (1000, 1000), (1200, 1037), (1400, 1100), (1600, 1175), (1800, 1300), (2000, 1362),
]  # fmt: skip
# One kind of two PEs with measured powers, one with voltages, one with a fixed frequency.
MEASURED = (OperatingPoint(500, power=(1.0, 1.5)), OperatingPoint(1000, power=(4.0, 6.0)))
VOLTAGES = (OperatingPoint(400, 500), OperatingPoint(800, 750), OperatingPoint(1000, 1000))
CHIP = make_chip(
    "three",
    ("a", "b", "c", "d"),
    kinds=("core", "core", "vector", "fixed"),
    active_power=np.array([3.0, 3.0, 2.0, 5.0]),
    idle_power=np.array([0.25, 0.25, 0.5, 0.0]),
    operating_points=(MEASURED, MEASURED, VOLTAGES, ()),
)
JOB = JobType("fork", ("x", "y"), [[4, 4, 8, np.inf], [6, 6, 2, 1]], [], [], [])
INSTANCE = SocInstance("example", CHIP, (JOB,))


def points_of(profile, kind):
    chip = load_profile(profile).chip
    chosen = {chip.operating_points[p] for p, each in enumerate(chip.kinds) if each == kind}
    assert len(chosen) == 1
    return chosen.pop()


@pytest.mark.parametrize(
    ("profile", "kind"), [("canonical", "P1"), ("canonical", "P3"), ("ds3_released", "A15"), ("ds3_paper", "A15")]
)
def test_published_operating_points(profile, kind):
    assert [(point.frequency, point.voltage) for point in points_of(profile, kind)] == SOCRATES


@pytest.mark.parametrize("profile", ["ds3_released", "ds3_paper"])
def test_published_powers_by_active_cores(profile):
    powers = {
        (kind, point.frequency): point.power
        for kind in ("A7", "A15")
        for point in points_of(profile, kind)
        if point.power
    }
    assert powers == {
        ("A7", 1000): (0.19, 0.29, 0.35, 0.40),
        ("A7", 1400): (0.39, 0.59, 0.72, 0.81),
        ("A15", 1000): (0.85, 1.30, 1.58, 1.78),
        ("A15", 2000): (3.32, 5.05, 6.15, 6.91),
    }
    assert [point.frequency for point in points_of(profile, "A7")] == [600, 800, 1000, 1200, 1400]
    assert points_of(profile, "FFT") == ()


def test_times_and_powers_by_hand():
    slower = at_frequency(INSTANCE, {"core": 500, "vector": 800})
    # core: measured 1.5 / 6 W; vector: 0.75^2 * 0.8 = 0.45.
    assert slower.chip.active_power.tolist() == pytest.approx([0.75, 0.75, 0.9, 5.0])
    assert slower.job_types[0].times.tolist() == [[8, 8, 10, np.inf], [12, 12, 2.5, 1]]
    assert slower.chip.idle_power.tolist() == [0.25, 0.25, 0.5, 0.0]
    assert at_frequency(INSTANCE, {"core": 1000}).job_types[0].times.tolist() == JOB.times.tolist()


def test_lowering_twice_is_lowering_once():
    twice, once = (at_frequency(at_frequency(INSTANCE, {"vector": f}), {"vector": 400}) for f in (800, 1000))
    np.testing.assert_allclose(twice.chip.active_power, once.chip.active_power)
    np.testing.assert_allclose(twice.job_types[0].times, once.job_types[0].times)
    # 0.5^2 * 0.4 of 2 W, at 2.5 times the time
    assert once.chip.active_power[2] == pytest.approx(0.2)
    assert once.job_types[0].times[:, 2].tolist() == [20, 5]
    with pytest.raises(UsageError, match=r"no operating point at 800 MHz; it has 400$"):
        at_frequency(once, {"vector": 800})


@pytest.mark.parametrize(
    ("frequencies", "expected"),
    [
        ({"gpu": 500}, "chip three has no kind 'gpu' of processors; it has core, vector, fixed"),
        ({"core": 700}, "kind core of chip three has no operating point at 700 MHz; it has 500, 1000"),
        ({"fixed": 700}, "kind fixed of chip three has no operating point at 700 MHz; it has none"),
    ],
)
def test_what_the_chip_cannot_do(frequencies, expected):
    with pytest.raises(UsageError) as error:
        at_frequency(INSTANCE, frequencies)
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (((MEASURED[1], MEASURED[0]),) * 2, "expected increasing ones"),
        (((OperatingPoint(500, power=(1.0,)),),) * 2, "has 1 powers at 500 MHz; expected one for each number"),
        (
            ((OperatingPoint(500), OperatingPoint(600, 900)),) * 2,
            "neither voltage nor power in common at 500 and at 600",
        ),
        (((),), "has 1 entries; expected one for each of 2 processors"),
    ],
)
def test_operating_points_that_do_not_fit(points, expected):
    with pytest.raises(UsageError, match=expected):
        make_chip("two", ("p", "q"), kinds=("k", "k"), operating_points=points)


def test_an_operating_point_of_nothing():
    with pytest.raises(UsageError, match="voltage of an operating point is 0"):
        OperatingPoint(500, 0)


def test_dynamic_power_is_near_what_was_measured():
    """From the highest frequency to 1000 MHz the formula says 0.539 * 0.5 = 0.270 for A15, measured is 0.258."""
    released = load_profile("ds3_released")
    chip = at_frequency(released, {"A7": 1000, "A15": 1000}).chip
    assert chip.active_power[:8].tolist() == pytest.approx([0.40 / 4] * 4 + [1.78 / 4] * 4)
    unmeasured = tuple(tuple(replace(point, power=()) for point in points) for points in released.chip.operating_points)
    formula = at_frequency(
        replace(released, chip=replace(released.chip, operating_points=unmeasured)), {"A7": 1000, "A15": 1000}
    ).chip
    assert formula.active_power[4:8].tolist() == pytest.approx([(1000 / 1362) ** 2 * 0.5 * 6.91 / 4] * 4)
    ratio = formula.active_power[[0, 4]] / chip.active_power[[0, 4]]
    assert ratio.tolist() == pytest.approx([1.132, 1.046], abs=0.001)


def test_energy_of_a_schedule_over_frequencies():
    """HEFT's canonical schedule keeps busy times; at half the frequency it is slower and needs less energy."""
    fast = replace(single_job("canonical", "Top_1"), whole_ticks=False)
    slow = at_frequency(fast, dict.fromkeys(("P1", "P2", "P3"), 1000))
    before, after = (metrics(each, heft(each)) for each in (fast, slow))
    assert before["makespan"] == 80
    assert before["energy"] == 13 + 5 + 8 + 16 + 12 + 7 + 9 + 19 + 10 + 11  # 1 W for each running PE
    assert after["makespan"] > before["makespan"]
    trace = heft(fast)
    same = static_trace(slow, [trace.processor[np.argsort(trace.task)]], [2 * trace.start[np.argsort(trace.task)]])
    # twice the time at (1000 / 1362)^2 / 2 of the power
    assert metrics(slow, same)["energy"] == pytest.approx((1000 / 1362) ** 2 * before["energy"])


def test_the_exact_reference_at_half_the_frequency():
    """Without transfers everything scales."""
    chip = replace(CHIP, bandwidth=np.full((4, 4), np.inf))
    kinds = {"core": 500}
    job = JobType("alone", ("x",), [[4, 4, np.inf, np.inf]], [], [], [])
    result = cp_sat(workers=1)(at_frequency(SocInstance("alone", chip, (job,)), kinds))
    assert result.objective == 8


def test_cluster_energy_by_hand():
    # Cores: a 0-4, b 2-8, both idle to 10; vector 0-2; fixed 9-10.
    job = JobType(
        "four", ("a", "b", "c", "d"), np.diag([4.0, 6.0, 2.0, 1.0]) + np.where(np.eye(4), 0, np.inf), [], [], []
    )
    instance = SocInstance("four", CHIP, (job,))
    trace = static_trace(instance, [np.arange(4)], [np.array([0.0, 2.0, 0.0, 9.0])])
    cores = 4.0 * 2 + 6.0 * 2 + 4.0 * 4 + 0.5 * 2
    others = 2.0 * 2 + 0.5 * 8 + 5.0 * 1
    assert cluster_energy(instance, trace) == cores + others
    # at 500 MHz with the same runs the cores take 1 and 1.5 W
    slow = at_frequency(instance, {"core": 500})
    assert cluster_energy(slow, trace) == 1.0 * 2 + 1.5 * 2 + 1.0 * 4 + 0.5 * 2 + others
    # of a stream nothing counts after the window
    stream = replace(instance, arrivals=Arrivals("open", window=3.0), objective="mean_latency")
    assert cluster_energy(stream, trace) == 4.0 * 2 + 6.0 * 1 + 2.0 * 2 + 0.5 * 1


def test_cluster_energy_without_measurements_is_that_of_the_metrics():
    instance = single_job("canonical", "Top_3")
    trace = heft(instance)
    assert cluster_energy(instance, trace) == pytest.approx(metrics(instance, trace)["energy"])
