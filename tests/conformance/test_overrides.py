"""What a problem may override for speed does what the shared definition does."""

import numpy as np

from envs.core import Problem


def started(case, tools, lanes, steps):
    env = case.vector(lanes)
    rng = np.random.default_rng(0)
    env.reset(seed=3)
    for _ in range(steps):
        env.step(tools.random_actions(env, rng))
    return env, rng


def test_observing_in_place_touches_the_lanes_rows_alone(case, tools):
    env, _ = started(case, tools, 5, 7)
    whole = env.problem.spec.allocate(5)
    env.problem.observe(env.state, np.arange(5), whole, static=True)
    for lanes in ([0], [3, 4], [1, 2, 4], [0, 1, 2, 3, 4]):
        out = env.problem.spec.allocate(5)
        untouched = env.problem.spec.allocate(5)
        env.problem.observe_in_place(env.state, np.array(lanes), out)
        others = np.setdiff1d(np.arange(5), lanes)
        for key, array in out.items():
            assert array[lanes].tobytes() == whole[key][lanes].tobytes(), key
            assert array[others].tobytes() == untouched[key][others].tobytes(), key


def test_stepping_to_the_next_choice(case, tools):
    for steps in (0, 5):
        env, rng = started(case, tools, 5, steps)
        twin, _ = started(case, tools, 5, steps)
        actions = tools.random_actions(env, rng)
        actions[1] = -1
        active = np.array([True, True, True, False, True])
        refused = env.problem.step_to_choice(env.state, actions, active)
        expected = Problem.step_to_choice(twin.problem, twin.state, actions, active)
        assert refused.tolist() == expected.tolist() == [False, True, False, False, False]
        for mine, other in zip(env.state, twin.state, strict=True):
            assert mine.tobytes() == other.tobytes()
