"""Markdown tables for the documentation, made from committed result files."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.evaluation.rows import ResultRow
from agents.evaluation.summary import MethodSummary, group_names, summarise
from envs.core import Benchmark, UsageError

CATEGORIES = {
    "greedy": "One schedule, built decision by decision",
    "sampled": "Best of several sampled schedules",
    "improvement": "Learned improvement and search",
    "solver": "Solvers and heuristics that see the whole instance",
}
"""Categories in the order of the tables, with their headings."""

LITERATURE_COLUMNS = ("method", "category", "builder", "group", "gap_percent", "seconds", "source")


@dataclass(frozen=True)
class Entry:
    """One line of a table.

    Attributes:
        method: Name of the method.
        setting: Builder, samples, limits.
        category: Key of `CATEGORIES`.
        gaps: Mean gap in percent by group.
        mean: Mean gap over all instances, or None if some are missing.
        interval: Its 95 % interval, or None.
        seconds: Seconds an instance, or None.
        source: Where it was published, or None for a row of this repository.
    """

    method: str
    setting: str
    category: str
    gaps: Mapping[str, float]
    mean: float | None
    interval: tuple[float, float] | None
    seconds: float | None
    source: str | None


def read_literature(path: str | os.PathLike[str], groups: Mapping[str, str]) -> list[Entry]:
    """Reads published mean gaps: one row a method and group.

    Args:
        path: CSV file with the columns `LITERATURE_COLUMNS`.
        groups: Group of each instance of the benchmark; weighs the groups in the mean.

    Raises:
        UsageError: The columns, a category, a group or a number is wrong.
    """
    with Path(path).open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        if tuple(reader.fieldnames or ()) != LITERATURE_COLUMNS:
            raise UsageError(f"{path} has the columns {reader.fieldnames}; expected {', '.join(LITERATURE_COLUMNS)}")
        by_method: dict[tuple[str, str, str, str], list[dict[str, str]]] = {}
        for record in reader:
            where = f"{path}, line {reader.line_num}"
            if record["category"] not in CATEGORIES:
                raise UsageError(f"{where}: category is {record['category']!r}; expected {', '.join(CATEGORIES)}")
            if record["group"] not in groups.values():
                raise UsageError(f"{where}: group is {record['group']!r}; expected {_words(groups.values())}")
            key = (record["method"], record["category"], record["builder"], record["source"])
            by_method.setdefault(key, []).append(record)
    sizes = Counter(groups.values())
    return [_literature_entry(*key, records, sizes) for key, records in by_method.items()]


def entries(rows: Sequence[ResultRow], benchmark: Benchmark) -> list[Entry]:
    """Condenses this repository's rows; a group that a method has not finished counts as missing."""
    sizes = Counter(benchmark.groups.values())
    return [_own_entry(summary, benchmark, sizes) for summary in summarise(rows, benchmark.groups)]


def comparison_table(own: Sequence[Entry], literature: Sequence[Entry], benchmark: Benchmark) -> str:
    """One table a category: our rows in bold beside the published ones, best mean first.

    Of a rule that ran in several variants without sampling, the best variant is shown.
    """
    groups = group_names(benchmark.groups, [instance.name for instance in benchmark.instances])
    sources = list(dict.fromkeys(entry.source for entry in literature if entry.source))
    parts = []
    for category, heading in CATEGORIES.items():
        chosen = [entry for entry in [*_best_variants(own), *literature] if entry.category == category]
        if chosen:
            chosen.sort(key=lambda entry: np.inf if entry.mean is None else entry.mean)
            lines = [_line(entry, groups, sources) for entry in chosen]
            header = ["method", "setting", *groups, "mean", "95 % interval", "s / instance", "source"]
            parts.append(f"#### {heading}\n\n{markdown_table(header, lines)}")
    if sources:
        parts.append("Sources:\n\n" + "".join(f"- [{i}] {source}\n" for i, source in enumerate(sources, 1)))
    return "\n".join(parts)


