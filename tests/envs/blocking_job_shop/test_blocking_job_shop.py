"""The blocking job shop against an alternative graph that enumerates all orders, and against its definition."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.blocking_job_shop.benchmarks import best_known, drawn, shops
from envs.blocking_job_shop.env import BlockingJobShop, BlockingJobShopConfig, fit
from envs.blocking_job_shop.exact import cp_sat
from envs.blocking_job_shop.instance import parse_text, read_instance, write_instance
from envs.blocking_job_shop.priorities import KEYS, roll_outs
from envs.blocking_job_shop.render import gantt_html, gantt_text
from envs.blocking_job_shop.rules import RULES, scratch_for
from envs.blocking_job_shop.types import BlockingJobShopInstance, planned
from envs.blocking_job_shop.verify import verify
from envs.core import UsageError

CROSSING = BlockingJobShopInstance("crossing", [[0, 1], [1, 0]], [[3, 2], [2, 4]], 2)
"""Two jobs that go opposite ways over two machines."""


def random_instance(seed, jobs, machines, **options):
    rng = np.random.default_rng(seed)
    routes = rng.permuted(np.tile(np.arange(machines), (jobs, 1)), axis=1)
    times = rng.integers(1, 9, size=(jobs, machines), endpoint=True)
    return BlockingJobShopInstance(f"random_{seed}", routes, times, machines, **options)


def alternative_graph_optimum(instance):
    """The least makespan over all orders on all machines, by longest paths in the alternative graph.

    On a machine a job comes after the one before it has begun its next operation (or ended its last). An order is
    impossible if that takes a circle of positive length; without swap, if it takes any circle.
    """
    jobs, operations = instance.machines.shape
    place = {(j, int(instance.machines[j, k])): k for j in range(jobs) for k in range(operations)}
    nodes = [(j, k) for j in range(jobs) for k in range(operations)]
    best = math.inf
    for orders in itertools.product(itertools.permutations(range(jobs)), repeat=instance.num_machines):
        arcs = [((j, k), (j, k + 1), int(instance.times[j, k])) for j, k in nodes if k + 1 < operations]
        changes = []
        for machine, order in enumerate(orders):
            for first, second in itertools.pairwise(order):
                k, target = place[first, machine], (second, place[second, machine])
                if k + 1 < operations:
                    changes.append(((first, k + 1), target, 0))
                else:
                    arcs.append(((first, k), target, int(instance.times[first, k])))
        starts = longest_paths(nodes, arcs + changes)
        if starts is None or (not instance.swap and in_a_circle(nodes, arcs + changes)):
            continue
        best = min(best, max(starts[j, operations - 1] + int(instance.times[j, -1]) for j in range(jobs)))
    return best


def longest_paths(nodes, arcs):
    """Longest paths from time 0, None with a circle of positive length (Bellman and Ford)."""
    starts = dict.fromkeys(nodes, 0)
    for _ in range(len(nodes) + 1):
        changed = False
        for before, after, length in arcs:
            if starts[before] + length > starts[after]:
                starts[after], changed = starts[before] + length, True
        if not changed:
            return starts
    return None


def in_a_circle(nodes, arcs):
    """Whether the arcs have a circle (Kahn's algorithm)."""
    waiting = {node: sum(after == node for _, after, _ in arcs) for node in nodes}
    ready = [node for node, count in waiting.items() if count == 0]
    done = 0
    while ready:
        node = ready.pop()
        done += 1
        for before, after, _ in arcs:
            if before == node:
                waiting[after] -= 1
                if waiting[after] == 0:
                    ready.append(after)
    return done < len(nodes)


def begin(instance, seed=0, **options):
    problem = BlockingJobShop(BlockingJobShopConfig(**{"graph": "compact", **fit([instance]), **options}))
    state = problem.allocate(1)
    state.generator[:] = seed
    problem.load(state, 0, instance)
    return problem, state


def act(problem, state, action):
    assert not problem.step(state, np.array([action]), np.ones(1, np.bool_))[0]


def play(instance, rule, seed=0):
    problem, state = begin(instance, seed)
    while not problem.finished(state)[0]:
        act(problem, state, int(np.where(state.mask[0], RULES[rule].priority(state)[0], np.inf).argmin()))
    return problem.solution(state, 0)


def copy(state):
    return type(state)(*(array.copy() for array in state))


def least_makespan(problem, state, seen):
    """The least makespan over all decisions, depth first."""
    if problem.finished(state)[0]:
        return float(state.clock[0])
    key = (float(state.clock[0]), state.job_next.tobytes(), state.job_on.tobytes(), state.machine_done.tobytes())
    key += (state.machine_event.tobytes(),)
    if key not in seen:
        found = math.inf
        for action in np.flatnonzero(state.mask[0]).tolist():
            after = copy(state)
            act(problem, after, action)
            found = min(found, least_makespan(problem, after, seen))
        seen[key] = found
    return seen[key]


@pytest.mark.parametrize("swap", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_cp_sat_equals_the_alternative_graph(seed, swap):
    instance = random_instance(seed, 3, 3, swap=swap)
    found = cp_sat(time_limit=20, workers=1)(instance)
    assert found.status == "optimal"
    expected = alternative_graph_optimum(instance)
    assert found.objective == found.bound == expected == verify(instance, found.solution)


@pytest.mark.parametrize("seed", range(4))
def test_decisions_reach_the_optimum_with_swap(seed):
    instance = random_instance(seed, 3, 3)
    problem, state = begin(instance)
    assert least_makespan(problem, state, {}) == alternative_graph_optimum(instance)


@pytest.mark.parametrize("seed", range(4))
def test_decisions_without_swap_never_beat_the_optimum(seed):
    instance = random_instance(seed, 3, 3, swap=False)
    problem, state = begin(instance)
    assert least_makespan(problem, state, {}) >= alternative_graph_optimum(instance)


def test_published_optimum_of_ft06():
    (instance, *_) = shops("fisher_thompson").instances
    found = cp_sat(time_limit=60, workers=2)(instance)
    assert (found.objective, found.status) == (63.0, "optimal")
    assert best_known()["ft06"] == (63, 63, best_known()["ft06"].sha256)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "optimum"), [("la01", 793), ("la05", 664), ("la16", 1060)])
