"""Collects the conformance cases: every registered problem with every option set that it lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

from envs.core import GraphEnv, GraphVectorEnv, Observation, ProblemDefinition, Snapshot, problems

STEP_LIMIT = 20_000
"""No conformance episode of a small variant may take more decisions than this."""


@dataclass(frozen=True)
class Case:
    """One problem under one of its option sets, with the moves that most tests make."""

    definition: ProblemDefinition
    options: Mapping[str, Any]

    def single(self, **shell: Any) -> GraphEnv:
        """Makes the single environment."""
        return GraphEnv(self.definition.bind(self.options), **shell)

    def registered(self, **arguments: Any) -> gymnasium.Env[Any, Any]:
        """Makes the single environment through Gymnasium."""
        return gymnasium.make(f"envs:{self.definition.env_id}", **self.options, **arguments)

    def vector(self, lanes: int, **shell: Any) -> GraphVectorEnv:
        """Makes the vector environment."""
        return GraphVectorEnv(self.definition.bind(self.options), lanes, **shell)

    def verified(self, env: GraphVectorEnv, lane: int) -> float:
        """Objective of a finished lane by the independent verifier."""
        return self.definition.verify(env.instance(lane), env.solution(lane))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives ``case`` every problem and variant, ``definition`` every problem."""
    if "case" in metafunc.fixturenames:
        cases = [
            pytest.param(Case(definition, variant), id=f"{definition.name}-{number}")
            for definition in problems().values()
            for number, variant in enumerate(definition.variants)
        ]
        metafunc.parametrize("case", cases)
    if "definition" in metafunc.fixturenames:
        metafunc.parametrize("definition", problems().values(), ids=problems().keys())


class Tools:
    """Moves that tests share."""

    step_limit = STEP_LIMIT

    @staticmethod
    def random_actions(env: GraphVectorEnv, rng: np.random.Generator) -> NDArray[np.int64]:
        """One legal action a lane, uniform; 0 in lanes without any."""
        mask = env.action_masks()
        return np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)

    @staticmethod
    def best_actions(env: GraphVectorEnv, priority: NDArray[np.float64]) -> NDArray[np.int64]:
        """The legal action of least priority in every lane."""
        return np.where(env.action_masks(), priority, np.inf).argmin(axis=1)

    @staticmethod
    def assert_same(first: Observation, second: Observation) -> None:
        """Asserts equality to the byte."""
        assert first.keys() == second.keys()
        for key in first:
            assert first[key].dtype == second[key].dtype, key
            assert first[key].tobytes() == second[key].tobytes(), key

    @staticmethod
    def same_state(first: Snapshot, second: Snapshot) -> bool:
        """Tells whether two snapshots hold the same bytes."""
        arrays = zip((*first.state, *first[1:]), (*second.state, *second[1:]), strict=True)
        return all(one.tobytes() == other.tobytes() for one, other in arrays)

    @staticmethod
    def row(observation: Observation, lane: int) -> Observation:
        """The observation of one lane."""
        return {key: array[lane] for key, array in observation.items()}

    def random_steps(self, env: GraphEnv, seed: int) -> Iterator[tuple[Observation, Any]]:
        """Plays one random legal episode; yields each observation with the action about to be taken, None last."""
        rng = np.random.default_rng(seed)
        observation, _ = env.reset(seed=seed)
        for _ in range(self.step_limit):
            action = int(rng.choice(np.flatnonzero(env.action_masks())))
            yield observation, action
            observation, _, terminated, _, _ = env.step(action)
            if terminated:
                yield observation, None
                return
        pytest.fail(f"a random episode did not end within {self.step_limit} decisions")


@pytest.fixture(scope="session")
def tools() -> Tools:
    """Moves that tests share."""
    return Tools()
