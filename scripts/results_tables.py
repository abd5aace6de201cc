"""Rewrites docs/results.md from the committed result files.

    python scripts/results_tables.py            # writes the page
    python scripts/results_tables.py --check    # exit status 1 if the page is out of date

Every ``results/<problem>/*.csv`` becomes a section; ``results/literature/<problem>_<benchmark>.csv`` stands beside it.
A file called ``planning.csv`` becomes a table and a picture of gaps against decisions.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from agents.evaluation.budgets import budget_curves, budget_table
from agents.evaluation.curves import CPU_SECONDS, are_curves, curve_table
from agents.evaluation.front_tables import are_points, are_volumes, volume_table
from agents.evaluation.plots import decision_plot
from agents.evaluation.report import statement
from agents.evaluation.rows import ResultRow, read_csv
from agents.evaluation.seeds import group_seed_table, seed_table, stochastic_rows, summarise_seeds
from agents.evaluation.summary import summarise
from agents.evaluation.tables import (
    aggregate_table,
    comparison_table,
    entries,
    excess_table,
    objective_table,
    read_literature,
    variant_table,
)
from agents.provenance import join_commands
from envs.core import Benchmark, ProblemDefinition, UsageError, problem, problems
from envs.core.errors import exit_on_usage_error
from envs.core.files import write_text

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results.md"
_PLANNING = "planning.csv"
_SHOWN_INSTANCES = 5
"""Instances of a group on which the environment draws that get a table each."""

_HEAD = """<!-- Written by scripts/results_tables.py from the files in results/; changes made here are lost. -->

# Results

Mean gap to the best known objective value, in percent, by group of instances; rows in bold were measured with this
repository, the others are as published. `setting` names the builder (how decisions become a schedule) and the number
of samples or the limits of a solver; where a publication does not say, the cell is empty. A rule that was measured in
several builders stands in the table with its best one; all builders follow below it. An interval is the 95 % bootstrap
interval of the mean over instances, stratified by group. Published times were taken on other hardware, often a GPU;
our own are wall clock on a CPU, and where instances ran side by side, each one's share.

