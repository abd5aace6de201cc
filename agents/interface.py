"""Comparing what a policy expects to observe with what an environment offers; needs nothing but Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def first_difference(expected: Any, actual: Any, where: str = "interface") -> str | None:
    """Names the first place where two JSON values differ, or None."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key in [*expected, *(key for key in actual if key not in expected)]:
            if key not in actual or key not in expected:
                return f"{where}.{key} is only on one side"
            difference = first_difference(expected[key], actual[key], f"{where}.{key}")
            if difference:
                return difference
        return None
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        differences = (
            first_difference(e, a, f"{where}[{i}]") for i, (e, a) in enumerate(zip(expected, actual, strict=True))
        )
        return next((difference for difference in differences if difference), None)
    return None if expected == actual else f"{where} is {actual!r}; expected {expected!r}"
