"""The independent verifier: it accepts what the definition allows and names what it does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core import UsageError
from envs.job_shop.types import JobShopInstance, Schedule
from envs.job_shop.verify import verify

TINY = JobShopInstance("tiny", np.array([[0, 1], [1, 0]]), np.array([[3, 2], [4, 1]]), 2)


def check(starts, instance=TINY):
    return verify(instance, Schedule(np.array(starts)))


def test_makespan_of_a_valid_schedule():
    assert check([[0, 4], [0, 4]]) == 6.0  # machine 1: job 1 until 4, then job 0 until 6
    assert check([[10, 13], [0, 4]]) == 15.0  # idle time is allowed


@pytest.mark.parametrize(
    ("starts", "message"),
    [
        ([[0, 2], [4, 8]], "tiny: operation 1 of job 0 starts at 2, before operation 0 of the same job ends at 3"),
        ([[0, 4], [0, 3]], "tiny: operation 1 of job 1 starts at 3, before operation 0 of the same job ends at 4"),
        (
            [[0, 3], [0, 4]],
            r"tiny: machine 1 does operation 0 of job 1 \[0, 4\) and operation 1 of job 0 \[3, 5\) at the same time",
        ),
        (
            [[4, 7], [0, 4]],
            r"tiny: machine 0 does operation 1 of job 1 \[4, 5\) and operation 0 of job 0 \[4, 7\) at the same time",
        ),
        ([[0, 4], [0, -1]], "tiny: operation 1 of job 1 starts at -1; a finished schedule"),
        ([[-2, 4], [0, 4]], "tiny: operation 0 of job 0 starts at -2; a finished schedule"),
        ([[0, 4, 6], [0, 4, 6]], r"tiny: start times have shape \(2, 3\); expected \(jobs, operations\) = \(2, 2\)"),
        ([[0, 4]], r"tiny: start times have shape \(1, 2\)"),
        ([[0.0, 4.0], [0.0, 4.0]], "tiny: start times are of type float64; expected integers"),
        ([[False, True], [False, True]], "tiny: start times are of type bool; expected integers"),
    ],
)
def test_each_violation_is_named(starts, message):
    with pytest.raises(UsageError, match=message):
        check(starts)


def test_overlap_of_operations_that_are_not_neighbours_by_start():
    instance = JobShopInstance("long", np.zeros((3, 1), int), np.array([[10], [1], [1]]), 1)
    assert check([[0], [10], [11]], instance) == 12.0
    with pytest.raises(UsageError, match=r"operation 0 of job 0 \[0, 10\) and operation 0 of job 1 \[2, 3\)"):
        check([[0], [2], [5]], instance)


def test_operations_of_time_zero():
    instance = JobShopInstance("zero", np.zeros((3, 1), int), np.array([[5], [0], [0]]), 1)
    assert check([[0], [5], [5]], instance) == 5.0
    assert check([[0], [0], [0]], instance) == 5.0
    assert check([[0], [0], [5]], instance) == 5.0
    with pytest.raises(UsageError, match=r"operation 0 of job 0 \[0, 5\) and operation 0 of job 1 \[3, 3\)"):
        check([[0], [3], [5]], instance)


def test_a_job_may_return_to_a_machine():
    instance = JobShopInstance("return", np.array([[0, 1, 0]]), np.array([[1, 2, 3]]), 2)
    assert check([[0, 1, 3]], instance) == 6.0


def test_times_beyond_32_bits():
    assert check([[2**40, 2**40 + 3], [0, 4]]) == 2**40 + 5


@given(st.integers(0, 2**32 - 1))
def test_moving_any_operation_of_a_tight_schedule_earlier_is_refused(seed):
    """One job on its own machines: every operation starts when its predecessor ends, so none may start sooner."""
    rng = np.random.default_rng(seed)
    times = rng.integers(1, 9, size=(1, 6))
    instance = JobShopInstance("chain", np.arange(6)[None, :], times, 6)
    starts = np.cumsum(times, axis=1) - times
    assert check(starts, instance) == times.sum()
    starts[0, rng.integers(6)] -= 1
    with pytest.raises(UsageError):
        check(starts, instance)
