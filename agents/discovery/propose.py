"""Formulas from outside: a command that the user gives reads the best ones so far and writes new ones.

The command gets a JSON object on its standard input: ``problem``, ``features`` (a list for every kind of candidate),
``operators`` and ``best`` (objects with ``formulas`` and ``cost``, best first). It writes one proposal a line: a JSON
object from kind of candidate to formula, or the formula alone where there is one kind. What cannot be read is counted.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Sequence
from typing import Any

from agents.discovery.expression import OPERATORS
from agents.discovery.features import readers
from agents.discovery.rule import Formulas, check_kinds
from envs.core import UsageError
from envs.core.spec import GraphSpec

_SECONDS = 600.0


def proposals(
    command: str, problem: str, spec: GraphSpec, best: Sequence[tuple[Formulas, float]]
) -> tuple[list[Formulas], int]:
    """Runs the command.

    Returns:
        The formulas that could be read, and the number of lines that could not.

    Raises:
        UsageError: The command cannot be run, fails, or takes more than ten minutes.
    """
    question = {
        "problem": problem,
        "features": {kind: list(known) for kind, known in readers(spec).items()},
        "operators": {name: list(operator.takes) for name, operator in OPERATORS.items()},
        "best": [{"formulas": rule.texts(), "cost": cost} for rule, cost in best],
    }
    try:
        done = subprocess.run(
            shlex.split(command),
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UsageError(f"search.propose: the command {command!r} failed: {error}") from None
    read, refused = [], 0
    for line in filter(str.strip, done.stdout.splitlines()):
        try:
            read.append(check_kinds(spec, _given(line, spec)))
        except UsageError:
            refused += 1
    return read, refused


def _given(line: str, spec: GraphSpec) -> dict[str, str]:
    try:
        data: Any = json.loads(line)
    except ValueError:
        data = line
    if isinstance(data, dict):
        return {str(kind): str(text) for kind, text in data.items()}
    return {spec.actions[0]: line}
