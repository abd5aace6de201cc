"""Runs methods under many preferences, and sums their fronts up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluation.fronts import best_known, expected_utility, hypervolume, inverted_generational_distance
from agents.evaluation.fronts import non_dominated as non_dominated_points
from agents.evaluation.method import Method
from agents.evaluation.rows import ResultRow
from agents.evaluation.runner import Origin
from agents.evaluation.statistics import Interval
from agents.evaluation.summary import MethodKey
from envs.core import Benchmark, TradeOff, UsageError
from envs.core.files import atomic_path
from envs.core.trade_off import Weights

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FrontRun:
    """What one method cost on the instances of one group under every preference.

    Attributes:
        key: The method.
        group: The group, whose instances run on one system.
        costs: ``(preferences, instances, criteria)`` costs by the independent verifier.
        objective: ``(preferences, instances)`` weighted costs.
        seconds: Wall time of all runs together.
        decisions: Decisions of all runs together; 0 for a solver.
        origin: Program and command that made the runs; "unknown" where the file of an earlier call does not say.
    """

    key: MethodKey
    group: str
    costs: Floats
    objective: Floats
    seconds: float
    decisions: int
    origin: Origin

    @property
    def points(self) -> Floats:
        """``(preferences, criteria)`` mean costs."""
        return np.asarray(self.costs.mean(axis=1))


@dataclass(frozen=True)
class FrontSummary:
    """What is said of one method's front on one group.

    Attributes:
        run: The runs.
        reference_point: Costs that the hypervolume is taken against.
        hypervolume: With the bootstrap interval over instances.
        ratio: To the baseline's hypervolume on the same instances; None without a baseline, and where the baseline has
            no volume on some resampled instances.
        expected_utility: See `agents.evaluation.fronts.expected_utility`.
        cardinality: Points that no other point of the front dominates.
        distance: Inverted generational distance to the best known front of the group.
    """

    run: FrontRun
    reference_point: tuple[float, ...]
    hypervolume: Interval
    ratio: Interval | None
    expected_utility: float
    cardinality: int
    distance: float


class FrontStore:
    """The finished runs of one output folder, a file a method and group; a run is there whole or not at all.

    Args:
        folder: The folder; made with the first run.
        setting: What all runs of the folder have in common; runs of another setting are refused.
        resume: Keep the runs that are there.
    """

    def __init__(self, folder: Path, setting: Mapping[str, Any], *, resume: bool = True) -> None:
        """Finds the runs of an earlier call."""
        self.folder = folder
        self._setting = repr(sorted(setting.items()))
        self._resume = resume

    def load(self, key: MethodKey, group: str) -> FrontRun | None:
        """Returns a run, None if it has not been made.

        Raises:
            UsageError: The folder holds it for other instances, preferences or seeds.
        """
        path = self._path(key, group)
        if not self._resume or not path.exists():
            return None
        with np.load(path, allow_pickle=False) as file:
            if str(file["setting"]) != self._setting:
                raise UsageError(
                    f"{path} was made with other instances, preferences or seeds; expected another output folder, or "
                    "resume=false"
                )
            numbers = float(file["seconds"]), int(file["decisions"])
            origin = Origin(str(file.get("git_revision", "unknown")), str(file.get("command", "unknown")))
            return FrontRun(key, group, file["costs"], file["objective"], *numbers, origin)

    def save(self, run: FrontRun) -> None:
        """Keeps a run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self._path(run.key, run.group)) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(
                handle,
                setting=self._setting,
                costs=run.costs,
                objective=run.objective,
                seconds=run.seconds,
                decisions=run.decisions,
                git_revision=run.origin.git_revision,
                command=run.origin.command,
            )

    def _path(self, key: MethodKey, group: str) -> Path:
        from hashlib import sha256

        return self.folder / f"front_{sha256(repr((tuple(key), group)).encode()).hexdigest()[:16]}.npz"


