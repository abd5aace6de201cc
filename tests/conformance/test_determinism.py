"""The same seed and actions give the same bytes, on any number of lanes, from any snapshot."""

import numpy as np

LANES = 4
STEPS = 80


def trajectory(env, tools, first, actions):
    """Plays ``actions``; returns what came back of every step, as one list of dictionaries of arrays."""
    seen = [first]
    for action in actions:
        observation, rewards, terminated, truncated, info = env.step(action)
        outcome = {"rewards": rewards, "terminated": terminated, "truncated": truncated}
        kept = {key: info[key] for key in ("objective", "reward_unit", "invalid_action")}
        seen.append({**observation, **outcome, **kept, "generator": env.state.generator.copy()})
    return seen


def random_run(env, tools, steps, seed):
    """Plays random legal actions; returns them."""
    rng = np.random.default_rng(seed)
    actions = []
    for _ in range(steps):
        actions.append(tools.random_actions(env, rng))
        env.step(actions[-1])
    return actions


def assert_same_runs(tools, one, other):
    for first, second in zip(one, other, strict=True):
        tools.assert_same(first, second)


def test_same_seed_and_actions_give_the_same_bytes(case, tools):
    env, again = case.vector(LANES), case.vector(LANES)
    env.reset(seed=7)
    actions = random_run(env, tools, STEPS, 0)
    runs = [trajectory(each, tools, each.reset(seed=7)[0], actions) for each in (env, again)]
    assert_same_runs(tools, *runs)


def test_seeds_make_a_difference(case, tools):
    """Unless the case draws nothing at random, some of many seeds differ."""
    env = case.vector(64)
    observation, _ = env.reset(seed=0)
    first = {key: array.tobytes() for key, array in env.reset(seed=0)[0].items()}
    other = {key: array.tobytes() for key, array in env.reset(seed=1000)[0].items()}
    assert first == {key: array.tobytes() for key, array in observation.items()}
    assert first != other


def test_lanes_equal_single_runs_across_episodes(case, tools):
    env = case.vector(LANES)
    rng = np.random.default_rng(1)
    observation, _ = env.reset(seed=20)
    singles = [case.single() for _ in range(LANES)]
    for lane, single in enumerate(singles):
        tools.assert_same(single.reset(seed=20 + lane)[0], tools.row(observation, lane))
    episodes = np.zeros(LANES, int)
    for _ in range(tools.step_limit):
        actions = tools.random_actions(env, rng)
        observation, rewards, terminated, truncated, info = env.step(actions)
        for lane, single in enumerate(singles):
            last, reward, ended, cut, single_info = single.step(actions[lane])
            assert (reward, ended, cut) == (rewards[lane], terminated[lane], truncated[lane])
            if ended:
                tools.assert_same(last, info["final_obs"][lane])
                final_info = {key: array[lane] for key, array in info["final_info"].items() if key[0] != "_"}
                tools.assert_same(_arrays(single_info), _arrays(final_info))
                last, single_info = single.reset()
                assert single_info["objective"] == info["objective"][lane]
            tools.assert_same(last, tools.row(observation, lane))
            assert single.snapshot().state[0].tobytes() == env.snapshot().state[0][lane : lane + 1].tobytes()
        episodes += terminated
        if episodes.min() >= 3:
            return
    raise AssertionError("episodes did not end")


def test_snapshot_and_restore_replay_exactly(case, tools):
    env = case.vector(LANES)
    env.reset(seed=3)
    random_run(env, tools, 7, 0)
    snapshot = env.snapshot()
    first = env.restore(snapshot)
    actions = random_run(env, tools, STEPS, 1)
    end = env.snapshot()
    for _ in range(2):
        runs = []
        for each in (env, case.vector(LANES)):
            tools.assert_same(each.restore(snapshot), first)
            runs.append(trajectory(each, tools, first, actions))
            assert tools.same_state(each.snapshot(), end)
        assert_same_runs(tools, *runs)


def test_restored_observation_is_the_one_that_stood(case, tools):
    env = case.vector(LANES)
    rng = np.random.default_rng(5)
    observation, _ = env.reset(seed=5)
    for _ in range(STEPS):
        tools.assert_same(env.restore(env.snapshot()), observation)
        observation = env.step(tools.random_actions(env, rng))[0]


def test_snapshots_stand_when_the_environment_moves(case, tools):
    env = case.vector(2)
    env.reset(seed=1)
    snapshot, twin = env.snapshot(), env.snapshot()
    random_run(env, tools, 20, 0)
    assert tools.same_state(snapshot, twin)
    assert not tools.same_state(snapshot, env.snapshot())


def test_single_snapshot_replays(case, tools):
    env = case.single()
    steps = list(tools.random_steps(env, seed=9))
    env.reset(seed=9)
    half = len(steps) // 2
    for _, action in steps[:half]:
        env.step(action)
    snapshot = env.snapshot()
    for _ in range(2):
        tools.assert_same(env.restore(snapshot), steps[half][0])
        for (_, action), (expected, _) in zip(steps[half:-1], steps[half + 1 :], strict=True):
            tools.assert_same(env.step(action)[0], expected)


def test_copied_observations_are_the_callers(case, tools):
    env = case.vector(2)
    observation, _ = env.reset(seed=0)
    kept = {key: array.copy() for key, array in observation.items()}
    actions = tools.random_actions(env, np.random.default_rng(0))
    following = env.step(actions)[0]
    tools.assert_same(observation, kept)
    for key in observation:
        assert not np.shares_memory(observation[key], following[key])
        following[key][...] = 1
    env.reset(seed=0)
    other = case.vector(2)
    other.reset(seed=0)
    tools.assert_same(env.step(actions)[0], other.step(actions)[0])


def test_views_hold_the_same_values_as_copies(case, tools):
    copies, views = case.vector(LANES), case.vector(LANES, copy=False)
    rng = np.random.default_rng(2)
    tools.assert_same(copies.reset(seed=2)[0], views.reset(seed=2)[0])
    for _ in range(STEPS):
        actions = tools.random_actions(copies, rng)
        tools.assert_same(copies.step(actions)[0], views.step(actions)[0])


def test_masked_actions_change_no_future(case, tools):
    """A refused action draws nothing from the generator either."""
    env, other = case.vector(1), case.vector(1)
    env.reset(seed=11)
    other.reset(seed=11)
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        illegal = np.flatnonzero(~env.action_masks()[0])
        if len(illegal):
            env.step(illegal[:1])
        actions = tools.random_actions(env, rng)
        tools.assert_same(env.step(actions)[0], other.step(actions)[0])


def _arrays(info):
    """Numbers, truth values and vectors of an info alike."""
    return {key: np.asarray(value) for key, value in info.items()}