def test_published_optima_of_lawrence(name, optimum):
    found = cp_sat(time_limit=300, workers=2)(shops("lawrence").select([name]).instances[0])
    assert found.objective == optimum


def test_jobs_change_places():
    """Job 1 waits from 2 on, both change places at 3: machine 1 works until 5, machine 0 until 7."""
    execution = play(CROSSING, "fifo")
    assert execution.starts.tolist() == [[0.0, 3.0], [0.0, 3.0]]
    assert verify(CROSSING, execution) == 7.0
    with pytest.raises(UsageError, match="jobs 0, 1 change places"):
        verify(replace(CROSSING, swap=False), execution)


def test_without_swap_the_second_job_stays_outside():
    """Job 0 holds machine 0 until 3, when it comes to machine 1; only then can job 1 follow it, at 5: 5 + 2 + 4."""
    instance = replace(CROSSING, swap=False)
    problem, state = begin(instance)
    act(problem, state, 0)
    assert not state.mask[0, 1]
    execution = play(instance, "fifo")
    assert verify(instance, execution) == 11.0 == alternative_graph_optimum(instance)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    jobs=st.integers(1, 7),
    machines=st.integers(1, 5),
    swap=st.booleans(),
    shutdown=st.sampled_from([0.0, 0.5, 1.0]),
    rate=st.sampled_from([0.0, 0.05]),
)
def test_random_decisions_come_to_a_valid_end(seed, jobs, machines, swap, shutdown, rate):
    instance = random_instance(seed, jobs, machines, swap=swap, shutdown=shutdown, shutdown_rate=rate, repair_time=4.0)
    rng = np.random.default_rng(seed)
    problem, state = begin(instance, seed)
    decisions = 0
    while not problem.finished(state)[0]:
        act(problem, state, int(rng.choice(np.flatnonzero(state.mask[0]))))
        decisions += 1
        assert decisions < 100_000
    execution = problem.solution(state, 0)
    assert verify(instance, execution) == pytest.approx(problem.objective(state)[0])
    assert problem.potential(state)[0] == pytest.approx(problem.objective(state)[0])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), swap=st.booleans(), kind=st.sampled_from(KEYS))
