"""Fronts of several methods on systems whose points are known, and what is said of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from agents.evaluation.front_runner import (
    FrontStore,
    earlier_points,
    point_rows,
    run_fronts,
    summarise_fronts,
    volume_rows,
)
from agents.evaluation.fronts import hypervolume
from agents.evaluation.method import Method
from agents.evaluation.plots import front_plot
from agents.evaluation.runner import Origin
from agents.rollout import Outcome
from envs.core import Benchmark, Criterion, TradeOff, problem

ORIGIN = Origin("abc123", "python scripts/evaluate_front.py")
WEIGHTS = ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0))


@dataclass(frozen=True)
class Trip:
    """So many kilometres, to be driven at the speed that the preference asks for."""

    name: str
    kilometres: float
    preference: tuple[float, ...] = (0.5, 0.5)


def costs(trip, speed):
    """Hours and litres: a fast trip is short and thirsty."""
    return trip.kilometres / speed, trip.kilometres * speed


def prefer(trip, weights):
    """Hands out the very object that it was given where that has these weights already."""
    return trip if tuple(weights) == trip.preference else replace(trip, preference=tuple(weights))


TRADE_OFF = TradeOff(
    criteria=lambda trip: (Criterion("time", "h", 1.0), Criterion("fuel", "l", 0.5)),
    costs=costs,
    preference=lambda trip: trip.preference,
    prefer=prefer,
    spread=lambda count: WEIGHTS[:count],
    reference_point=lambda trip: (20.0, 40.0),
    volume_unit=10.0,
)
BENCHMARK = Benchmark(
    "trips",
    (Trip("a", 8.0), Trip("x", 6.0), Trip("b", 4.0), Trip("c", 12.0)),
    {},
    {"a": "flat", "b": "flat", "c": "flat", "x": "steep"},
)
MEAN = 8.0  # kilometres of a flat trip


@dataclass(frozen=True)
class Driver(Method):
    """Drives at a speed by the weight of the time; outcomes come back from the last to the first."""

    speeds: dict[float, float]
    calls: list[int]

    @property
    def stochastic(self) -> bool:
        return False

    def run(self, instances: Sequence[Any], seeds: Sequence[int]) -> Iterator[list[Outcome]]:
        self.calls.append(len(instances))
        for trip, seed in reversed(list(zip(instances, seeds, strict=True))):
            speed = self.speeds[trip.preference[0]]
            time, fuel = costs(trip, speed)
            objective = trip.preference[0] * time + trip.preference[1] * 0.5 * fuel
            yield [Outcome(trip, speed, objective, 2, 0.25, seed)]


def driver(name, fast=4.0, middle=2.0, slow=1.0):
    return Driver(name, "rule", "", problem("job_shop"), {1.0: fast, 0.5: middle, 0.0: slow}, [])


def run(folder, *methods, weights=WEIGHTS, origin=ORIGIN, benchmark=BENCHMARK):
    return run_fronts(TRADE_OFF, benchmark, methods, weights, 0, FrontStore(folder, {"weights": weights}), origin)


def summaries(runs, **arguments):
    arguments = {"baseline": "wise", "resamples": 40, **arguments}
    return summarise_fronts(TRADE_OFF, BENCHMARK, runs, WEIGHTS, **arguments)


def test_every_outcome_lands_at_its_preference_and_instance(tmp_path):
    method = driver("wise")
    flat, steep = run(tmp_path, method)
    assert (flat.group, steep.group) == ("flat", "steep")
    assert method.calls == [9, 3]  # all of a group at once
    assert flat.costs[..., 0].tolist() == [[2, 1, 3], [4, 2, 6], [8, 4, 12]]
    assert flat.costs[..., 1].tolist() == [[32, 16, 48], [16, 8, 24], [8, 4, 12]]
    assert flat.objective[1].tolist() == [6, 3, 9]
    assert flat.points.tolist() == [[MEAN / 4, MEAN * 4], [MEAN / 2, MEAN * 2], [MEAN, MEAN]]
    assert (flat.seconds, flat.decisions) == (9 * 0.25, 18)


def test_a_method_that_leaves_runs_out_is_a_fault(tmp_path):
    class Lazy(Driver):
        def run(self, instances, seeds):
            yield from list(super().run(instances, seeds))[1:]

    lazy = Lazy("lazy", "rule", "", problem("job_shop"), {1.0: 1.0, 0.5: 1.0, 0.0: 1.0}, [])
    with pytest.raises(RuntimeError, match="lazy left 1 of 9 runs without an outcome"):
        run(tmp_path, lazy)
    assert not list(tmp_path.iterdir())


def test_a_front_is_told_by_the_figures_of_its_points(tmp_path):
    runs = run(tmp_path, driver("wise"), driver("late", fast=2.0, slow=2.0))
    told = {(s.run.key.method, s.run.group): s for s in summaries(runs)}
    wise, late = told["wise", "flat"], told["late", "flat"]
    # (2, 32), (4, 16), (8, 8) below (20, 40): 12 x 32 + 4 x 24 + 2 x 8, in units of 10.
    assert wise.hypervolume.estimate == pytest.approx(49.6)
    assert late.hypervolume.estimate == pytest.approx(16 * 24 / 10)
    assert late.ratio is not None
    assert late.ratio.estimate == pytest.approx(384 / 496)
    assert (wise.cardinality, late.cardinality) == (3, 1)
    # Scaled: (2, 16), (4, 8), (8, 4); the best of each preference is 2, 6, 4.
    assert wise.expected_utility == pytest.approx(4.0)
    assert (wise.distance, told["wise", "steep"].distance) == (0.0, 0.0)
    # From (4, 16) to (2, 32), itself and (8, 8), where ranges are 6 and 24.
    assert late.distance == pytest.approx((np.hypot(1 / 3, 2 / 3) + np.hypot(2 / 3, 1 / 3)) / 3)


def test_methods_meet_the_same_resampled_instances(tmp_path):
    runs = run(tmp_path, driver("wise"), driver("twin"), driver("late", fast=2.0, slow=2.0))
    flat = {s.run.key.method: s for s in summaries(runs, resamples=200) if s.run.group == "flat"}
    assert flat["wise"].hypervolume.low < flat["wise"].hypervolume.estimate < flat["wise"].hypervolume.high
    assert flat["twin"].ratio == (1.0, 1.0, 1.0)
    # By hand: draws of three instances, both methods on the same ones.
    random = np.random.default_rng(0)
    ratios = []
    for _ in range(200):
        chosen = random.integers(0, 3, 3)
        wise, late = (next(r for r in runs if (r.group, r.key.method) == ("flat", name)) for name in ("wise", "late"))
        volumes = [hypervolume(r.costs[:, chosen].mean(axis=1), (20, 40)) for r in (late, wise)]
        ratios.append(volumes[0] / volumes[1])
    assert flat["late"].ratio is not None
    assert flat["late"].ratio[1:] == pytest.approx(np.percentile(ratios, [2.5, 97.5]))


def test_no_ratio_to_what_has_no_volume(tmp_path):
    runs = run(tmp_path, driver("wise"), driver("reckless", 10.0, 10.0, 10.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = summaries(runs, baseline="reckless")
    volumes = {(s.run.group, s.run.key.method): s.hypervolume.estimate for s in told}
    assert volumes["flat", "reckless"] == volumes["steep", "reckless"] == 0.0
    assert all(s.ratio is None for s in told)
    # A baseline with volume on the whole, and none on the longest trip drawn three times: 12 x 4 is above 40.
    runs = run(tmp_path / "narrow", driver("narrow", 4.0, 4.0, 4.0))
    flat = summaries(runs, baseline="narrow", resamples=400)[0]
    assert flat.hypervolume.estimate > 0.0 == flat.hypervolume.low
    assert flat.ratio is None


def test_points_of_earlier_calls_may_be_on_the_best_known_front(tmp_path):
    runs = run(tmp_path, driver("wise"))
    rows = point_rows(TRADE_OFF, BENCHMARK, runs, WEIGHTS, 0)
    found = earlier_points(TRADE_OFF, BENCHMARK, rows, 0)
    assert found["flat"].tolist() == [[2, 32], [4, 16], [8, 8]]
    late = run(tmp_path, driver("late", fast=2.0, slow=2.0))
    alone, beside = (summaries(late, baseline=None, earlier=earlier)[0] for earlier in (None, found))
    assert alone.distance == 0.0
    assert beside.distance == pytest.approx((np.hypot(1 / 3, 2 / 3) + np.hypot(2 / 3, 1 / 3)) / 3)
    # Other seeds, other numbers of instances, and rows without the costs are no points of this front.
    assert earlier_points(TRADE_OFF, BENCHMARK, rows, 1) == {}
    assert list(earlier_points(TRADE_OFF, BENCHMARK.select(["a", "b", "x"]), rows, 0)) == ["steep"]
    assert earlier_points(TRADE_OFF, BENCHMARK, [replace(row, metrics={"instances": 3.0}) for row in rows], 0) == {}


def test_rows_say_mean_costs_their_errors_and_the_reference_point(tmp_path):
    runs = run(tmp_path, driver("wise"))
    row = point_rows(TRADE_OFF, BENCHMARK, runs, WEIGHTS, 0)[1]
    assert (row.instance, row.method, row.variant) == ("flat", "wise", "weights=0.5/0.5")
    assert (row.objective, row.decisions, row.wall_seconds) == (6.0, 2, 0.25)
    assert row.metrics == {
        "instances": 3.0,
        "time": 4.0,
        "time_error": pytest.approx(2 / 3**0.5, abs=1e-6),
        "fuel": 16.0,
        "fuel_error": pytest.approx(8 / 3**0.5, abs=1e-6),
    }
    volume = volume_rows(summaries(runs), 0, ("time", "fuel"))[0]
    assert volume.objective == pytest.approx(49.6)
    assert (volume.metrics["reference_time"], volume.metrics["reference_fuel"]) == (20.0, 40.0)
    assert (volume.metrics["ratio"], volume.metrics["preferences"], volume.metrics["instances"]) == (1.0, 3.0, 3.0)


def test_a_kept_run_is_not_made_again_and_says_what_made_it(tmp_path):
    first = run(tmp_path, driver("wise"))
    again = driver("wise")
    later = Origin("def456", "another command")
    kept = run(tmp_path, again, driver("new"), origin=later)
    assert again.calls == []
    assert kept[0].costs.tolist() == first[0].costs.tolist()
    assert [r.origin for r in kept] == [ORIGIN, ORIGIN, later, later]
    rows = point_rows(TRADE_OFF, BENCHMARK, kept, WEIGHTS, 0)
    assert {(row.method, row.git_revision, row.command) for row in rows} == {
        ("wise", "abc123", ORIGIN.command),
        ("new", "def456", "another command"),
    }


def test_the_picture_is_a_file_of_its_own(tmp_path):
    runs = run(tmp_path, driver("wise"), driver("late", fast=2.0, slow=2.0))
    flat = [s for s in summaries(runs) if s.run.group == "flat"]
    text = front_plot(flat, TRADE_OFF.criteria(None))
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    for words in ("time, h", "fuel, l", "wise", "late", "flat; hypervolume against (20 h, 40 l)"):
        assert words in text
    assert front_plot(flat, TRADE_OFF.criteria(None)) == text
