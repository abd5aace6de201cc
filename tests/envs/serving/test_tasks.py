"""The three tasks: what is asked for, what a decision does, and what the objective counts."""

import json

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.core import UsageError, make_vector_env, problem
from envs.serving.engine import ASK_BUDGET, ASK_DISPATCH, ASK_FIRST, ASK_VICTIM
from envs.serving.env import ChunkConfig, PreemptConfig, RouteConfig
from envs.serving.execution import Execution
from envs.serving.instance import read_instance, write_instance
from envs.serving.rules import BUDGETS
from envs.serving.simulation import simulate
from envs.serving.strategy import Strategy
from envs.serving.types import Replica, ServiceLevel, ServingInstance, make_requests
from envs.serving.verify import verify

CONSTANT = Execution(a=10.0)


def instance(arrival, prompt, output, *, kv_blocks=1000, replicas=1, level=None, **columns):
    engines = tuple(Replica(f"engine{k}", CONSTANT, kv_blocks, 4) for k in range(replicas))
    requests = make_requests(arrival, prompt, output, **columns)
    return ServingInstance("tiny", engines, requests, level or ServiceLevel(0.02, 0.01))


def start(task, given, **options):
    env = make_vector_env(f"serving_{task}", 1, instances=(given,), autoreset_mode=AutoresetMode.DISABLED, **options)
    env.reset(seed=0)
    return env


def asked(env):
    return int(env.state.control["asked"][0])


def act(env, action):
    return env.step(np.array([action]))[2][0]


def test_a_budget_is_asked_for_only_while_there_are_prompts():
    env = start("chunk", instance([0.0], [300], [5]))
    seen = []
    done = False
    while not done:
        seen.append(asked(env))
        done = act(env, 0 if asked(env) == ASK_BUDGET else len(BUDGETS))
    # 300 tokens in chunks of 128, and the first request is asked for once
    assert seen == [ASK_BUDGET, ASK_FIRST, ASK_BUDGET, ASK_BUDGET]
    assert env.problem.solution(env.state, 0).log.entries["tokens"].tolist() == [128, 128, 44, 1, 1, 1, 1]


def test_the_picked_request_is_admitted_first():
    env = start("chunk", instance([0.0, 0.0], [100, 60], [1, 1]))
    act(env, 0)  # a budget of 128 tokens: one prompt and a part of the other
    assert asked(env) == ASK_FIRST
    shown = env.state.visible[0, :2].tolist()
    act(env, len(BUDGETS) + shown.index(1))
    first = env.problem.solution(env.state, 0).log.entries[:2]
    assert first["request"].tolist() == [1, 0]
    assert first["tokens"].tolist() == [60, 68]


def test_the_picked_victim_is_preempted():
    given = instance([0.0, 0.0], [7, 7], [6, 6], kv_blocks=5)
    env = start("preempt", given)
    while asked(env) != ASK_VICTIM:
        act(env, int(env.action_masks()[0].argmax()))
    place = env.state.visible[0, :2].tolist().index(0)
    act(env, place)
    assert env.state.request[0]["preemptions"].tolist() == [1, 0]


def test_a_late_token_costs_before_it_comes():
    env = start("route", instance([0.0, 0.008], [8, 8], [1, 1], replicas=2, level=ServiceLevel(0.004, 0.01)))
    act(env, 0)
    # the first request's token was due at 4 ms, and is to come at 10 ms: half of its half of the mean over two requests
    assert env.state.control["cost"][0] == 0.0
    assert env.problem.objective(env.state)[0] == pytest.approx(0.5 * 0.5 * (1 - 4 / 8))
    assert act(env, 1)
    assert env.problem.objective(env.state)[0] == pytest.approx(0.5 * (1 - 4 / 10))


def test_requests_go_where_they_are_sent():
    env = start("route", instance([0.0, 0.001, 0.002], [8, 8, 8], [3, 3, 3], replicas=2))
    for replica in (1, 1, 0):
        assert asked(env) == ASK_DISPATCH
        assert env.action_masks()[0].tolist() == [True, True]
        act(env, replica)
    assert env.state.request[0]["replica"].tolist() == [1, 1, 0]


def test_the_objective_by_hand():
    # One request: its first token after 40 ms instead of 20 costs 1 - 20/40, a gap of 10 ms is in time.
    env = start("chunk", instance([0.0], [400], [3]))
    done = False
    while not done:
        done = act(env, 0 if asked(env) == ASK_BUDGET else len(BUDGETS))
    objective = env.problem.objective(env.state)[0]
    assert objective == pytest.approx(0.5 * (1 - 20 / 40))
    trace = env.problem.solution(env.state, 0)
    assert verify(env.problem.instance(env.state, 0), trace.strategy, trace.outcome) == pytest.approx(objective)


