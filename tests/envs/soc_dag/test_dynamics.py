"""The rules of the environment by hand, on chips small enough to follow, and its random numbers."""

from dataclasses import replace

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.core import GraphVectorEnv, problem
from envs.soc_dag.types import Arrivals, Failures, JobType, SocInstance, make_chip, single_dag

DEFINITION = problem("soc_dag")
INF = float("inf")


def job_type(times, edges=(), name="job"):
    sources, targets, volumes = (np.array([edge[i] for edge in edges]) for i in range(3))
    tasks = tuple(f"task_{i}" for i in range(len(times)))
    return JobType(name, tasks, np.array(times, float), sources.astype(int), targets.astype(int), volumes.astype(float))


TWO = make_chip("two", ("p", "q"), bandwidth=2.0, latency=1.0, memory_bandwidth=4.0)


def environment(instance, lanes=1, **options):
    bound = DEFINITION.bind({"instances": (instance,), **options})
    return GraphVectorEnv(bound, lanes, strict=True, autoreset_mode=AutoresetMode.DISABLED)


def play(instance, choices, seed=0, **options):
    """Maps ready tasks to the PEs of ``choices`` in turn (the first offered task each time); returns the trace."""
    env = environment(instance, **options)
    env.reset(seed=seed)
    for choice in choices:
        env.step(np.array([choice]))
    assert env.problem.finished(env.state).all()
    trace = env.solution(0)
    assert DEFINITION.verify(instance, trace) == pytest.approx(env.problem.objective(env.state)[0])
    return trace


def spans(trace):
    return [
        (int(t), int(p), float(a), float(b))
        for t, p, a, b in zip(trace.task, trace.processor, trace.start, trace.end, strict=True)
    ]


def test_data_that_crosses_takes_latency_and_volume_over_bandwidth():
    instance = single_dag("chain", TWO, job_type([[4, 9], [9, 2]], [(0, 1, 5)]))
    assert spans(play(instance, [0, 1])) == [(0, 0, 0.0, 4.0), (1, 1, 7.5, 9.5)]
    assert spans(play(instance, [0, 0])) == [(0, 0, 0.0, 4.0), (1, 0, 4.0, 13.0)]


def test_whole_ticks_cut_transfers():
    instance = single_dag("chain", TWO, job_type([[4, 9], [9, 2]], [(0, 1, 5)]), whole_ticks=True)
    assert spans(play(instance, [0, 1])) == [(0, 0, 0.0, 4.0), (1, 1, 7.0, 9.0)]


def test_shared_memory_is_written_before_a_task_is_ready_and_read_after_it_is_mapped():
    instance = single_dag("chain", TWO, job_type([[4, 9], [9, 2]], [(0, 1, 6)]), transfer="shared_memory")
    trace = play(instance, [0, 1])
    assert spans(trace) == [(0, 0, 0.0, 4.0), (1, 1, 7.0, 9.0)]
    assert list(trace.mapped) == [0.0, 5.5]


def test_a_task_whose_data_is_there_overtakes_one_that_waits():
    fork = job_type([[2, 9], [3, 3], [3, 3], [4, 4]], [(0, 1, 10), (0, 2, 2)])
    instance = single_dag("fork", TWO, fork)
    # Task 3 has no predecessor and is offered at time 0; tasks 1 and 2 at time 2, both sent to q: data at 8 and at 4.
    assert spans(play(instance, [0, 0, 1, 1])) == [
        (0, 0, 0.0, 2.0),
        (3, 0, 2.0, 6.0),
        (2, 1, 4.0, 7.0),
        (1, 1, 8.0, 11.0),
    ]


def test_jobs_released_later_are_offered_then():
    instance = SocInstance("two_jobs", TWO, (job_type([[3, 3]]),), Arrivals(releases=((0, 0.0), (0, 10.0))))
    trace = play(instance, [0, 0])
    assert spans(trace) == [(0, 0, 0.0, 3.0), (0, 0, 10.0, 13.0)]


def test_unsupported_processors_are_masked():
    env = environment(single_dag("only_q", TWO, job_type([[INF, 2]])))
    observation, _ = env.reset(seed=0)
    assert observation["action_mask"][0].tolist() == [False, True]


def test_two_steps_ask_for_the_task_and_then_for_its_processor():
    instance = single_dag("pair", TWO, job_type([[3, 5], [4, 4]]))
    env = environment(instance, decision="two_step")
    observation, _ = env.reset(seed=0)
    assert observation["action_mask"][0].tolist() == [True, True, False, False]
    observation, reward, *_ = env.step(np.array([1]))
    assert observation["action_mask"][0].tolist() == [False, False, True, True]
    assert observation["task_dynamic"][0, :, -1].tolist() == [0.0, 1.0]
    assert reward[0] == 0.0
    observation, *_ = env.step(np.array([3]))
    assert observation["action_mask"][0].tolist() == [True, False, False, False]


def test_task_decisions_use_the_processor_of_earliest_finish():
    assert spans(play(single_dag("pair", TWO, job_type([[3, 5], [4, 4]])), [0, 0], decision="task")) == [
        (0, 0, 0.0, 3.0),
        (1, 1, 0.0, 4.0),
    ]


