"""What stable-baselines3 sees of the native vector environment."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported

from agents.ppo.adapter import EPISODE, GraphVecEnv
from envs.core import GraphVectorEnv, UsageError
from envs.core.spec import ACTION_MASK


def test_returns_are_the_scaled_decrease_of_the_objective(small):
    adapter = small.adapter(lanes=5, scale=10.0)
    adapter.reset()
    problem, env = adapter.env.problem, adapter.env
    rng = np.random.default_rng(0)
    first, unit = problem.objective(env.state).copy(), problem.reward_unit(env.state).copy()
    sums, lengths, finished = np.zeros(5), np.zeros(5), 0
    for _ in range(40):
        _, rewards, dones, infos = adapter.step(small.legal_actions(adapter, rng))
        assert rewards.dtype == np.float32
        sums += rewards
        lengths += 1
        for lane in np.flatnonzero(dones):
            info = infos[lane]
            expected = 10.0 * (first[lane] - info["objective"]) / unit[lane]
            assert info["episode"]["r"] == pytest.approx(expected)
            assert info["episode"]["r"] == pytest.approx(sums[lane], abs=1e-5)
            assert info["episode"]["l"] == lengths[lane] == 6  # both sizes have six operations
            assert info["TimeLimit.truncated"] is False
            sums[lane], lengths[lane] = 0, 0
            finished += 1
        assert all(infos[lane] == {} for lane in np.flatnonzero(~dones))
        fresh = np.flatnonzero(dones)
        first[fresh], unit[fresh] = problem.objective(env.state)[fresh], problem.reward_unit(env.state)[fresh]
    assert finished == 5 * (40 // 6)


def test_the_terminal_observation_is_the_finished_episode_s_last(small):
    adapter = small.adapter(lanes=3, seed=5)
    seen = adapter.reset()
    twin = GraphVectorEnv(adapter.env.problem, 3, autoreset_mode=AutoresetMode.DISABLED)
    twin.reset(seed=5)
    rng = np.random.default_rng(1)
    for _ in range(6):
        before = seen[EPISODE].copy()
        actions = small.legal_actions(adapter, rng)
        last, _, _, _, _ = twin.step(actions)
        seen, _, dones, infos = adapter.step(actions)
    assert dones.all()
    for lane in range(3):
        terminal = dict(infos[lane]["terminal_observation"])
        assert terminal.pop(EPISODE).tolist() == before[lane].tolist()
        assert terminal.keys() == last.keys()
        for key, array in terminal.items():
            assert array.tobytes() == last[key][lane].tobytes(), key


def test_episode_numbers_tell_episodes_apart(small):
    adapter = small.adapter(lanes=4, builder="append")
    rng = np.random.default_rng(2)
    observation = adapter.reset()
    static = adapter.env.problem.spec.static_keys
    seen = {}
    for step in range(30):
        if step == 20:
            observation = adapter.reset()
        for lane, number in enumerate(observation[EPISODE][:, 0]):
            arrays = b"".join(observation[key][lane].tobytes() for key in static)
            owner, expected = seen.setdefault(int(number), (lane, arrays))
            assert owner == lane
            assert expected == arrays
        observation, _, _, _ = adapter.step(small.legal_actions(adapter, rng))
    # 4 lanes, 20 steps of 6-step episodes begin 4 episodes a lane; the reset and 10 more steps another 2.
    assert len(seen) == 4 * (4 + 2)
    assert len({arrays for _, arrays in seen.values()}) == len(seen)


def test_observations_outlive_one_more_step(small):
    """What a learner needs: it stores an observation after the step that followed from it."""
    adapter = small.adapter(sizes=((1, 1), (1, 2), (2, 1)))
    rng = np.random.default_rng(3)
    observation = adapter.reset()
    ended = 0
    for _ in range(40):
        assert observation in adapter.observation_space or all(
            array[0] in adapter.observation_space[key] for key, array in observation.items()
        )
        copies = {key: array.copy() for key, array in observation.items()}
        following, _, dones, _ = adapter.step(small.legal_actions(adapter, rng))
        for key, copy in copies.items():
            assert observation[key].tobytes() == copy.tobytes(), key
        twin = GraphVectorEnv(adapter.env.problem, 4)
        for key, array in twin.restore(adapter.env.snapshot()).items():
            assert following[key].tobytes() == array.tobytes(), key
        observation = following
        ended += int(dones.sum())
    assert ended > 40


def test_an_environment_that_overwrites_its_observations_is_refused(small):
    env = GraphVectorEnv(small.definition.bind(small.options), 2, copy=False)
    with pytest.raises(UsageError, match="expected one made with copy=True or double_buffer=True"):
        GraphVecEnv(env)


def test_masks_are_those_of_the_observation(small):
    adapter = small.adapter(lanes=4, wait=True)
    observation = adapter.reset()
    rng = np.random.default_rng(4)
    assert is_masking_supported(adapter)
    for _ in range(10):
        assert (get_action_masks(adapter) == observation[ACTION_MASK]).all()
        assert (get_action_masks(adapter) == adapter.env.action_masks()).all()
        assert adapter.env_method("action_masks", indices=[2])[0].tolist() == observation[ACTION_MASK][2].tolist()
        observation, _, _, _ = adapter.step(small.legal_actions(adapter, rng))


def test_the_same_seeds_give_the_same_bytes(small):
    def bytes_of(seed):
        adapter = small.adapter(seed=seed)
        rng = np.random.default_rng(5)
        result = [adapter.reset()]
        rewards = []
        for _ in range(20):
            observation, reward, _, _ = adapter.step(small.legal_actions(adapter, rng))
            result.append(observation)
            rewards.append(reward)
        return b"".join(array.tobytes() for observation in result for array in observation.values()), rewards

    assert bytes_of(3)[0] == bytes_of(3)[0]
    assert np.array_equal(bytes_of(3)[1], bytes_of(3)[1])
    assert bytes_of(3)[0] != bytes_of(4)[0]


def test_what_lanes_cannot_do_alone_is_refused(small):
    adapter = small.adapter()
    assert adapter.get_attr("num_envs", [0, 1]) == [4, 4]
    with pytest.raises(UsageError, match="env_method\\('reset'\\) is not offered"):
        adapter.env_method("reset")
    with pytest.raises(UsageError, match="'strict' cannot be set by lane"):
        adapter.set_attr("strict", True)
