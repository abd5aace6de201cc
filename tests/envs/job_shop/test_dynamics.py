"""The job shop's rules against hand-made cases and a plain restatement of every builder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.job_shop.env import JobShop, JobShopConfig, fit
from envs.job_shop.types import JobShopInstance
from envs.job_shop.verify import verify

BUILDERS = ("append", "insertion", "active", "non_delay")
ALL_LANES = np.ones(1, bool)

# Job 0: machine 0 for 3, then 1 for 2. Job 1: machine 1 for 2, then 0 for 4. Job 2: machine 0 for 4, then 1 for 3.
SMALL = JobShopInstance("small", [[0, 1], [1, 0], [0, 1]], [[3, 2], [2, 4], [4, 3]], 2)
WAIT = 3


@st.composite
def instances(draw):
    """Small instances, also with zero times and with jobs that come back to a machine."""
    jobs, operations, machines = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    routes = draw(arrays(np.int32, (jobs, operations), elements=st.integers(0, machines - 1)))
    times = draw(arrays(np.int32, (jobs, operations), elements=st.integers(0, 6)))
    return JobShopInstance("drawn", routes, times, machines)


class Run:
    """One lane, stepped by hand."""

    def __init__(self, instance, builder, wait=False):
        self.instance = instance
        self.problem = JobShop(JobShopConfig(builder=builder, wait=wait, **fit([instance])))
        self.state = self.problem.allocate(1)
        self.problem.load(self.state, 0, instance)

    def take(self, *actions):
        for action in actions:
            assert not self.problem.step(self.state, np.array([action]), ALL_LANES)[0]

    @property
    def legal(self):
        return np.flatnonzero(self.state.mask[0]).tolist()

    @property
    def bound(self):
        return int(self.problem.objective(self.state)[0])

    @property
    def starts(self):
        return self.problem.solution(self.state, 0).starts

    @property
    def finished(self):
        return bool(self.problem.finished(self.state)[0])


def next_operations(instance, starts):
    """Job, machine, time and ready time of every unfinished job's next operation."""
    for job in range(instance.num_jobs):
        k = int((starts[job] >= 0).sum())
        if k < instance.num_operations:
            ready = starts[job, k - 1] + instance.times[job, k - 1] if k else 0
            yield job, instance.machines[job, k], instance.times[job, k], ready


def free_interval_start(instance, starts, machine, time, ready):
    """First moment from ``ready`` on at which the machine is idle for ``time``; tries every moment."""
    used = (starts >= 0) & (instance.machines == machine)
    busy = [(s, s + p) for s, p in zip(starts[used], instance.times[used], strict=True)]
    moment = ready
    while any((moment < end and start < moment + time) or start < moment < end for start, end in busy):
        moment += 1
    return moment


def expected_choices(instance, starts, builder, floor=0):
    """Earliest start of each candidate, from the definition of the builder and the starts so far."""
    earliest, completion, needed = {}, {}, {}
    for job, machine, time, ready in next_operations(instance, starts):
        used = (starts >= 0) & (instance.machines == machine)
        free = int((starts + instance.times)[used].max(initial=0))
        if builder == "insertion":
            earliest[job] = free_interval_start(instance, starts, machine, time, ready)
        else:
            earliest[job] = max(ready, free, floor)
        completion[job] = earliest[job] + time
        needed[job] = machine
    if builder == "non_delay":
        now = min(earliest.values())
        return {job: start for job, start in earliest.items() if start == now}
    if builder == "active":
        first = min(completion, key=lambda job: (completion[job], job))
        return {
            job: start
            for job, start in earliest.items()
            if job == first or (needed[job] == needed[first] and start < completion[first])
        }
    return earliest


