"""Reference points that hypervolumes are taken against, one for every system."""

from __future__ import annotations

from functools import lru_cache

from envs.offload.generators import empty_state
from envs.offload.simulation import random_costs
from envs.offload.state import state_handle
from envs.offload.types import OffloadInstance, System

_EPISODES, _SEED = 1000, 0
_MARGINS = (4 / 3, 2.0, 4 / 3)


def reference_point(instance: OffloadInstance) -> tuple[float, ...]:
    """Returns the reference point of the instance's system, see `system_reference_point`."""
    return system_reference_point(instance.system)


@lru_cache(maxsize=256)
def system_reference_point(system: System) -> tuple[float, ...]:
    """Returns the costs, in the criteria's units, that bound the front of a system.

    4/3 times the delay (and tardiness) and twice the energy of sending every task to a random edge server, over 1000
    episodes of fixed seeds, to two significant digits: 4000 s and 6 J on the published system.
    """
    state = empty_state(system, 1, _SEED)
    mean = random_costs(state_handle(state), 0, _EPISODES, 0.0)
    pairs = list(zip(mean.tolist(), _MARGINS, strict=True))[: len(system.criteria)]
    return tuple(float(f"{margin * cost:.1e}") for cost, margin in pairs)
