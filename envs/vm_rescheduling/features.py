"""What an observation holds: names, units and bounds of every feature, and the graph around them.

A *place* of a VM is a NUMA node, of one on two nodes the first of a machine. A *gain* is a decrease of the weighted sum
that is minimised, in units of what 16 free cores were worth in it at the start. `gain_of_leaving` is that of taking a
VM away; `largest_gain_of_coming` the largest of putting another of its kind somewhere, with the VM still where it is,
over the places that the VM may go to; `gain_of_chosen_coming` the same of one place. Their sum is the gain of the
migration to another machine. To the other NUMA node of the same machine it is the gain for `fr16` and `memory64`, which
count nodes, but not for `fr64` and `occupied_hosts`, which count machines: the machine is neither left empty nor one VM
fuller. `envs.vm_rescheduling.dynamics.gain_of_move` is exact for these too.
"""

from __future__ import annotations

import numpy as np

from envs.core.spec import EdgeType, Feature, GraphSpec, NodeType
from envs.vm_rescheduling.state import Capacity
from envs.vm_rescheduling.types import TERMS

_PIECE = "16 cores"
_MEMORY = "64 GiB"
_GAIN = "value of 16 free cores"


def _amount(name: str, unit: str) -> Feature:
    return Feature(name, unit, 0.0, np.inf)


def _share(name: str) -> Feature:
    return Feature(name, "1", 0.0, 1.0)


def _pieces(what: str) -> tuple[Feature, ...]:
    """Whether free cores modulo 16 hold a piece of 8, of 4, of 2 cores: their binary digits."""
    return tuple(_share(f"{what}_beyond_16_hold_{size}") for size in (8, 4, 2))


VM_STATIC = (
    _amount("cores", _PIECE),
    _amount("memory", _MEMORY),
    _share("on_two_numa_nodes"),
    _share("movable"),
    _share("in_anti_affinity_group"),
)

VM = (
    _share("running"),
    _share("legal"),
    _share("chosen"),
    Feature("gain_of_leaving", _GAIN),
    Feature("largest_gain_of_coming", _GAIN),
    _amount("migrations", "1"),
    *_pieces("free_cores_after_leaving"),
)

NUMA_STATIC = (_amount("cores", _PIECE), _amount("memory", _MEMORY))

NUMA = (
    _share("legal"),
    _amount("free_cores", _PIECE),
    _share("free_cores_beyond_pieces"),
    _share("free_cores_beyond_halves_of_64"),
    _amount("free_memory", _MEMORY),
    _amount("held_cores", _PIECE),
    _share("place_of_chosen"),
    Feature("gain_of_chosen_coming", _GAIN),
    *_pieces("free_cores"),
    *_pieces("free_cores_after_chosen_comes"),
)

MACHINE_STATIC = (_amount("numa_nodes", "1"),)

MACHINE = (_amount("vms", "10"), Feature("part_of_weighted_sum", _GAIN))

STOP = (_share("legal"),)

CONTEXT = (
    _share("vm_is_chosen"),
    _amount("migrations_left", "50"),
    _share("migrations_left_of_limit"),
    *(_share(name) for name in TERMS),
    *(_amount(f"weight_of_{name}", "1") for name in TERMS),
    _share("has_goal"),
    Feature("weighted_sum_above_goal", "0.1"),
    _amount("free_cores_a_numa_node", _PIECE),
    _amount("migrations_in_flight", "1"),
)


def vm_spec(capacity: Capacity) -> GraphSpec:
    """Returns the graph specification at a capacity."""
    return GraphSpec(
        nodes=(
            NodeType("vm", capacity.vms, VM_STATIC, VM),
            NodeType("stop", 1, (), STOP),
            NodeType("numa", capacity.numas, NUMA_STATIC, NUMA),
            NodeType("machine", capacity.machines, MACHINE_STATIC, MACHINE),
        ),
        edges=(
            EdgeType("vm", "hosted_on", "numa", 2 * capacity.vms, False),
            EdgeType("numa", "part_of", "machine", capacity.numas, True),
            EdgeType("vm", "apart_from", "vm", capacity.vms, True),
        ),
        actions=("vm", "stop", "numa"),
        context=CONTEXT,
    )