def run_fronts(
    trade_off: TradeOff,
    benchmark: Benchmark,
    methods: Sequence[Method],
    weights: Sequence[Weights],
    seed: int,
    store: FrontStore,
    origin: Origin,
    *,
    advance: Callable[[str, int], None] = lambda text, count: None,
) -> list[FrontRun]:
    """Runs every method on every instance under every preference, what the store does not hold yet.

    Everything is paired: a seed and an instance are the same for all methods and preferences.

    Args:
        trade_off: The problem's objectives.
        benchmark: Instances; those of a group run on one system.
        methods: What to run.
        weights: Preferences.
        seed: Seed of the methods that draw.
        store: Where runs are kept.
        origin: What new runs say about where they come from.
        advance: Called with a method's name and the number of runs that came out.
    """
    groups: dict[str, list[Any]] = {}
    for instance in benchmark.instances:
        groups.setdefault(benchmark.groups.get(instance.name, benchmark.name), []).append(instance)
    runs = []
    for method in methods:
        key = MethodKey(method.name, method.kind, method.variant)
        for group, instances in groups.items():
            run = store.load(key, group)
            if run is None:
                run = _run(trade_off, method, group, instances, weights, seed, origin, advance)
                store.save(run)
            runs.append(run)
    return runs


def _run(
    trade_off: TradeOff,
    method: Method,
    group: str,
    instances: Sequence[Any],
    weights: Sequence[Weights],
    seed: int,
    origin: Origin,
    advance: Callable[[str, int], None],
) -> FrontRun:
    asked = [trade_off.prefer(instance, own) for own in weights for instance in instances]
    places: dict[int, list[int]] = {}  # outcomes come in any order, and `prefer` may hand out one object twice
    for number, instance in enumerate(asked):
        places.setdefault(id(instance), []).append(number)
    criteria = len(trade_off.criteria(instances[0]))
    costs, objective = np.empty((len(asked), criteria)), np.empty(len(asked))
    seconds, decisions = 0.0, 0
    for outcomes in method.run(asked, [seed] * len(asked)):
        for outcome in outcomes:
            number = places[id(outcome.instance)].pop()
            costs[number] = trade_off.costs(outcome.instance, outcome.solution)
            objective[number] = outcome.objective
            seconds += outcome.wall_seconds
            decisions += outcome.decisions
        advance(f"{method.name} {group}", len(outcomes))
    if any(places.values()):
        raise RuntimeError(
            f"{method.name} left {sum(map(len, places.values()))} of {len(asked)} runs without an outcome"
        )
    shape = (len(weights), len(instances))
    key = MethodKey(method.name, method.kind, method.variant)
    return FrontRun(key, group, costs.reshape(*shape, criteria), objective.reshape(shape), seconds, decisions, origin)