def variant_table(own: Sequence[Entry]) -> str:
    """Mean gaps of the greedy methods by variant; empty if all ran in one variant."""
    greedy = [entry for entry in own if entry.category == "greedy"]
    variants = list(dict.fromkeys(entry.setting for entry in greedy))
    if len(variants) < 2:
        return ""
    means = {(entry.method, entry.setting): entry.mean for entry in greedy}
    methods = sorted(dict.fromkeys(entry.method for entry in greedy), key=lambda name: _least(means, name))
    lines = [[f"`{name}`", *(_gap(means.get((name, variant))) for variant in variants)] for name in methods]
    return markdown_table(["method", *(f"`{variant}`" for variant in variants)], lines)


def excess_table(rows: Sequence[ResultRow], benchmark: Benchmark) -> str:
    """Mean excess over the best objective that any row has, in percent, by method and group.

    This is for instances that have no reference value. A method is left out of groups that it has not run whole.
    """
    best: dict[str, float] = {}
    for row in rows:
        best[row.instance] = min(best.get(row.instance, np.inf), row.objective)
    groups = group_names(benchmark.groups, list(best))
    sizes = Counter(benchmark.groups.get(name, "") for name in best)
    excess: dict[tuple[str, str], dict[str, dict[str, list[float]]]] = {}
    for row in rows:
        of_method = excess.setdefault((row.method, row.variant), {})
        of_group = of_method.setdefault(benchmark.groups.get(row.instance, ""), {})
        of_group.setdefault(row.instance, []).append(100.0 * (row.objective / best[row.instance] - 1.0))
    lines = []
    for (method, variant), by_group in excess.items():
        means = {group: _grand_mean(each) for group, each in by_group.items() if len(each) == sizes[group]}
        cells = [_gap(means.get(group)) for group in groups or [""]]
        order = np.mean(list(means.values())) if means else np.inf
        lines.append((order, [f"`{method}`", f"`{variant}`" if variant else "", *cells]))
    lines.sort(key=lambda line: line[0])
    return markdown_table(["method", "setting", *(groups or ["mean"])], [line for _, line in lines])


def aggregate_table(rows: Sequence[ResultRow], benchmark: Benchmark) -> str:
    """Sum of the objectives over that of the reference values, less 1, in percent, by method and group.

    It counts instances whose best value is zero, for which a gap of their own is undefined. A method is left out of
    groups that it has not run whole.
    """
    known = {name: reference.value for name, reference in benchmark.references.items()}
    names = [instance.name for instance in benchmark.instances if instance.name in known]
    groups = group_names(benchmark.groups, names)
    members = {group: [name for name in names if benchmark.groups.get(name, "") == group] for group in groups}
    objectives: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        objectives.setdefault((row.method, row.variant), {}).setdefault(row.instance, []).append(row.objective)
    lines = []
    for (method, variant), of_instance in objectives.items():
        sums = [
            None if any(name not in of_instance for name in chosen) else _excess(of_instance, known, chosen)
            for chosen in (*(members[group] for group in groups), names)
        ]
        cells = ["" if value is None else f"{value:.2f}" for value in sums]
        order = np.inf if sums[-1] is None else sums[-1]
        lines.append((order, [f"`{method}`", f"`{variant}`" if variant else "", *cells]))
    lines.sort(key=lambda line: line[0])
    return markdown_table(["method", "setting", *groups, "all"], [line for _, line in lines])


def _excess(
    objectives: Mapping[str, Sequence[float]], known: Mapping[str, float], names: Sequence[str]
) -> float | None:
    """Sum of mean objectives over that of known ones, less 1, in percent; None where those are all zero."""
    total = sum(known[name] for name in names)
    return 100.0 * (sum(float(np.mean(objectives[name])) for name in names) / total - 1.0) if total else None


def objective_table(rows: Sequence[ResultRow], benchmark: Benchmark) -> str:
    """Mean objective by method and group, best first, for instances whose best objective may be zero.

    A method is left out of groups that it has not run whole.
    """
    names = dict.fromkeys(row.instance for row in rows)
    groups = group_names(benchmark.groups, list(names)) or [""]
    sizes = Counter(benchmark.groups.get(name, "") for name in names)
    objectives: dict[tuple[str, str], dict[str, dict[str, list[float]]]] = {}
    for row in rows:
        of_group = objectives.setdefault((row.method, row.variant), {}).setdefault(
            benchmark.groups.get(row.instance, ""), {}
        )
        of_group.setdefault(row.instance, []).append(row.objective)
    lines = []
    for (method, variant), by_group in objectives.items():
        means = {group: _grand_mean(each) for group, each in by_group.items() if len(each) == sizes[group]}
        whole = _weighted(means, sizes)
        cells = ["" if value is None else f"{value:.4g}" for value in (*map(means.get, groups), whole)]
        order = np.inf if whole is None else whole
        lines.append((order, [f"`{method}`", f"`{variant}`" if variant else "", *cells]))
    lines.sort(key=lambda line: line[0])
    return markdown_table(["method", "setting", *groups, "mean"], [line for _, line in lines])


