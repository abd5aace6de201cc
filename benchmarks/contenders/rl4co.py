"""RL4CO's JSSP environment: batched tensors, the library's own generator and its own random policy."""

from __future__ import annotations

import time

from benchmarks.contenders.worker import Cell, Contender, Progress, serve

_OPENING_SECONDS = 15.0


class JobShop(Contender):
    """`JSSPEnv` with times 1..99; one action a job, all lanes of a batch end after the same number of steps."""

    def __init__(self, cell: Cell) -> None:
        """Makes the environment and the first batch of instances."""
        import torch
        from rl4co.envs.scheduling.jssp.env import JSSPEnv
        from rl4co.utils.decoding import random_policy

        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        # The library's generator and policy draw from torch's global generator; this process holds nothing else.
        torch.manual_seed(cell.seed)
        size = {"num_jobs": cell.jobs, "num_machines": cell.machines}
        self._env = JSSPEnv(generator_params={**size, "min_processing_time": 1, "max_processing_time": 99})
        self._policy = random_policy
        self._lanes = cell.lanes
        self._state = self._env.reset(batch_size=[cell.lanes])
        self._pass_opening(2 * cell.machines)

    def _pass_opening(self, steps: int) -> None:
        """Goes to where steps cost what they cost on average.

        While machines are idle at the start no step has to advance the clock, which makes the first ones cheap; where
        a whole episode takes minutes, nothing else would be measured.
        """
        started = time.perf_counter()
        for _ in range(steps):
            if time.perf_counter() - started > _OPENING_SECONDS:
                break
            self.advance()

    def advance(self) -> Progress:
        """Takes one step in every lane."""
        self._state = self._env.step(self._policy(self._state))["next"]
        finished = 0
        if self._state["done"].all():
            finished = self._lanes
            self._state = self._env.reset(batch_size=[self._lanes])
        return Progress(self._lanes, self._lanes, finished)


if __name__ == "__main__":
    serve(JobShop)