def summarise_fronts(
    trade_off: TradeOff,
    benchmark: Benchmark,
    runs: Sequence[FrontRun],
    weights: Sequence[Weights],
    *,
    earlier: Mapping[str, Floats] | None = None,
    baseline: str | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> list[FrontSummary]:
    """Sums fronts up; methods are compared on the same resampled instances.

    Args:
        trade_off: The problem's objectives.
        benchmark: Where the instances come from.
        runs: What was run.
        weights: The preferences.
        earlier: ``(points, criteria)`` by group that earlier calls found, see `earlier_points`; they may be on the best
            known front.
        baseline: Method that hypervolumes are divided by.
        confidence: Coverage of the intervals.
        resamples: Bootstrap samples.
        seed: Seed of the resampling.
    """
    examples = {benchmark.groups.get(i.name, benchmark.name): i for i in reversed(benchmark.instances)}
    summaries = []
    for group in dict.fromkeys(run.group for run in runs):
        own = [run for run in runs if run.group == group]
        example = examples[group]
        reference = trade_off.reference_point(example)
        scales = [criterion.scale for criterion in trade_off.criteria(example)]
        found = [run.points for run in own]
        known = best_known([*found, earlier[group]] if earlier and group in earlier else found)
        drawn = {id(run): _resampled(run, reference, resamples, seed) / trade_off.volume_unit for run in own}
        whole = {id(run): hypervolume(run.points, reference) / trade_off.volume_unit for run in own}
        base = next((run for run in own if run.key.method == baseline), None)
        for run in own:
            ratio = None
            if base is not None and whole[id(base)] > 0.0 and drawn[id(base)].all():
                ratio = _interval(whole[id(run)] / whole[id(base)], drawn[id(run)] / drawn[id(base)], confidence)
            summaries.append(
                FrontSummary(
                    run,
                    reference,
                    _interval(whole[id(run)], drawn[id(run)], confidence),
                    ratio,
                    expected_utility(run.points, np.array(weights), scales),
                    int(non_dominated_points(run.points).sum()),
                    inverted_generational_distance(run.points, known),
                )
            )
    return summaries


def _resampled(run: FrontRun, reference: Sequence[float], resamples: int, seed: int) -> Floats:
    """Hypervolumes over instances drawn with replacement, the same draws for every run of as many instances."""
    random = np.random.default_rng(seed)
    count = run.costs.shape[1]
    times = np.stack([np.bincount(random.integers(0, count, count), minlength=count) for _ in range(resamples)])
    means = np.tensordot(times / count, run.costs, axes=(1, 1))
    return np.array([hypervolume(points, reference) for points in means])


def _interval(estimate: float, draws: Floats, confidence: float) -> Interval:
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(draws, [tail, 100.0 - tail])
    return Interval(float(estimate), float(low), float(high))


def point_rows(
    trade_off: TradeOff,
    benchmark: Benchmark,
    runs: Sequence[FrontRun],
    weights: Sequence[Weights],
    seed: int,
) -> list[ResultRow]:
    """Returns a row a group, method and preference: the mean weighted cost, with every mean cost and standard error."""
    examples = {benchmark.groups.get(i.name, benchmark.name): i for i in benchmark.instances}
    rows = []
    for run in runs:
        criteria = trade_off.criteria(examples[run.group])
        count = run.costs.shape[1]
        for k, own in enumerate(weights):
            metrics: dict[str, float] = {"instances": float(count)}
            for d, criterion in enumerate(criteria):
                metrics[criterion.name] = float(run.costs[k, :, d].mean())
                metrics[f"{criterion.name}_error"] = float(run.costs[k, :, d].std(ddof=min(1, count - 1)) / count**0.5)
            told = "weights=" + "/".join(f"{weight:.6g}" for weight in own)
            variant = f"{run.key.variant};{told}" if run.key.variant else told
            share = run.seconds / run.objective.size
            rows.append(_row(run, variant, seed, float(run.objective[k].mean()), share, metrics))
    return rows


def earlier_points(
    trade_off: TradeOff, benchmark: Benchmark, rows: Sequence[ResultRow], seed: int
) -> dict[str, Floats]:
    """Returns the points of rows of an earlier call by group: of the same groups, seed and number of instances.

    Args:
        trade_off: The problem's objectives.
        benchmark: The instances of the present call.
        rows: Rows of `point_rows`.
        seed: Seed of the present call.
    """
    groups = [benchmark.groups.get(instance.name, benchmark.name) for instance in benchmark.instances]
    found: dict[str, list[list[float]]] = {}
    for row in rows:
        if row.seed == seed and row.instance in groups and row.metrics.get("instances") == groups.count(row.instance):
            names = [c.name for c in trade_off.criteria(benchmark.instances[groups.index(row.instance)])]
            if row.metrics.keys() >= set(names):
                found.setdefault(row.instance, []).append([row.metrics[name] for name in names])
    return {group: np.array(points) for group, points in found.items()}


def volume_rows(summaries: Sequence[FrontSummary], seed: int, names: Sequence[str]) -> list[ResultRow]:
    """Returns a row a group and method whose objective is the hypervolume: larger is better.

    Args:
        summaries: The fronts.
        seed: Seed of the runs.
        names: Names of the criteria.
    """
    rows = []
    for summary in summaries:
        metrics = {"low": summary.hypervolume.low, "high": summary.hypervolume.high}
        if summary.ratio is not None:
            metrics |= dict(zip(("ratio", "ratio_low", "ratio_high"), summary.ratio, strict=True))
        metrics |= {
            "expected_utility": summary.expected_utility,
            "cardinality": float(summary.cardinality),
            "distance": summary.distance,
            "preferences": float(len(summary.run.points)),
            "instances": float(summary.run.costs.shape[1]),
        }
        metrics |= {f"reference_{name}": value for name, value in zip(names, summary.reference_point, strict=False)}
        share = summary.run.seconds / summary.run.objective.size
        run = summary.run
        rows.append(_row(run, run.key.variant, seed, summary.hypervolume.estimate, share, metrics))
    return rows


def _row(
    run: FrontRun,
    variant: str,
    seed: int,
    objective: float,
    seconds: float,
    metrics: Mapping[str, float],
) -> ResultRow:
    decisions = round(run.decisions / run.objective.size)
    return ResultRow(
        instance=run.group,
        method=run.key.method,
        kind=run.key.kind,
        variant=variant,
        seed=seed,
        objective=objective,
        reference=None,
        reference_source="",
        reference_is_bound=False,
        gap_percent=None,
        wall_seconds=round(seconds, 6),
        decisions=decisions,
        ms_per_decision=round(1000.0 * run.seconds / run.decisions, 6) if run.decisions else None,
        verified=True,
        git_revision=run.origin.git_revision,
        command=run.origin.command,
        metrics={name: round(value, 6) for name, value in metrics.items()},
    )
