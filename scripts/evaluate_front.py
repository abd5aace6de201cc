"""Measures rules, solvers, checkpoints and ONNX dispatchers under many preferences between several objectives.

    python scripts/evaluate_front.py benchmark=offload_published 'methods=["rule:greedy","solver:random_cloud"]'
    python scripts/evaluate_front.py methods=[rule:greedy,checkpoint:checkpoints/offload/default] preferences=101
    python scripts/evaluate_front.py benchmark=offload_generalisation preferences=21 instances_per_group=20

Every method runs on the same episodes under the same preferences; a group of the benchmark (a system) gives a front.
``output`` gets the runs, points.csv (a row a preference), hypervolume.csv (a row a front) and pictures; a second run
with the same output does only what is missing. All options and what they mean: conf/evaluate_front.yaml.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from agents.evaluation.front_runner import (
    FrontStore,
    FrontSummary,
    earlier_points,
    point_rows,
    run_fronts,
    summarise_fronts,
    volume_rows,
)
from agents.evaluation.methods import build_methods
from agents.evaluation.plots import front_plot
from agents.evaluation.rows import ResultRow, merge, read_csv, write_csv
from agents.evaluation.runner import Origin, progress_bar
from agents.provenance import command_line, git_revision
from envs.core import Benchmark, ProblemDefinition, TradeOff, UsageError, problem
from envs.core.errors import exit_on_usage_error
from envs.core.files import write_text
from envs.core.trade_off import Weights, check_weights
from scripts.evaluate import entries, load_benchmark, number, whole
from scripts.hydra_command import run_command


def main() -> None:
    """Runs the command line."""
    run_command("evaluate_front", _hydra_main)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="evaluate_front")
def _hydra_main(config: DictConfig) -> None:
    settings = OmegaConf.to_container(config, resolve=True)
    assert isinstance(settings, dict)
    exit_on_usage_error(lambda: run({str(key): value for key, value in settings.items()}))


def run(settings: Mapping[str, Any]) -> None:
    """Measures as the settings of conf/evaluate_front.yaml say; nothing is written before all of them are checked."""
    definition = problem(str(settings["benchmark"]["problem"]))
    trade_off = definition.trade_off
    if trade_off is None:
        raise UsageError(f"benchmark.problem is {definition.name}, which has one objective; expected several")
    benchmark = _select(load_benchmark(definition, settings["benchmark"], settings["instances"]), settings)
    weights = _weights(trade_off, benchmark, settings["preferences"])
    lanes, seed = whole("lanes", settings["lanes"]), whole("seed", settings["seed"])
    methods = build_methods(definition, entries("methods", settings["methods"]), settings["options"], lanes)
    for method in methods:
        for instance in benchmark.instances:
            method.check(instance)
    baseline = methods[0].name if settings["baseline"] is None else str(settings["baseline"])
    if baseline not in {method.name for method in methods}:
        known = ", ".join(method.name for method in methods)
        raise UsageError(f"baseline is {baseline!r}; expected one of the methods {known}")
    confidence, resamples = number("confidence", settings["confidence"]), whole("resamples", settings["resamples"])
    if not 0.0 < confidence < 1.0 or resamples < 1:
        raise UsageError(f"confidence and resamples are {confidence} and {resamples}; expected 0 to 1 and at least 1")
    merged = {name: _earlier(settings[f"csv_{name}"]) for name in ("points", "hypervolume")}
    names = [instance.name for instance in benchmark.instances]
    setting = {"instances": names, "weights": weights, "seed": seed, "problem": definition.name}
    store = FrontStore(Path(settings["output"]), setting, resume=bool(settings["resume"]))

    origin = Origin(git_revision(), command_line(sys.argv))

    with progress_bar(len(methods) * len(weights) * len(names), True) as advance:
        runs = run_fronts(trade_off, benchmark, methods, weights, seed, store, origin, advance=advance)
    points = point_rows(trade_off, benchmark, runs, weights, seed)
    replaced = {row.key for row in points}
    others = [row for row in merged["points"] if row.key not in replaced]
    earlier = earlier_points(trade_off, benchmark, others, seed)
    comparison = {"baseline": baseline, "confidence": confidence, "resamples": resamples}
    summaries = summarise_fronts(trade_off, benchmark, runs, weights, earlier=earlier, **comparison)
    criteria = [criterion.name for criterion in trade_off.criteria(benchmark.instances[0])]
    rows = {
        "points": points,
        "hypervolume": volume_rows(summaries, seed, criteria),
    }
    for name, own in rows.items():
        write_csv(store.folder / f"{name}.csv", own)
        if settings[f"csv_{name}"]:
            write_csv(settings[f"csv_{name}"], merge(merged[name], own))
    _draw(trade_off, benchmark, summaries, store.folder)
    _print(definition, summaries, baseline)


def _select(benchmark: Benchmark, settings: Mapping[str, Any]) -> Benchmark:
    """Keeps the groups, and the first instances of each, that the settings ask for."""
    known: dict[str, list[str]] = {}
    for instance in benchmark.instances:
        known.setdefault(benchmark.groups.get(instance.name, benchmark.name), []).append(instance.name)
    groups = list(known) if settings["groups"] is None else entries("groups", settings["groups"])
    for group in groups:
        if group not in known:
            raise UsageError(f"groups names {group!r}; benchmark {benchmark.name} has {', '.join(known)}")
    limit = settings["instances_per_group"]
    if limit is not None and whole("instances_per_group", limit) < 1:
        raise UsageError(f"instances_per_group is {limit}; expected at least 1")
    return benchmark.select([name for group in groups for name in known[group][:limit]])


def _weights(trade_off: TradeOff, benchmark: Benchmark, preferences: Any) -> tuple[Weights, ...]:
    count = len(trade_off.criteria(benchmark.instances[0]))
    if isinstance(preferences, list):
        if not preferences or not all(isinstance(weights, list) for weights in preferences):
            raise UsageError(f"preferences is {preferences}; expected a number, or lists of weights")
        return tuple(check_weights("preferences", weights, count) for weights in preferences)
    wanted = whole("preferences", preferences)
    if wanted < 1:
        raise UsageError(f"preferences is {wanted}; expected at least 1")
    spread = trade_off.spread(wanted)
    return tuple(check_weights("preferences", (*weights, *[0.0] * (count - len(weights))), count) for weights in spread)


def _earlier(path: str | None) -> list[ResultRow]:
    return read_csv(path) if path and Path(path).exists() else []


def _draw(trade_off: TradeOff, benchmark: Benchmark, summaries: Sequence[FrontSummary], folder: Path) -> None:
    examples = {benchmark.groups.get(i.name, benchmark.name): i for i in benchmark.instances}
    for group, example in examples.items():
        own = [summary for summary in summaries if summary.run.group == group]
        write_text(folder / f"front_{group}.svg", front_plot(own, trade_off.criteria(example)))


def _print(definition: ProblemDefinition, summaries: Sequence[FrontSummary], baseline: str) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=180)
    table = Table("group", "method", "hypervolume", "interval", f"ratio to {baseline}", "interval")
    for name in ("expected utility", "cardinality", "distance to the best front", "s / episode"):
        table.add_column(name)
    for s in summaries:
        volume, ratio = s.hypervolume, s.ratio
        table.add_row(
            s.run.group,
            str(s.run.key),
            f"{volume.estimate:.2f}",
            f"{volume.low:.2f} to {volume.high:.2f}",
            f"{ratio.estimate:.4f}" if ratio else "-",
            f"{ratio.low:.4f} to {ratio.high:.4f}" if ratio else "-",
            f"{s.expected_utility:.3f}",
            str(s.cardinality),
            f"{s.distance:.4f}",
            f"{s.run.seconds / s.run.objective.size:.3g}",
        )
    console.print(table)
    units = " x ".join(criterion.unit for criterion in definition.bind({}).criteria)
    unit = definition.trade_off.volume_unit if definition.trade_off else 1.0
    console.print(f"hypervolume in {unit:g} {units}; larger is better")


if __name__ == "__main__":
    main()
