"""Plans as rows and as JSON."""

import json

import pytest

from envs.vm_rescheduling.export import plan_json, plan_rows
from envs.vm_rescheduling.types import plan

NODE = (44, 200_000)
NODES = [[NODE], [NODE, NODE], [NODE, NODE]]
VMS = [
    {"cores": 4, "host": 2},
    {"cores": 8, "numa_count": 2, "host": 1},
    {"cores": 4, "arrival": 1.0},
]
MOVES = [(0, 0), (1, 3), (0, 2), (2, 4)]


def test_rows_name_machines_and_nodes_before_and_after(build):
    rows = plan_rows(build(NODES, VMS, migration_seconds=1.0), plan(MOVES))
    keys = ("migration", "vm", "from_machine", "from_numa", "to_machine", "to_numa", "numa_nodes")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        (1, "vm0", "pm1", 1, "pm0", 0, 1),
        (2, "vm1", "pm1", 0, "pm2", 0, 2),
        (3, "vm0", "pm0", 0, "pm1", 1, 1),
        (4, "vm2", None, None, "pm2", 1, 1),  # where it came to is not part of a plan
    ]
    assert all(set(row) == set(keys) for row in rows)
    assert plan_rows(build(NODES, VMS), plan([])) == []


def test_json_holds_the_verified_objectives(build):
    instance = build(NODES, VMS[:2], name="three")
    found = plan_json(instance, plan([(0, 0)]))
    # Free cores 44, 40, 36, 44, 44 waste 12 + 8 + 4 + 12 + 12; then 40, 40, 40, 44, 44 waste 8 + 8 + 8 + 12 + 12.
    assert found["objective_before"] == pytest.approx(48 / 208)
    assert found["objective"] == pytest.approx(48 / 208)
    assert (found["instance"], len(found["migrations"])) == ("three", 1)
    assert json.loads(json.dumps(found)) == found
