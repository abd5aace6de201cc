"""The engine on instances that can be worked out by hand: ten milliseconds an iteration, blocks of four tokens."""

import numpy as np
import pytest

from envs.core.errors import UsageError
from envs.serving.execution import Execution
from envs.serving.metrics import attainment, gap_quantile, jain, latencies, measures
from envs.serving.simulation import simulate
from envs.serving.strategy import Strategy
from envs.serving.types import Replica, ServiceLevel, ServingInstance, make_requests
from envs.serving.verify import verify


def milliseconds(values):
    return (1e3 * np.asarray(values)).round(6).tolist()


def run(instance, **choices):
    strategy = Strategy(**choices)
    outcome = simulate(instance, strategy, record=True)
    verify(instance, strategy, outcome)
    return outcome


def test_one_request(make_instance):
    outcome = run(make_instance([0.5], [6], [3]))
    assert milliseconds(outcome.requests["first"]) == [510.0]
    assert milliseconds(outcome.requests["last"]) == [530.0]
    assert outcome.replicas["iterations"].tolist() == [3]
    assert outcome.replicas["free"].tolist() == [100]


def test_chunks_of_a_prompt_take_an_iteration_each(make_instance):
    outcome = run(make_instance([0.0], [10], [1]), budget=4)
    assert outcome.log.entries["tokens"].tolist() == [4, 4, 2]
    assert milliseconds(outcome.requests["first"]) == [30.0]


def test_decodes_and_chunks_share_the_budget(make_instance):
    instance = make_instance([0.0, 0.0], [4, 8], [4, 1])
    outcome = run(instance, budget=4, decodes_first=True)
    by_iteration = np.split(outcome.log.entries, np.cumsum(outcome.log.iterations["entries"])[:-1])
    assert [list(zip(part["request"], part["tokens"], strict=True)) for part in by_iteration] == [
        [(0, 4)],
        [(0, 1), (1, 3)],
        [(0, 1), (1, 3)],
        [(0, 1), (1, 2)],
    ]


def test_prompts_first_stall_decodes(make_instance):
    instance = make_instance([0.0, 0.015], [4, 4], [3, 1])
    outcome = run(instance, batching="prefill_first", reserve="prompt")
    # prompt of 0, decode of 0, prompt of 1, decode of 0
    assert milliseconds(outcome.requests["last"]) == [40.0, 30.0]
    assert milliseconds([outcome.requests["longest_gap"][0]]) == [20.0]


def test_static_batches_wait_for_the_last(make_instance):
    instance = make_instance([0.0, 0.0, 0.001], [4, 4, 4], [2, 5, 1])
    outcome = run(instance, batching="static", reserve="maximum", max_length=20, max_running=2)
    assert milliseconds(outcome.requests["last"]) == [20.0, 50.0, 60.0]


def test_maximum_reserve_limits_the_batch(make_instance):
    instance = make_instance([0.0] * 3, [4] * 3, [2] * 3, kv_blocks=10)
    outcome = run(instance, batching="mixed", reserve="maximum", max_length=20)
    assert milliseconds(outcome.requests["admitted"]) == [0.0, 0.0, 20.0]


def test_alternating_never_mixes(make_instance):
    instance = make_instance([0.0, 0.0], [4, 8], [3, 1])
    outcome = run(instance, batching="alternating", reserve="prompt", budget=4)
    order = outcome.log.entries["request"].tolist()
    assert order == [0, 0, 1, 0, 1]


def test_out_of_memory_the_latest_is_computed_again(make_instance):
    # Two blocks each at first; when both need a third, only one is left.
    instance = make_instance([0.0, 0.001], [7, 7], [4, 4], kv_blocks=5)
    outcome = run(instance, reserve="chunk")
    assert outcome.requests["preemptions"].tolist() == [0, 1]
    assert outcome.replicas["lost_tokens"].sum() > 0
    assert outcome.requests["generated"].tolist() == [4, 4]


