"""Random formulas, and new ones from old ones: mutation and crossover of the same type (Koza 1992; Montana 1995)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from agents.discovery.expression import OPERATORS, Expression, Type

_STOP = 0.3
_CONSTANT = 0.25
_SHAPES: tuple[tuple[str, float], ...] = (
    ("add", 3.0),
    ("subtract", 3.0),
    ("multiply", 3.0),
    ("divide", 3.0),
    ("min", 1.5),
    ("max", 1.5),
    ("square", 0.5),
    ("sqrt", 0.5),
    ("log", 0.5),
    ("exp", 0.5),
    ("abs", 0.5),
    ("negative", 0.5),
    ("where", 1.0),
)


class Variation:
    """Makes formulas over some features.

    Args:
        features: Their names.
        depth: Depth of random formulas.
        largest: Nodes of a formula at most.
        generator: Source of randomness.
    """

    def __init__(self, features: Sequence[str], depth: int, largest: int, generator: np.random.Generator) -> None:
        """Keeps the language."""
        self._features = list(features)
        self._depth, self._largest = depth, largest
        self._rng = generator
        self._names = [name for name, _ in _SHAPES]
        weights = np.array([weight for _, weight in _SHAPES])
        self._weights = weights / weights.sum()

    def random(self, depth: int | None = None, wanted: Type = "number") -> Expression:
        """Draws a formula of a type."""
        depth = self._depth if depth is None else depth
        if wanted == "condition":
            return Expression("less", (self.random(depth - 1), self.random(depth - 1)))
        if depth <= 0 or self._rng.random() < _STOP:
            return self._leaf()
        name = str(self._rng.choice(self._names, p=self._weights))
        return Expression(name, tuple(self.random(depth - 1, kind) for kind in OPERATORS[name].takes))

    def mutated(self, expression: Expression) -> Expression:
        """Returns the formula with a small change: a part drawn anew, a part alone, another function or number."""
        nodes = list(expression.nodes())
        place = int(self._rng.integers(len(nodes)))
        node = nodes[place]
        changes: list[Callable[[], Expression]] = [
            lambda: self.random(min(2, self._depth), node.gives),
            lambda: self._hoisted(node),
            lambda: self._wrapped(node),
            lambda: self._jittered(node),
        ]
        other = changes[int(self._rng.integers(len(changes)))]()
        return self._bounded(expression.replaced(place, other), expression)

    def crossed(self, expression: Expression, other: Expression) -> Expression:
        """Returns the formula with a part of another one in the place of one of the same type."""
        nodes, gifts = list(expression.nodes()), list(other.nodes())
        place = int(self._rng.integers(len(nodes)))
        fitting = [gift for gift in gifts if gift.gives == nodes[place].gives]
        if not fitting:
            return self.mutated(expression)
        return self._bounded(expression.replaced(place, fitting[int(self._rng.integers(len(fitting)))]), expression)

    def _leaf(self) -> Expression:
        if self._rng.random() < _CONSTANT:
            return Expression(
                value=float(np.round(self._rng.choice([-1.0, 1.0]) * 10.0 ** self._rng.uniform(-2, 1), 3))
            )
        return Expression(feature=self._features[int(self._rng.integers(len(self._features)))])

    def _hoisted(self, node: Expression) -> Expression:
        fitting = [argument for argument in node.arguments if argument.gives == node.gives]
        return fitting[int(self._rng.integers(len(fitting)))] if fitting else self.random(1, node.gives)

    def _wrapped(self, node: Expression) -> Expression:
        if node.gives == "condition":
            return Expression("less", (node.arguments[1], node.arguments[0]))
        name = str(self._rng.choice(self._names, p=self._weights))
        arguments = [self.random(1, kind) for kind in OPERATORS[name].takes]
        numbers = [i for i, kind in enumerate(OPERATORS[name].takes) if kind == "number"]
        arguments[numbers[int(self._rng.integers(len(numbers)))]] = node
        return Expression(name, tuple(arguments))

    def _jittered(self, node: Expression) -> Expression:
        if node.operator:
            takes = OPERATORS[node.operator].takes
            alike = [name for name in self._names if OPERATORS[name].takes == takes]
            gives = OPERATORS[node.operator].gives
            alike = [name for name in alike if OPERATORS[name].gives == gives] or [node.operator]
            return Expression(alike[int(self._rng.integers(len(alike)))], node.arguments)
        if node.feature:
            return self._leaf()
        return Expression(value=float(np.round(node.value * np.exp(0.5 * self._rng.standard_normal()), 4)))

    def _bounded(self, made: Expression, otherwise: Expression) -> Expression:
        return made if made.size <= self._largest else otherwise
