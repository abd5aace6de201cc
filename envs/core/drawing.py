"""What the Gantt charts of several problems share: colours, symbols, axis marks, the way from a figure to a picture."""

from __future__ import annotations

import colorsys
import itertools
import string
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Colour = tuple[float, float, float]

SYMBOLS = string.digits + string.ascii_lowercase + string.ascii_uppercase


def colour_of(hue: int, shade: int) -> Colour:
    """Returns a colour: the hues of 0, 1, ... are steps of the golden section, shades come round after three."""
    shades = ((0.55, 0.95), (0.75, 0.75), (0.35, 0.85))
    return colorsys.hsv_to_rgb((0.58 + hue * 0.6180339887) % 1, *shades[shade % len(shades)])


def colours(count: int) -> list[Colour]:
    """Returns distinct colours: another hue and the next shade each time."""
    return [colour_of(index, index) for index in range(count)]


def hex_colour(colour: Colour) -> str:
    """Returns a colour as ``#rrggbb``."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)


def is_dark(colour: Colour) -> bool:
    """Tells whether white text reads better on a colour than black."""
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.5


def round_step(length: float, most: int, smallest_exponent: int = 0) -> float:
    """Returns the smallest of 1, 2, 5, 10, 20, ... that fits at most ``most`` times into ``length``.

    Args:
        length: What is divided.
        most: Most steps.
        smallest_exponent: Power of ten of the smallest step.
    """
    powers = (10.0**exponent for exponent in itertools.count(smallest_exponent))
    return next(step for power in powers for base in (1, 2, 5) if length <= most * (step := base * power))


def figure_pixels(figure: Figure) -> NDArray[np.uint8]:
    """Draws a matplotlib figure as an ``(height, width, 3)`` uint8 picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba(), np.uint8)  # type: ignore[no-untyped-call]
    return pixels[..., :3].copy()
