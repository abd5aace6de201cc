"""Random choices: the baseline that everything must beat.

A uniformly drawn ready task, on a uniformly drawn processing element that can run it, after the last task there.
"""

from __future__ import annotations

import numpy as np

from envs.soc_dag.static.graph import task_graph
from envs.soc_dag.static.timeline import Timeline, by_priority
from envs.soc_dag.types import SocInstance, Trace


def random(instance: SocInstance, seed: int = 0) -> Trace:
    """Returns a random schedule of a static instance, the same for the same seed."""
    graph = task_graph(instance)
    generator = np.random.default_rng(seed)
    timeline = Timeline(graph)
    for task in by_priority(graph, generator.random(graph.num_tasks).tolist()):
        timeline.place_earliest(task, int(generator.choice(graph.supported[task])), insertion=False)
    return timeline.trace()
