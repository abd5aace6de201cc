"""ETF: earliest task first, by *start* time.

Of all ready tasks and processing elements (PEs) the pair with the earliest start comes next, after the last task on
the PE; ties go to the larger static level, then to the smaller index of the task and of the PE. What DS3 and SoCRATES
call ETF is `min_min`.

Source: J.-J. Hwang, Y.-C. Chow, F. D. Anger, C.-Y. Lee, "Scheduling precedence graphs in systems with interprocessor
communication times", SIAM Journal on Computing 18(2) (1989) 244-257; levels use the means over PEs.
"""

from __future__ import annotations

import numpy as np

from envs.soc_dag.static.graph import task_graph
from envs.soc_dag.static.greedy import first_smallest, schedule_greedily
from envs.soc_dag.static.ranks import settle, static_levels
from envs.soc_dag.types import Floats, Integers, SocInstance, Trace


def etf(instance: SocInstance) -> Trace:
    """Returns ETF's schedule of a static instance."""
    graph = task_graph(instance)
    levels = settle(static_levels(graph))

    def choose(ready: Integers, data: Floats, free: Floats) -> tuple[int, int]:
        return first_smallest(np.maximum(data, free), -levels[ready][:, None])

    return schedule_greedily(graph, choose)