def test_roll_outs_are_what_follows(seed, swap, kind):
    """After a few random decisions, every action's roll-out is the makespan of acting and following the rule."""
    instance = random_instance(seed, 4, 3, swap=swap)
    rng = np.random.default_rng(seed)
    problem, state = begin(instance)
    for _ in range(int(rng.integers(0, 6))):
        if not problem.finished(state)[0]:
            act(problem, state, int(rng.choice(np.flatnonzero(state.mask[0]))))
    told = np.empty(state.mask.shape[1])
    roll_outs(state, 0, KEYS.index(kind), scratch_for(state), told)
    for action in range(len(told)):
        if not state.mask[0, action]:
            assert told[action] == np.inf
            continue
        after = copy(state)
        act(problem, after, action)
        while not problem.finished(after)[0]:
            act(problem, after, int(RULES[kind].priority(after)[0].argmin()))
        assert told[action] == after.clock[0]


def test_repairs_take_their_mean_time():
    """One operation that is always interrupted takes its time and one repair."""
    instance = BlockingJobShopInstance("one", [[0]], [[10]], 1, shutdown=1.0, repair_time=6.0)
    ends = np.array([play(instance, "fifo", seed).ends[0, 0] for seed in range(2000)])
    assert ends.min() > 10.0
    assert ends.mean() == pytest.approx(16.0, abs=4 * 6.0 / math.sqrt(2000))


def test_shutdowns_by_the_rate_come_as_often_as_they_should():
    """A machine that works 200 moments is shut down ten times in the mean, busy or not."""
    instance = BlockingJobShopInstance("one", [[0]], [[200]], 1, shutdown_rate=0.05, repair_time=1.0)
    counts = [len(play(instance, "fifo", seed).shut_at) for seed in range(500)]
    assert np.mean(counts) == pytest.approx(10.0, abs=4 * math.sqrt(10 / 500))


def test_decisions_do_not_change_the_luck():
    """An operation is interrupted for as long whenever it starts."""
    instance = random_instance(3, 4, 3, shutdown=0.7, repair_time=5.0)
    lost = [
        play(instance, rule, seed=5).ends - play(instance, rule, seed=5).starts - instance.times
        for rule in ("spt", "lpt")
    ]
    assert (lost[0] > 0).any()
    assert np.allclose(*lost)


def test_another_future_keeps_the_past():
    instance = random_instance(1, 4, 3, shutdown=0.8, shutdown_rate=0.1, repair_time=5.0)
    problem, state = begin(instance)
    for _ in range(5):
        act(problem, state, int(np.flatnonzero(state.mask[0])[0]))
    before = copy(state)
    ends = set()
    for seed in range(20):
        other = copy(before)
        other.generator[:] = seed
        problem.resample(other, np.array([0]))
        for name in ("clock", "job_next", "job_on", "machine_job", "machine_done", "machine_left", "starts", "mask"):
            assert np.array_equal(getattr(other, name), getattr(before, name))
        assert (other.machine_event >= other.clock[0]).all()
        while not problem.finished(other)[0]:
            act(problem, other, int(np.flatnonzero(other.mask[0])[0]))
        ends.add(float(other.clock[0]))
    assert len(ends) > 10


def test_plans_are_executed_under_shutdowns():
    instance = random_instance(7, 4, 3, shutdown=0.5, repair_time=3.0)
    found = cp_sat(time_limit=20, workers=1)(instance, seed=4)
    assert found.status == "heuristic"
    assert found.objective == pytest.approx(verify(instance, found.solution))
    assert found.objective >= cp_sat(time_limit=20, workers=1)(replace(instance, shutdown=0.0)).objective


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: replace(e, starts=e.starts + 1), "is processed for"),
        (lambda e: replace(e, starts=e.starts[:1]), r"starts has shape \(1, 2\)"),
        (lambda e: replace(e, ends=np.where(e.ends == 7, np.nan, e.ends)), "not finished"),
        (lambda e: planned([[0, 3], [0, 2]], CROSSING.times), "machine 0 holds"),
        (lambda e: planned([[0, 2], [0, 3]], CROSSING.times), "starts before the operation before it ends"),
        (lambda e: replace(e, shut_machines=np.array([0]), shut_at=np.array([1.0]), opened_at=np.array([2.0])), "none"),
    ],
)
def test_verifier_refuses(change, message):
    with pytest.raises(UsageError, match=message):
        verify(CROSSING, change(play(CROSSING, "fifo")))