@pytest.mark.parametrize("builder", BUILDERS)
@settings(deadline=None, max_examples=60)
@given(instance=instances(), seed=st.integers(0, 2**32 - 1))
def test_candidates_and_starts_follow_the_definition(builder, instance, seed):
    rng = np.random.default_rng(seed)
    run = Run(instance, builder)
    bounds = [run.bound]
    assert run.bound == instance.lower_bound
    for _ in range(instance.machines.size):
        before = run.starts
        expected = expected_choices(instance, before, builder)
        assert run.legal == sorted(expected)
        job = int(rng.choice(run.legal))
        run.take(job)
        changed = np.argwhere(run.starts != before)
        assert changed.tolist() == [[job, int((before[job] >= 0).sum())]]
        assert run.starts[tuple(changed[0])] == expected[job]
        bounds.append(run.bound)
    assert run.finished
    assert not run.legal
    assert bounds == sorted(bounds)
    assert bounds[-1] == verify(instance, run.problem.solution(run.state, 0))


@settings(deadline=None, max_examples=100)
@given(instance=instances(), seed=st.integers(0, 2**32 - 1))
def test_waiting_keeps_every_promise_of_the_bound(instance, seed):
    rng = np.random.default_rng(seed)
    run = Run(instance, "non_delay", wait=True)
    wait = instance.num_jobs
    floor, bound, decisions = 0, run.bound, 0
    while not run.finished:
        starts = run.starts
        expected = expected_choices(instance, starts, "non_delay", floor)
        distinct = sorted(set(expected_choices(instance, starts, "append", floor).values()))
        assert [action for action in run.legal if action != wait] == sorted(expected)
        assert (wait in run.legal) == (len(distinct) > 1)
        action = int(rng.choice(run.legal))
        run.take(action)
        if action == wait:
            floor = distinct[1]
            np.testing.assert_array_equal(run.starts, starts)
        assert run.bound >= bound
        bound = run.bound
        decisions += 1
    assert bound == verify(instance, run.problem.solution(run.state, 0))
    assert decisions <= instance.machines.size * instance.num_jobs


def test_non_delay_by_hand():
    run = Run(SMALL, "non_delay")
    assert run.bound == 11  # load of machine 0
    assert run.legal == [0, 1, 2]
    run.take(0)
    assert run.legal == [1]  # jobs 0 and 2 cannot go on before 3
    run.take(1)
    assert run.legal == [0, 1, 2]
    run.take(2, 0)
    assert run.legal == [1, 2]
    run.take(1, 2)
    assert run.starts.tolist() == [[0, 3], [0, 7], [3, 7]]
    assert run.bound == 11


def test_active_takes_the_machine_of_the_earliest_completion():
    run = Run(SMALL, "active")
    assert run.legal == [1]  # job 1 could be done at 2, on machine 1 where nobody else waits
    run.take(1)
    assert run.legal == [0, 1, 2]  # machine 0 next: job 0 could be done at 3, and job 1 could start at 2
    run.take(1)
    assert run.starts[1].tolist() == [0, 2]
    assert run.bound == 6 + 3 + 4


def test_insertion_uses_the_gap_that_append_leaves():
    starts = {}
    for builder in ("append", "insertion"):
        run = Run(SMALL, builder)
        run.take(2, 2, 1)  # machine 1 is taken from 4 to 7 before job 1 asks for 2 units of it
        starts[builder] = run.starts[1, 0]
    assert starts == {"append": 7, "insertion": 0}


def test_insertion_keeps_a_machine_in_order_of_time():
    instance = JobShopInstance("gaps", [[1, 0], [0, 1], [0, 1], [0, 1]], [[4, 2], [2, 1], [2, 1], [3, 1]], 2)
    run = Run(instance, "insertion")
    run.take(0, 0, 1, 2, 3)  # [4, 6) first, then [0, 2), then [2, 4), then after 6
    assert run.starts[:, 0].tolist() == [0, 0, 2, 6]
    assert run.starts[0, 1] == 4


def test_wait_leaves_the_non_delay_class():
    run = Run(SMALL, "non_delay", wait=True)
    assert run.legal == [0, 1, 2]  # everything could start at 0: there is nothing to wait for
    run.take(0)
    assert run.legal == [1, WAIT]
    run.take(WAIT)
    assert run.legal == [0, 1, 2]  # all of them at 3
    run.take(2)
    assert run.starts[2, 0] == 3
    assert run.bound == 11


