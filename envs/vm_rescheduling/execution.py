"""Carrying out a plan that was made for the placement at the start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.vm_rescheduling import dynamics
from envs.vm_rescheduling.state import VmState, allocate
from envs.vm_rescheduling.tables import build_tables, load_tables, needed_capacity
from envs.vm_rescheduling.types import Plan, VmInstance, plan


def start(instance: VmInstance) -> VmState:
    """Returns the state of one lane at the first migration of ``instance``."""
    state = allocate(1, needed_capacity([instance]))
    load_tables(state, 0, 0, instance, build_tables(instance))
    dynamics.begin(state, np.zeros(1, np.int64))
    return state


def migrate(state: VmState, vm: int, numa: int) -> bool:
    """Migrates a VM in lane 0; returns False, and leaves the state as it is, where that is not allowed."""
    active, refused = np.ones(1, np.bool_), np.empty(1, np.bool_)
    if not state.mask[0, vm] or not dynamics.fits(state, 0, vm, numa):
        return False
    dynamics.step(state, np.array([vm]), active, refused)
    dynamics.step(state, np.array([state.vm.shape[1] + 1 + numa]), active, refused)
    return True


def execute(instance: VmInstance, moves: Sequence[tuple[int, int]] | Plan) -> Plan:
    """Returns the moves that can be carried out when their turn comes, in order; the others are left out.

    A move that is left out takes no time. VMs may have left or arrived since the plan was made. Moves after the one
    that reaches the objective's goal are left out too.

    Args:
        instance: The instance.
        moves: VM and NUMA node of every move.
    """
    pairs = zip(moves.vm.tolist(), moves.numa.tolist(), strict=True) if isinstance(moves, Plan) else moves
    state = start(instance)
    done = []
    for vm, numa in pairs:
        if state.episode[0]["migrations"] >= instance.migration_limit:
            break
        if migrate(state, vm, numa):
            done.append((vm, numa))
    return plan(done)