def test_swapping_costs_the_transfer_both_ways():
    execution = Execution(a=10.0)
    # A block is 4 tokens x 1,000 bytes at 1 MB/s: 4 ms; starting its copies takes 2 x 1 x 0.5 ms.
    engine = Replica("engine", execution, 5, 4, kv_bytes=1000.0, layers=1, swap_bandwidth=1e6, swap_launch=5e-4)
    requests = make_requests([0.0, 0.001], [7, 7], [4, 4])
    outcome = run(ServingInstance("swap", (engine,), requests), reserve="chunk", mode="swap")
    assert outcome.requests["preemptions"].tolist() == [0, 1]
    assert outcome.replicas["lost_tokens"].tolist() == [0]
    assert outcome.replicas["swapped_blocks"].tolist() == [4]
    assert milliseconds(outcome.replicas["stall_seconds"]) == [20.0]


def test_asynchronous_swapping_lets_others_go_on():
    engine = Replica("engine", Execution(a=10.0), 5, 4, kv_bytes=1000.0, layers=1, swap_bandwidth=1e6, swap_launch=5e-4)
    instance = ServingInstance("swap", (engine,), make_requests([0.0, 0.001], [7, 7], [4, 4]))
    waited, went_on = (run(instance, reserve="chunk", mode="swap", asynchronous=flag) for flag in (False, True))
    assert went_on.requests["last"][0] < waited.requests["last"][0]
    assert went_on.replicas["stall_seconds"] < waited.replicas["stall_seconds"]


def test_copies_of_earlier_turns_come_back_from_the_host():
    engine = Replica("engine", Execution(a=10.0), 50, 4, kv_bytes=1000.0, layers=1, swap_bandwidth=1e9, swap_launch=0.0)
    requests = make_requests([0.0, 1.0], [8, 20], [5, 1], follows=[-1, 0])
    instance = ServingInstance("turns", (engine,), requests)
    swapped, computed = run(instance, mode="swap"), run(instance)
    # 8 + 5 - 1 tokens were in the cache: three whole blocks.
    assert swapped.log.entries["tokens"].tolist()[-1] == 20 - 12
    assert computed.log.entries["tokens"].tolist()[-1] == 20
    assert swapped.requests["arrival"][1] == pytest.approx(1.0 + swapped.requests["last"][0])


def test_layers_of_a_long_prompt_go_by_groups():
    engine = Replica("engine", Execution(c=0.01), 1000, 4)
    instance = ServingInstance("layers", (engine,), make_requests([0.0], [2000], [1]))
    outcome = run(instance, batching="layered", reserve="prompt")
    assert outcome.log.iterations["share"].tolist() == [0.25] * 4
    assert milliseconds(outcome.requests["first"]) == [20.0]


@pytest.mark.parametrize(("order", "expected"), [("fcfs", [0, 1, 2]), ("shortest", [0, 2, 1])])
def test_orders_of_admission(make_instance, order, expected):
    instance = make_instance([0.0, 0.001, 0.002], [4, 4, 4], [3, 9, 2])
    outcome = run(instance, order=order, max_running=1)
    assert np.argsort(outcome.requests["admitted"]).tolist() == expected


def test_fair_order_serves_the_user_who_had_least(make_instance):
    instance = make_instance([0.0, 0.001, 0.002], [4, 4, 4], [3, 3, 3], user=[0, 0, 1])
    outcome = run(instance, order="fair", max_running=1)
    assert np.argsort(outcome.requests["admitted"]).tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("dispatch", "expected"),
    [("round_robin", [0, 1, 0, 1]), ("least_requests", [0, 1, 0, 1]), ("least_tokens", [0, 1, 1, 1])],
)
def test_dispatch(make_instance, dispatch, expected):
    instance = make_instance([0.0, 0.001, 0.002, 0.003], [80, 4, 4, 4], [9, 9, 9, 9], replicas=2)
    assert run(instance, dispatch=dispatch).requests["replica"].tolist() == expected


