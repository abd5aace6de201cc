"""Credit by simulated time: rewards are discounted by the time until they are paid, not by the decisions until then."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import ConvertCallback

from agents.ppo.config import PPOConfig
from agents.ppo.learner import make_learner
from agents.run import TrainingRun, ValidationConfig
from agents.training import check_training
from envs.core import UsageError, problem
from models.config import ModelConfig
from tests.agents.dice import DICE

LANES, STEPS = 3, 8
MODEL = ModelConfig(hidden=8, heads=2)


def make(**settings):
    small = {"decisions": 48, "lanes": LANES, "steps": STEPS, "minibatch": 12, "epochs": 1, "threads": 1}
    return make_learner(DICE, {"max_decisions": 5}, MODEL, PPOConfig(**{**small, "credit": "clock", **settings}))


def collect(learner):
    _, callback = learner._setup_learn(10**6, ConvertCallback(lambda *_: True))
    learner.collect_rollouts(learner.env, callback, learner.rollout_buffer, STEPS)
    return learner.rollout_buffer


def filled(buffer, rewards, exponents, values=0.0, starts=()):
    """Writes the first lane of a buffer of four steps."""
    for name, given in (("rewards", rewards), ("exponents", exponents), ("values", values)):
        getattr(buffer, name)[:, 0] = given
    buffer.episode_starts[:] = 0
    for step in starts:
        buffer.episode_starts[step, 0] = 1
    return buffer


def returns(buffer, last_value, ended):
    last_values = torch.full((LANES,), last_value)
    buffer.compute_returns_and_advantage(last_values, np.full(LANES, ended))
    return buffer.returns[:, 0].tolist()


@pytest.fixture
def four_steps():
    return make(steps=4, minibatch=6, discount=0.5, gae_lambda=1.0).rollout_buffer


def test_returns_worked_out_by_hand(four_steps):
    # 4 + 0.5 * 8 = 8; 3 + 0.25 * 8 = 5; 2 + 0.5 * 5 = 4.5; 1 + 4.5 = 5.5
    assert returns(filled(four_steps, [1, 2, 3, 4], [0, 1, 2, 1]), 8.0, ended=False) == [5.5, 4.5, 5.0, 8.0]


def test_an_end_cuts_the_returns(four_steps):
    # The last step ends its episode, and so does the second: 4; 3 + 0.25 * 4 = 4 | 2; 1 + 2 = 3.
    filled(four_steps, [1, 2, 3, 4], [0, 1, 2, 1], starts=[2])
    assert returns(four_steps, 8.0, ended=True) == [3.0, 2.0, 4.0, 4.0]


def test_decisions_of_one_instant_share_their_return_whatever_lambda_and_values():
    buffer = make(steps=4, minibatch=6, discount=0.5, gae_lambda=0.3).rollout_buffer
    values = [0.5, -2.0, 7.0, 1.0]
    first, second, third, fourth = returns(filled(buffer, [0, 0, 0, 2], [0, 0, 0, 3], values), 1.0, ended=False)
    assert fourth == pytest.approx(2 + 0.5**3)
    assert [first, second, third] == pytest.approx([fourth] * 3)


def test_one_unit_a_decision_is_the_usual_advantage():
    clock, usual = (
        make(discount=0.9, gae_lambda=0.8, credit=credit).rollout_buffer for credit in ("clock", "decision")
    )
    rng = np.random.default_rng(0)
    for name in ("rewards", "values", "episode_starts"):
        array = rng.normal(size=(STEPS, LANES)) if name != "episode_starts" else rng.random((STEPS, LANES)) < 0.3
        setattr(clock, name, array.astype(np.float32))
        setattr(usual, name, array.astype(np.float32))
    last_values = torch.from_numpy(rng.normal(size=LANES).astype(np.float32))
    for buffer in (clock, usual):
        buffer.compute_returns_and_advantage(last_values, np.array([True, False, True]))
    np.testing.assert_allclose(clock.advantages, usual.advantages, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(clock.returns, usual.returns, rtol=1e-5, atol=1e-6)


def test_collection_records_the_time_of_every_step_to_the_end_of_its_episode():
    buffer = collect(make(discount_time=2.0, reward_scale=10.0))
    assert buffer.episode_starts[1:].any()
    np.testing.assert_allclose(buffer.exponents * 2.0, -buffer.rewards / 10.0)  # a unit of time costs a reward of 1
    assert len(np.unique(buffer.exponents)) > 2


def test_the_value_after_a_truncation_is_discounted_by_the_time_until_it(monkeypatch):
    learner = make(discount=0.9, discount_time=2.0, reward_scale=1.0)
    learner.env.env._max_episode_steps = 3
    monkeypatch.setattr(learner.policy, "predict_values", lambda obs: torch.full((len(obs["counts"]), 1), 100.0))
    buffer = collect(learner)
    time = buffer.exponents * 2.0
    truncated = np.zeros((STEPS, LANES), bool)
    truncated[2::3] = True
    assert buffer.episode_starts[3].all()
    expected = np.where(truncated, -time + 0.9 ** (time / 2.0) * 100.0, -time)
    np.testing.assert_allclose(buffer.rewards, expected, rtol=1e-5)


def test_training_by_the_clock_changes_the_weights():
    learner = make(discount=0.98)
    before = {name: tensor.clone() for name, tensor in learner.policy.network.state_dict().items()}
    learner.learn(48)
    after = learner.policy.network.state_dict()
    assert all(torch.isfinite(tensor).all() for tensor in after.values())
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_a_problem_without_a_clock_is_refused_before_anything_is_written(tmp_path):
    job_shop = problem("job_shop")
    message = "agent.settings.credit is 'clock', but no time passes in job_shop; expected 'decision'"
    config = PPOConfig(lanes=2, steps=4, minibatch=4, credit="clock")
    with pytest.raises(UsageError, match=message):
        make_learner(job_shop, {}, MODEL, config)
    run = TrainingRun("n", "job_shop", {}, MODEL, config, ValidationConfig({}))
    with pytest.raises(UsageError, match=message):
        check_training(job_shop, run, tmp_path / "run")


def test_the_clock_is_not_pickled(tmp_path):
    with pytest.raises(UsageError, match="cannot be saved by stable-baselines3"):
        make().save(tmp_path / "model.zip")
    make(credit="decision").save(tmp_path / "model.zip")
