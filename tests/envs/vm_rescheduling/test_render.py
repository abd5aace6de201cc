"""Pictures of plans: what stands in them is what the plan does."""

import re
import subprocess
import sys

import numpy as np
import pytest

from envs.vm_rescheduling.generators import synthetic
from envs.vm_rescheduling.render import histogram, placement_array, placement_html, placement_text, placements
from envs.vm_rescheduling.types import Machines, VirtualMachines, VmInstance, plan

# Machine a has nodes of 20 and 20 cores, b one of 24. VM u (4 cores) stands on a's second node, v (8) on b.
INSTANCE = VmInstance(
    "tiny",
    Machines(("a", "b"), np.array([0, 0]), np.array([0, 0, 1]), np.array([20, 20, 24]), np.array([100, 100, 100])),
    VirtualMachines(
        ("u", "v"),
        cores=np.array([4, 8]),
        memory=np.array([10, 10]),
        numa_count=np.array([1, 1]),
        host=np.array([1, 2]),
        group=np.array([-1, -1]),
        movable=np.array([True, True]),
        arrival=np.zeros(2),
        departure=np.full(2, np.inf),
        home=np.zeros(2, np.int64),
    ),
    migration_limit=2,
)
FLIP = plan([(0, 0)])


def test_what_a_plan_changes():
    picture = placements(INSTANCE, FLIP)
    assert picture.before.tolist() == [20, 16, 16]
    assert picture.after.tolist() == [16, 20, 16]
    assert picture.changed.tolist() == [True, True, False]
    assert picture.sums == pytest.approx((4 / 52, 4 / 52))
    assert histogram(picture.before).tolist() == [2, 0, 0, 0, 1] + [0] * 11


def test_text_tells_both_placements():
    text = placement_text(INSTANCE, FLIP)
    assert text.startswith("tiny: 2 machines, 2 VMs, 0.0769 -> 0.0769 in 1 migrations\nbefore:\n")
    assert " 0:     2 ->     2" in text
    assert " 4:     1 ->     1" in text


@pytest.mark.parametrize("machines", [1, 7, 200])
def test_pictures_have_one_size(machines):
    instance = synthetic(machines, np.random.default_rng(0), keep=0.9)
    picture = placement_array(instance, plan([]))
    assert picture.shape == placement_array(INSTANCE, FLIP).shape
    assert picture.dtype == np.uint8
    assert len(np.unique(picture)) > 10


def test_html_names_every_node_and_needs_nothing_else():
    text = placement_html(INSTANCE, FLIP)
    assert re.findall(r"<title>(.*?)</title>", text) == [
        "a, NUMA node 0: 20 of 20 cores free",
        "a, NUMA node 1: 16 of 20 cores free",
        "b, NUMA node 0: 16 of 24 cores free",
        "a, NUMA node 0: 16 of 20 cores free",
        "a, NUMA node 1: 20 of 20 cores free",
        "b, NUMA node 0: 16 of 24 cores free",
    ]
    assert text.count("stroke=") == 2
    assert "http" not in text
    assert "<script" not in text


def test_drawing_leaves_pyplot_alone():
    code = (
        "import sys\nimport numpy as np\n"
        "from envs.vm_rescheduling.generators import synthetic\n"
        "from envs.vm_rescheduling.render import placement_array\n"
        "from envs.vm_rescheduling.types import plan\n"
        "placement_array(synthetic(3, np.random.default_rng(0)), plan([]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