The rows, one a run, are in `results/`; this page is rewritten by `python scripts/results_tables.py`.
"""


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of date")
    check: bool = parser.parse_args().check
    exit_on_usage_error(lambda: update(ROOT / "results", PAGE, check=check))


def update(results: Path, path: Path, *, check: bool = False) -> None:
    """Writes the page and its pictures, or only compares them.

    Raises:
        UsageError: A result file cannot be read, or a page or picture is out of date and ``check`` is set.
    """
    texts = {path: page(results)}
    for file in sorted(results.glob(f"*/{_PLANNING}")):
        texts[path.parent / _picture(file)] = planning_picture(problem(file.parent.name), file)
    for target, text in texts.items():
        if not check:
            write_text(target, text)
        elif not target.exists() or target.read_text(encoding="utf-8") != text:
            raise UsageError(f"{target} is out of date; run python scripts/results_tables.py")


def page(results: Path) -> str:
    """Returns the page for a folder of results."""
    parts = [_HEAD]
    # Other folders hold figures of the literature, and studies that have a page of their own.
    for folder in sorted(path for path in results.iterdir() if path.is_dir() and path.name in problems()):
        definition = problem(folder.name)
        parts.append(f"\n## {folder.name.replace('_', ' ').capitalize()}\n")
        for file in sorted(folder.glob("*.csv")):
            rows = read_csv(file)
            if are_curves(rows):
                parts.append(curve_section(rows, file, results))
            elif are_points(rows) or are_volumes(rows):
                parts.append(front_section(definition, rows, file, results))
            elif file.name == _PLANNING:
                parts.append(planning_section(definition, rows, file, results))
            elif rows:
                owner, benchmark = find_owner(definition, rows, file)
                parts.append(section(owner, benchmark, rows, file, results))
    return "".join(parts)


def curve_section(rows: Sequence[ResultRow], file: Path, results: Path) -> str:
    """Returns the section of a file with learning curves."""
    title = file.stem.replace("_", " ").capitalize()
    seconds = sorted(row.metrics[CPU_SECONDS] for row in rows if "share=1" in row.variant.split(";"))
    text = (
        "What trainings come to that got about the same time of the processor "
        f"({seconds[0]:.0f} to {seconds[-1]:.0f} s were measured: the number of decisions follows from a variant's "
        "pace, and a busy processor takes longer for them): mean gap in percent and its 95 % interval over "
        f"seeds (Student's). Gaps are to the objectives of `{rows[0].reference_source}`, which are not optimal "
        "everywhere. The file holds the curves.\n\n"
    )
    return f"\n### {title}\n\n{text}{curve_table(rows)}{_repeat(rows, file, results)}"


def planning_section(definition: ProblemDefinition, rows: Sequence[ResultRow], file: Path, results: Path) -> str:
    """Returns the section of a file with methods under several budgets."""
    _, benchmark = find_owner(definition, rows, file)
    names = list(dict.fromkeys(row.instance for row in rows))
    curves = budget_curves(summarise(rows, benchmark.groups))
    return (
        f"\n### Planning\n\n{statement(definition, benchmark, names)} What is asked of a dispatcher, in plans and "
        f"samples too, is counted as decisions.\n\n![Gap against decisions]({_picture(file)})\n\n"
        f"{budget_table(curves)}{_repeat(rows, file, results)}"
    )


def planning_picture(definition: ProblemDefinition, file: Path) -> str:
    """Returns the picture of a file with methods under several budgets, as SVG."""
    rows = read_csv(file)
    _, benchmark = find_owner(definition, rows, file)
    return decision_plot(summarise(rows, benchmark.groups), whole=True)


def _picture(file: Path) -> str:
    """Where the picture of a result file lies, beside the page."""
    return f"images/{file.parent.name}_{file.stem}.svg"


def front_section(definition: ProblemDefinition, rows: Sequence[ResultRow], file: Path, results: Path) -> str:
    """Returns the section of a file with fronts between several objectives."""
    title = file.stem.replace("_", " ").capitalize()
    criteria = definition.bind({}).criteria
    names = " and ".join(f"{criterion.name} ({criterion.unit})" for criterion in criteria)
    if are_points(rows):
        text = f"A row a method and preference: mean {names}; the hypervolumes sum them up.\n"
    else:
        unit = definition.trade_off.volume_unit if definition.trade_off else 1.0
        product = " x ".join(criterion.unit for criterion in criteria)
        text = (
            f"Hypervolume of the mean {names} over all preferences, in {unit:g} {product} below the reference point: "
            "larger is better. Ratios are to the method whose ratio is 1, on the same resampled episodes.\n\n"
            f"{volume_table(rows)}"
        )
    return f"\n### {title}\n\n{text}{_repeat(rows, file, results)}"


def section(
    definition: ProblemDefinition, benchmark: Benchmark, rows: Sequence[ResultRow], file: Path, results: Path
) -> str:
    """Returns the section of one result file."""
    if not benchmark.groups:
        benchmark = replace(benchmark, groups={instance.name: "all" for instance in benchmark.instances})
    names = [instance.name for instance in benchmark.instances]
    title = benchmark.name.replace("_", " ").capitalize()
    drawn = stochastic_rows(rows, benchmark.instances, definition.stochastic)
    random = {row.instance for row in drawn}
    settled = [row for row in rows if row.instance not in random]
    parts = [f"\n### {title}\n\n{statement(definition, benchmark, names)}\n\n"]
    parts.extend(_gaps(definition, benchmark, [row for row in settled if row.reference is not None], results))
    unreferenced = [row for row in settled if row.reference is None]
    if unreferenced:
        parts.append(
            f"\n#### Instances without a reference value\n\n{unreferenced_table(definition, benchmark, unreferenced)}"
        )
    if drawn:
        many = crowded(benchmark, drawn)
        parts.append(group_tables(definition, benchmark, drawn) if many else _seeds(definition, drawn))
    parts.append(_repeat(rows, file, results))
    return "".join(parts)


def unreferenced_table(definition: ProblemDefinition, benchmark: Benchmark, rows: Sequence[ResultRow]) -> str:
    """Returns a table of instances without reference values: excess over the best method, or objectives near zero."""
    if min(row.objective for row in rows) <= 0.0:
        return (
            f"Mean {definition.objective_name} ({definition.objective_unit}); some methods reach zero, so that there "
            f"is no excess over the best in percent.\n\n{objective_table(rows, benchmark)}"
        )
    return (
        "Mean excess over the best objective that any method of the table reached, in percent.\n\n"
        f"{excess_table(rows, benchmark)}"
    )


def _repeat(rows: Sequence[ResultRow], file: Path, results: Path) -> str:
    """How the rows of a file were measured."""
    commands = "\n".join(join_commands(row.command for row in rows))
    revisions = ", ".join(f"`{revision}`" for revision in dict.fromkeys(row.git_revision for row in rows))
    name = file.relative_to(results.parent).as_posix()
    return f"\n#### How to repeat\n\n`{name}` was measured by\n\n```sh\n{commands}\n```\n\nat revision {revisions}.\n"


def _gaps(
    definition: ProblemDefinition, benchmark: Benchmark, rows: Sequence[ResultRow], results: Path
) -> Iterator[str]:
    """Tables of gaps to reference values."""
    if not rows:
        return
    if any(row.reference == 0.0 for row in rows):
        yield (
            "Sum of the objectives over that of the best known values, less 1, in percent: some of those are zero.\n\n"
            f"{aggregate_table(rows, benchmark)}\nMean gaps, over the instances whose best known value is not zero:\n\n"
        )
        benchmark = benchmark.select([name for name, known in benchmark.references.items() if known.value != 0.0])
    own = entries(rows, benchmark)
    published = results / "literature" / f"{definition.name}_{benchmark.name}.csv"
    literature = read_literature(published, benchmark.groups) if published.exists() else []
    yield comparison_table(own, literature, benchmark)
    variants = variant_table(own)
    if variants:
        yield f"\n#### Every variant of the greedy methods, mean gap\n\n{variants}"


def crowded(benchmark: Benchmark, rows: Sequence[ResultRow]) -> bool:
    """Whether a group of instances on which the environment draws is too large for a table each."""
    sizes = Counter(benchmark.groups.get(name) for name in {row.instance for row in rows})
    return max(sizes.values()) > _SHOWN_INSTANCES


def _seeds(definition: ProblemDefinition, rows: Sequence[ResultRow]) -> str:
    """Table of instances on which the environment draws: objectives over seeds."""
    summaries = summarise_seeds(rows)
    shown = [name for name in definition.shown_metrics if any(name in row.metrics for row in rows)]
    baseline = rows[0].method
    return (
        f"\nMean {definition.objective_name} over the seeds ({definition.objective_unit}), with the 95 % bootstrap "
        f"interval over them and the paired difference from `{baseline}`.\n\n{seed_table(summaries, shown)}"
    )


def group_tables(definition: ProblemDefinition, benchmark: Benchmark, rows: Sequence[ResultRow]) -> str:
    """Returns a table for each group of instances on which the environment draws, with ratios to the first method."""
    return (
        f"\nMean {definition.objective_name} ({definition.objective_unit}) and the mean ratio to that of "
        f"`{rows[0].method}` under the same draws, with its 95 % bootstrap interval over the instances.\n\n"
        f"{group_seed_table(rows, benchmark.groups)}"
    )


def find_owner(
    definition: ProblemDefinition, rows: Sequence[ResultRow], file: Path
) -> tuple[ProblemDefinition, Benchmark]:
    """Returns the benchmark that has all instances of the rows, and its problem.

    The folder's problem comes first, and of its benchmarks the one that the file is called after; a folder may also
    hold the results of a problem that belongs to it, in files that are called like its benchmarks.

    Raises:
        UsageError: There is none.
    """
    names = {row.instance for row in rows}
    others = [own for own in problems().values() if file.stem in own.benchmarks and own is not definition]
    for owner in (definition, *others):
        for name in sorted(owner.benchmarks, key=lambda name: name != file.stem):
            try:
                benchmark = owner.benchmarks[name]()
            except UsageError:
                continue  # a benchmark whose files are not here
            if names <= {instance.name for instance in benchmark.instances}:
                return owner, benchmark
    raise UsageError(f"{file}: no benchmark of {definition.name} whose files are here has all of its instances")


if __name__ == "__main__":
    main()
