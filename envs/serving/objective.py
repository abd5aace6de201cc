"""The objective of the serving tasks while requests are still to be answered."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.serving.engine import FIRST_SHARE, lateness
from envs.serving.state import ANSWERED, ServingState


@njit(cache=True, nogil=True)
def incurred(state: ServingState, out: NDArray[np.float64]) -> None:
    """Writes the ``(lanes,)`` loss so far: that of all tokens, and that of the ones that are late already.

    A token that is still to come costs what it would cost now. So the loss never falls, and to keep a request waiting
    does not put off what it costs.
    """
    for lane in range(out.shape[0]):
        control, level = state.control[lane], state.level[lane]
        total = control.cost
        for r in range(control.requests):
            row = state.request[lane][r]
            if row.replica < 0 or row.stage == ANSWERED:
                continue
            if row.generated == 0:
                total += FIRST_SHARE * row.weight * lateness((control.clock - row.arrival) / level[0])
            else:
                late = lateness((control.clock - row.last) / level[1])
                total += (1.0 - FIRST_SHARE) * row.weight * late / (row.output - 1)
        out[lane] = total
