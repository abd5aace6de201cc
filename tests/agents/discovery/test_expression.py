"""The language of formulas: values by hand, protected functions, text that is read back, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.discovery.expression import parse
from agents.discovery.variation import Variation
from envs.core import UsageError

NAMES = ("time", "slack", "machine.load", "context.now")
FEATURES = {
    "time": np.array([[2.0, 3.0, 0.0]]),
    "slack": np.array([[-1.0, 4.0, 0.5]]),
    "machine.load": np.array([[10.0, 0.0, 1.0]]),
    "context.now": np.array([[7.0]]),
}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("time + max(0, slack)", [2.0, 7.0, 0.5]),
        ("-time / machine.load", [-0.2, 0.0, 0.0]),
        ("where(slack < 0, time, context.now - time)", [2.0, 4.0, 7.0]),
        ("min(time, 1) * 3 - square(slack)", [2.0, -13.0, -0.25]),
        ("sqrt(slack) + abs(slack)", [2.0, 6.0, 0.5 + 0.5**0.5]),
        ("exp(100 * time)", [np.exp(30.0), np.exp(30.0), 1.0]),
        ("log(time)", [np.log(2.0), np.log(3.0), np.log(1e-9)]),
    ],
)
def test_values_by_hand(text, values):
    np.testing.assert_allclose(np.broadcast_to(parse(text).evaluate(FEATURES), (1, 3))[0], values, rtol=1e-8)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_random_formulas_are_read_back_and_have_finite_types(seed):
    rng = np.random.default_rng(seed)
    variation = Variation(NAMES, 4, 30, rng)
    one, other = variation.random(), variation.random()
    for made in (one, variation.mutated(one), variation.crossed(one, other)):
        assert made.gives == "number"
        assert made.size == len(list(made.nodes()))
        assert made.size <= max(30, one.size)
        again = parse(str(made), FEATURES)
        assert str(again) == str(made)
        with np.errstate(all="ignore"):
            first, second = made.evaluate(FEATURES), again.evaluate(FEATURES)
        np.testing.assert_allclose(np.asarray(second, float), np.asarray(first, float), rtol=1e-3)


def test_a_part_is_replaced_where_it_stands():
    expression = parse("time + slack * 2")
    places = [str(node) for node in expression.nodes()]
    assert places == ["time + (slack * 2)", "time", "slack * 2", "slack", "2"]
    assert str(expression.replaced(3, parse("context.now"))) == "time + (context.now * 2)"
    assert expression.features() == {"time", "slack"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time +", "cannot be read"),
        ("weight", "reads 'weight', which is no feature; there are time"),
        ("time < 2", "is a condition; expected a number"),
        ("where(time, 1, 2)", "where takes 3 arguments: condition, number, number"),
        ("min(time)", "min takes 2 arguments"),
        ("__import__('os')", "is not part of the language"),
        ("time.real.imag", "is not part of the language"),
        ("time ** 2", "is not part of the language"),
        ("True", "is not part of the language"),
        ("'a'", "is not part of the language"),
        ("max(time, key=slack)", "is not part of the language"),
        ("1 < time < 2", "is not part of the language"),
    ],
)
def test_what_is_no_formula_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse(text, FEATURES)
