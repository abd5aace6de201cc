"""Formulas over named features: a small typed expression language, written and read as arithmetic.

Everything is defined for all real numbers: a quotient is 0 where the divisor is 0, a logarithm and a root take the
magnitude of their argument, an exponential is capped. ``where(a < b, x, y)`` is x where the condition holds, else y.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from envs.core import UsageError

Values = NDArray[np.float64]
Type = Literal["number", "condition"]

_TINY = 1e-9
_CAP = 30.0
_DIGITS = 6


def _quotient(one: Values, other: Values) -> Values:
    small = np.abs(other) < _TINY
    return np.where(small, 0.0, one / np.where(small, 1.0, other))


@dataclass(frozen=True)
class Operator:
    """A function of the language.

    Attributes:
        function: What it computes, on arrays.
        takes: Types of its arguments.
        gives: Type of its value.
        symbol: How it stands between its arguments; empty for one that is written as a call.
    """

    function: Callable[..., Any]
    takes: tuple[Type, ...]
    gives: Type = "number"
    symbol: str = ""


_N: tuple[Type, ...] = ("number",)

OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "add": Operator(np.add, _N * 2, symbol="+"),
        "subtract": Operator(np.subtract, _N * 2, symbol="-"),
        "multiply": Operator(np.multiply, _N * 2, symbol="*"),
        "divide": Operator(_quotient, _N * 2, symbol="/"),
        "less": Operator(np.less, _N * 2, "condition", "<"),
        "negative": Operator(np.negative, _N),
        "min": Operator(np.minimum, _N * 2),
        "max": Operator(np.maximum, _N * 2),
        "square": Operator(np.square, _N),
        "sqrt": Operator(lambda x: np.sqrt(np.abs(x)), _N),
        "log": Operator(lambda x: np.log(np.abs(x) + _TINY), _N),
        "exp": Operator(lambda x: np.exp(np.clip(x, -_CAP, _CAP)), _N),
        "abs": Operator(np.abs, _N),
        "where": Operator(np.where, ("condition", "number", "number")),
    }
)
"""The functions of the language by name."""


@dataclass(frozen=True)
class Expression:
    """A node of a formula: a function with its arguments, a feature, or a number.

    Attributes:
        operator: Name of the function, "" for a feature or a number.
        arguments: Its arguments.
        feature: Name of the feature, "" for a number.
        value: The number.
    """

    operator: str = ""
    arguments: tuple[Expression, ...] = ()
    feature: str = ""
    value: float = 0.0

    @property
    def gives(self) -> Type:
        """Type of its value."""
        return OPERATORS[self.operator].gives if self.operator else "number"

    @property
    def size(self) -> int:
        """Number of its nodes."""
        return 1 + sum(argument.size for argument in self.arguments)

    def nodes(self) -> Iterator[Expression]:
        """Yields itself and everything below it, in a fixed order."""
        yield self
        for argument in self.arguments:
            yield from argument.nodes()

    def features(self) -> set[str]:
        """Names of the features that it reads."""
        return {node.feature for node in self.nodes() if node.feature}

    def replaced(self, place: int, other: Expression) -> Expression:
        """Returns a copy with another expression at a place, counted in the order of `nodes`."""
        if place == 0:
            return other
        place -= 1
        arguments = list(self.arguments)
        for i, argument in enumerate(arguments):
            if place < argument.size:
                arguments[i] = argument.replaced(place, other)
                break
            place -= argument.size
        return Expression(self.operator, tuple(arguments))

    def evaluate(self, features: Mapping[str, Values]) -> Any:
        """Returns its value on arrays of the features, which broadcast against each other."""
        if self.operator:
            return OPERATORS[self.operator].function(*(each.evaluate(features) for each in self.arguments))
        return features[self.feature] if self.feature else self.value

    def __str__(self) -> str:
        """The formula as text that `parse` reads back."""
        return _text(self, outer=True)


def _text(expression: Expression, *, outer: bool = False) -> str:
    if not expression.operator:
        return expression.feature or f"{expression.value:.{_DIGITS}g}"
    arguments = expression.arguments
    symbol = OPERATORS[expression.operator].symbol
    if expression.operator == "negative":
        return f"-{_text(arguments[0])}"
    if symbol:
        words = f" {symbol} ".join(_text(argument) for argument in arguments)
        return words if outer else f"({words})"
    return f"{expression.operator}({', '.join(_text(argument, outer=True) for argument in arguments)})"


_SYMBOLS: Mapping[type[Any], str] = MappingProxyType(
    {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide"}
)


def parse(text: str, known: Mapping[str, Any] | None = None) -> Expression:
    """Reads a formula; nothing of it is executed.

    Args:
        text: The formula, as arithmetic.
        known: The features that there are, by name; None takes any.

    Raises:
        UsageError: It is no formula, or reads a feature that does not exist.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        expression = _convert(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(f"formula {text!r} cannot be read: {reason}") from None
    if expression.gives != "number":
        raise UsageError(f"formula {text!r} is a condition; expected a number")
    if known is not None:
        for name in sorted(expression.features()):
            if name not in known:
                raise UsageError(f"formula {text!r} reads {name!r}, which is no feature; there are {', '.join(known)}")
    return expression


def _convert(tree: ast.expr) -> Expression:
    match tree:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as value):
            return Expression(value=float(value))
        case ast.Name(id=name):
            return Expression(feature=name)
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return Expression(feature=f"{owner}.{name}")
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return Expression(value=-float(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _call("negative", _convert(operand))
        case ast.BinOp(op=symbol, left=left, right=right) if type(symbol) in _SYMBOLS:
            return _call(_SYMBOLS[type(symbol)], _convert(left), _convert(right))
        case ast.Compare(left=left, ops=[ast.Lt()], comparators=[right]):
            return _call("less", _convert(left), _convert(right))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in OPERATORS:
            return _call(name, *map(_convert, arguments))
    raise ValueError(f"{ast.unparse(tree)[:40]!r} is not part of the language")


def _call(name: str, *arguments: Expression) -> Expression:
    takes = OPERATORS[name].takes
    if tuple(argument.gives for argument in arguments) != takes:
        raise ValueError(f"{name} takes {len(takes)} arguments: {', '.join(takes)}")
    return Expression(name, arguments)
