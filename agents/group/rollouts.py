"""Collecting solutions of groups of lanes, and making the observations of chosen decisions again from the actions.

Only actions and a few numbers of every decision are remembered. The dynamics are deterministic functions of the state,
which holds its generators, so observations that are learnt from are made anew: they cost a fraction of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.group.lanes import Lanes, State
from agents.group.sampling import Beam, draw
from envs.core import Observation, Problem
from envs.core.spec import ACTION_MASK
from models.batch import decision_graph, static_graph
from models.network import Network, masked

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_FIRST_STEPS = 64


@dataclass(frozen=True)
class Start:
    """Where the lanes of several groups begin.

    Attributes:
        problem: The problem at the capacity of these instances.
        state: States, one a row.
        row: ``(lanes,)`` row of the state that a lane begins with.
        group: ``(lanes,)`` number of the lane's group.
        dictated: ``(lanes, steps)`` actions of the lanes of experts, -1 where the policy decides.
        greedy: ``(lanes,)`` lanes that take the most probable action.
    """

    problem: Problem[Any, Any, Any]
    state: State
    row: Integers
    group: Integers
    dictated: Integers
    greedy: NDArray[np.bool_]


@dataclass(frozen=True)
class Rollouts:
    """Finished episodes of several groups of one size.

    Attributes:
        start: Where they began.
        static: Static observation arrays, one row for lanes that share them.
        static_row: ``(lanes,)`` row of the lane.
        actions: ``(lanes, steps)`` actions, forced decisions left out.
        lengths: ``(lanes,)`` number of decisions; 0 for a lane that was not needed.
        log_probabilities: ``(lanes, steps)`` of the actions, by the policy that collected.
        entropies: ``(lanes, steps)`` of that policy.
        free: ``(lanes, steps)`` whether there was more than one legal action.
        bounds: ``(lanes, steps)`` objective as it stood before the decision.
        first: ``(lanes,)`` objective as it stood at the start.
        objective: ``(lanes,)`` objective of the solution.
        unit: ``(lanes,)`` decrease of the objective that is worth a reward of 1.
    """

    start: Start
    static: Observation
    static_row: Integers
    actions: Integers
    lengths: Integers
    log_probabilities: NDArray[np.float32]
    entropies: NDArray[np.float32]
    free: NDArray[np.bool_]
    bounds: NDArray[np.float32]
    first: Floats
    objective: Floats
    unit: Floats

    @property
    def expert(self) -> NDArray[np.bool_]:
        """``(lanes,)`` whether the actions were an expert's."""
        return _told(self.start)


class _History:
    """What is remembered of every decision, by lane; grows as long as episodes go on."""

    def __init__(self, lanes: int) -> None:
        self.arrays: dict[str, NDArray[Any]] = {
            "actions": np.zeros((lanes, _FIRST_STEPS), np.int64),
            "log_probabilities": np.zeros((lanes, _FIRST_STEPS), np.float32),
            "entropies": np.zeros((lanes, _FIRST_STEPS), np.float32),
            "free": np.zeros((lanes, _FIRST_STEPS), np.bool_),
            "bounds": np.zeros((lanes, _FIRST_STEPS), np.float32),
        }
        self.lengths = np.zeros(lanes, np.int64)
        self._step = 0

    def add(self, lanes: Integers, **values: NDArray[Any]) -> None:
        """Adds a decision of each of ``lanes``."""
        if self._step == self.arrays["actions"].shape[1]:
            self.arrays = {key: np.concatenate([a, np.zeros_like(a)], axis=1) for key, a in self.arrays.items()}
        for key, value in values.items():
            self.arrays[key][lanes, self._step] = value
        self._step += 1
        self.lengths[lanes] = self._step

    def move(self, sources: Integers, targets: Integers) -> None:
        """Copies the past of some lanes to others, all at once."""
        for array in self.arrays.values():
            array[targets, : self._step] = array[sources, : self._step]
        self.lengths[targets] = self.lengths[sources]

    def cut(self) -> dict[str, NDArray[Any]]:
        return {key: array[:, : self._step] for key, array in self.arrays.items()}


