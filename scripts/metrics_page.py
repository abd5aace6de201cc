"""Prints or writes what result files hold beside the objective, group by group, beside published figures.

    python scripts/metrics_page.py results/spark/uwfq.csv
    python scripts/metrics_page.py results/spark/uwfq.csv --write docs/spark_results.md
    python scripts/metrics_page.py results/spark/uwfq.csv --check docs/spark_results.md

Published figures come from ``results/literature/<problem>_<benchmark>_metrics.csv`` with the columns ``group``,
``method``, ``metric``, ``value`` and ``source``; the measures shown are the
objective, the published ones and those that the problem names, as far as all rows have them.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from agents.evaluation.rows import ResultRow, read_csv
from envs.core import Benchmark, ProblemDefinition, UsageError, problem
from envs.core.errors import exit_on_usage_error
from envs.core.files import write_text
from scripts.docs_pages import table
from scripts.results_tables import find_owner

COLUMNS = ("group", "method", "metric", "value", "source")
OBJECTIVE = "objective"


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, help="a result file, results/<problem>/<benchmark>.csv")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page instead of printing it")
    parser.add_argument("--check", type=Path, metavar="PAGE", help="fail if the page is out of date")
    arguments = parser.parse_args()
    exit_on_usage_error(lambda: run(arguments.file, arguments.write, arguments.check))


def run(file: Path, write: Path | None, check: Path | None) -> None:
    """Prints, writes or checks the page of a result file.

    Raises:
        UsageError: A file cannot be read, or the checked page is out of date.
    """
    text = page(file)
    if check is not None and (not check.exists() or check.read_text(encoding="utf-8") != text):
        raise UsageError(f"{check} is out of date; run python scripts/metrics_page.py {file} --write {check}")
    if write is not None:
        write_text(write, text)
    elif check is None:
        print(text)


def page(file: Path) -> str:
    """Returns the page of a result file."""
    if not file.is_file():
        raise UsageError(f"{file}: there is no such result file")
    rows = read_csv(file)
    definition = problem(file.parent.name)
    definition, benchmark = find_owner(definition, rows, file)
    literature = file.parent.parent / "literature" / f"{definition.name}_{benchmark.name}_metrics.csv"
    published = read_published(literature) if literature.exists() else {}
    wanted = dict.fromkeys([OBJECTIVE, *(metric for _, _, metric in published), *definition.shown_metrics])
    metrics = [name for name in wanted if name == OBJECTIVE or all(name in row.metrics for row in rows)]
    sources = "\n".join(f"- {source}" for source in dict.fromkeys(source for _, source in published.values()))
    parts = [_head(definition, benchmark, file)]
    parts += [_section(group, benchmark, rows, published, metrics) for group in _groups(benchmark, rows)]
    return "".join([*parts, f"\nPublished figures:\n\n{sources}\n" if sources else ""])


Published = dict[tuple[str, str, str], tuple[float, str]]
"""Value and source by group, method and metric."""


def read_published(path: Path) -> Published:
    """Reads published figures.

    Raises:
        UsageError: The columns or a number are wrong.
    """
    with path.open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UsageError(f"{path} has the columns {reader.fieldnames}; expected {', '.join(COLUMNS)}")
        result: Published = {}
        for row in reader:
            try:
                value = float(row["value"])
            except ValueError:
                raise UsageError(
                    f"{path}, line {reader.line_num}: value is {row['value']!r}; expected a number"
                ) from None
            result[row["group"], row["method"], row["metric"]] = (value, row["source"])
    return result


def _head(definition: ProblemDefinition, benchmark: Benchmark, file: Path) -> str:
    where = f"{file.parent.parent.name}/{file.parent.name}/{file.name}"
    return (
        f"<!-- Written by scripts/metrics_page.py from {where}; changes made here are lost. -->\n\n"
        f"# {definition.name.replace('_', ' ').capitalize()}: measures on {benchmark.name}\n\n"
        f"Means over the instances of a group; the objective is the {definition.objective_name} in "
        f"{definition.objective_unit}. Published figures stand in parentheses. Rewritten by "
        f"`python scripts/metrics_page.py {where} --write`.\n"
    )


def _groups(benchmark: Benchmark, rows: Sequence[ResultRow]) -> list[str]:
    measured = {row.instance for row in rows}
    names = [instance.name for instance in benchmark.instances if instance.name in measured]
    return list(dict.fromkeys(benchmark.groups.get(name, "") for name in names))


def _section(
    group: str, benchmark: Benchmark, rows: Sequence[ResultRow], published: Published, metrics: Sequence[str]
) -> str:
    mine = [row for row in rows if benchmark.groups.get(row.instance, "") == group]
    methods = dict.fromkeys((row.method, row.variant) for row in mine)
    by_method = {key: [row for row in mine if (row.method, row.variant) == key] for key in methods}
    ordered = sorted(by_method.items(), key=lambda item: fmean(row.objective for row in item[1]))
    body = [
        (f"`{method}`", *(_cell(own, metric, published.get((group, method, metric))) for metric in metrics))
        for (method, _), own in ordered
    ]
    count = len({row.instance for row in mine})
    heading = f"\n## {group}\n\n{count} instance{'s' if count != 1 else ''}.\n\n"
    return heading + table(("method", *(metric.replace("_", " ") for metric in metrics)), body)


def _cell(rows: Sequence[ResultRow], metric: str, published: tuple[float, str] | None) -> str:
    values = [row.objective if metric == OBJECTIVE else row.metrics[metric] for row in rows]
    own = f"{fmean(values):.3g}"
    return f"{own} ({published[0]:.3g})" if published else own


if __name__ == "__main__":
    main()