def test_verifier_knows_the_shutdowns():
    instance = replace(CROSSING, shutdown=0.5, repair_time=1.0)
    execution = replace(
        play(CROSSING, "fifo"), shut_machines=np.array([0]), shut_at=np.array([1.0]), opened_at=np.array([2.0])
    )
    with pytest.raises(UsageError, match="is processed for 2 on machine 0; its processing time is 3"):
        verify(instance, execution)
    late = replace(execution, shut_at=np.array([2.5]), opened_at=np.array([3.5]), shut_machines=np.array([1]))
    with pytest.raises(UsageError, match=r"operation 1 of job 0 .* starts while machine 1 is shut down"):
        verify(instance, late)


def test_files(tmp_path):
    text = "# two jobs\n2 2\n0 3 1 2\nswap no\n1 2 0 4\nshutdown 0.1\nshutdown_rate 0.01\nrepair_time 5\n"
    instance = parse_text(text, "crossing", "here")
    assert instance == replace(CROSSING, swap=False, shutdown=0.1, shutdown_rate=0.01, repair_time=5.0)
    write_instance(instance, tmp_path / "crossing.json")
    assert read_instance(tmp_path / "crossing.json") == instance


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2\n0 3 1 2\nswap maybe\n", "line 3: swap is 'maybe'; expected yes or no"),
        ("1 2\n0 3 1 2\nshutdown much\n", "line 3: shutdown is 'much'; expected a number"),
        ("1 2\n0 3 1 2\nshutdown 2\nrepair_time 1\n", "shutdown is 2.0; expected a probability"),
        ("1 2\n0 3 1 2\nshutdown 0.5\n", "repair_time is 0.0; expected more than 0"),
        ("1 2\n0 3 1 2\nswap no\nswap no\n", "line 4: a second line 'swap'"),
        ("1 2\n0 3 0 2\n", "operations 0 and 1 of job 0 are on one machine"),
    ],
)
def test_bad_text(tmp_path, text, message):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_instance(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"swap": 1}, "swap is 1; expected true or false"),
        ({"speed": 1}, "has a field 'speed'"),
        ({"times": [[1.5, 2], [2, 4]]}, "times is .* expected rows of whole numbers"),
        ({"machines": [[0], [1, 0]]}, "machines is .* expected rows of one length"),
        ({"num_machines": "two"}, "num_machines is 'two'; expected a number"),
        ({"machines": [[0, 2], [1, 0]]}, "machines run from 0 to 2; expected 0 to 1"),
    ],
)
def test_bad_json(tmp_path, change, message):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({"num_machines": 2, "machines": [[0, 1], [1, 0]], "times": [[3, 2], [2, 4]]} | change))
    with pytest.raises(UsageError, match=message):
        read_instance(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graph": "dense"}, "graph is 'dense'"),
        ({"roll_outs": ("spt", "spt")}, "roll_outs has 'spt'"),
        ({"shutdowns": (0.2, 0.1)}, "shutdowns is"),
        ({"repair_time": 0.0}, "repair_time is 0.0"),
        ({"sizes": ()}, "sizes is"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(UsageError, match=message):
        BlockingJobShopConfig(**options)


def test_charts_show_blocking():
    execution = play(CROSSING, "fifo")
    assert "M1 1" in gantt_text(CROSSING, execution)
    assert "-" in gantt_text(CROSSING, execution).splitlines()[2]
    assert "blocked by job 1: 2 to 3" in gantt_html(CROSSING, execution)


def test_drawn_benchmarks_differ():
    test, validation = drawn(1_000_000, "drawn", True), drawn(2_000_000, "drawn_validation", True)
    assert not set(test.instances) & set(validation.instances)
    assert {one.shutdown for one in test.instances} == {0.0, 0.1, 0.2}


def test_taillards_instances_are_the_published_ones():
    benchmark = shops("taillard")
    assert len(benchmark.instances) == 80
    assert benchmark.references["ta01"].value == best_known()["ta01"].upper_bound
