"""Rules that are formulas: how they decide, and their files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.discovery.expression import Expression, parse
from agents.discovery.features import Reader, read, readers
from agents.dispatcher import least_legal
from envs.core import GraphVectorEnv, Observation, ProblemDefinition, UsageError
from envs.core.fields import naming, read_text, shorten
from envs.core.files import write_text
from envs.core.spec import ACTION_MASK, GraphSpec

FORMAT = "formula/1"


@dataclass(frozen=True)
class Formulas:
    """A dispatching rule: one formula for every kind of node that an action may pick; the smallest value goes first.

    Attributes:
        by_kind: The formulas.
    """

    by_kind: Mapping[str, Expression]

    def texts(self) -> dict[str, str]:
        """The formulas as text, by kind of candidate."""
        return {kind: str(expression) for kind, expression in self.by_kind.items()}

    @property
    def size(self) -> int:
        """Number of nodes of all formulas."""
        return sum(expression.size for expression in self.by_kind.values())

    def __str__(self) -> str:
        """The formulas as one line."""
        if len(self.by_kind) == 1:
            return str(next(iter(self.by_kind.values())))
        return "; ".join(f"{kind}: {expression}" for kind, expression in self.by_kind.items())

    def priorities(
        self, spec: GraphSpec, known: Mapping[str, Mapping[str, Reader]], observation: Observation
    ) -> NDArray[np.float64]:
        """Returns ``(lanes, actions)`` values; what is no number counts as the largest."""
        lanes = len(observation[ACTION_MASK])
        parts = []
        with np.errstate(over="ignore", invalid="ignore"):
            for kind, expression in self.by_kind.items():
                arrays = read(known[kind], expression.features(), observation)
                values = np.asarray(expression.evaluate(arrays), np.float64)
                parts.append(np.broadcast_to(values, (lanes, spec.node(kind).capacity)))
        return np.nan_to_num(np.concatenate(parts, axis=1), nan=np.inf)


class FormulaDispatcher:
    """Follows a rule that is a formula.

    Args:
        name: Name for reports.
        formulas: The rule.
        options: Options of the environment that it is meant for.
    """

    def __init__(self, name: str, formulas: Formulas, options: Mapping[str, Any]) -> None:
        """Keeps the rule."""
        self.name = name
        self.formulas = formulas
        self.options = dict(options)
        self._readers: dict[str, dict[str, Reader]] = {}

    def reset(self, env: GraphVectorEnv, observation: Observation) -> None:
        """Looks up where the features stand in this environment's observations."""
        self._readers = readers(env.problem.spec)

    def decide(self, env: GraphVectorEnv, observation: Observation) -> NDArray[np.int64]:
        """Returns the action of least value in every lane, ties to the smaller index."""
        return least_legal(
            self.formulas.priorities(env.problem.spec, self._readers, observation), observation[ACTION_MASK]
        )


@dataclass(frozen=True)
class FormulaFile:
    """What a file with a rule holds.

    Attributes:
        name: Name for reports.
        problem: Name of the problem.
        options: Options of the environment that the rule is meant for.
        formulas: The rule.
        origin: How it was found.
    """

    name: str
    problem: str
    options: Mapping[str, Any]
    formulas: Formulas
    origin: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the file, whole or not at all."""
        data = {
            "format": FORMAT,
            "name": self.name,
            "problem": self.problem,
            "options": dict(self.options),
            "formulas": self.formulas.texts(),
            "origin": dict(self.origin),
        }
        write_text(path, json.dumps(data, indent=2) + "\n")


def check_kinds(spec: GraphSpec, texts: Mapping[str, str]) -> Formulas:
    """Reads one formula for every kind of candidate.

    Raises:
        UsageError: One is missing or too many, cannot be read, or reads a feature that does not exist.
    """
    known = readers(spec)
    if set(texts) != set(known):
        raise UsageError(f"formulas are for {', '.join(texts) or 'nothing'}; expected one for {', '.join(known)}")
    return Formulas({kind: parse(texts[kind], known[kind]) for kind in known})


def read_formulas(path: str | os.PathLike[str], definition: ProblemDefinition) -> FormulaFile:
    """Reads a rule for a problem.

    Raises:
        UsageError: The file cannot be read, is for another problem, or its formulas do not fit the observations.
    """
    path = Path(path)
    with naming(path):
        try:
            data = json.loads(read_text(path))
        except ValueError as error:
            raise UsageError(f"expected a JSON file: {error}") from None
        if not isinstance(data, dict):
            raise UsageError(f"holds {shorten(data)}; expected an object with named fields")
        if data.get("format") != FORMAT:
            raise UsageError(f"format is {shorten(data.get('format'))}; expected {FORMAT!r}")
        for key, kind in (("name", str), ("problem", str), ("options", dict), ("formulas", dict)):
            if not isinstance(data.get(key), kind):
                raise UsageError(f"{key} is {shorten(data.get(key))}; expected a JSON {kind.__name__}")
        if data["problem"] != definition.name:
            raise UsageError(f"the rule is for {data['problem']}, not for {definition.name}")
        for kind, text in data["formulas"].items():
            if not isinstance(text, str):
                raise UsageError(f"formulas.{kind} is {shorten(text)}; expected a text")
        formulas = check_kinds(definition.bind(data["options"]).spec, data["formulas"])
        return FormulaFile(data["name"], data["problem"], data["options"], formulas, data.get("origin", {}))
