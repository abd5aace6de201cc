"""The replay buffer returns what was observed, done and paid, long after the ring has turned."""

from __future__ import annotations

import numpy as np
import pytest

from agents.ppo.adapter import GraphVecEnv
from agents.sac.buffer import GraphReplayBuffer
from envs.core import GraphVectorEnv, problem

LANES, RING = 4, 12
OPTIONS = {"builder": "non_delay", "sizes": ((1, 1), (4, 3), (2, 3))}


def make(capacity=RING * LANES, **options):
    env = GraphVectorEnv(problem("job_shop").bind(OPTIONS), LANES, copy=False, double_buffer=True, **options)
    adapter = GraphVecEnv(env)
    adapter.seed(3)
    spec = env.problem.spec
    return adapter, GraphReplayBuffer(
        capacity, adapter.observation_space, adapter.action_space, "cpu", LANES, spec=spec
    )


def fill(adapter, buffer, steps):
    """Plays random legal actions; returns what the buffer should hold, the oldest step first."""
    rng, record = np.random.default_rng(0), []
    observation = adapter.reset()
    for _ in range(steps):
        mask = adapter.env.action_masks()
        actions = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)
        before = {key: array.copy() for key, array in observation.items()}
        adapter.step_async(actions)
        observation, rewards, dones, infos = adapter.step_wait()
        after = {key: array.copy() for key, array in observation.items()}
        truncated = np.array([info.get("TimeLimit.truncated", False) for info in infos])
        for lane in np.flatnonzero(truncated):
            for key, array in after.items():
                array[lane] = infos[lane]["terminal_observation"][key]
        record.append((before, after, actions, rewards, dones & ~truncated))
        buffer.add(before, observation, actions, rewards, dones, infos)
    return record


@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.parametrize("steps", [5, RING, 70])
def test_transitions_come_back_whole(steps, limit):
    adapter, buffer = make(max_episode_steps=limit)
    record = fill(adapter, buffer, steps)
    assert buffer.size() == min(steps, RING)
    kept = range(max(0, steps - RING), steps)
    places = [(step % RING) * LANES + lane for step in kept for lane in range(LANES)]
    batch = buffer._get_samples(np.array(places))
    spec, unlike_next = adapter.env.problem.spec, 0
    for row, (step, lane) in enumerate((step, lane) for step in kept for lane in range(LANES)):
        before, after, actions, rewards, ended = record[step]
        episode = batch.observations.episode[row]
        for key in spec.static_keys:
            assert np.array_equal(batch.observations.static[key][episode].numpy(), before[key][lane])
        for key in spec.dynamic_keys:
            assert np.array_equal(batch.observations.dynamic[key][row].numpy(), before[key][lane])
            if not ended[lane]:
                assert np.array_equal(batch.following.dynamic[key][row].numpy(), after[key][lane])
                unlike_next += not np.array_equal(before[key][lane], after[key][lane])
        assert batch.actions[row] == actions[lane]
        assert batch.rewards[row] == rewards[lane]
        assert batch.ended[row] == ended[lane]
    assert unlike_next


def test_episodes_are_encoded_once():
    adapter, buffer = make(RING * LANES)
    record = fill(adapter, buffer, 8)
    numbers = {number for before, *_ in record for number in before["episode"][:, 0].tolist()}
    batch = buffer._get_samples(np.arange(8 * LANES))
    assert batch.observations.episodes == len(numbers) < 8 * LANES
    assert batch.following.static is batch.observations.static


def test_draws_cover_what_is_stored_and_nothing_else_and_follow_from_the_seed():
    adapter, buffer = make()
    fill(adapter, buffer, 5)
    buffer.rewards[:] = np.arange(RING * LANES).reshape(RING, LANES)
    drawn = buffer.sample(1000).rewards.numpy()
    assert set(drawn) == set(range(5 * LANES))
    buffer.generator = np.random.default_rng(0)
    assert np.array_equal(buffer.sample(1000).rewards.numpy(), drawn)


@pytest.mark.parametrize("steps", [5, 70])
def test_a_restored_buffer_goes_on_as_the_first(steps):
    adapter, buffer = make()
    fill(adapter, buffer, steps)
    _, copy = make()
    copy.restore(buffer.arrays())
    for each in (buffer, copy):
        fill(make()[0], each, 3)
    everything = np.arange(buffer.size() * LANES)
    one, other = buffer._get_samples(everything), copy._get_samples(everything)
    for key, array in one.observations.static.items():
        assert array[one.observations.episode].equal(other.observations.static[key][other.observations.episode])
    for key, array in one.following.dynamic.items():
        assert array.equal(other.following.dynamic[key])
    assert one.rewards.equal(other.rewards)
    assert buffer.pos == copy.pos
