"""What stable-baselines3 offers keeps working, and training does what it is for."""

from __future__ import annotations

import csv
import warnings
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.callbacks import MaskableEvalCallback
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents.checkpoint import load_checkpoint, load_dispatcher
from agents.policy_dispatcher import PolicyDispatcher
from agents.rollout import roll_out
from agents.run import TrainingRun, ValidationConfig
from agents.trackers import make_logger
from agents.training import train
from envs.core import UsageError, make_env
from envs.core.spec import ACTION_MASK
from envs.job_shop.generators import uniform


def parameters(learner):
    return {name: tensor.numpy().tobytes() for name, tensor in learner.policy.state_dict().items()}


def test_save_and_load(small, tmp_path):
    learner = small.learner()
    learner.learn(200)
    learner.save(tmp_path / "model.zip")
    loaded = MaskablePPO.load(tmp_path / "model.zip", env=small.adapter(lanes=6, seed=3))
    assert parameters(loaded) == parameters(learner)
    observation = small.adapter(lanes=6, seed=4).reset()
    masks = observation[ACTION_MASK]
    expected, _ = learner.predict(observation, deterministic=True, action_masks=masks)
    actions, _ = loaded.predict(observation, deterministic=True, action_masks=masks)
    assert actions.tolist() == expected.tolist()
    before = parameters(loaded)
    loaded.learn(200)
    assert parameters(loaded) != before


def test_predict_takes_observations_of_the_gymnasium_environment(small):
    learner = small.learner()
    env = make_env("job_shop", **small.options)
    observation, _ = env.reset(seed=0)
    terminated = False
    while not terminated:
        action, _ = learner.predict(observation, deterministic=True)
        assert observation[ACTION_MASK][action]
        observation, _, terminated, _, _ = env.step(action)


def test_evaluate_policy_agrees_with_the_verified_roll_out(small):
    instances = [uniform(3, 2, np.random.default_rng(seed), name=f"i{seed}") for seed in range(3)]
    learner = small.learner()
    learner.learn(100)
    dispatcher = PolicyDispatcher(learner.policy.network, "policy")
    for one in instances:
        options = {"instances": (one,), "max_jobs": 3, "max_machines": 3, "max_operations": 3}
        env = gymnasium.make("envs:dispatchlab/JobShop-v0", **options)
        _, info = env.reset(seed=0)
        (outcome,) = roll_out(small.definition, {"builder": "non_delay"}, [one], dispatcher)
        expected = (info["objective"] - outcome.objective) / info["objective"]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            adapter = small.adapter(lanes=2, scale=10.0, **options)
            rewards, _ = evaluate_policy(learner, adapter, n_eval_episodes=4, return_episode_rewards=True)
        assert rewards == pytest.approx([10.0 * expected] * 4, abs=1e-5)
        rewards, lengths = evaluate_policy(learner, env, n_eval_episodes=2, return_episode_rewards=True, warn=False)
        assert rewards == pytest.approx([expected] * 2, abs=1e-5)
        assert lengths == [6, 6]


def test_callbacks_write_what_they_should(small, tmp_path):
    evaluation = MaskableEvalCallback(
        small.adapter(lanes=3, seed=9),
        n_eval_episodes=3,
        eval_freq=20,
        log_path=str(tmp_path / "log"),
        best_model_save_path=str(tmp_path / "best"),
        verbose=0,
    )
    learner = small.learner()
    learner.learn(400, callback=[evaluation, CheckpointCallback(30, str(tmp_path / "kept"))])
    results = np.load(tmp_path / "log" / "evaluations.npz")
    assert results["results"].shape == (len(results["timesteps"]), 3)
    assert evaluation.best_mean_reward == results["results"].mean(axis=1).max()
    best = MaskablePPO.load(tmp_path / "best" / "best_model.zip")
    assert len(best.policy.state_dict()) == len(learner.policy.state_dict())
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "rl_model_180_steps.zip",
        "rl_model_360_steps.zip",
    ]


def test_the_learning_rate_falls_linearly_to_its_final_value(small):
    class Rates(BaseCallback):
        def __init__(self):
            super().__init__()
            self.rates = []

        def _on_step(self):
            return True

        def _on_rollout_start(self):
            self.rates.append(self.model.policy.optimizer.param_groups[0]["lr"])

        def _on_training_end(self):
            self._on_rollout_start()

    callback = Rates()
    learner = small.learner(learning_rate=0.01, final_learning_rate=0.002, decisions=4 * 96)
    learner.learn(4 * 96, callback=callback)
    assert callback.rates == pytest.approx([0.01, 0.008, 0.006, 0.004, 0.002])


def test_curves_go_to_csv_and_tensorboard(small, tmp_path):
    learner = small.learner()
    learner.set_logger(make_logger(tmp_path, {"name": "tensorboard"}, {}, "_0"))
    learner.learn(3 * 96)
    learner.logger.close()
    with (tmp_path / "progress_0.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["time/total_timesteps"]) for row in rows] == [96, 192, 288]
    assert -10.0 < float(rows[-1]["rollout/ep_rew_mean"]) < 0.0
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    losses = events.Scalars("train/value_loss")
    assert [event.step for event in losses] == [192, 288]  # SB3 writes an update's losses with the next rollout
    assert losses[0].value == pytest.approx(float(rows[1]["train/value_loss"]))


def test_ppo_learns(small, tmp_path):
    """The untrained greedy policy on 6x5 is 72 % above the bound; a short training takes two fifths of that away."""
    options = {"builder": "append", "sizes": [[6, 5]]}
    validation = ValidationConfig({}, instances=48, every=0)
    config = small.config(decisions=8000, lanes=32, steps=32, minibatch=128, epochs=3, learning_rate=5e-3, entropy=0.0)
    excess = {}
    for name, settings in (("trained", config), ("untrained", small.config(decisions=1))):
        run = TrainingRun(name, "job_shop", options, small.model(hidden=16), settings, validation, save_every=0)
        training = load_checkpoint(train(small.definition, run, tmp_path / name)).training
        excess[name] = training["validation_objective_over_bound"] - 1
    assert excess["trained"] < 0.7 * excess["untrained"]


@pytest.mark.gpu
def test_training_on_a_gpu_makes_a_policy_for_any_machine(small, tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    validation = ValidationConfig({}, instances=4, every=1)
    run = TrainingRun("gpu", "job_shop", small.options, small.model(), small.config(), validation, save_every=1)
    policy = train(small.definition, run, tmp_path / "whole", device="cuda")
    dispatcher = load_dispatcher(policy, small.definition)
    (outcome,) = roll_out(small.definition, {}, [uniform(4, 3, np.random.default_rng(0), name="i")], dispatcher)
    assert outcome.decisions > 0
    longer = replace(run, agent=replace(run.agent, decisions=2 * run.agent.decisions))
    with pytest.raises(UsageError, match=r"config\.ppo\.decisions"):
        train(small.definition, longer, tmp_path / "whole", device="cuda")
    assert train(small.definition, run, tmp_path / "whole", device="cpu") == policy
