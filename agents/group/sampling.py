"""Drawing the next action of every lane: independently, or so that the solutions of a group differ."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.group.lanes import Lanes

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def draw(
    log_probabilities: Tensor, sampler: torch.Generator, dictated: Integers, greedy: NDArray[np.bool_]
) -> Integers:
    """Draws an action a lane.

    Args:
        log_probabilities: ``(lanes, actions)``.
        sampler: Generator of the draws.
        dictated: ``(lanes,)`` actions that are told, -1 for none.
        greedy: ``(lanes,)`` lanes that take the most probable action.
    """
    actions: Integers = torch.multinomial(log_probabilities.exp(), 1, generator=sampler).squeeze(1).numpy()
    if greedy.any():
        actions = np.where(greedy, log_probabilities.argmax(dim=1).numpy(), actions)
    return np.where(dictated >= 0, dictated, actions)


class Beam:
    """Stochastic beam search (Kool, van Hoof and Welling 2019, "Stochastic beams and where to find them").

    The lanes of a group are its beam: the partial solutions with the largest perturbed log probabilities, where the
    perturbation of a solution is the largest of its completions' (Gumbel top-k). At the end a group of k lanes is a
    sample of k solutions without replacement. Until there are as many partial solutions as lanes, some lanes rest; if
    there are never as many solutions, they rest to the end.

    Attributes:
        running: Lanes that go on after the last draw, ascending.

    Args:
        group: ``(lanes,)`` number of the group of each lane.
        told: ``(lanes,)`` lanes that are told what to do and belong to no beam.
        lanes: The episodes.
    """

    def __init__(self, group: Integers, told: NDArray[np.bool_], lanes: Lanes) -> None:
        """Leaves one lane of every group running."""
        self._lanes = lanes
        self._beams = [np.flatnonzero((group == number) & ~told) for number in np.unique(group)]
        self._score = np.full(len(group), -np.inf)
        self._key = np.full(len(group), -np.inf)
        first = np.array([beam[0] for beam in self._beams if len(beam)], np.int64)
        self._score[first] = self._key[first] = 0.0
        alive = np.isfinite(self._key) | told
        lanes.running = lanes.running[alive[lanes.running]]
        self.running = lanes.running

    def draw(
        self, log_probabilities: Tensor, sampler: torch.Generator, dictated: Integers
    ) -> tuple[Integers, Integers, tuple[Integers, Integers] | None]:
        """Chooses the partial solutions of every beam.

        Returns:
            For every lane that goes on, the row of ``log_probabilities`` that its partial solution had, and its action;
            and lanes to copy, from and to, or None if every partial solution stays where it is.
        """
        running = self._lanes.running
        score = self._score[running, None] + log_probabilities.double().numpy()
        legal = log_probabilities.numpy() > -1e8
        key = _perturbed(score, self._key[running], legal, sampler)
        row_of = np.full(len(self._score), -1)
        row_of[running] = np.arange(len(running))
        parent = np.where(dictated >= 0, np.arange(len(running)), -1)
        plan: list[tuple[int, int, int]] = [
            (int(running[row]), int(row), int(dictated[row])) for row in np.flatnonzero(parent >= 0)
        ]
        sources, targets = [], []
        for beam in self._beams:
            chosen = self._choose(beam, row_of, key, score)
            for lane, source, row, action in chosen:
                if row >= 0:
                    plan.append((lane, row, action))
                if lane != source:
                    sources.append(source)
                    targets.append(lane)
        plan.sort()
        lanes, rows, actions = (np.array(column, np.int64) for column in zip(*plan, strict=True))
        self.running = lanes
        return rows, actions, (np.array(sources, np.int64), np.array(targets, np.int64))

    def _choose(self, beam: Integers, row_of: Integers, key: Floats, score: Floats) -> list[tuple[int, int, int, int]]:
        """Fills the lanes of one beam: ``(lane, lane it comes from, row, action)``; row -1 for finished solutions."""
        rows = row_of[beam]
        going = beam[rows >= 0]
        over = beam[(rows < 0) & np.isfinite(self._key[beam])]
        keys = np.concatenate([key[row_of[going]].ravel(), self._key[over]])
        count = int(min(len(beam), np.isfinite(keys).sum()))
        best = np.argsort(-keys, kind="stable")[:count]
        width = key.shape[1]
        found = []
        for index in best.tolist():
            if index < len(going) * width:
                lane = int(going[index // width])
                row, action = int(row_of[lane]), index % width
                found.append((lane, row, action, float(score[row, action]), float(keys[index])))
            else:
                lane = int(over[index - len(going) * width])
                found.append((lane, -1, -1, float(self._score[lane]), float(keys[index])))
        return self._place(beam, found)

    def _place(
        self, beam: Integers, found: list[tuple[int, int, int, float, float]]
    ) -> list[tuple[int, int, int, int]]:
        """Keeps the first solution of every lane where it is and puts the others into lanes that are free."""
        stays = {source for source, *_ in found}
        free = [int(lane) for lane in beam if int(lane) not in stays]
        self._score[beam] = self._key[beam] = -np.inf
        placed, taken = [], set()
        for source, row, action, score, key in found:
            lane = free.pop() if source in taken else source
            taken.add(source)
            self._score[lane], self._key[lane] = score, key
            placed.append((lane, source, row, action))
        return placed


def _perturbed(score: Floats, parent: Floats, legal: NDArray[np.bool_], sampler: torch.Generator) -> Floats:
    """Perturbs the log probabilities of all children so that the largest of them equals the parent's."""
    uniform = torch.rand(score.shape, generator=sampler, dtype=torch.float64).numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        gumbel = np.where(legal, score - np.log(-np.log(uniform)), -np.inf)
        largest = gumbel.max(axis=1, keepdims=True)
        room = parent[:, None] - gumbel + np.log1p(-np.exp(gumbel - largest))
        key = parent[:, None] - np.maximum(room, 0.0) - np.log1p(np.exp(-np.abs(room)))
    return np.where(legal, key, -np.inf)
