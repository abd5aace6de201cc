from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core.errors import UsageError
from envs.serving.execution import Execution
from envs.serving.hardware import profiles
from envs.serving.presets import PRESETS
from envs.serving.simulation import Outcome, simulate
from envs.serving.types import Replica, ServingInstance, make_requests
from envs.serving.verify import verify
from envs.serving.workloads import synthetic

EXECUTIONS = (
    Execution(a=5.0, b=1.0, c=0.1, p=2.0, d0=0.1, d1=0.01, d2=0.001, m1=0.02, m2=0.001, m3=1e-4, m5=0.002, cpu0=0.4),
    profiles()["opt_13b/a100"],
    profiles()["llama_2_70b/h100x4"],
    profiles()["qwen_3_30b_a3b/rtx_pro_6000"],
)


@st.composite
def instances(draw):
    count = draw(st.integers(1, 12))
    gaps = draw(st.lists(st.floats(0.0, 0.2), min_size=count, max_size=count))
    prompt = draw(st.lists(st.integers(1, 60), min_size=count, max_size=count))
    output = draw(st.lists(st.integers(1, 20), min_size=count, max_size=count))
    user = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    follows = np.full(count, -1)
    for r in range(1, count):
        if draw(st.booleans()) and not (follows == r - 1).any():
            follows[r] = r - 1
    times = np.cumsum(gaps)
    longest = max(p + o for p, o in zip(prompt, output, strict=True))
    blocks = -(-longest // 4) + draw(st.integers(1, 30))
    engines = tuple(
        Replica(f"engine{k}", EXECUTIONS[draw(st.integers(0, 3))], blocks, 4, swap_bandwidth=1e9)
        for k in range(draw(st.integers(1, 3)))
    )
    requests = make_requests(times, prompt, output, user=np.unique(user, return_inverse=True)[1], follows=follows)
    return ServingInstance("generated", engines, requests)


def small(name):
    """A preset with budgets and batches that bind on small instances."""
    strategy = PRESETS[name].strategy
    return replace(strategy, budget=min(strategy.budget, 24), max_running=6, max_length=40, priority_period=3)


@pytest.mark.parametrize("name", sorted(PRESETS))
@given(instance=instances(), seed=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_every_preset_keeps_its_promises(name, instance, seed):
    strategy = small(name)
    outcome = simulate(instance, strategy, seed=seed, record=True)
    verify(instance, strategy, outcome)
    assert outcome.replicas["free"].tolist() == [replica.kv_blocks for replica in instance.replicas]
    assert outcome.requests["generated"].tolist() == instance.requests.output.tolist()
    assert outcome.histogram.sum() == (instance.requests.output - 1).sum()


@pytest.fixture(scope="module")
def recorded():
    engine = Replica("engine", EXECUTIONS[0], 700, 16)
    instance = ServingInstance("recorded", (engine,), synthetic("azure_conversation", 30, 20.0, 0, longest=8000))
    strategy = replace(PRESETS["vllm_v1"].strategy, budget=512)
    outcome = simulate(instance, strategy, record=True)
    verify(instance, strategy, outcome)
    assert outcome.replicas["preemptions"][0] > 0
    return instance, strategy, outcome


def tampered(outcome, part, place, field, value):
    log = {name: getattr(outcome.log, name).copy() for name in ("iterations", "entries", "events")}
    log[part][field][place] += value
    return Outcome(outcome.requests, outcome.replicas, outcome.histogram, outcome.seconds, replace(outcome.log, **log))


@pytest.mark.parametrize(
    ("part", "place", "field", "value", "words"),
    [
        ("entries", 40, "tokens", 1, "computes .* tokens|goes on at|takes|computes for"),
        ("entries", 40, "past", 1, "goes on at"),
        ("entries", 40, "request", 20, "not admitted|goes on at|twice"),
        ("iterations", 10, "end", 0.001, "computes for"),
        ("iterations", 10, "start", -1.0, "has an iteration from"),
        ("iterations", 10, "share", -0.5, "goes through"),
        ("events", 5, "time", -10.0, "goes back|arrives instead"),
        ("events", 8, "request", 1, "."),
    ],
)
def test_a_false_log_is_refused(recorded, part, place, field, value, words):
    instance, strategy, outcome = recorded
    with pytest.raises(UsageError, match=words):
        verify(instance, strategy, tampered(outcome, part, place, field, value))


def test_less_memory_than_was_used_is_noticed(recorded):
    instance, strategy, outcome = recorded
    smaller = replace(instance, replicas=(replace(instance.replicas[0], kv_blocks=600),))
    with pytest.raises(UsageError, match="blocks"):
        verify(smaller, strategy, outcome)


def test_a_smaller_budget_than_was_used_is_noticed(recorded):
    instance, strategy, outcome = recorded
    with pytest.raises(UsageError, match="a batch has 512 tokens of 511"):
        verify(instance, replace(strategy, budget=511), outcome)


def test_another_order_than_promised_is_noticed(recorded):
    instance, _, _ = recorded
    shortest = replace(PRESETS["shortest_job_first"].strategy, budget=512, max_running=4)
    outcome = simulate(instance, shortest, record=True)
    verify(instance, shortest, outcome)
    with pytest.raises(UsageError, match="is admitted before"):
        verify(instance, replace(shortest, order="fcfs"), outcome)


def test_nothing_is_verified_without_a_log(recorded):
    instance, strategy, _ = recorded
    with pytest.raises(UsageError, match="nothing was recorded"):
        verify(instance, strategy, simulate(instance, strategy))