def test_vllm_batch_size_does_not_change_an_empty_system(make_instance):
    instance = make_instance(np.arange(20) * 0.5, [8] * 20, [5] * 20)
    small, large = (run(instance, max_running=size) for size in (1, 64))
    assert np.array_equal(small.requests["last"], large.requests["last"])


def test_measures_by_hand(make_instance):
    outcome = run(make_instance([0.0, 0.0], [4, 4], [1, 3], user=[0, 1]))
    times = latencies(outcome)
    assert milliseconds(times.ttft) == [10.0, 10.0]
    assert milliseconds(times.tpot) == [10.0]
    assert milliseconds(times.normalised) == [10.0, 10.0]
    assert gap_quantile(outcome.histogram, 0.99) == pytest.approx(0.01, rel=0.006)
    assert attainment(outcome, ServiceLevel(0.01, 0.01)) == 1.0
    assert attainment(outcome, ServiceLevel(0.0099, 0.01)) == 0.0
    assert jain(np.array([1.0, 1.0, 0.0, 0.0])) == 0.5
    found = measures(outcome, ServiceLevel())
    assert found["tokens_per_second"] == pytest.approx(4 / 0.03)
    assert found["requests_per_second"] == pytest.approx(2 / 0.03)


def test_seeds_decide_what_is_drawn(make_instance):
    instance = make_instance(np.arange(40) * 0.001, [8] * 40, [5] * 40, replicas=3)
    strategy = Strategy(dispatch="random")
    first, again, other = (simulate(instance, strategy, seed=seed).requests["replica"].tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batching": "magic"}, "batching is 'magic'; expected one of static"),
        ({"budget": 0}, "budget is 0; expected at least 1"),
        ({"watermark": 1.0}, "watermark is 1.0; expected a share"),
        ({"slack": -1.0}, "slack is -1.0"),
    ],
)
def test_bad_strategies_are_named(options, words):
    with pytest.raises(UsageError, match=words):
        Strategy(**options)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"arrival": [1.0, 0.0]}, "arrivals are out of order"),
        ({"prompt": [0, 4]}, "request 0: prompt is 0; expected at least 1"),
        ({"output": [1, 0]}, "request 1: output is 0; expected at least 1"),
        ({"follows": [-1, 1]}, "request 1: follows is 1; expected -1 or an earlier request"),
        ({"prompt": [4, 4, 4]}, "prompt has 3 entries; expected 2"),
    ],
)
def test_bad_requests_are_named(columns, words):
    given = {"arrival": [0.0, 0.0], "prompt": [4, 4], "output": [1, 1], **columns}
    with pytest.raises(UsageError, match=words):
        make_requests(given.pop("arrival"), given.pop("prompt"), given.pop("output"), **given)


def test_a_request_that_fits_nowhere_is_refused(make_instance):
    with pytest.raises(UsageError, match="a request has 401 tokens; the cache of replica engine0 holds 400"):
        make_instance([0.0], [400], [1])


def test_a_running_request_moves_to_a_replica_with_room():
    # Both long requests go to the first replica (round robin), whose memory they fill; the second is idle by then.
    engines = tuple(Replica(f"engine{k}", Execution(a=10.0), 40, 4) for k in range(2))
    requests = make_requests([0.0, 0.001, 0.002], [60, 4, 40], [40, 1, 40])
    instance = ServingInstance("move", engines, requests)
    stayed, moved = (run(instance, migration_period=period) for period in (0.0, 0.05))
    assert stayed.requests["replica"].tolist() == [0, 1, 0]
    assert stayed.requests["preemptions"].sum() > 0
    assert moved.requests["replica"].tolist() == [0, 1, 1]
    assert moved.requests["preemptions"].sum() == 0
    assert moved.replicas["arrivals"].tolist() == [0, 1]
    assert moved.requests["last"].max() < stayed.requests["last"].max()
    # the pause of 30 ms, to the next start of an iteration
    assert 0.03 <= moved.requests["longest_gap"][2] <= 0.05
