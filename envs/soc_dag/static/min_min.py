"""Min-min: earliest *finish* time over all ready tasks.

Of all ready tasks and processing elements (PEs) the pair with the earliest finish comes next, after the last task on
the PE; ties go to the larger static level, as in `etf`, then to the smaller index of the task and of the PE. DS3 and
SoCRATES call it ETF.

Source: O. H. Ibarra, C. E. Kim, "Heuristic algorithms for scheduling independent tasks on nonidentical processors",
Journal of the ACM 24(2) (1977) 280-289, algorithm D; with communication in S. E. Arda et al., "DS3: A system-level
domain-specific system-on-chip simulation framework", IEEE Transactions on Computers 69(8) (2020) 1248-1262.
"""

from __future__ import annotations

import numpy as np

from envs.soc_dag.static.graph import task_graph
from envs.soc_dag.static.greedy import first_smallest, schedule_greedily
from envs.soc_dag.static.ranks import settle, static_levels
from envs.soc_dag.types import Floats, Integers, SocInstance, Trace


def min_min(instance: SocInstance) -> Trace:
    """Returns the min-min schedule of a static instance."""
    graph = task_graph(instance)
    levels = settle(static_levels(graph))

    def choose(ready: Integers, data: Floats, free: Floats) -> tuple[int, int]:
        return first_smallest(np.maximum(data, free) + graph.times[ready], -levels[ready][:, None])

    return schedule_greedily(graph, choose)
