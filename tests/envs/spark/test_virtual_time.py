"""Virtual times and deadlines, worked out by hand."""

import numpy as np

from envs.spark.types import Job, SparkInstance, Stage


def test_deadlines_of_two_users_on_two_cores(cluster):
    """User a: 4 core-seconds at 0; user b: 2 at 1 (V = 2, its start); a again: 1 at 2 (V = 3, v = 3).

    From 0 to 1 user a has both cores: V = v_a = 2. From 1 on each user has one: at 2, V = 3 and v_a = 3, so the second
    job enters at d = 4, the deadline d = 4 of the first: it is laid behind it. D: a 4, b 2 + 2 = 4, a' 4 + 1 = 5.
    """
    instance = SparkInstance(
        "two_users",
        2,
        (
            cluster.one_stage("a", 0.0, 4.0),
            cluster.one_stage("b", 1.0, 2.0),
            cluster.one_stage("a", 2.0, 0.5, 0.5),
        ),
    )
    env = cluster.lane(instance)
    env.step(np.array([0]))  # the first job at 0; the next decision is b at 1
    state = env.state
    assert state.clock[0] == 1.0
    assert state.uwfq_time[0] == 2.0
    assert state.user_time[0].tolist() == [2.0, 0.0]
    np.testing.assert_array_equal(state.job_deadline[0], [4.0, 4.0, np.inf])
    env.step(np.array([1]))  # b starts at 1; both cores are busy until 3
    assert state.clock[0] == 3.0
    assert state.job_deadline[0].tolist() == [4.0, 4.0, 5.0]
    assert state.user_end[0].tolist() == [5.0, 4.0]
    # From 2 to 3 V rises from 3 to 4, where user b leaves; both jobs of a share its core: v_a = 3.5.
    assert state.uwfq_time[0] == 4.0
    assert state.uwfq_active[0].tolist() == [True, False]
    assert state.user_time[0, 0] == 3.5
    assert state.uwfq_job[0].tolist() == [True, False, True]


def test_jobs_leave_at_their_virtual_deadline_and_move_the_start_of_their_user(cluster):
    """One user on one core: jobs of 1 and 3 core-seconds at 0 share it; at 2 the first is served (v = 1), G = 1."""
    jobs = (cluster.one_stage("a", 0.0, 2.5, estimate=1.0), cluster.one_stage("a", 0.0, 3.0))
    env = cluster.lane(SparkInstance("one_user", 1, jobs))
    assert env.state.job_deadline[0].tolist() == [1.0, 4.0]
    env.step(np.array([0]))  # the first task ends at 2.5
    state = env.state
    assert state.clock[0] == 2.5
    assert state.user_start[0, 0] == 1.0
    assert state.uwfq_job[0].tolist() == [False, True]
    assert state.user_time[0, 0] == 1.5  # 1 at time 2, then alone for half a second
    assert state.uwfq_time[0] == 2.5


def test_a_user_who_left_starts_anew_at_the_virtual_time(cluster):
    jobs = (cluster.one_stage("a", 0.0, 1.0), cluster.one_stage("b", 0.0, 3.0), cluster.one_stage("a", 3.0, 1.0))
    env = cluster.lane(SparkInstance("again", 2, jobs))
    env.step(np.array([0]))
    env.step(np.array([1]))
    state = env.state
    # a leaves at V = 1 (time 1); then b alone has both cores and leaves at V = 3 (time 2); V stands until 3.
    assert state.clock[0] == 3.0
    assert state.uwfq_time[0] == 3.0
    assert state.job_deadline[0].tolist() == [1.0, 3.0, 4.0]


def later_stage(cluster, other):
    """User a's job is estimated at 1 core-second, but its second stage is ready only at 5."""
    stages = (Stage((5.0,), (), 0.5), Stage((1.0,), (0,), 0.5))
    env = cluster.lane(SparkInstance("late", 2, (Job("a", 0.0, stages), cluster.one_stage("b", 0.0, other))))
    env.step(np.array([0]))
    env.step(np.flatnonzero(env.action_masks()[0])[-1:])
    while env.state.clock[0] < 5.0:
        env.step(np.flatnonzero(env.action_masks()[0])[:1])
    return env.state


def test_a_later_stage_within_the_grace_period_keeps_the_deadline(cluster):
    state = later_stage(cluster, 3.0)  # V stops at 3 where b leaves; 3 - 1 <= grace 3 * 2 / 2
    assert state.uwfq_time[0] == 3.0
    assert state.job_deadline[0, 0] == 1.0
    assert not state.uwfq_active[0, 0]


def test_a_later_stage_beyond_the_grace_period_enters_with_what_is_left(cluster):
    state = later_stage(cluster, 4.5)  # V stops at 4.5; 4.5 - 1 > 3
    assert state.uwfq_time[0] == 4.5
    assert state.job_deadline[0, 0] == 5.0  # 4.5 + the 0.5 of the second stage
    assert state.uwfq_active[0, 0]


def test_cfq_deadlines_of_stages(cluster):
    """Two cores: stage of 4 at 0 alone gets rate 2; one of 1 at 1 (V = 2) enters at D = 3; V then has rate 1."""
    jobs = (cluster.one_stage("a", 0.0, 4.0), cluster.one_stage("b", 1.0, 1.0), cluster.one_stage("a", 2.5, 1.0))
    env = cluster.lane(SparkInstance("cfq", 2, jobs))
    env.step(np.array([0]))
    state = env.state
    assert state.cfq_time[0] == 2.0
    np.testing.assert_array_equal(state.cfq_deadline[0], [4.0, 3.0, np.inf])
    env.step(np.flatnonzero(env.action_masks()[0]))
    # V = 3 at time 2: b leaves; then rate 2 until 2.5: V = 4, and the first leaves as the third enters at D = 5.
    assert state.clock[0] == 2.5
    assert state.cfq_time[0] == 4.0
    assert state.cfq_deadline[0].tolist() == [4.0, 3.0, 5.0]
    assert state.cfq_active[0].tolist() == [False, False, True]