def _grand_mean(values: Mapping[str, Sequence[float]]) -> float:
    """Mean over instances of the mean over seeds."""
    return float(np.mean([np.mean(each) for each in values.values()]))


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Formats a table; columns of words are set to the left, columns of numbers to the right."""
    rule = [":--" if name in ("method", "setting", "source") else "--:" for name in header]
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, rule, *lines))


def _literature_entry(
    method: str, category: str, builder: str, source: str, records: Sequence[dict[str, str]], sizes: Mapping[str, int]
) -> Entry:
    try:
        gaps = {record["group"]: float(record["gap_percent"]) for record in records}
        seconds = {record["group"]: float(record["seconds"]) for record in records if record["seconds"]}
    except ValueError as error:
        raise UsageError(f"literature row of {method}: {error}") from None
    setting = f"builder={builder}" if builder else ""
    return Entry(method, setting, category, gaps, _weighted(gaps, sizes), None, _weighted(seconds, sizes), source)


def _weighted(values: Mapping[str, float], sizes: Mapping[str, int]) -> float | None:
    """Mean over the instances, from means of groups; None if a group is missing."""
    if set(values) != set(sizes):
        return None
    return sum(values[group] * size for group, size in sizes.items()) / sum(sizes.values())


def _own_entry(summary: MethodSummary, benchmark: Benchmark, sizes: Mapping[str, int]) -> Entry:
    done = Counter(benchmark.groups[name] for name in summary.gaps)
    gaps = {group: gap for group, gap in summary.group_gaps.items() if done[group] == sizes[group]}
    whole = set(gaps) == set(sizes)
    sampled = "samples=" in summary.key.variant
    category = {"solver": "solver", "search": "improvement"}.get(summary.key.kind, "sampled" if sampled else "greedy")
    return Entry(
        summary.key.method,
        summary.key.variant,
        category,
        gaps,
        summary.mean.estimate if whole else None,
        (summary.mean.low, summary.mean.high) if whole else None,
        summary.seconds,
        None,
    )


def _best_variants(own: Sequence[Entry]) -> list[Entry]:
    best: dict[str, Entry] = {}
    for entry in own:
        if entry.category == "greedy":
            known = best.get(entry.method)
            if known is None or _rank(entry) < _rank(known):
                best[entry.method] = entry
    return [entry for entry in own if entry.category != "greedy" or best[entry.method] is entry]


def _rank(entry: Entry) -> float:
    return np.inf if entry.mean is None else entry.mean


def _least(means: Mapping[tuple[str, str], float | None], method: str) -> float:
    return min((mean for (name, _), mean in means.items() if name == method and mean is not None), default=np.inf)


def _line(entry: Entry, groups: Sequence[str], sources: Sequence[str]) -> list[str]:
    own = entry.source is None
    interval = f"{entry.interval[0]:.1f} – {entry.interval[1]:.1f}" if entry.interval else "–"
    return [
        f"**`{entry.method}`**" if own else entry.method,
        f"`{entry.setting}`" if entry.setting else "",
        *(_gap(entry.gaps.get(group)) for group in groups),
        _gap(entry.mean),
        interval,
        "–" if entry.seconds is None else f"{entry.seconds:.2g}" if entry.seconds < 100 else f"{entry.seconds:.0f}",
        "this repository" if entry.source is None else f"[{sources.index(entry.source) + 1}]",
    ]


def _gap(value: float | None) -> str:
    """One decimal; a published 12.45, which no float holds exactly, becomes 12.5."""
    return "–" if value is None else f"{value + 1e-9:.1f}"


def _words(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
