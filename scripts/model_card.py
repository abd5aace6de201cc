"""Writes the model card of a checkpoint: what it was trained on, with what budget, and what it reached.

    python scripts/model_card.py checkpoints/job_shop/default

Everything comes from the checkpoint's config.json and from the rows of ``results/<problem>`` that carry its name.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agents.checkpoint import Checkpoint, load_checkpoint
from agents.evaluation.front_tables import are_points, are_volumes, volume_table
from agents.evaluation.rows import ResultRow, read_csv
from agents.evaluation.seeds import SeedSummary, stochastic_rows, summarise_seeds
from agents.evaluation.summary import MethodKey, group_names
from agents.evaluation.tables import Entry, entries
from envs.core import problem, problems
from envs.core.errors import exit_on_usage_error
from envs.core.files import write_text
from scripts.docs_pages import table
from scripts.results_tables import crowded, find_owner, group_tables, unreferenced_table

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    folder: Path = parser.parse_args().checkpoint
    exit_on_usage_error(lambda: write_text(folder / "README.md", model_card(load_checkpoint(folder), ROOT / "results")))


def model_card(checkpoint: Checkpoint, results: Path) -> str:
    """Returns the card as Markdown."""
    training, validation = checkpoint.training, checkpoint.training["validation"]
    learner = training[training.get("learner", "ppo")]
    options = table(("option", "value"), ((f"`{key}`", value) for key, value in training["options"].items()))
    network = table(("field", "value"), ((f"`{key}`", value) for key, value in checkpoint.model.to_mapping().items()))
    settings = table(("setting", "value"), ((f"`{key}`", value) for key, value in learner.items()))
    start = f" initial={training['initial']}" if "initial" in training else ""
    parameters = sum(tensor.numel() for tensor in checkpoint.weights.values())
    return f"""<!-- Written by scripts/model_card.py; changes made here are lost. -->

# {training["name"]}

A dispatcher for `{checkpoint.problem}`{_run_with(checkpoint.options)}. Licence: MIT, like the project.

- **Data**: drawn by the environment while training, as the options below say; no instance of a benchmark.
- **Budget**: the best policy by validation after {training["decisions_trained"]:,} of {learner["decisions"]:,}
  decisions, seed {learner["seed"]}; one run.
- **Validation**: {validation["instances"]} drawn instances{_options(validation["options"])}, seed
  {validation["seed"]}; mean objective over its unit of reward {training["validation_objective_over_bound"]:.4f}.
- **Made by**: `python scripts/train.py experiment={training["name"]}{start}` at revision `{training["git_revision"]}`.

## Results

{"".join(_results(checkpoint, results)) or f"None are committed.{chr(10)}{chr(10)}"}## Environment

{options}
## Network

{parameters:,} parameters.

{network}
## Training

{settings}"""


def _results(checkpoint: Checkpoint, results: Path) -> Iterator[str]:
    definition = problem(checkpoint.problem)
    known = [path for path in results.iterdir() if path.is_dir() and path.name in problems()]
    others = sorted(path for path in known if path.name != definition.name)
    folders = [results / definition.name, *others]
    for file in [file for folder in folders for file in sorted(folder.glob("*.csv"))]:
        everything = read_csv(file)
        rows = [row for row in everything if row.method == checkpoint.training["name"] and row.kind == "learned"]
        if not rows or are_points(rows):
            continue
        if are_volumes(rows):
            yield f"Hypervolumes of the front over all preferences, `{file.name}`:\n\n{volume_table(rows)}\n"
            continue
        _, benchmark = find_owner(definition, rows, file)
        drawn = stochastic_rows(rows, benchmark.instances, definition.stochastic)
        if drawn and crowded(benchmark, drawn):
            first = [row for row in everything if _method(row) == _method(everything[0])]
            others = [row for row in drawn if _method(row) != _method(first[0])]
            yield f"`{file.name}`:\n{group_tables(definition, benchmark, [*first, *others])}\n"
        elif drawn:
            yield f"{definition.objective_name.capitalize()} over seeds, `{file.name}`:\n\n"
            yield table(
                ("instance", "variant", "seeds", "mean", "95 % interval"), map(_seed_line, summarise_seeds(drawn))
            )
            yield "\n"
        random = {row.instance for row in drawn}
        unreferenced = [row for row in everything if row.reference is None and row.instance not in random]
        if any(row in unreferenced for row in rows):
            yield f"`{file.name}`: {unreferenced_table(definition, benchmark, unreferenced)}\n"
        rows = [row for row in rows if row.reference is not None and row.instance not in random]
        if rows:
            lines = entries(rows, benchmark)
            names = group_names(benchmark.groups, [instance.name for instance in benchmark.instances])
            groups = [group for group in names if any(group in line.gaps for line in lines)]
            yield f"Mean gap to the best known {definition.objective_name} in percent, `{file.name}`:\n\n"
            header = ("variant", *groups, "mean", "seconds an instance")
            yield table(header, (_line(line, groups) for line in lines))
            yield "\n"


def _seed_line(summary: SeedSummary) -> list[str]:
    mean = summary.objective
    cells = (f"{mean.estimate:.1f}", f"{mean.low:.1f} – {mean.high:.1f}")
    return [
        summary.instance,
        f"`{summary.key.variant}`" if summary.key.variant else "greedy",
        str(summary.seeds),
        *cells,
    ]


def _method(row: ResultRow) -> MethodKey:
    return MethodKey(row.method, row.kind, row.variant)


def _line(entry: Entry, groups: list[str]) -> list[str]:
    return [
        f"`{entry.setting}`" if entry.setting else "greedy",
        *(f"{entry.gaps[group]:.1f}" if group in entry.gaps else "" for group in groups),
        "" if entry.mean is None else f"{entry.mean:.2f}",
        f"{entry.seconds:.3g}",
    ]


def _run_with(options: Mapping[str, Any]) -> str:
    return f", to be run with {_inline(options)}" if options else ""


def _options(options: dict[str, Any]) -> str:
    return f" with {_inline(options)}" if options else ""


def _inline(options: dict[str, Any]) -> str:
    return ", ".join(f"`{key}={value}`" for key, value in options.items())


if __name__ == "__main__":
    main()
