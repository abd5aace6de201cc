"""DLS: dynamic level scheduling.

Of all ready tasks and processing elements (PEs) the pair with the largest dynamic level comes next, after the last
task on the PE; ties go to the smaller index of the task and of the PE:

    DL(i, p) = SL*(i) - max(DA(i, p), TF(p)) + (E*(i) - E(i, p))

with E the execution time, E* its median over the PEs that can run the task, SL* the static level with E*, DA when the
data is on the PE, TF when the PE is free.

Source: G. C. Sih, E. A. Lee, "A compile-time scheduling heuristic for interconnection-constrained heterogeneous
processor architectures", IEEE TPDS 4(2) (1993) 175-187.
"""

from __future__ import annotations

import numpy as np

from envs.soc_dag.static.graph import task_graph
from envs.soc_dag.static.greedy import first_smallest, schedule_greedily
from envs.soc_dag.static.ranks import static_levels
from envs.soc_dag.types import Floats, Integers, SocInstance, Trace


def dls(instance: SocInstance) -> Trace:
    """Returns DLS's schedule of a static instance."""
    graph = task_graph(instance)
    medians = np.array([np.median(row[np.isfinite(row)]) for row in graph.times])
    levels = static_levels(graph, medians) + medians

    def choose(ready: Integers, data: Floats, free: Floats) -> tuple[int, int]:
        return first_smallest(np.maximum(data, free) + graph.times[ready] - levels[ready][:, None])

    return schedule_greedily(graph, choose)
