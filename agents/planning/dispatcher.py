"""Dispatchers that look ahead by playing episodes with a policy before they decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.planning.config import SEARCHES, PlanningConfig
from agents.planning.simulation import Floats, Integers, Played, play
from agents.policy_dispatcher import PolicyDispatcher
from envs.core import GraphVectorEnv, Observation, UsageError
from envs.core.spec import ACTION_MASK


class PlanningDispatcher:
    """Decides by a policy and by how episodes end that begin with each candidate.

    Attributes:
        evaluations: Decisions that the network was asked for since the last `reset`.

    Args:
        policy: The policy.
        config: What the search is.
        seed: Seed of the policy's draws and of the futures.
        draws: Whether the environment draws at random: then every simulation meets a future of its own, the same ones
            for all candidates of a decision.

    Raises:
        UsageError: A plan that follows one finished solution was asked for where the environment draws.
    """

    def __init__(self, policy: PolicyDispatcher, config: PlanningConfig, *, seed: int = 0, draws: bool = False) -> None:
        """Prepares the generators."""
        if config.plan not in SEARCHES:
            raise UsageError(f"plan is {config.plan!r}, which decides nothing by itself; expected a search")
        if draws and config.plan == "pilot":
            raise UsageError(
                "plan is 'pilot', which follows one finished solution, but the environment draws at random; "
                "expected 'mirror_descent' or 'gumbel'"
            )
        self.policy = policy
        self.config = config
        self.name = policy.name
        self.options: Mapping[str, Any] = policy.options
        self.evaluations = 0
        self._draws = draws
        self._generator = np.random.default_rng(seed)
        self._sampler = torch.Generator().manual_seed(seed)
        self._incumbents: dict[int, tuple[float, list[int]]] = {}

    def reset(self, env: GraphVectorEnv, observation: Observation) -> None:
        """Forgets the episodes before."""
        self.policy.reset(env, observation)
        self._incumbents = {}
        self.evaluations = 0

    def decide(self, env: GraphVectorEnv, observation: Observation) -> NDArray[np.int64]:
        """Chooses one legal action in every lane whose episode goes on."""
        mask = observation[ACTION_MASK]
        logits = self.policy.logits(env.problem.spec, observation).double()
        prior: Floats = torch.log_softmax(logits, dim=1).cpu().numpy()
        actions: Integers = prior.argmax(axis=1)
        self.evaluations += len(actions)
        going = ~env.problem.finished(env.state)
        unit = env.problem.reward_unit(env.state).copy()
        for lane in np.flatnonzero(going):
            legal = np.flatnonzero(mask[lane])
            if self.config.plan == "pilot":
                actions[lane] = self._pilot(env, int(lane), prior[lane], legal)
            elif len(legal) > 1 and self.config.plan == "mirror_descent":
                actions[lane] = self._mirror_descent(env, int(lane), prior[lane], legal, float(unit[lane]))
            elif len(legal) > 1:
                actions[lane] = self._gumbel(env, int(lane), prior[lane], legal, float(unit[lane]))
        return actions

    def _pilot(self, env: GraphVectorEnv, lane: int, prior: Floats, legal: Integers) -> int:
        """Follows the best solution that was ever seen."""
        best, plan = self._incumbents.get(lane, (np.inf, []))
        candidates = _most_probable(prior, legal, self.config.candidates)
        if len(candidates) > 1 or not plan:
            played = self._play(env, lane, candidates, 1, greedy=True)
            winner = int(played.objective.argmin())
            if played.objective[winner] < best:
                best = float(played.objective[winner])
                plan = played.actions[winner, : played.lengths[winner]].tolist()
        self._incumbents[lane] = (best, plan[1:])
        return int(plan[0])

    def _mirror_descent(self, env: GraphVectorEnv, lane: int, prior: Floats, legal: Integers, unit: float) -> int:
        candidates = _most_probable(prior, legal, self.config.candidates)
        times = max(1, self.config.simulations // len(candidates))
        value = -self._play(env, lane, candidates, times).objective.reshape(len(candidates), times).mean(axis=1) / unit
        return int(candidates[(prior[candidates] + value / self.config.temperature).argmax()])

    def _gumbel(self, env: GraphVectorEnv, lane: int, prior: Floats, legal: Integers, unit: float) -> int:
        """Halves the candidates until one is left, sharing the simulations equally among the rounds."""
        perturbed = np.full(len(prior), -np.inf)
        perturbed[legal] = prior[legal] + self._generator.gumbel(size=len(legal))
        candidates = _most_probable(perturbed, legal, self.config.candidates)
        rounds = max(1, int(np.ceil(np.log2(len(candidates)))))
        total, count = np.zeros(len(candidates)), 0
        while len(candidates) > 1:
            times = max(1, self.config.simulations // (rounds * len(candidates)))
            objective = self._play(env, lane, candidates, times).objective.reshape(len(candidates), times)
            total, count = total + objective.sum(axis=1), count + times
            score = perturbed[candidates] - total / (count * unit * self.config.temperature)
            kept = np.argsort(-score, kind="stable")[: (len(candidates) + 1) // 2]
            candidates, total = candidates[kept], total[kept]
        return int(candidates[0])

    def _play(
        self, env: GraphVectorEnv, lane: int, candidates: Integers, times: int, *, greedy: bool = False
    ) -> Played:
        """Plays every candidate so many times; the n-th time meets the same future whatever the candidate."""
        first = np.repeat(candidates, times)
        futures = None
        if self._draws:
            own = self._generator.integers(1, 2**63, size=times, dtype=np.uint64)
            futures = np.tile(own, len(candidates))
        lanes = np.full(len(first), lane)
        played = play(self.policy.network, env, lanes, first, self._sampler, greedy=greedy, futures=futures)
        self.evaluations += played.evaluations
        return played


def _most_probable(score: Floats, legal: Integers, count: int) -> Integers:
    """The legal actions of largest score, best first."""
    return np.asarray(legal[np.argsort(-score[legal], kind="stable")[:count]], np.int64)
