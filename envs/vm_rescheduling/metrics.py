"""Measures of a plan beside its objective."""

from __future__ import annotations

from collections.abc import Mapping

from envs.vm_rescheduling import dynamics
from envs.vm_rescheduling.execution import migrate, start
from envs.vm_rescheduling.state import VmState
from envs.vm_rescheduling.types import TERMS, Plan, VmInstance


def measures(instance: VmInstance, plan: Plan) -> Mapping[str, float]:
    """Returns every term of the objective, before and after the plan, and what the plan took.

    ``fr16``, ``fr64``, ``memory64``, ``occupied_hosts``: at the end, whatever their weights. ``initial_...``: the same
    without a migration. ``migrations``: how many. ``moved_memory``: memory of the VMs that moved, in GiB, once for
    every migration.
    """
    state = start(instance)
    initial = _terms(state)
    for vm, numa in zip(plan.vm.tolist(), plan.numa.tolist(), strict=True):
        migrate(state, vm, numa)
    return {
        **_terms(state),
        **{f"initial_{name}": number for name, number in initial.items()},
        "migrations": float(len(plan.vm)),
        "moved_memory": float(instance.vms.memory[plan.vm].sum()) / 1024,
    }


def _terms(state: VmState) -> dict[str, float]:
    terms = {}
    weights = [float(state.episode[0][name]) for name in TERMS]
    for chosen in TERMS:
        for name in TERMS:
            state.episode[0][name] = float(name == chosen)
        terms[chosen] = float(dynamics.weighted_sum(state, 0))
    for name, weight in zip(TERMS, weights, strict=True):
        state.episode[0][name] = weight
    return terms
