"""Searches for a dispatching rule that is a readable formula in the environment's named features.

    python scripts/discover.py env=job_shop
    python scripts/discover.py env=single_machine search.minutes=10 search.seed=1
    python scripts/discover.py env=serving_route 'search.propose=python my_proposals.py'

The rule is written to ``output`` as rule.json, and is run like any method: ``methods=["formula:PATH"]`` of
scripts/evaluate.py. All options and what they mean: conf/discover.yaml and agents.discovery.config.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from agents.discovery.config import DiscoveryConfig
from agents.discovery.rule import FormulaFile
from agents.discovery.search import Found, Progress, Search
from agents.dispatcher import RuleDispatcher
from agents.provenance import command_line, git_revision
from envs.core import ProblemDefinition, UsageError, problem
from envs.core.errors import exit_on_usage_error
from envs.core.files import write_text
from envs.core.settings import build_settings
from scripts.hydra_command import run_command


def main() -> None:
    """Runs the command line."""
    run_command("discover", _hydra_main)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="discover")
def _hydra_main(config: DictConfig) -> None:
    settings = OmegaConf.to_container(config, resolve=True)
    assert isinstance(settings, dict)
    exit_on_usage_error(lambda: run({str(key): value for key, value in settings.items()}))


def run(settings: Mapping[str, Any]) -> FormulaFile:
    """Searches as the settings of conf/discover.yaml say, and writes what it found."""
    definition = problem(str(settings["env"]["problem"]))
    config = build_settings(DiscoveryConfig, settings["search"], "search")
    compared = _rules(definition, settings["rules"])
    console = Console() if sys.stdout.isatty() else Console(width=180)
    options, validation = settings["env"]["options"], settings["env"]["validation_options"]
    search = Search(definition, options, validation, config, watch=lambda progress: _tell(console, progress))
    found = search.run()
    costs = {name: search.cost_of(RuleDispatcher(definition.rules[name])) for name in compared}
    _print(console, found, costs)
    folder, best = Path(settings["output"]), found[0]
    origin = {
        "command": command_line(sys.argv),
        "git_revision": git_revision(),
        "search": asdict(config),
        "tried": search.tried,
        "cost": best.cost,
        "validation_cost": best.validation,
        "rules_validation_cost": costs,
    }
    behaviour = {key: options[key] for key in definition.behaviour if key in options}
    file = FormulaFile(str(settings["name"]), definition.name, behaviour, best.formulas, origin)
    file.write(folder / "rule.json")
    write_text(folder / "finalists.csv", _table(found))
    console.print(f"the best by validation: {folder / 'rule.json'}")
    return file


def _rules(definition: ProblemDefinition, given: Any) -> list[str]:
    if given == "all":
        return list(definition.rules)
    if not isinstance(given, list):
        raise UsageError(f"rules is {given!r}; expected all, or a list of names")
    for name in given:
        if name not in definition.rules:
            raise UsageError(f"rules names {name!r}; {definition.name} has {', '.join(definition.rules)}")
    return [str(name) for name in given]


def _tell(console: Console, progress: Progress) -> None:
    if progress.generation % 10 == 0:
        refused = f", {progress.refused} proposals refused" if progress.refused else ""
        console.print(
            f"generation {progress.generation}: {progress.tried} tried, {progress.alike} alike{refused}, "
            f"{progress.seconds:.0f} s, best {progress.cost:.5f}: {progress.best}",
            highlight=False,
        )


def _print(console: Console, found: Sequence[Found], costs: Mapping[str, float]) -> None:
    table = Table("rule", "nodes", "search", "validation", title="mean objective over its scale")
    lines = [(each.validation, str(each.formulas), str(each.formulas.size), f"{each.cost:.5f}") for each in found[:5]]
    lines += [(cost, name, "", "") for name, cost in costs.items()]
    for validation, name, size, cost in sorted(lines):
        table.add_row(name, size, cost, f"{validation:.5f}")
    console.print(table)


def _table(found: Sequence[Found]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["formulas", "nodes", "cost", "validation_cost"])
    writer.writerows([[str(each.formulas), each.formulas.size, each.cost, each.validation] for each in found])
    return text.getvalue()


if __name__ == "__main__":
    main()
