"""What the charts share."""

import numpy as np
import pytest

from envs.core.drawing import colours, hex_colour, is_dark, round_step


def test_colours_are_distinct_for_as_many_as_charts_hold():
    assert len({hex_colour(colour) for colour in colours(150)}) == 150


def test_contrast_of_text():
    assert is_dark((0.0, 0.0, 0.5))
    assert not is_dark((1.0, 1.0, 0.0))
    assert hex_colour((1.0, 0.5, 0.0)) == "#ff8000"


@pytest.mark.parametrize(
    ("length", "most", "exponent", "step"),
    [(12, 12, 0, 1), (13, 12, 0, 2), (24.5, 12, 0, 5), (5000, 12, 0, 500), (0.3, 12, 0, 1), (0.3, 12, -6, 0.05)],
)
def test_round_steps(length, most, exponent, step):
    assert round_step(length, most, exponent) == pytest.approx(step, rel=1e-12)
    assert np.ceil(length / round_step(length, most, exponent) - 1e-9) <= most