@pytest.mark.parametrize(("per_user", "expected"), [(False, 0.25 / 3), (True, 0.25 / 2)])
def test_users_may_count_the_same(per_user, expected):
    # Alone in the batch at a time: the last request, of another user, waits until its first token is late.
    given = instance(
        [0.0, 0.0, 0.0],
        [4, 4, 4],
        [1, 1, 3],
        user=[0, 0, 1],
        level=ServiceLevel(0.015, 0.01, per_user),
    )
    outcome = simulate(given, Strategy(max_running=1), record=True)
    found = verify(given, Strategy(max_running=1), outcome)
    weights = given.weights()
    lateness = np.array([0.0, 1 - 15 / 20, 1 - 15 / 30])
    assert found == pytest.approx(0.5 * (weights * lateness).sum())
    assert given.weights().sum() == pytest.approx(1.0)
    assert (weights[2] == 0.5) == per_user


def test_a_rule_plays_as_the_engine_does_alone():
    config = {"requests": 24, "rates": (3.0, 3.0), "devices": ("a100", "a100"), "kv_blocks": 1500}
    env = make_vector_env("serving_route", 1, autoreset_mode=AutoresetMode.DISABLED, **config)
    env.reset(seed=5)
    given = env.problem.instance(env.state, 0)
    rule = problem("serving_route").rules["least_tokens"]
    done = False
    while not done:
        done = act(env, int(rule.priority(env.state)[0].argmin()))
    alone = simulate(given, Strategy(**{**vars(env.problem.strategy), "dispatch": "least_tokens"}))
    assert env.state.request[0]["replica"].tolist() == alone.requests["replica"].tolist()
    assert env.state.request[0]["last"].tolist() == alone.requests["last"].tolist()


def test_instances_are_written_and_read(tmp_path):
    given = instance([0.0, 1.0, 0.5], [7, 9, 30], [3, 1, 2], follows=[-1, -1, 0], user=[0, 1, 0])
    path = tmp_path / "given.json"
    write_instance(given, path)
    assert read_instance(path) == given


def test_instances_may_name_their_hardware(tmp_path):
    path = tmp_path / "named.json"
    document = {
        "replicas": [{"model": "llama_3_8b", "device": "a100", "kv_blocks": 500}],
        "requests": {"arrival": [0.0], "prompt": [10], "output": [5]},
    }
    path.write_text(json.dumps(document))
    found = read_instance(path)
    assert (found.name, found.replicas[0].kv_blocks, found.replicas[0].kv_bytes) == ("named", 500, 131072)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"replicas": [{"model": "llama_3_8b"}]}, "a replica lacks 'device'"),
        ({"requests": {"arrival": [0.0], "prompt": [10]}}, "requests lacks the column 'output'"),
        ({"requests": {"arrival": [0.0], "prompt": [1.5], "output": [1]}}, "requests.prompt has fractions"),
        ({"requests": {"arrival": [0.0], "prompt": [1], "output": [1], "colour": [1]}}, "no column 'colour'"),
        ({"service_level": {"first_token": -1.0}}, "first_token is -1.0"),
    ],
)
def test_bad_instances_are_named(tmp_path, change, words):
    path = tmp_path / "bad.json"
    document = {
        "replicas": [{"model": "llama_3_8b", "device": "a100"}],
        "requests": {"arrival": [0.0], "prompt": [10], "output": [5]},
    }
    path.write_text(json.dumps({**document, **change}))
    with pytest.raises(UsageError, match=r"bad\.json") as error:
        read_instance(path)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (ChunkConfig, {"rates": (2.0, 1.0)}, r"rates is \[2.0, 1.0\]"),
        (ChunkConfig, {"max_visible": 3}, "max_visible is 3; expected at least max_running, 64"),
        (PreemptConfig, {"users": 0}, "users is 0; expected at least 1"),
        (RouteConfig, {"devices": ()}, "devices is empty"),
    ],
)
def test_bad_options_are_named(kind, options, words):
    with pytest.raises(UsageError, match=words):
        kind(**options)


def test_the_trace_is_in_chromes_format():
    env = start("route", instance([0.0, 0.001], [8, 8], [3, 3], replicas=2))
    while not act(env, 1):
        pass
    given, trace = env.problem.instance(env.state, 0), env.problem.solution(env.state, 0)
    document = problem("serving_route").solution_to_json(given, trace)
    spans = [event for event in document["traceEvents"] if event["ph"] == "X"]
    assert {event["pid"] for event in spans} == {1}
    assert sum(event["args"]["tokens"] for event in spans) == 2 * (8 + 2)
    assert spans[0]["dur"] == pytest.approx(10_000.0)
