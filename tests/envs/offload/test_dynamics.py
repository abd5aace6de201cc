"""Processor sharing by hand, and the compiled rules against the independent verifier."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.core import UsageError
from envs.offload.generators import episode
from envs.offload.types import EventLog, System, prefer
from envs.offload.verify import costs, recompute, verify


def test_two_tasks_share_a_processor(servers):
    # 4 Mbit/s: the first task runs 1 s alone (4 of 8 Mbit), then both share; the second (2 Mbit) needs 1 s more of
    # them, the first has 2 Mbit left and needs half a second.
    instance = servers.instance([8e6, 2e6])
    env, log = servers.follow(instance, [0, 0])
    np.testing.assert_allclose(log.completed, [2.5, 2.0], rtol=1e-5)
    assert env.problem.costs(env.state)[0, 0] == pytest.approx(2.5 + 1.0, rel=1e-5)
    # 5e-31 x 1000 cycles x (4 GHz)² = 8 nJ a bit; the upload costs 1e-13 J.
    assert env.problem.costs(env.state)[0, 1] == pytest.approx(10e6 * 8e-9, rel=1e-5)


def test_the_credit_of_a_decision_is_what_it_adds(servers):
    instance = servers.instance([8e6, 2e6])
    env = servers.lanes([instance])
    env.step(np.array([0]))
    assert env.problem.costs(env.state)[0, 0] == pytest.approx(2.0, rel=1e-5)  # the first task alone
    # On the cloud: its own 1 s, and half a second for the first task. On the edge: 2 Mbit at 2 Mbit/s.
    np.testing.assert_allclose(env.state.extra[0, :, 0], [1.5, 1.0], rtol=1e-5)
    np.testing.assert_allclose(env.state.own_delay[0], [1.0, 1.0], rtol=1e-5)


def test_uploads_take_time_and_energy(servers):
    instance = servers.instance([8e6], rates=[[4e6, 8e6]])
    _, log = servers.follow(instance, [1])
    assert (log.uploaded[0], log.completed[0]) == (1.0, 5.0)
    delay, energy, tardiness = recompute(instance, log)
    assert (delay, tardiness) == (5.0, 0.0)
    assert energy == pytest.approx(0.01 * 1.0 + 8e6 * 2e-9)


def test_a_task_that_arrives_over_a_slow_channel_is_overtaken(servers):
    # To the cloud at 1 Mbit/s: 4 s on the way, while the second task, sent a second later over the same channel but
    # 0.5 Mbit small, is there after 1.5 s and done before the first one arrives.
    instance = servers.instance([4e6, 5e5], rates=[[1e6, 1e6]])
    env = servers.lanes([instance])
    env.step(np.array([0]))
    env.step(np.array([0]))
    log = env.solution(0)
    np.testing.assert_allclose(log.uploaded, [4.0, 1.5])
    np.testing.assert_allclose(log.completed, [5.0, 1.625])


def test_tardiness_counts_what_is_beyond_the_deadline(servers):
    # Deadlines of twice the time alone on an edge server: 8 s and 2 s. Both on the edge: the first runs 1 s alone (2 of
    # 8 Mbit), the second needs 2 Mbit at half speed, 2 s; then 4 Mbit are left: 2 s. Delays 5 s and 2 s.
    instance = servers.instance([8e6, 2e6], deadline_factor=1.0, preference=(0.5, 0.25, 0.25))
    np.testing.assert_allclose(instance.deadline, [4.0, 1.0])
    env, log = servers.follow(instance, [1, 1])
    np.testing.assert_allclose(env.problem.costs(env.state)[0], [5.0 + 2.0, 10e6 * 2e-9, 1.0 + 1.0], rtol=1e-5)
    assert verify(instance, log) == pytest.approx(0.5 * 0.01 * 7.0 + 0.25 * 50 * 0.02 + 0.25 * 0.01 * 2.0, rel=1e-5)


SYSTEMS = st.builds(
    System,
    edge_hertz=st.lists(st.floats(1e9, 4e9), max_size=5).map(tuple),
    horizon=st.integers(1, 30),
    users=st.integers(1, 5),
    arrivals_per_user=st.sampled_from([0.05, 0.5, 2.0]),
    channel=st.sampled_from(["as_published", "physical"]),
    deadline_factor=st.sampled_from([0.0, 1.5]),
    load_peak=st.sampled_from([0.0, 0.9]),
)


@settings(max_examples=60, deadline=None)
@given(system=SYSTEMS, seed=st.integers(0, 2**32), choices=st.randoms(use_true_random=False))
def test_costs_are_those_of_the_verifier(make_servers, system, seed, choices):
    servers = make_servers()
    weights = (0.5, 0.3, 0.2) if system.deadline_factor else (0.6, 0.4)
    instance = episode(system, seed, "drawn", weights)
    env = servers.lanes([instance])
    promised = np.zeros(len(weights))
    for _ in instance.bits:
        choice = choices.randrange(len(system.hertz))
        promised += env.state.extra[0, choice, : len(weights)]
        env.step(np.array([choice]))
    log = env.solution(0)
    np.testing.assert_allclose(env.problem.costs(env.state)[0], costs(instance, log), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(promised, costs(instance, log), rtol=1e-9, atol=1e-9)
    assert env.problem.objective(env.state)[0] == pytest.approx(verify(instance, log), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), choices=st.randoms(use_true_random=False))
def test_deadlines_that_nobody_misses_change_no_delay(make_servers, seed, choices):
    # With deadlines the credit is simulated, without them it is a closed form.
    servers = make_servers()
    plain = episode(System(edge_hertz=(2e9, 1.7e9), horizon=25), seed, "plain")
    timed = episode(System(edge_hertz=(2e9, 1.7e9), horizon=25, deadline_factor=1e9), seed, "timed", (1.0, 0.0, 0.0))
    first, second = servers.lanes([plain]), servers.lanes([timed])
    for _ in plain.bits:
        np.testing.assert_allclose(first.state.extra[0], second.state.extra[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(first.state.own_delay[0], second.state.own_delay[0], rtol=1e-9)
        choice = np.array([choices.randrange(3)])
        first.step(choice)
        second.step(choice)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("server", 2, "task 1: server is 2; expected 0..1"),
        ("server", -1, "task 1: server is -1; expected 0..1"),
        ("completed", 1.9, "task 1: completed at 1.9 s; the model makes it"),
        ("uploaded", 1.5, "task 1: uploaded at 1.5 s; the model makes it 1"),
    ],
)
def test_a_false_log_is_refused(servers, field, value, message):
    instance = servers.instance([8e6, 2e6])
    _, log = servers.follow(instance, [0, 0])
    arrays = {name: getattr(log, name).copy() for name in ("server", "uploaded", "completed")}
    arrays[field][1] = value
    with pytest.raises(UsageError, match=message):
        verify(instance, EventLog(**arrays))


def test_the_preference_weighs_the_same_costs(servers):
    instance = episode(System(horizon=20), 3, "drawn", (1.0, 0.0))
    choices = np.arange(len(instance.bits)) % 7
    for time in (0.0, 0.3, 1.0):
        weighed = prefer(instance, (time, 1.0 - time))
        env, log = servers.follow(weighed, choices)
        delay, energy = costs(weighed, log)
        assert env.problem.objective(env.state)[0] == pytest.approx(time * 0.01 * delay + (1 - time) * 50 * energy)


def test_the_excess_reward_leaves_out_what_no_decision_changes(servers):
    instance = episode(System(horizon=20), 3, "drawn", (0.6, 0.4))
    hertz, rates = instance.system.hertz, instance.bits_per_second[instance.user]
    alone = instance.bits[:, None] / rates + 1000 * instance.bits[:, None] / hertz
    energy = 0.01 * instance.bits[:, None] / rates + 5e-31 * 1000 * hertz**2 * instance.bits[:, None]
    floor = 0.6 * 0.01 * alone.min(axis=1).sum() + 0.4 * 50 * energy.min(axis=1).sum()
    env = servers.lanes([instance], reward="excess")
    total = sum(env.step(np.array([task % 7]))[1][0] for task in range(len(instance.bits)))
    assert -total == pytest.approx(env.problem.objective(env.state)[0] - floor, rel=1e-9)
