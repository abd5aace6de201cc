"""Playing episodes to their end from copies of states, with another future wherever the environment draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.group.lanes import rows_of
from agents.group.rollouts import Start, collect
from envs.core import GraphVectorEnv
from models.network import Network

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Played:
    """Episodes that were played to their end.

    Attributes:
        objective: ``(episodes,)`` objectives.
        actions: ``(episodes, steps)`` actions from the first one on, forced ones left out.
        lengths: ``(episodes,)`` number of actions.
        evaluations: Decisions that the network was asked for.
    """

    objective: Floats
    actions: Integers
    lengths: Integers
    evaluations: int


def play(
    network: Network,
    env: GraphVectorEnv,
    lanes: Integers,
    first: Integers,
    sampler: torch.Generator,
    *,
    greedy: bool,
    futures: NDArray[np.uint64] | None = None,
) -> Played:
    """Plays one episode a row, from the state of a lane and with a given first action.

    Args:
        network: The policy that goes on after the first action.
        env: The environment; it is not touched.
        lanes: ``(episodes,)`` lane to begin from.
        first: ``(episodes,)`` first action, legal there.
        sampler: Generator of the policy's draws.
        greedy: Take the most probable action instead of drawing.
        futures: ``(episodes,)`` seeds of what the environment draws from now on; None where it draws nothing. The
            lanes' own generators are never used, so that no plan knows what will happen.
    """
    problem = env.problem
    origins, row = np.unique(lanes, return_inverse=True)
    state: tuple[NDArray[Any], ...] = rows_of(env.state, origins)
    if futures is not None:
        drawn = problem.allocate(len(lanes))
        for array, saved in zip(drawn, state, strict=True):
            array[...] = saved[row]
        drawn.generator[...] = futures
        problem.resample(drawn, np.arange(len(lanes)))
        state, row = tuple(drawn), np.arange(len(lanes))
    told = np.asarray(first, np.int64)[:, None]
    start = Start(problem, state, row, np.arange(len(lanes)) if futures is not None else row, told, _all(lanes, greedy))
    rollouts = collect(network, start, sampler)
    assert rollouts is not None
    return Played(rollouts.objective, rollouts.actions, rollouts.lengths, int(rollouts.lengths.sum()))


def _all(lanes: Integers, value: bool) -> NDArray[np.bool_]:
    return np.full(len(lanes), value)
