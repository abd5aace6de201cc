"""Measures of plans: by hand, and each against the verifier under the objective of that term alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.vm_rescheduling.generators import with_churn
from envs.vm_rescheduling.metrics import measures
from envs.vm_rescheduling.types import TERMS, Objective, plan
from envs.vm_rescheduling.verify import verify

NODE = (44, 200_000)


def test_measures_by_hand(build):
    # Free cores 40, 44 | 12, 12, then 44, 44 | 8, 12; free memory 190,000, 200,000 | 150,000, 150,000.
    vms = [
        {"cores": 4, "memory": 10_240, "host": 0},
        {"cores": 64, "memory": 100_000, "numa_count": 2, "host": 2},
    ]
    found = measures(build([[NODE, NODE], [NODE, NODE]], vms), plan([(0, 3), (0, 2)]))
    expected = {
        "initial_fr16": (8 + 12 + 12 + 12) / 108,
        "initial_fr64": 44 / 108,
        "initial_memory64": (189_760 - 131_072 + 200_000 - 196_608 + 2 * (150_000 - 131_072)) / 689_760,
        "initial_occupied_hosts": 1.0,
        "fr16": (12 + 12 + 8 + 12) / 108,
        "fr64": 44 / 108,
        "memory64": (2 * (200_000 - 196_608) + 139_760 - 131_072 + 150_000 - 131_072) / 689_760,
        "occupied_hosts": 0.5,
        "migrations": 2,
        "moved_memory": 20,
    }
    assert found == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_terms_are_those_of_the_verifier(random_cluster, walk, seed, churning):
    rng = np.random.default_rng(seed)
    instance = random_cluster(seed, objective=Objective({"fr64": 2.0}), migration_limit=8, migration_seconds=1.0)
    instance = with_churn(instance, 1.0, 8.0, rng) if churning else instance
    _, moves = walk(instance, rng, 5)
    found = measures(instance, plan(moves))
    for term in TERMS:
        alone = replace(instance, objective=Objective({term: 1.0}))
        assert found[term] == pytest.approx(verify(alone, plan(moves)), abs=1e-9)
        assert found[f"initial_{term}"] == pytest.approx(verify(alone, plan([])), abs=1e-9)
