"""One instance in one lane, for solvers that decide task by task."""

from __future__ import annotations

import numpy as np

from envs.core.handle import Handle
from envs.core.problem import SolverResult
from envs.offload import dynamics
from envs.offload.packing import load_instance
from envs.offload.state import Capacity, OffloadState, allocate, state_handle
from envs.offload.types import EventLog, OffloadInstance


class Replay:
    """An episode on one instance.

    Attributes:
        state: The state; its only lane is 0.
        handle: Handle to the state.

    Args:
        instance: The instance.
        seed: Word of the lane's generator, for solvers that draw.
    """

    def __init__(self, instance: OffloadInstance, seed: int = 0) -> None:
        """Begins the episode."""
        system = instance.system
        self.state: OffloadState = allocate(1, Capacity(len(system.hertz), system.horizon, system.users))
        self.state.generator[0] = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
        self.handle: Handle[OffloadState] = state_handle(self.state)
        self._instance = instance
        load_instance(self.state, 0, instance)
        dynamics.begin(self.handle, np.zeros(1, np.int64))

    @property
    def finished(self) -> bool:
        """Whether every task is dispatched."""
        return bool(self.state.next_task[0] == self.state.size[0, 1])

    def dispatch(self, server: int) -> None:
        """Sends the next task to a server."""
        dynamics.dispatch(self.state, 0, server)

    def result(self) -> SolverResult:
        """Returns the finished execution with its weighted cost."""
        tasks = len(self._instance.bits)
        server = self.state.server[0, :tasks].copy()
        uploaded, completed = self.state.uploaded[0, :tasks].copy(), self.state.completed[0, :tasks].copy()
        objective = np.empty(1)
        dynamics.weighted(self.handle, objective)
        return SolverResult(EventLog(server, uploaded, completed), float(objective[0]), None, "heuristic")
