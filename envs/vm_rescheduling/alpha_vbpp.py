"""α-VBPP: in stages, some VMs are taken off their machines together and packed anew (vector bin packing)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.problem import Solver, SolverResult
from envs.vm_rescheduling.dynamics import TINY, objectives
from envs.vm_rescheduling.execution import migrate, start
from envs.vm_rescheduling.state import VmState
from envs.vm_rescheduling.types import VmInstance, plan

SCORES = ("best_fit", "dot_product")


def alpha_vbpp(*, alpha: int = 10, score: str = "best_fit") -> Solver:
    """Returns the solver α-VBPP, the vector bin packing baseline of Yang et al. (EuroSys 2025).

    A stage takes the ``alpha`` VMs whose leaving gains most off their places, at most one of a machine, and then
    migrates them, the largest first, each to the place on another machine where it gains most; ``score`` decides among
    equals (Panigrahy et al., Heuristics for vector bin packing, 2011). Every VM of a stage is migrated if any place
    takes it, even at a loss. The plan ends where the objective was smallest. Room that the stage's own
    VMs leave is free once they have been migrated.

    Args:
        alpha: VMs of a stage.
        score: "best_fit" for the place where the smallest shares of cores and memory stay free, "dot_product" for the
            one whose free shares point most in the direction of the VM's needs.

    Raises:
        UsageError: An option is out of range.
    """
    if alpha < 1:
        raise UsageError(f"alpha_vbpp: alpha is {alpha}; expected 1 or more")
    if score not in SCORES:
        raise UsageError(f"alpha_vbpp: score is {score!r}; expected one of {', '.join(SCORES)}")
    return _AlphaVbpp(alpha, score)


@dataclass(frozen=True)
class _AlphaVbpp:
    alpha: int
    score: str

    def __call__(self, instance: VmInstance, /, *, seed: int = 0) -> SolverResult:
        state = start(instance)
        moves: list[tuple[int, int]] = []
        value = np.empty(1)
        objectives(state, value)
        best, length = float(value[0]), 0
        while len(moves) < instance.migration_limit:
            before = len(moves)
            for vm in _leaving(state, self.alpha):
                place = _place(state, vm, self.score) if len(moves) < instance.migration_limit else -1
                if place >= 0 and migrate(state, vm, place):
                    moves.append((vm, place))
                    objectives(state, value)
                    if value[0] < best - TINY:
                        best, length = float(value[0]), len(moves)
            if len(moves) == before:
                break
        return SolverResult(plan(moves[:length]), best, None, "heuristic")


def _leaving(state: VmState, alpha: int) -> list[int]:
    """Returns the VMs of a stage, the largest first."""
    vms = state.vm[0]
    legal = np.flatnonzero(state.mask[0, : len(vms)])
    legal = legal[vms["migrated"][legal] == 0]
    order = legal[np.lexsort((-vms["cores"][legal], -vms["leave"][legal]))]
    machine = state.numa[0]["machine"][vms["host"][order]]
    _, first = np.unique(machine, return_index=True)
    chosen = order[np.sort(first)][:alpha]
    return [int(vm) for vm in chosen[np.lexsort((-vms["memory"][chosen], -vms["cores"][chosen]))]]


def _place(state: VmState, v: int, score: str) -> int:
    """Returns the place on another machine where a VM gains most, and of equals the best one; -1 for none."""
    vm, numas = state.vm[0, v], state.numa[0]
    gains = state.gain[0, vm["type"]].copy()
    if vm["host"] < 0:
        return -1
    closed = _machines_of_group(state, v)
    gains[np.isin(numas["machine"], closed)] = -np.inf
    if not len(gains) or gains.max() == -np.inf:
        return -1
    equal = np.flatnonzero(gains >= gains.max() - TINY)
    need = np.array([vm["cores"], vm["memory"]]) / vm["numas"]
    capacity = np.stack([numas["cores"], numas["memory"]], axis=1)[equal]
    free = np.stack([numas["free_cores"], numas["free_memory"]], axis=1)[equal]
    if score == "best_fit":
        return int(equal[((free - need) / capacity).sum(axis=1).argmin()])
    shares, needs = free / capacity, need / capacity
    lengths = np.linalg.norm(shares, axis=1) * np.linalg.norm(needs, axis=1)
    return int(equal[((shares * needs).sum(axis=1) / np.maximum(lengths, TINY)).argmax()])


def _machines_of_group(state: VmState, v: int) -> NDArray[np.int64]:
    """Returns the machines of a VM and of the others of its group."""
    vms, group = state.vm[0], state.vm[0, v]["group"]
    rows = np.flatnonzero((vms["group"] == group) & (vms["host"] >= 0)) if group >= 0 else np.array([v])
    machines: NDArray[np.int64] = state.numa[0]["machine"][vms["host"][rows]]
    return machines
