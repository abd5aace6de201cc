"""Dataclasses built from what a user wrote."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from envs.core import UsageError, problem
from envs.core.settings import build_settings


@dataclass(frozen=True)
class Plain:
    count: int
    share: float = 0.5
    name: str | None = None
    active: bool = False
    sizes: tuple[int, ...] = ()


def test_values_take_the_type_of_their_field():
    made = build_settings(Plain, {"count": 2e3, "share": 1, "name": None, "sizes": [1, 2]}, "plain")
    assert made == Plain(2000, 1.0, None, False, [1, 2])
    assert (type(made.count), type(made.share)) == (int, float)
    made = build_settings(Plain, {"count": np.int64(3), "share": np.float32(0.25)}, "plain")
    assert (made.count, made.share, type(made.count)) == (3, 0.25, int)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "plain lacks the field 'count'"),
        ({"count": 1, "size": 2}, "plain has no field 'size'; it has count, share, name, active, sizes"),
        ({"count": None}, r"plain\.count is None; expected a whole number"),
        ({"count": True}, r"plain\.count is True; expected a whole number"),
        ({"count": 1.5}, r"plain\.count is 1.5; expected a whole number"),
        ({"count": float("inf")}, r"plain\.count is inf; expected a whole number"),
        ({"count": 1, "share": "half"}, r"plain\.share is 'half'; expected a finite number"),
        ({"count": 1, "share": float("inf")}, r"plain\.share is inf; expected a finite number"),
        ({"count": 1, "name": 3}, r"plain\.name is 3; expected text or null"),
        ({"count": 1, "active": 1}, r"plain\.active is 1; expected true or false"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(UsageError, match=message):
        build_settings(Plain, values, "plain")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_low": "early"}, r"options\.time_low is 'early'; expected a whole number"),
        ({"wait": "yes"}, r"options\.wait is 'yes'; expected true or false"),
        ({"sizes": "few"}, "the options of dispatchlab/JobShop-v0 cannot be used"),
        ({"sizes": 3}, "the options of dispatchlab/JobShop-v0 cannot be used"),
    ],
)
def test_environment_options_are_checked_too(options, message):
    with pytest.raises(UsageError, match=message):
        problem("job_shop").configure(options)
