"""Preferences between delay and energy, on the part of the simplex where they matter.

With the published scales a policy on the published system sends (nearly) everything to the edge below a delay weight of
some 0.7 to 0.85; on one or two edge servers, which are overloaded, the energy-minded end of the front reaches down to
0.35. Most of any front lies close to 1. So weights are spread by 1 - w = (1 - low) (1 - place)^bend with the place
uniform on [0, 1] (bend 1 is even spacing): three of four preferences lie above 0.7.
"""

from __future__ import annotations

from envs.core.trade_off import Weights

LOW, HIGH, BEND = 0.3, 1.0, 3.0
"""Smallest and largest weight of the delay, and how they are drawn towards the largest."""


def delay_weight(place: float, low: float = LOW, high: float = HIGH, bend: float = BEND) -> float:
    """Returns the weight of the delay at a place from 0 to 1 of the useful part."""
    return float(high - (high - low) * (1.0 - place) ** bend)


def place_of(weights: Weights) -> float:
    """Returns the place from 0 to 1 of a preference on the useful part; preferences outside it have the nearest."""
    share = (HIGH - (1.0 - weights[1])) / (HIGH - LOW)
    return float(1.0 - min(max(share, 0.0), 1.0) ** (1.0 / BEND))


def spread(count: int) -> tuple[Weights, ...]:
    """Returns that many preferences (delay, energy), from the most energy-minded to delay alone."""
    places = [i / (count - 1) for i in range(count)] if count > 1 else [1.0]
    times = [delay_weight(place) for place in places]
    return tuple((time, 1.0 - time) for time in times)
