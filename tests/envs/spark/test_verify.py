"""The verifier accepts what the definition allows and names what it forbids."""

import numpy as np
import pytest

from envs.core import UsageError
from envs.spark.types import Job, SparkInstance, Stage, Trace
from envs.spark.verify import verify

INSTANCE = SparkInstance(
    "small",
    2,
    (
        Job("a", 1.0, (Stage((2.0, 1.0)), Stage((1.0,), (0,), None, 1.5, 3.0))),
        Job("b", 0.5, (Stage((1.0,), (), None, 1.0, 2.0),), 0),
    ),
    0.25,
)


def trace(starts, cores):
    return Trace(np.array(starts, np.float64), np.array(cores))


GOOD = ([1.0, 1.0, 3.25, 5.25], [0, 1, 0, 1])
"""Job 0: tasks 2.25 and 1.25 (fresh cores), then 1.5 on a core of the job: done at 4.75. Job 1 from 5.25."""


def test_response_times_by_hand():
    # Job 1 is submitted at 4.75 + 0.5; its task takes 2 + 0.25 on a core that ran another job: response 2.25.
    assert verify(INSTANCE, trace(*GOOD)) == (3.75 + 2.25) / 2


@pytest.mark.parametrize(
    ("starts", "cores", "message"),
    [
        ([0.5, 1.0, 3.25, 5.25], GOOD[1], r"task 0 of stage 0 of job 0 starts at 0.5; its stage is ready at 1.0"),
        ([1.0, 1.0, 3.0, 5.25], [0, 1, 1, 0], r"task 0 of stage 1 of job 0 starts at 3.0; its stage is ready at 3.25"),
        ([1.0, 1.0, 3.25, 5.0], GOOD[1], r"task 0 of stage 0 of job 1 starts at 5.0; its stage is ready at 5.25"),
        ([1.0, 2.0, 5.0, 9.0], [0, 0, 0, 1], r"task 1 of stage 0 of job 0 starts at 2.0 on core 0, busy until 3.25"),
        (GOOD[0], [0, 2, 0, 1], r"on core 2; expected 0 to 1"),
        ([1.0, -1.0, 3.25, 5.25], GOOD[1], r"starts at -1.0; expected a time of at least 0"),
        (GOOD[0][:3], GOOD[1][:3], r"expected \(4,\)"),
    ],
)
def test_violations_are_named(starts, cores, message):
    with pytest.raises(UsageError, match=message):
        verify(INSTANCE, trace(starts, cores))