def test_remapped_tasks_fetch_their_data_anew():
    # Task 2 waits on q behind task 1; when task 0 ends at 2, it is decided again and moved to p.
    jobs = job_type([[2, 2], [9, 9], [5, 5]])
    instance = single_dag("remap", TWO, jobs)
    stays = play(instance, [0, 1, 1])
    assert spans(stays)[-1] == (2, 1, 9.0, 14.0)
    moved = play(instance, [0, 1, 1, 0], remap=True)
    assert spans(moved)[-1] == (2, 0, 2.0, 7.0)


def test_failures_lose_what_runs_and_it_is_run_again():
    chip = make_chip("fragile", ("p", "q"))
    failing = Failures(between=15.0, repair=5.0)
    stream = Arrivals("blocking", scale=3.0, window=400.0, limit=2)
    instance = SocInstance("fragile", chip, (job_type([[8, 8]]),), stream, failures=failing, objective="mean_latency")
    env = environment(instance)
    observation, _ = env.reset(seed=3)
    while not env.problem.finished(env.state).all():
        observation, *_ = env.step(observation["action_mask"].argmax(axis=1))
    trace = env.solution(0)
    DEFINITION.verify(instance, trace)
    assert trace.lost.sum() > 5
    for job in np.unique(trace.job[trace.lost]):
        if not np.isnan(trace.completed[job]):
            assert (~trace.lost[trace.job == job]).sum() == 1


def canonical(name="top_q3"):
    return next(each for each in DEFINITION.benchmarks["canonical"]().instances if each.name == name)


def run(instance, rule, lanes=20, seed=0, **options):
    """Runs a rule (None: at random) in every lane; returns the environment at the end."""
    env = environment(instance, lanes, **options)
    observation, _ = env.reset(seed=seed)
    rng = np.random.default_rng(0)
    while not env.problem.finished(env.state).all():
        mask = observation["action_mask"]
        if rule is None:
            actions = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)
        else:
            actions = np.where(mask, DEFINITION.rules[rule].priority(env.state), np.inf).argmin(axis=1)
        observation, *_ = env.step(actions)
    return env


@pytest.mark.parametrize(
    ("rule", "latency", "tolerance"), [("met", 108.5, 3.0), ("min_min", 104.5, 3.0), (None, 166.0, 6.0)]
)
def test_canonical_stream_reproduces_the_published_simulator(rule, latency, tolerance):
    """Mean latency over 20 seeds; the figures were measured on SoCRATES's own simulator, min-min as its "ETF"."""
    env = run(canonical(), rule)
    assert env.problem.objective(env.state).mean() == pytest.approx(latency, abs=tolerance)


def test_arrivals_types_and_durations_do_not_depend_on_decisions():
    stream = Arrivals("open", scale=60.0, window=3000.0, limit=8)
    instance = replace(canonical("p5_q3"), name="open", arrivals=stream, noise=0.3)
    runs = [run(instance, rule, lanes=2, seed=5).solution(0) for rule in ("met", "etf")]
    met, etf = runs
    count = min(len(met.arrived), len(etf.arrived))
    assert count > 20
    np.testing.assert_array_equal(met.arrived[:count], etf.arrived[:count])
    np.testing.assert_array_equal(met.job_type[:count], etf.job_type[:count])
    durations = [
        {(j, t, p): e - s for j, t, p, s, e in zip(r.job, r.task, r.processor, r.start, r.end, strict=True)}
        for r in runs
    ]
    shared = durations[0].keys() & durations[1].keys()
    assert len(shared) > 100
    assert all(durations[0][key] == durations[1][key] for key in shared)


def test_arrivals_of_an_open_stream_are_exponential():
    stream = Arrivals("open", scale=40.0, window=4000.0, limit=6)
    env = run(replace(canonical(), name="open", arrivals=stream, whole_ticks=False), "met", lanes=16)
    gaps = np.concatenate([np.diff(env.solution(lane).arrived) for lane in range(16)])
    assert len(gaps) > 1000
    assert gaps.mean() == pytest.approx(40.0, rel=0.1)
    assert gaps.std() == pytest.approx(40.0, rel=0.1)


def test_noise_has_the_standard_deviation_asked_for():
    instance = replace(canonical(), name="noisy", noise=0.2, whole_ticks=False)
    trace = run(instance, "met", lanes=1).solution(0)
    nominal = np.array([instance.job_types[0].times[t, p] for t, p in zip(trace.task, trace.processor, strict=True)])
    ratio = (trace.end - trace.start) / nominal
    assert len(ratio) > 800
    assert ratio.mean() == pytest.approx(1.0, abs=0.03)
    assert ratio.std() == pytest.approx(0.2, abs=0.03)


def test_rewards_of_the_bound_sum_to_the_excess_latency():
    env = environment(canonical(), 4)
    observation, info = env.reset(seed=1)
    returns, unit = np.zeros(4), info["reward_unit"]
    while not env.problem.finished(env.state).all():
        actions = np.where(observation["action_mask"], DEFINITION.rules["met"].priority(env.state), np.inf).argmin(
            axis=1
        )
        observation, rewards, *_ = env.step(actions)
        returns += rewards
    for lane in range(4):
        trace = env.solution(lane)
        done = ~np.isnan(trace.completed)
        least = unit[lane]  # one job type, so the mean least latency is that of every job
        excess = (trace.completed[done] - trace.arrived[done] - least).sum()
        in_system = (~done).sum()
        assert -returns[lane] * unit[lane] >= excess
        assert -returns[lane] * unit[lane] - excess < in_system * 200
