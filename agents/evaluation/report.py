"""The HTML report of an evaluation: one file that needs nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from agents.evaluation.budgets import budget_curves
from agents.evaluation.plots import decision_plot, gap_plot, group_plot, time_plot
from agents.evaluation.rows import ResultRow, metric_names
from agents.evaluation.seeds import signed, stochastic_rows, summarise_seeds
from agents.evaluation.summary import MethodSummary, baseline_key, group_names, summarise
from agents.provenance import join_commands, package_versions
from agents.rollout import Outcome
from envs.core import Benchmark, ProblemDefinition, UsageError
from envs.core.files import write_text

if TYPE_CHECKING:
    import jinja2


@dataclass(frozen=True)
class ReportSettings:
    """What a report shows.

    Attributes:
        baseline: Method that the others are compared with; None for the first.
        confidence: Coverage of the intervals.
        resamples: Number of bootstrap samples.
    """

    baseline: str | None = None
    confidence: float = 0.95
    resamples: int = 2000

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not 0.0 < self.confidence < 1.0:
            raise UsageError(f"confidence is {self.confidence}; expected a number between 0 and 1")
        if self.resamples < 1:
            raise UsageError(f"resamples is {self.resamples}; expected at least 1")


@dataclass(frozen=True)
class Chart:
    """A drawn solution: a heading and a self-contained HTML fragment."""

    title: str
    html: str


class ChartFolder:
    """Keeps the charts of an evaluation beside its rows, so that a resumed run still has them.

    Args:
        folder: Where the fragments lie.
        definition: Knows how to draw a solution.
        instances: Names of the instances whose solutions are drawn.
        seed: Only runs of this seed are drawn; None draws all.
    """

    def __init__(
        self, folder: Path, definition: ProblemDefinition, instances: Sequence[str], seed: int | None = None
    ) -> None:
        """Makes nothing yet."""
        self._folder = folder
        self._definition = definition
        self._instances = frozenset(instances)
        self._seed = seed

    def watch(self, row: ResultRow, outcome: Outcome) -> None:
        """Draws the outcome if its instance and seed are to be drawn."""
        if row.instance in self._instances and self._seed in (None, row.seed):
            write_text(self._path(row), self._definition.chart_html(outcome.instance, outcome.solution))

    def charts(self, rows: Sequence[ResultRow]) -> list[Chart]:
        """Returns the charts of those rows that have one."""
        found = []
        for row in rows:
            path = self._path(row)
            if row.instance in self._instances and path.exists():
                title = f"{row.instance}: {row.method}, {row.variant}, {_plain(row.objective)}"
                found.append(Chart(title, path.read_text(encoding="utf-8")))
        return found

    def _path(self, row: ResultRow) -> Path:
        name = f"{row.instance}-{row.kind}-{row.method}-{row.variant}-seed{row.seed}"
        return self._folder / f"{re.sub(r'[^A-Za-z0-9_.=-]+', '_', name)}.html"


def write_report(
    path: Path,
    definition: ProblemDefinition,
    benchmark: Benchmark,
    rows: Sequence[ResultRow],
    charts: Sequence[Chart],
    settings: ReportSettings,
) -> None:
    """Writes the report of one benchmark.

    Args:
        path: The HTML file.
        definition: The problem.
        benchmark: The benchmark; rows of other instances are left out.
        rows: Results.
        charts: Drawn solutions.
        settings: What to show.
    """
    names = [instance.name for instance in benchmark.instances]
    rows = [row for row in rows if row.instance in set(names)]
    drawn = stochastic_rows(rows, benchmark.instances, definition.stochastic)
    summaries = summarise(
        rows,
        benchmark.groups,
        baseline=settings.baseline,
        confidence=settings.confidence,
        resamples=settings.resamples,
    )
    groups = group_names(benchmark.groups, names)
    plots = [gap_plot(summaries), time_plot(summaries), group_plot(summaries, groups)] if summaries else []
    if any(len(curve.points) > 1 for curve in budget_curves(summaries)):
        plots.append(decision_plot(summaries))
    write_text(
        path,
        _template().render(
            title=f"{definition.name.replace('_', ' ')}: {benchmark.name}",
            statement=statement(definition, benchmark, names),
            objective=f"{definition.objective_name} ({definition.objective_unit})",
            summaries=sorted(summaries, key=lambda summary: summary.mean.estimate),
            groups=groups,
            best=_best(summaries, groups),
            baseline=str(baseline_key(summaries)) if summaries else "",
            level=f"{100.0 * settings.confidence:g} %",
            plots=plots,
            seed_summaries=summarise_seeds(
                drawn, baseline=settings.baseline, confidence=settings.confidence, resamples=settings.resamples
            ),
            metric_names=metric_names(drawn),
            charts=charts,
            rows=rows,
            provenance=provenance(rows),
        ),
    )


def statement(definition: ProblemDefinition, benchmark: Benchmark, names: Sequence[str]) -> str:
    """Says what a gap is taken against, and on how many instances that is not the optimum."""
    references = [benchmark.references[name] for name in names if name in benchmark.references]
    if not references:
        return f"{len(names)} instances without reference values, so there are objectives but no gaps."
    bounds = sum(reference.is_bound for reference in references)
    text = f"{len(names)} instances. Gaps are of the {definition.objective_name} to the best known value, in percent"
    text += f"; {len(references) - bounds} of these values are proven optimal"
    if bounds:
        text += f"; on the other {bounds} it is only the best anyone has found, so the gap to the optimum may be larger"
    if len(references) < len(names):
        text += f"; {len(names) - len(references)} instances have no reference and count in no mean"
    return text + ". Every solution was checked by an independent verifier."


def provenance(rows: Sequence[ResultRow]) -> dict[str, str]:
    """What a reader needs to produce the rows again."""
    return {
        "command": " | ".join(join_commands(row.command for row in rows)),
        "git revision": ", ".join(dict.fromkeys(row.git_revision for row in rows)),
        "seeds": ", ".join(str(seed) for seed in sorted({row.seed for row in rows})),
        "references": ", ".join(dict.fromkeys(row.reference_source for row in rows if row.reference_source)),
        "versions": ", ".join(f"{name} {version}" for name, version in package_versions().items()),
    }


def _best(summaries: Sequence[MethodSummary], groups: Sequence[str]) -> Mapping[str, float]:
    """The least mean gap of every group."""
    found = {group: [s.group_gaps[group] for s in summaries if group in s.group_gaps] for group in groups}
    return {group: min(gaps) for group, gaps in found.items() if gaps}


def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.globals.update(number=_number, small=_small, plain=_plain, signed=signed)
    text = files("agents.evaluation").joinpath("templates/report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(text)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _small(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.10g}"