@torch.no_grad()
def collect(
    network: Network,
    start: Start,
    sampler: torch.Generator,
    *,
    replacement: bool = True,
    after_step: Callable[[int], bool] = lambda decisions: True,
) -> Rollouts | None:
    """Runs all lanes to the end.

    Args:
        network: The policy.
        start: Where they begin.
        sampler: Generator of the actions.
        replacement: Draw lanes independently of each other; without, those of a group differ (experts apart).
        after_step: Told the number of decisions of every step; False stops everything.

    Returns:
        What happened, None if it was stopped.
    """
    problem, spec = start.problem, start.problem.spec
    lanes = Lanes(problem, start.state, start.row)
    first, unit = problem.objective(lanes.state).copy(), problem.reward_unit(lanes.state).copy()
    device = next(network.parameters()).device
    static, static_row = _shared(lanes.observe(np.arange(len(start.row)), static=True), spec.static_keys, start.group)
    tensors = {key: torch.from_numpy(array).to(device) for key, array in static.items()}
    embeddings = network.encode(static_graph(spec, tensors, torch.arange(int(static_row.max()) + 1, device=device)))
    episode = torch.from_numpy(static_row).to(device)
    history = _History(len(start.row))
    dictated = start.dictated
    beam = None if replacement else Beam(start.group, _told(start), lanes)
    step = 0
    while len(lanes.running):
        running = lanes.running
        seen = lanes.observe(running)
        dynamic = {key: torch.from_numpy(seen[key]).to(device) for key in spec.dynamic_keys}
        graph = decision_graph(spec, tensors, dynamic, episode[torch.from_numpy(running).to(device)])
        logits, _ = network.decide(embeddings, graph)
        log_probabilities = torch.log_softmax(masked(logits, dynamic[ACTION_MASK]), dim=1).cpu()
        told = dictated[running, step] if step < dictated.shape[1] else np.full(len(running), -1)
        entropies = torch.special.entr(log_probabilities.exp()).sum(dim=1).numpy()
        free = seen[ACTION_MASK].sum(axis=1) > 1
        bounds = problem.objective(lanes.state)[running]
        if beam is None:
            actions = draw(log_probabilities, sampler, told, start.greedy[running])
            parents = np.arange(len(running))
        else:
            parents, actions, moved = beam.draw(log_probabilities, sampler, told)
            if moved is not None:
                lanes.move(*moved)
                history.move(*moved)
                lanes.running = running = beam.running
        history.add(
            running,
            actions=actions,
            log_probabilities=log_probabilities.numpy()[parents, actions],
            entropies=entropies[parents],
            free=free[parents],
            bounds=bounds[parents],
        )
        if lanes.step(actions).any():
            raise RuntimeError("an action that the mask allows was refused")
        step += 1
        if not after_step(len(running)):
            return None
    objective = problem.objective(lanes.state).copy()
    return Rollouts(
        start, static, static_row, lengths=history.lengths, first=first, objective=objective, unit=unit, **history.cut()
    )


@dataclass(frozen=True)
class Decisions:
    """Observations of chosen decisions.

    Attributes:
        dynamic: Dynamic observation arrays, a decision a row.
        lane: ``(decisions,)`` lane in the rollouts.
        step: ``(decisions,)`` number of the decision in its episode.
    """

    dynamic: Observation
    lane: Integers
    step: Integers


def replay(rollouts: Rollouts, keep: NDArray[np.bool_]) -> Decisions:
    """Makes the observations of the decisions marked in ``keep``, ``(lanes, steps)``, again from the actions."""
    start = rollouts.start
    spec = start.problem.spec
    chosen = np.flatnonzero(keep.any(axis=1))
    keep = keep[chosen]
    count = int(keep.sum())
    arrays = spec.arrays
    store = {key: np.empty((count, *arrays[key][0]), arrays[key][1]) for key in spec.dynamic_keys}
    lane_of, step_of = np.empty(count, np.int64), np.empty(count, np.int64)
    if not count:
        return Decisions(store, lane_of, step_of)
    lanes = Lanes(start.problem, start.state, start.row[chosen])
    last = keep.shape[1] - keep[:, ::-1].argmax(axis=1)
    filled = 0
    for step in range(int(last.max())):
        lanes.running = lanes.running[last[lanes.running] > step]
        wanted = lanes.running[keep[lanes.running, step]]
        if len(wanted):
            rows = slice(filled, filled + len(wanted))
            seen = lanes.observe(wanted)
            for key, array in store.items():
                array[rows] = seen[key]
            lane_of[rows], step_of[rows] = chosen[wanted], step
            filled += len(wanted)
        lanes.step(rollouts.actions[chosen[lanes.running], step])
    return Decisions(store, lane_of, step_of)


def tensors_of(arrays: Mapping[str, NDArray[Any]], rows: Integers, device: torch.device) -> dict[str, Tensor]:
    """Returns some rows of arrays as tensors."""
    return {key: torch.from_numpy(array[rows]).to(device) for key, array in arrays.items()}


def _shared(seen: Observation, keys: tuple[str, ...], group: Integers) -> tuple[Observation, Integers]:
    """Returns the static arrays once a group, or once a lane where those of a group differ, and the row of a lane."""
    first, inverse = np.unique(group, return_index=True, return_inverse=True)[1:]
    if all(_same(seen[key], first[inverse]) for key in keys):
        return {key: seen[key][first] for key in keys}, inverse.astype(np.int64)
    return {key: seen[key].copy() for key in keys}, np.arange(len(group))


def _told(start: Start) -> NDArray[np.bool_]:
    return np.asarray((start.dictated >= 0).any(axis=1), np.bool_)


def _same(array: NDArray[Any], rows: Integers) -> bool:
    return bool((array == array[rows]).all())
