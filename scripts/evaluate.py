"""Measures rules, solvers, checkpoints and ONNX dispatchers on a benchmark.

    python scripts/evaluate.py benchmark=taillard methods=[rule:spt_mwkr,rule:mwkr]
    python scripts/evaluate.py benchmark=taillard_small 'methods=["rule:all","solver:cp_sat;time_limit=10;workers=2"]'
    python scripts/evaluate.py 'methods=["rule:spt_mwkr_squared;noise=0.5;samples=128"]' options.builder=non_delay
    python scripts/evaluate.py 'methods=["checkpoint:checkpoints/job_shop/default;samples=128"]' instances=[ta01,ta02]

A method with ``;`` or ``=`` stands in double quotes inside the single quotes that keep the shell away. Rows go to
``output`` as rows.csv and rows.parquet, with report.html; a second run with the same output does only what is missing.
All options and what they mean: conf/evaluate.yaml.
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

from agents.evaluation.method import Method
from agents.evaluation.methods import build_methods
from agents.evaluation.report import ChartFolder, ReportSettings, statement, write_report
from agents.evaluation.rows import ResultRow, ResultStore, merge, read_csv, write_csv
from agents.evaluation.runner import Origin, evaluate, refer
from agents.evaluation.seeds import SeedSummary, signed, stochastic_rows, summarise_seeds
from agents.evaluation.summary import MethodKey, group_names, summarise
from agents.provenance import command_line, git_revision
from envs.core import Benchmark, ProblemDefinition, UsageError, problem
from envs.core.errors import exit_on_usage_error
from scripts.hydra_command import run_command


def main() -> None:
    """Runs the command line."""
    run_command("evaluate", _hydra_main)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="evaluate")
def _hydra_main(config: DictConfig) -> None:
    settings = OmegaConf.to_container(config, resolve=True)
    assert isinstance(settings, dict)
    exit_on_usage_error(lambda: run({str(key): value for key, value in settings.items()}))


def run(settings: Mapping[str, Any]) -> None:
    """Evaluates as the settings of conf/evaluate.yaml say; nothing is written before all of them are checked."""
    definition = problem(str(settings["benchmark"]["problem"]))
    benchmark = load_benchmark(definition, settings["benchmark"], settings["instances"])
    names = [instance.name for instance in benchmark.instances]
    methods = build_methods(
        definition, entries("methods", settings["methods"]), settings["options"], whole("lanes", settings["lanes"])
    )
    seeds = [whole("seeds", seed) for seed in entries("seeds", settings["seeds"])]
    store = ResultStore(settings["output"], resume=bool(settings["resume"]))
    earlier = read_csv(settings["csv"]) if settings["csv"] and Path(settings["csv"]).exists() else []
    report = _report_settings(settings, methods, store)
    drawn = [str(name) for name in entries("charts", settings["charts"] or names[:1])]
    for name in drawn:
        if name not in names:
            raise UsageError(f"charts names {name!r}, which is not among the instances {', '.join(names)}")
    charts = ChartFolder(store.folder / "charts", definition, drawn, seeds[0] if seeds else None)

    before = len(store.rows)
    origin = Origin(git_revision(), command_line(sys.argv))
    watch = charts.watch if settings["report"] else None
    evaluate(benchmark, methods, seeds, store, origin, watch=watch, progress=True)
    if settings["csv"]:
        known = [refer(row, benchmark) if row.instance in names else row for row in earlier]
        write_csv(settings["csv"], merge(known, _rows_of(methods, benchmark, store)))
    if settings["report"]:
        path = store.folder / "report.html"
        write_report(path, definition, benchmark, store.rows, charts.charts(store.rows), report)
    _print(definition, benchmark, _rows_of(methods, benchmark, store), report)
    print(f"{len(store.rows) - before} new rows, {before} there before, in {store.folder}")


def load_benchmark(
    definition: ProblemDefinition, choice: Mapping[str, Any], instances: Sequence[str] | None
) -> Benchmark:
    """Returns the benchmark of the configuration group ``benchmark``, cut down to the named instances.

    Raises:
        UsageError: There is no such benchmark, instance or file.
    """
    name = str(choice["name"])
    if "files" in choice:
        paths = [Path(str(path)) for path in entries("benchmark.files", choice["files"])]
        if not paths:
            raise UsageError("benchmark.files is empty; expected the paths of instance files")
        benchmark = Benchmark(name, tuple(definition.read_instance(path) for path in paths))
    elif name in definition.benchmarks:
        benchmark = definition.benchmarks[name]()
    else:
        known = ", ".join(definition.benchmarks)
        raise UsageError(f"benchmark.name is {name!r}; {definition.name} has {known}")
    for selection in (choice["instances"], instances):
        if selection is not None:
            benchmark = benchmark.select([str(entry) for entry in entries("instances", selection)])
    if not benchmark.instances:
        raise UsageError("instances is empty; expected at least one name")
    return benchmark


def _report_settings(settings: Mapping[str, Any], methods: Sequence[Method], store: ResultStore) -> ReportSettings:
    baseline = settings["baseline"]
    known = dict.fromkeys([*(method.name for method in methods), *(row.method for row in store.rows)])
    if baseline is not None and baseline not in known:
        raise UsageError(f"baseline is {baseline!r}; expected one of the methods {', '.join(known)}")
    return ReportSettings(
        baseline, number("confidence", settings["confidence"]), whole("resamples", settings["resamples"])
    )


def _rows_of(methods: Sequence[Method], benchmark: Benchmark, store: ResultStore) -> list[ResultRow]:
    """The rows of this run, method by method and instances in the order of the benchmark."""
    order = {MethodKey(m.name, m.kind, m.variant): i for i, m in enumerate(methods)}
    position = {instance.name: i for i, instance in enumerate(benchmark.instances)}

    def rank(row: ResultRow) -> tuple[int, int, int]:
        return order[MethodKey(row.method, row.kind, row.variant)], row.seed, position[row.instance]

    rows = [r for r in store.rows if MethodKey(r.method, r.kind, r.variant) in order and r.instance in position]
    return sorted(rows, key=rank)


def _print(
    definition: ProblemDefinition, benchmark: Benchmark, rows: Sequence[ResultRow], settings: ReportSettings
) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=180)
    names = [instance.name for instance in benchmark.instances]
    groups = group_names(benchmark.groups, names)
    baseline = settings.baseline if settings.baseline in {row.method for row in rows} else None
    summaries = summarise(
        rows, benchmark.groups, baseline=baseline, confidence=settings.confidence, resamples=settings.resamples
    )
    drawn = stochastic_rows(rows, benchmark.instances, definition.stochastic)
    seeds = summarise_seeds(drawn, baseline=baseline, confidence=settings.confidence, resamples=settings.resamples)
    if seeds:
        console.print(_seed_table(definition, seeds, settings.confidence))
    if not summaries and len(drawn) < len(rows):
        table = Table("instance", "method", "variant", "seed", definition.objective_name, "s")
        for row in (row for row in rows if row not in drawn):
            table.add_row(
                row.instance, row.method, row.variant, str(row.seed), f"{row.objective:g}", f"{row.wall_seconds:.3g}"
            )
        console.print(table)
    elif summaries:
        level = f"{100 * settings.confidence:g} % interval"
        table = Table("method", "variant", *(group or "all" for group in groups), "mean", level, "s / instance")
        for s in sorted(summaries, key=lambda summary: summary.mean.estimate):
            cells = [f"{s.group_gaps[group]:.1f}" if group in s.group_gaps else "-" for group in groups]
            interval = f"{s.mean.low:.1f} to {s.mean.high:.1f}"
            table.add_row(s.key.method, s.key.variant, *cells, f"{s.mean.estimate:.2f}", interval, f"{s.seconds:.3g}")
        console.print(table)
    console.print(statement(definition, benchmark, names))


def _seed_table(definition: ProblemDefinition, summaries: Sequence[SeedSummary], confidence: float) -> Table:
    """One line an instance and method, best mean first."""
    table = Table(
        "instance", "method", "variant", "seeds", definition.objective_name, f"{100 * confidence:g} % interval"
    )
    table.add_column("against the baseline")
    order = list(dict.fromkeys(s.instance for s in summaries))
    for s in sorted(summaries, key=lambda s: (order.index(s.instance), s.objective.estimate)):
        interval = f"{s.objective.low:.2f} to {s.objective.high:.2f}"
        difference = signed(s.difference, 2) if s.difference else "-"
        mean = f"{s.objective.estimate:.2f}"
        table.add_row(s.instance, s.key.method, s.key.variant, str(s.seeds), mean, interval, difference)
    return table


def entries(name: str, value: Any) -> list[Any]:
    """Returns a setting that may be a list or a single value as a list.

    Raises:
        UsageError: It is something else.
    """
    if value is None or isinstance(value, str | int | float | dict):
        value = [value]
    if not isinstance(value, list) or any(entry is None for entry in value):
        raise UsageError(f"{name} is {value}; expected a list")
    return value


def whole(name: str, value: Any) -> int:
    """Returns a setting that has to be a whole number.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{name} is {value!r}; expected a whole number")
    return value


def number(name: str, value: Any) -> float:
    """Returns a setting that has to be a number.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{name} is {value!r}; expected a number")
    return float(value)


if __name__ == "__main__":
    main()
