"""Problems with several objectives that pull apart: what the costs are, and how preferences weigh them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from envs.core.errors import UsageError

Weights = tuple[float, ...]
"""A preference: one weight a criterion, at least 0, of sum 1."""


@dataclass(frozen=True)
class Criterion:
    """One of several costs that an episode is judged by; smaller is better.

    Attributes:
        name: What it is, e.g. ``"delay"``.
        unit: Its unit.
        scale: What one unit is worth in the scalar objective, so that the scaled costs have similar ranges.
    """

    name: str
    unit: str
    scale: float


@dataclass(frozen=True)
class TradeOff:
    """What generic code may ask of a problem with several objectives.

    An instance carries a preference, and its scalar objective is the sum over the criteria of weight times scale times
    cost. Attributes that are functions take an instance first.

    Attributes:
        criteria: The criteria of an instance, in the order of all vectors.
        costs: Costs of a finished solution in the criteria's units, recomputed by the independent verifier.
        preference: The weights that an instance carries.
        prefer: The same instance, of the same name, under other weights.
        spread: That many preferences, spread evenly over the part of the simplex on which the best solutions differ.
        reference_point: Costs, in the criteria's units, that hypervolumes of the instance's system are taken against.
        gamma: Discount a decision that points of a front are judged under; 1 for plain sums.
        volume_unit: What hypervolumes are counted in, in the product of the criteria's units.
    """

    criteria: Callable[[Any], tuple[Criterion, ...]]
    costs: Callable[[Any, Any], tuple[float, ...]]
    preference: Callable[[Any], Weights]
    prefer: Callable[[Any, Sequence[float]], Any]
    spread: Callable[[int], tuple[Weights, ...]]
    reference_point: Callable[[Any], tuple[float, ...]]
    gamma: float = 1.0
    volume_unit: float = 1.0


def check_weights(where: str, weights: Sequence[float], count: int) -> Weights:
    """Returns a preference as plain numbers.

    Raises:
        UsageError: It has not one weight a criterion, or a weight is negative, or they do not sum to 1.
    """
    numbers = tuple(float(weight) for weight in weights)
    if len(numbers) != count or not all(weight >= 0.0 for weight in numbers) or abs(sum(numbers) - 1.0) > 1e-9:
        raise UsageError(f"{where}: preference is {list(weights)}; expected {count} weights of at least 0 and of sum 1")
    return numbers
