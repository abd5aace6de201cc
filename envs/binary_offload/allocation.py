"""The optimal time shares for given modes, compiled: one convex problem with a single unknown.

In a frame of unit length the access point charges the devices for a share a, then the offloading devices send one after
the other, device i for a share t_i. What a bit of device i counts for being w_i, the weighted rate is

    Q = L a^(1/3) + sum_i u_i t_i ln(1 + c_i a / t_i),    a + sum_i t_i = 1,

with L the sum of w_i (mu P h_i / k)^(1/3) / phi over the local devices, u_i = w_i B / (v ln 2) and
c_i = mu P h_i^2 / N_0 (Bi and Zhang, "Computation rate maximization for wireless powered mobile-edge computing with
binary computation offloading", IEEE Transactions on Wireless Communications 17(6), 2018).

With the price n of time, the conditions of Karush, Kuhn and Tucker are, for y_i = ln(1 + c_i a / t_i),

    y_i - 1 + exp(-y_i) = n / u_i,    a = 1 / (1 + sum_i c_i / (exp(y_i) - 1)),
    L / (3 a^(2/3)) + sum_i u_i c_i exp(-y_i) = n,

whose last left side falls in n: one root, found by Newton's method on logarithms, with bisection where steps do not
shrink. Devices of equal weight share y, so that they count by the sum of their c alone: such a group is a *kind*.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CLOSE = 1e-7
"""Relative error of a price: that of a rate is its square, for the rate is largest there."""

_ITERATIONS = 100
_LARGEST = 500.0


@njit(cache=True, nogil=True, error_model="numpy")
def spectral_efficiency(price: float) -> float:
    """Returns the y at which y - 1 + exp(-y) is ``price``, in nats; a device sends at it for a price in its units."""
    root = np.sqrt(2.0 * price)
    y = root + root * root / 6.0 if price < 1.5 else price + 1.0
    for _ in range(_ITERATIONS):
        slope = -np.expm1(-y)
        step = (y - slope - price) / slope
        y -= step
        if abs(step) <= _CLOSE * y:  # the error left is its square
            break
    return y


@njit(cache=True, nogil=True, error_model="numpy")
def best_shares(
    local: float, unit_rate: Floats, snr: Floats, kind: int, extra: float, price: float
) -> tuple[float, float, float]:
    """Returns the largest rate, the price of time and the charging share for given modes.

    Args:
        local: L, bit/s.
        unit_rate: ``(kinds,)`` u of the offloading devices of a kind, bit/s.
        snr: ``(kinds,)`` their sum of c; 0 where there are none.
        kind: A kind to which more is added.
        extra: How much c is added to it.
        price: Where the search for the price begins.

    Returns:
        The rate in bit/s, the price in bit/s for the whole frame, and the share of charging.
    """
    largest = 0.0
    for k in range(len(snr)):
        if snr[k] > 0.0 or (k == kind and extra > 0.0):
            largest = max(largest, unit_rate[k])
    if largest == 0.0:
        return local, local / 3.0, 1.0
    x = np.log(min(price, _LARGEST * largest))
    low, high = -np.inf, np.inf
    rate, share, step = 0.0, 1.0, np.inf
    for _ in range(_ITERATIONS):
        price = np.exp(x)
        ratio, ratio_slope, value, value_slope, bits = 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(len(snr)):
            c = snr[k] + extra if k == kind else snr[k]
            if c == 0.0:
                continue
            units = price / unit_rate[k]
            y = spectral_efficiency(units)
            odds, left = np.expm1(y), np.exp(-y)
            slope = units / (1.0 - left)
            ratio += c / odds
            ratio_slope -= c / odds * (1.0 + 1.0 / odds) * slope
            value += unit_rate[k] * c * left
            value_slope -= unit_rate[k] * c * left * slope
            bits += unit_rate[k] * c / odds * y
        share = 1.0 / (1.0 + ratio)
        root = share ** (1.0 / 3.0)
        rate = local * root + bits * share
        charging = local / (3.0 * root * root)
        value_slope += charging * share * ratio_slope * (2.0 / 3.0)
        value += charging
        gap = np.log(value) - x
        if low == -np.inf and high == np.inf:  # the slope is at most -1
            low, high = (x, x + gap) if gap > 0.0 else (x + gap, x)
        elif gap > 0.0:
            low = x
        else:
            high = x
        newton = gap / (1.0 - value_slope / value)
        step = newton if abs(newton) <= 0.5 * abs(step) and low <= x + newton <= high else 0.5 * (low + high) - x
        if abs(step) <= _CLOSE:
            break
        x += step
    return rate, price, share
