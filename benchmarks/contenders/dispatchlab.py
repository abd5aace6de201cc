"""The native vector environment of this project, with every feature and mask written at every step."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.contenders.worker import Cell, Contender, Progress, serve


class JobShop(Contender):
    """`envs.core.GraphVectorEnv` on uniform random job shops, driven from Python one step a call."""

    def __init__(self, cell: Cell, *, copy: bool) -> None:
        """Makes the environment and compiles the policy."""
        import numpy as np

        from benchmarks.contenders.random_policy import choose
        from envs.core import make_vector_env

        self._env = make_vector_env("job_shop", cell.lanes, options={"sizes": ((cell.jobs, cell.machines),)}, copy=copy)
        self._choose = choose
        self._generator = np.array([cell.seed + 1], np.uint64)
        self._actions = np.zeros(cell.lanes, np.int64)
        self._lanes = cell.lanes
        self._calls = max(1, 4096 // cell.lanes)
        observation, _ = self._env.reset(seed=cell.seed)
        self._mask: Any = observation["action_mask"]

    def advance(self) -> Progress:
        """Takes some thousand steps."""
        finished = 0
        for _ in range(self._calls):
            self._choose(self._mask, self._generator, self._actions)
            observation, _, terminated, _, _ = self._env.step(self._actions)
            self._mask = observation["action_mask"]
            finished += int(terminated.sum())
        steps = self._calls * self._lanes
        return Progress(steps, steps, finished)


if __name__ == "__main__":
    serve(lambda cell: JobShop(cell, copy=sys.argv[1] == "copy"))
