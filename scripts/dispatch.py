"""Schedules an instance file with an ONNX policy.

    python scripts/dispatch.py INSTANCE POLICY.onnx --output schedule.json --csv schedule.csv --html gantt.html

The problem and the options of its environment are in the policy's file. Nothing is written unless the solution passes
the problem's independent verifier.
"""

from __future__ import annotations

import argparse
import csv
import html
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from envs.core import ProblemDefinition, UsageError, problem
from envs.core.errors import exit_on_usage_error
from envs.core.files import write_text


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    options = _parser().parse_args(arguments)
    exit_on_usage_error(lambda: run(options))


def run(options: argparse.Namespace) -> None:
    """Solves the instance and writes what was asked for.

    Raises:
        UsageError: A file cannot be read or is malformed.
    """
    outputs = {name: Path(path) for name in ("output", "csv", "html") if (path := getattr(options, name))}
    _check_outputs(outputs)
    from agents.deployment import load_onnx_dispatcher
    from agents.rollout import best_of, roll_out

    dispatcher = load_onnx_dispatcher(options.policy)
    definition = problem(dispatcher.problem)
    instance = definition.read_instance(Path(options.instance))
    if options.samples:
        sampling = dispatcher.sampling(options.seed, options.temperature, options.threshold)
        outcome = best_of(
            definition, dispatcher.options, instance, sampling, options.samples, seed=options.seed, max_lanes=16
        )
    else:
        (outcome,) = roll_out(definition, dispatcher.options, [instance], dispatcher)
    texts = {name: _RENDERERS[name](definition, instance, outcome.solution) for name in outputs}
    for name, path in outputs.items():
        write_text(path, texts[name])
    print(
        f"{instance.name}: {definition.objective_name} {outcome.objective:g}, verified; "
        f"{outcome.decisions} decisions in {outcome.wall_seconds:.2f} s by {dispatcher.name}"
    )


def _json(definition: ProblemDefinition, instance: Any, solution: Any) -> str:
    return json.dumps(definition.solution_to_json(instance, solution), indent=2) + "\n"


def _csv(definition: ProblemDefinition, instance: Any, solution: Any) -> str:
    rows: list[Mapping[str, Any]] = list(definition.solution_to_rows(instance, solution))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _html(definition: ProblemDefinition, instance: Any, solution: Any) -> str:
    title = html.escape(instance.name)
    head = f'<meta charset="utf-8"><title>{title}</title><style>body{{font-family:sans-serif}}</style>'
    chart = definition.chart_html(instance, solution)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body><h1>{title}</h1>{chart}</body></html>\n'


_RENDERERS = {"output": _json, "csv": _csv, "html": _html}


def _check_outputs(outputs: Mapping[str, Path]) -> None:
    resolved = [path.resolve() for path in outputs.values()]
    for name, path in outputs.items():
        if path.is_dir():
            raise UsageError(f"--{name} {path} is a folder; expected the name of a file")
        if resolved.count(path.resolve()) > 1:
            raise UsageError(f"--{name} {path} is named twice; expected a file of its own for each output")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dispatchlab-dispatch", description="Schedules an instance file with an ONNX policy."
    )
    parser.add_argument("instance", metavar="INSTANCE", help="instance file, in any format of the policy's problem")
    parser.add_argument("policy", metavar="POLICY.onnx", help="file written by dispatchlab-export")
    parser.add_argument("--output", required=True, metavar="FILE", help="the schedule as JSON")
    parser.add_argument("--csv", metavar="FILE", help="the schedule as CSV, one row an operation")
    parser.add_argument("--html", metavar="FILE", help="the schedule as a chart to open in a browser")
    parser.add_argument(
        "--samples", type=_count, metavar="N", help="draw N schedules and keep the best, instead of one greedy one"
    )
    parser.add_argument("--temperature", type=_positive, default=1.0, help="how widely to draw (default 1)")
    parser.add_argument(
        "--threshold",
        type=_share,
        default=0.0,
        help="share of the largest probability below which an action is not drawn (default 0)",
    )
    parser.add_argument("--seed", type=_seed, default=0, help="seed of the draws (default 0)")
    return parser


def _count(text: str) -> int:
    return _at_least(text, 1)


def _seed(text: str) -> int:
    return _at_least(text, 0)


def _at_least(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


if __name__ == "__main__":
    main()
