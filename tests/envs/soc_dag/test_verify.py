"""The independent verifier: it accepts what the definition allows and names what it does not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.soc_dag.static.heft import heft
from envs.soc_dag.types import Arrivals, Failures, JobType, SocInstance, Trace, make_chip, static_trace
from envs.soc_dag.verify import verify

CHIP = make_chip("two", ("p", "q"), bandwidth=2.0, latency=1.0, memory_bandwidth=np.array([2.0, 4.0]))
# a -> b with volume 5; only p runs a; between the PEs: 1 + 5 / 2 = 3.5.
CHAIN = JobType("chain", ("a", "b"), [[4, np.inf], [3, 2]], [0], [1], [5])
ONE = SocInstance("one", CHIP, (CHAIN,))


def trace(runs, jobs=((0, 0.0, 0.0, None),), until=1e9):
    """Builds a trace from (job, task, PE, mapped, start, end[, lost]) and (type, arrived, admitted, completed)."""
    columns = list(zip(*[(*run, False)[:7] for run in runs], strict=True))
    kinds, arrived, admitted, completed = zip(*jobs, strict=True)
    ends = {job: max((run[5] for run in runs if run[0] == job), default=np.nan) for job in range(len(jobs))}
    completed = [ends[job] if each is None else each for job, each in enumerate(completed)]
    integers, floats = (
        (np.array(each, np.int64) for each in columns[:3]),
        (np.array(each, float) for each in columns[3:6]),
    )
    return Trace(
        np.array(kinds, np.int64),
        np.array(arrived, float),
        np.array(admitted, float),
        np.array(completed, float),
        *integers,
        *floats,
        np.array(columns[6], np.bool_),
        until,
    )


def static(processors, starts, instance=ONE):
    return verify(instance, static_trace(instance, [np.array(processors)], [np.array(starts, float)]))


def refused(message, instance, *arguments, **options):
    with pytest.raises(UsageError, match=message):
        verify(instance, trace(*arguments, **options))


def test_direct_transfers():
    assert static([0, 0], [0, 4]) == 7  # on the same PE the data is there at once
    assert static([0, 1], [0, 7.5]) == 9.5
    with pytest.raises(
        UsageError, match=r"one: task 1 of job 0 on PE 1 \[7.4, 9.4\) starts before its data is there at 7.5"
    ):
        static([0, 1], [0, 7.4])
    whole = replace(ONE, whole_ticks=True)
    assert static([0, 1], [0, 7], whole) == 9  # 3.5 is cut to 3
    with pytest.raises(UsageError, match="its data is there at 7"):
        static([0, 1], [0, 6], whole)


def test_shared_memory():
    """On PE p the way costs 2.5 there and 2.5 back, on q 1.25 back; the task can be mapped when the data lies there."""
    shared = replace(ONE, transfer="shared_memory")
    first = (0, 0, 0, 0, 0, 4)
    assert verify(shared, trace([first, (0, 1, 0, 6.5, 9, 12)])) == 12
    assert verify(shared, trace([first, (0, 1, 1, 6.5, 7.75, 9.75)])) == 9.75
    refused("its data is there at 9", shared, [first, (0, 1, 0, 6.5, 8.9, 11.9)])
    refused("mapped at 6, before it was ready at 6.5", shared, [first, (0, 1, 0, 6, 9, 12)])
    whole = replace(shared, whole_ticks=True)
    assert verify(whole, trace([first, (0, 1, 0, 6, 8, 11)])) == 11  # both ways are cut to 2
    refused("before it was ready at 6", whole, [first, (0, 1, 0, 5, 8, 11)])


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([(0, 0, 1, 0, 0, 4), (0, 1, 1, 4, 4, 6)], "that PE cannot run the task"),
        ([(0, 0, 0, 0, 0, 5), (0, 1, 0, 5, 5, 8)], "took 5; expected 4"),
        ([(0, 0, 0, 0, 0, 4), (0, 1, 0, 3, 4, 7)], "mapped at 3, before it was ready at 4"),
        ([(0, 0, 0, 0, 0, 4), (0, 1, 0, 5, 4, 7)], "mapped at 5; expected mapping, start and end in this order"),
        ([(0, 1, 0, 4, 4, 7)], "its predecessor 0 has not been run"),
        ([(0, 0, 0, 0, 0, 4)], r"job 0 has 1 task\(s\) that were not run"),
        ([(0, 0, 0, 0, 0, 4), (0, 1, 0, 4, 4, 7), (0, 1, 0, 7, 7, 10)], "runs a task again"),
        ([(0, 0, 0, 0, 0, 2, True), (0, 0, 0, 2, 2, 6), (0, 1, 0, 6, 6, 9)], "was lost, but no PE fails"),
        ([(0, 0, 2, 0, 0, 4)], "there are 2 PEs"),
        ([(0, 2, 0, 0, 0, 4)], "task 2 of job 0, which does not exist"),
        ([(1, 0, 0, 0, 0, 4)], "a run is of job 1; there are 1"),
        ([(0, 0, 0, 0, np.nan, 4)], "times of a run are finite"),
    ],
)
def test_each_violation_of_a_run_is_named(runs, message):
    refused(message, ONE, runs)


def test_one_task_at_a_time():
    two = replace(ONE, arrivals=Arrivals(releases=((0, 0.0), (0, 1.0))))
    jobs = ((0, 0.0, 0.0, None), (0, 1.0, 1.0, None))
    first, second = [(0, 0, 0, 0, 0, 4), (0, 1, 1, 4, 7.5, 9.5)], [(1, 0, 0, 1, 4, 8), (1, 1, 0, 8, 8, 11)]
    assert verify(two, trace(first + second, jobs)) == 11
    assert verify(replace(two, objective="mean_latency"), trace(first + second, jobs)) == (9.5 + 10) / 2
    overlapping = [(1, 0, 0, 1, 3, 7), (1, 1, 0, 8, 8, 11)]
    refused(
        r"task 0 of job 0 on PE 0 \[0, 4\) and task 0 of job 1 on PE 0 \[3, 7\) are at the same time",
        two,
        first + overlapping,
        jobs,
    )
    early = [(1, 0, 0, 0.5, 4, 8), (1, 1, 0, 8, 8, 11)]
    refused("mapped at 0.5, before its job came at 1", two, first + early, jobs)


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        (((0, 0.0, 0.0, 8.0),), "completed at 8; its last task ends at 7"),
        (((0, 0.0, 0.0, np.nan),), "completed at nan; its last task ends at 7"),
        (((0, 1.0, 1.0, 7.0),), r"1 job\(s\) of type 0 released at 0 are missing"),
        (((0, 0.0, 0.5, 7.0),), "was admitted at 0.5, released at 0"),
        (((1, 0.0, 0.0, 7.0),), "has the type 1; there are 1"),
        (((0, 2.0, 0.0, 7.0),), "arrived at 2 and was admitted at 0"),
        (((0, 0.0, 0.0, 7.0), (0, 0.0, 0.0, np.nan)), r"1 job\(s\) of type 0 at 0 are not among the releases"),
    ],
)
def test_each_violation_of_a_static_job_is_named(jobs, message):
    refused(message, ONE, [(0, 0, 0, 0, 0, 4), (0, 1, 0, 4, 4, 7)], jobs)


def stream(mode, **options):
    return replace(ONE, arrivals=Arrivals(mode, window=20.0, **options), objective="mean_latency")


def run_alone(job, begin):
    return [(job, 0, 0, begin, begin, begin + 4), (job, 1, 0, begin + 4, begin + 4, begin + 7)]


def test_open_arrivals_wait_for_a_place_first_come_first_served():
    instance = stream("open", limit=1)
    runs = run_alone(0, 2) + run_alone(1, 9)
    jobs = [(0, 2.0, 2.0, 9.0), (0, 3.0, 9.0, 16.0)]
    assert verify(instance, trace(runs, jobs)) == (7 + 13) / 2
    assert verify(stream("open", limit=1, warm_up=5.0), trace(runs, jobs)) == 13
    assert verify(stream("open", limit=1, warm_up=10.0), trace(runs, jobs)) == 20  # none counts: the window
    refused("admitted at 3; there is a place for it at 9", instance, runs, [jobs[0], (0, 3.0, 3.0, 16.0)])
    later = run_alone(0, 2) + run_alone(1, 10)
    refused("arrived at 3 and was admitted at 10; there is a place", instance, later, [jobs[0], (0, 3.0, 10.0, 17.0)])
    refused("job 1 came before job 0", instance, runs, [jobs[0], (0, 1.0, 9.0, 16.0)])


def test_a_window_cuts_what_counts():
    """A run may end after the window; then its job is not completed."""
    instance = stream("open", limit=2)
    runs = [*run_alone(0, 0), (1, 0, 0, 16, 16, 20), (1, 1, 0, 20, 20, 23)]
    jobs = [(0, 0.0, 0.0, 7.0), (0, 16.0, 16.0, np.nan)]
    assert verify(instance, trace(runs, jobs)) == 7
    refused("completed at 23 without 1 of its tasks", instance, runs, [jobs[0], (0, 16.0, 16.0, 23.0)])
    refused("starts after the window 20", instance, run_alone(0, 17), [(0, 17.0, 17.0, np.nan)])
    refused("admitted at 21, after the window", instance, run_alone(0, 0), [jobs[0], (0, 21.0, 21.0, np.nan)])


def test_blocking_admission():
    instance = stream("blocking", limit=1)
    jobs = [(0, 0.0, 0.0, 7.0), (0, 9.0, 9.0, 16.0)]
    runs = run_alone(0, 0) + run_alone(1, 9)
    assert verify(instance, trace(runs, jobs)) == 7
    refused("there is a place for it at 7", instance, run_alone(0, 0) + run_alone(1, 7), [jobs[0], (0, 6.0, 6.0, 14.0)])
    refused("blocked jobs arrive when admitted", instance, runs, [jobs[0], (0, 8.0, 9.0, 16.0)])
    refused("the first 1 come at 0", instance, run_alone(0, 1), [(0, 1.0, 1.0, 8.0)])
    refused("1 jobs were admitted; expected 2 at the start", stream("blocking", limit=2), run_alone(0, 0), jobs[:1])
    fraction = [jobs[0], (0, 8.5, 8.5, 15.5)]
    late = run_alone(0, 0) + run_alone(1, 8.5)
    assert verify(instance, trace(late, fraction)) == 7
    refused("pauses are whole numbers", replace(instance, whole_ticks=True), late, fraction)


def test_noisy_durations():
    noisy = replace(ONE, noise=0.1)
    assert verify(noisy, trace([(0, 0, 0, 0, 0, 4.7), (0, 1, 0, 4.7, 4.7, 7)])) == 7
    refused("took 8.5; expected 0.04 to 8", noisy, [(0, 0, 0, 0, 0, 8.5), (0, 1, 0, 8.5, 8.5, 11.5)])
    refused("took 0.01", noisy, [(0, 0, 0, 0, 0, 0.01), (0, 1, 0, 4, 4, 7)])
    ticks = replace(noisy, whole_ticks=True)
    assert verify(ticks, trace([(0, 0, 0, 0, 0, 5), (0, 1, 0, 5, 5, 7)])) == 7
    refused("took 4.5; expected a whole number", ticks, [(0, 0, 0, 0, 0, 4.5), (0, 1, 0, 5, 5, 7)])
    refused("took 0; expected 1 to 8.5", ticks, [(0, 0, 0, 0, 0, 0), (0, 1, 0, 5, 5, 7)])


def test_what_was_lost_is_run_again():
    failing = replace(ONE, failures=Failures(10.0, 2.0))
    lost, again, rest = (0, 0, 0, 0, 0, 3, True), (0, 0, 0, 3, 5, 9), (0, 1, 0, 9, 9, 12)
    assert verify(failing, trace([lost, again, rest])) == 12
    refused("has not been run", failing, [lost, rest])
    refused("mapped at 2, before .* was lost", failing, [lost, (0, 0, 0, 2, 5, 9), rest])
    refused("was lost after 5; it takes at most 4", failing, [(0, 0, 0, 0, 0, 5, True), (0, 0, 0, 5, 5, 9), rest])


def test_columns_of_different_length():
    good = trace(run_alone(0, 0))
    with pytest.raises(UsageError, match="columns of the runs have"):
        verify(ONE, replace(good, lost=good.lost[:1]))
    with pytest.raises(UsageError, match="columns of the jobs have"):
        verify(ONE, replace(good, arrived=np.zeros(2)))


@given(st.integers(0, 2**32 - 1), st.sampled_from(["direct", "shared_memory"]), st.data())
@settings(max_examples=60, deadline=None)
def test_moving_a_task_of_heft_before_what_it_waits_for_is_refused(random_instance, seed, transfer, data):
    """HEFT starts a task as soon as its place among the others allows; sooner it waits for data or overlaps."""
    instance = random_instance(seed, transfer=transfer)
    schedule = heft(instance)
    assert verify(instance, schedule) == schedule.completed.max()
    moved = data.draw(st.integers(0, len(schedule.start) - 1))
    durations = schedule.end - schedule.start
    if durations[moved] == 0:
        return
    shift = np.zeros(len(durations))
    shift[moved] = 1e-3
    earlier = replace(schedule, mapped=schedule.mapped - shift, start=schedule.start - shift, end=schedule.end - shift)
    with pytest.raises(UsageError):
        verify(instance, earlier)
