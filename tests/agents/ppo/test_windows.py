"""Windows that cut episodes: what is expected beyond them, and a critic that waits for the ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback

from agents.ppo.finished import FinishedEpisodes
from agents.ppo.learner import parts
from agents.state import restore_state, save_state
from envs.core import UsageError

DISCOUNT = 0.9


def collect(learner, steps):
    _, callback = learner._setup_learn(10**6, ConvertCallback(lambda *_: True), reset_num_timesteps=False)
    learner.collect_rollouts(learner.env, callback, learner.rollout_buffer, steps)
    return learner.rollout_buffer


def advantages(learner, bootstrap, last_values, dones):
    buffer = learner.rollout_buffer
    buffer.bootstrap = bootstrap
    buffer.compute_returns_and_advantage(torch.tensor(last_values), np.array(dones))
    return buffer.advantages.copy()


@pytest.mark.parametrize("bootstrap", ["egae", "none"])
def test_a_window_that_ends_with_the_episode_needs_no_bootstrap(small, bootstrap):
    learner = small.learner(discount=DISCOUNT)
    collect(learner, 16)
    beyond, dones = [7.0] * 6, [True] * 6
    assert (advantages(learner, bootstrap, beyond, dones) == advantages(learner, "next", beyond, dones)).all()


def test_bootstraps_of_a_cut_episode(small):
    learner = small.learner(discount=DISCOUNT)
    buffer = collect(learner, 16)
    beyond, dones = [7.0] * 6, [False] * 6
    surprise = {name: advantages(learner, name, beyond, dones)[-1] for name in ("next", "egae", "none")}
    rewards, values = buffer.rewards[-1], buffer.values[-1]
    assert surprise["next"] == pytest.approx(rewards + DISCOUNT * 7.0 - values)
    assert surprise["egae"] == pytest.approx(rewards + (DISCOUNT - 1.0) * values, abs=1e-6)
    assert surprise["none"] == pytest.approx(rewards - values)


def test_returns_of_finished_episodes_are_what_was_earned(small):
    """Episodes of six operations over windows of four: every episode is carried over at least once."""
    learner = small.learner(steps=4, discount=DISCOUNT, skip_forced=False, lanes=3, minibatch=6)
    episodes, earned, lengths = FinishedEpisodes(), [[], [], []], []
    for _ in range(6):
        buffer = collect(learner, 4)
        dones = learner._last_episode_starts
        episodes.take(buffer, dones)
        for step in range(4):
            ends = dones if step == 3 else buffer.episode_starts[step + 1]
            for lane in range(3):
                earned[lane].append(float(buffer.rewards[step, lane]))
                if ends[lane]:
                    lengths.append(earned[lane])
                    earned[lane] = []
        assert sorted(piece.rewards.tolist() for piece in episodes._finished) == sorted(lengths)
    assert {len(rewards) for rewards in lengths} == {6}
    for piece in episodes._finished:
        powers = DISCOUNT ** np.arange(6)
        whole = [float((piece.rewards[i:] * powers[: 6 - i]).sum()) for i in range(6)]
        assert piece.returns(DISCOUNT) == pytest.approx(np.array(whole)[piece.free])
    count = sum(int(piece.free.sum()) for piece in episodes._finished)
    batches = list(episodes.batches(buffer, 10, DISCOUNT))
    assert sum(len(targets) for _, targets in batches) == count
    assert len(batches) == round(count / 10)
    for observations, targets in batches:
        assert len(observations.episode) == len(targets)
        assert all(len(array) == len(targets) for array in observations.dynamic.values())
    assert episodes.forget_finished() == len(lengths)
    assert not list(episodes.batches(buffer, 10, DISCOUNT))


def test_most_short_windows_hold_no_end_and_teach_the_critic_nothing(small):
    sizes = {**small.options, "sizes": ((4, 3),)}
    learner = small.learner(critic="finished", lanes=2, steps=1, minibatch=2, entropy=0.0, options=sizes)
    finished = []

    class Watch(BaseCallback):
        def _on_rollout_start(self):
            finished.append(learner.logger.name_to_value.get("train/finished_episodes"))

        def _on_step(self):
            return True

    learner.learn(40 * 2, callback=Watch())
    assert {0, 1} <= set(finished) <= {None, 0, 1, 2}
    assert not list(learner._critic_epoch())


def test_the_critic_learns_the_returns_of_finished_episodes(small):
    learner = small.learner(critic="finished", steps=16, minibatch=24, learning_rate=0.01)
    buffer = collect(learner, 16)
    learner.episodes.take(buffer, learner._last_episode_starts)
    losses = [float(np.mean(list(learner._critic_epoch()))) for _ in range(60)]
    assert losses[-1] < 0.3 * losses[0]


def test_a_resumed_critic_carries_its_episodes_over(small, tmp_path):
    settings = {"critic": "finished", "steps": 4, "minibatch": 12}
    learner, other = small.learner(**settings), small.learner(**settings)
    learner.learn(5 * 4 * 6)
    save_state(tmp_path, parts(learner), {}, {})
    restore_state(tmp_path, parts(other), {})
    carried, restored = learner.episodes.arrays(), other.episodes.arrays()
    assert carried
    assert list(restored) == list(carried)
    assert all((restored[key] == array).all() for key, array in carried.items())


@pytest.mark.parametrize("name", ["bootstrap", "critic"])
def test_mistakes_are_named(small, name):
    with pytest.raises(UsageError, match=f"{name} is 'later'; expected one of "):
        small.config(**{name: "later"})