def test_waiting_can_push_the_bound():
    instance = JobShopInstance("push", [[0], [1], [0]], [[1], [9], [1]], 2)
    run = Run(instance, "non_delay", wait=True)
    run.take(0)
    assert (run.legal, run.bound) == ([1, WAIT], 9)
    run.take(WAIT)
    assert run.bound == 10  # job 1 now starts at 1 at the earliest


def test_active_candidates_with_zero_times():
    instance = JobShopInstance("zero", [[0], [0]], [[0], [5]], 1)
    assert Run(instance, "active").legal == [0]


@pytest.mark.parametrize("action", [-1, 0, 2, 3, 2**40])
def test_refused_action_changes_nothing(action):
    run = Run(SMALL, "non_delay")
    run.take(0)
    before = [array.copy() for array in run.state]
    assert run.problem.step(run.state, np.array([action]), ALL_LANES)[0]
    for array, saved in zip(run.state, before, strict=True):
        np.testing.assert_array_equal(array, saved)


def test_inactive_lane_stands():
    run = Run(SMALL, "non_delay")
    before = [array.copy() for array in run.state]
    assert not run.problem.step(run.state, np.array([0]), np.zeros(1, bool))[0]
    for array, saved in zip(run.state, before, strict=True):
        np.testing.assert_array_equal(array, saved)


def drawn_instances(config, lanes, seed=0):
    problem = JobShop(config)
    state = problem.allocate(lanes)
    state.generator[:] = np.random.default_rng(seed).integers(2**63, size=lanes, dtype=np.uint64)
    problem.draw(state, np.arange(lanes))
    return [problem.instance(state, lane) for lane in range(lanes)]


def test_random_instances_visit_every_machine_once_within_the_times():
    config = JobShopConfig(sizes=((3, 4), (5, 2)), time_low=2, time_high=6)
    drawn = drawn_instances(config, 400)
    for instance in drawn:
        assert instance.machines.shape in {(3, 4), (5, 2)}
        assert (np.sort(instance.machines, axis=1) == np.arange(instance.num_machines)).all()
    assert set(np.concatenate([instance.times.ravel() for instance in drawn])) == {2, 3, 4, 5, 6}
    assert {instance.machines.shape for instance in drawn} == {(3, 4), (5, 2)}


def test_routes_and_times_are_uniform():
    drawn = drawn_instances(JobShopConfig(sizes=((10, 3),), time_low=1, time_high=4), 600)
    routes = np.concatenate([instance.machines for instance in drawn])
    _, counts = np.unique(routes, axis=0, return_counts=True)
    times = np.bincount(np.concatenate([instance.times.ravel() for instance in drawn]))[1:]
    for observed in (counts, times):
        expected = observed.sum() / len(observed)
        assert ((observed - expected) ** 2 / expected).sum() < 30  # chi-squared, 5 and 3 degrees of freedom
    assert len(counts) == 6
    assert len(times) == 4


def test_given_instances_are_all_drawn():
    other = JobShopInstance("other", [[0], [0], [0], [0]], [[1], [2], [3], [4]], 1)
    drawn = drawn_instances(JobShopConfig(instances=(SMALL, other)), 60)
    assert {instance.name for instance in drawn} == {"small", "other"}
    assert all(instance == (SMALL if instance.name == "small" else other) for instance in drawn)


def test_same_generator_same_instances():
    config = JobShopConfig(sizes=((4, 4),))
    assert drawn_instances(config, 5, seed=1) == drawn_instances(config, 5, seed=1)
    assert drawn_instances(config, 5, seed=1) != drawn_instances(config, 5, seed=2)


def test_large_times_do_not_overflow():
    instance = JobShopInstance("large", np.zeros((3, 4), np.int32), np.full((3, 4), 2**31 - 1), 1)
    run = Run(instance, "append")
    run.take(*range(3), *range(3), *range(3), *range(3))
    assert run.bound == 12 * (2**31 - 1)
