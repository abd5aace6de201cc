"""Solvers of whole episodes: random dispatching, a bandit, and plans made before the episode begins.

A plan is *open-loop*: it says for every step of the horizon where a task of that step goes, without seeing tasks or
servers. It is made once for a system and preference on drawn episodes, and kept by the solver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.handle import Handle
from envs.core.problem import Solver, SolverResult
from envs.offload.annealing import anneal
from envs.offload.bandit import LinearBandit, train_bandit
from envs.offload.draws import draw_tasks
from envs.offload.generators import empty_state
from envs.offload.preferences import place_of
from envs.offload.replay import Replay
from envs.offload.simulation import plan_costs, random_server
from envs.offload.state import OffloadState, state_handle
from envs.offload.types import Floats, Indices, OffloadInstance, System

_TRAINING_SEED = 7_000_000


@dataclass(frozen=True)
class RandomCloud:
    """Sends a task to the cloud with some probability and otherwise to a uniform edge server.

    Attributes:
        cloud_probability: The probability; -1 sweeps it with the preference, from 0 to ``most``, as the paper does.
        most: Probability at the preference for delay alone.
    """

    cloud_probability: float = -1.0
    most: float = 0.25

    def __post_init__(self) -> None:
        """Checks the probabilities."""
        if not (self.cloud_probability == -1.0 or 0.0 <= self.cloud_probability <= 1.0):
            raise UsageError(f"random_cloud: cloud_probability is {self.cloud_probability}; expected -1 or 0 to 1")
        if not 0.0 <= self.most <= 1.0:
            raise UsageError(f"random_cloud: most is {self.most}; expected a number from 0 to 1")

    def __call__(self, instance: OffloadInstance, /, *, seed: int = 0) -> SolverResult:
        """Returns the execution that the draws lead to."""
        probability = self.cloud_probability
        if probability == -1.0:
            probability = self.most * place_of(instance.preference)
        replay = Replay(instance, seed)
        while not replay.finished:
            replay.dispatch(random_server(replay.state, 0, probability))
        return replay.result()


@dataclass(frozen=True)
class LinUcb:
    """Contextual bandit (Li et al., WWW 2010): a linear estimate of the weighted cost of a choice, with a bonus.

    Trained on episodes of the instance's system under the instance's preference, one model for the cloud and one that
    the edge servers share; then it takes the least estimate.

    Attributes:
        episodes: Training episodes.
        exploration: Weight of the bonus while training.
        ridge: Regularisation.
    """

    episodes: int = 400
    exploration: float = 0.2
    ridge: float = 1.0
    _known: dict[tuple[System, tuple[float, ...], int], LinearBandit] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Checks the numbers."""
        _check_counts("linucb", {"episodes": self.episodes})
        for name in ("exploration", "ridge"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise UsageError(f"linucb: {name} is {getattr(self, name)}; expected a finite number above 0")

    def __call__(self, instance: OffloadInstance, /, *, seed: int = 0) -> SolverResult:
        """Returns the execution; the first one on a system and under a preference trains."""
        key = (instance.system, instance.preference, seed)
        if key not in self._known:
            training = empty_state(instance.system, 1, _TRAINING_SEED + seed)
            training.weights[0, : len(instance.preference)] = instance.preference
            self._known[key] = train_bandit(training, self.episodes, self.exploration, self.ridge)
        bandit, replay = self._known[key], Replay(instance)
        while not replay.finished:
            replay.dispatch(bandit.choose(replay.state, 0))
        return replay.result()


@dataclass(frozen=True)
class Annealing:
    """Simulated annealing over plans (Kirkpatrick, Gelatt and Vecchi, Science 220, 1983).

    Attributes:
        proposals: Changes of one step's server that are tried.
        episodes: Drawn episodes that a plan is judged on.
        hindsight: Plan for the instance itself instead, as if its tasks were known: what no dispatcher can do, but a
            measure of how much better than it one could be.
        temperature: First temperature, as a share of the first plan's cost; the last one is a thousandth of it.
    """

    proposals: int = 1000
    episodes: int = 16
    hindsight: bool = False
    temperature: float = 0.01
    _known: dict[Any, Indices] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Checks the numbers."""
        _check_counts("annealing", {"proposals": self.proposals, "episodes": self.episodes})
        if not 0.0 < self.temperature < np.inf:
            raise UsageError(f"annealing: temperature is {self.temperature}; expected a finite number above 0")

    def __call__(self, instance: OffloadInstance, /, *, seed: int = 0) -> SolverResult:
        """Returns the execution of the plan; the first one of a system and preference anneals."""
        if self.hindsight:
            replay = Replay(instance, seed)
            return follow(instance, self._plan(replay.handle, replay.state, 1, instance.system, seed))
        key = (instance.system, instance.preference, seed)
        if key not in self._known:
            state = training_episodes(instance, self.episodes, seed)
            self._known[key] = self._plan(state_handle(state), state, self.episodes, instance.system, seed)
        return follow(instance, self._known[key])

    def _plan(
        self, handle: Handle[OffloadState], state: OffloadState, lanes: int, system: System, seed: int
    ) -> Indices:
        first = np.arange(system.horizon, dtype=np.int64) % len(system.hertz)
        random = np.random.default_rng(seed)
        steps = random.integers(0, system.horizon, self.proposals)
        servers = random.integers(0, len(system.hertz), self.proposals)
        return anneal(handle, lanes, first, steps, servers, random.random(self.proposals), self.temperature)


@dataclass(frozen=True)
class Nsga2:
    """Plans of a whole front at once, by NSGA-II (Deb et al., IEEE TEC 6, 2002) as pymoo has it.

    Of the front the plan is taken that is best under the instance's preference on the episodes it was made on.

    Attributes:
        population: Plans in a generation.
        generations: Generations.
        episodes: Drawn episodes that a plan is judged on.
    """

    population: int = 60
    generations: int = 100
    episodes: int = 16
    _known: dict[tuple[System, int], tuple[Indices, Floats]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Checks the numbers."""
        numbers = {"population": self.population, "generations": self.generations, "episodes": self.episodes}
        _check_counts("nsga2", numbers)

    def __call__(self, instance: OffloadInstance, /, *, seed: int = 0) -> SolverResult:
        """Returns the execution of the best plan of the front; the first one of a system searches it."""
        key = (instance.system, seed)
        if key not in self._known:
            self._known[key] = self._front(instance, seed)
        plans, costs = self._known[key]
        scales = np.array([criterion.scale for criterion in instance.system.criteria])
        return follow(instance, plans[int((costs @ (scales * instance.preference)).argmin())])

    def _front(self, instance: OffloadInstance, seed: int) -> tuple[Indices, Floats]:
        from envs.offload.evolution import evolve

        state = training_episodes(instance, self.episodes, seed)
        handle, count = state_handle(state), len(instance.system.criteria)

        def judge(plans: NDArray[np.int64]) -> Floats:
            return np.stack([plan_costs(handle, self.episodes, plan)[:count] for plan in plans])

        servers = len(instance.system.hertz)
        return evolve(judge, instance.system.horizon, servers, self.population, self.generations, seed)


def follow(instance: OffloadInstance, plan: Indices) -> SolverResult:
    """Runs an instance by a plan, ``(horizon,)`` servers by step."""
    replay = Replay(instance)
    for step in instance.dispatch:
        replay.dispatch(int(plan[step]))
    return replay.result()


def training_episodes(instance: OffloadInstance, count: int, seed: int) -> OffloadState:
    """Draws episodes of an instance's system under its preference, one a lane."""
    state = empty_state(instance.system, count, _TRAINING_SEED + seed)
    state.weights[:, : len(instance.preference)] = instance.preference
    draw_tasks(state_handle(state), np.arange(count))
    return state


def _check_counts(solver: str, numbers: Mapping[str, int]) -> None:
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{solver}: {name} is {value!r}; expected a whole number of at least 1")


SOLVERS: Mapping[str, Callable[..., Solver]] = MappingProxyType(
    {
        "random_cloud": RandomCloud,
        "linucb": LinUcb,
        "annealing": Annealing,
        "nsga2": Nsga2,
    }
)
"""Solver factories by name."""
