"""Plans as JSON and as rows for a CSV file."""

from __future__ import annotations

from typing import Any

from envs.vm_rescheduling.types import Plan, VmInstance
from envs.vm_rescheduling.verify import verify


def plan_rows(instance: VmInstance, plan: Plan) -> list[dict[str, Any]]:
    """Returns one row a migration: number from 1, VM, and machine and NUMA node before and after."""
    machines, place = instance.machines, dict(enumerate(instance.vms.host.tolist()))
    rows = []
    for number, (vm, numa) in enumerate(zip(plan.vm.tolist(), plan.numa.tolist(), strict=True), 1):
        row: dict[str, Any] = {"migration": number, "vm": instance.vms.names[vm]}
        for prefix, node in (("from", place[vm]), ("to", numa)):
            machine = int(machines.machine_of_numa[node]) if node >= 0 else -1
            row[f"{prefix}_machine"] = machines.names[machine] if node >= 0 else None
            row[f"{prefix}_numa"] = node - int(machines.first_numa[machine]) if node >= 0 else None
        row["numa_nodes"] = int(instance.vms.numa_count[vm])
        place[vm] = numa
        rows.append(row)
    return rows


def plan_json(instance: VmInstance, plan: Plan) -> dict[str, Any]:
    """Returns the objective before and after, by the verifier, and the migrations."""
    nothing = Plan(plan.vm[:0], plan.numa[:0])
    return {
        "instance": instance.name,
        "objective_before": verify(instance, nothing),
        "objective": verify(instance, plan),
        "migrations": plan_rows(instance, plan),
    }
