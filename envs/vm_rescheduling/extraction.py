"""From a re-placement in counts to single migrations, in an order that can be carried out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.vm_rescheduling.classes import Change, VmClasses
from envs.vm_rescheduling.live_placement import ClassMove, LivePlacement
from envs.vm_rescheduling.types import Plan, plan


@dataclass(frozen=True, eq=False)
class Extraction:
    """An executable plan for a change.

    Attributes:
        plan: The plan.
        left: VMs of the change that could not be moved within the limit.
        reached: Weighted sum of the objective's terms after the plan, if nothing arrives or leaves.
        change: Change that the plan makes.
    """

    plan: Plan
    left: int
    reached: float
    change: Change


def extract(
    classes: VmClasses, change: Change, limit: int, *, seed: int = 0, fill: bool = True, attempts: int = 24
) -> Extraction:
    """Orders the migrations of a change under live capacity.

    Of the moves that fit, one is taken whose source others wait for. If none fits, a VM that others wait for goes to
    a third place with room, if the limit allows a further move, and later on to its target. Otherwise the rest is left
    out and, with ``fill``, the moves that are over go to the best single moves. Several random orders are tried until
    one leaves nothing out.

    Args:
        classes: The classes of VMs.
        change: What is to change.
        limit: Most migrations.
        seed: Seed of the orders.
        fill: Whether to use moves that are over when something was left out.
        attempts: Orders that are tried at most.

    Returns:
        The best plan found.
    """
    best: Extraction | None = None
    for attempt in range(attempts):
        found = _attempt(classes, change, limit, np.random.default_rng([seed, attempt]), fill)
        if best is None or (found.left == 0, -found.reached) > (best.left == 0, -best.reached):
            best = found
        if best.left == 0:
            break
    assert best is not None
    return best


def _attempt(classes: VmClasses, change: Change, limit: int, rng: np.random.Generator, fill: bool) -> Extraction:
    placement = LivePlacement(classes)
    order = _Order(placement, change, limit, rng)
    while order.pending:
        move = order.fitting() or order.detour()
        if move is None:
            break
        order.make(move)
    if order.pending and fill:
        placement.improve(limit)
    placement.settle()
    reached = placement.value()
    return Extraction(plan(placement.moves), order.pending, reached, placement.counts - classes.counts)


class _Order:
    """What is still to be moved."""

    def __init__(self, placement: LivePlacement, change: Change, limit: int, rng: np.random.Generator) -> None:
        self.placement, self.limit, self.rng = placement, limit, rng
        self.leaving = {(int(k), int(p)): -int(change[k, p]) for k, p in zip(*np.nonzero(change < 0), strict=True)}
        self.coming = {(int(k), int(p)): int(change[k, p]) for k, p in zip(*np.nonzero(change > 0), strict=True)}
        self.pending = sum(self.leaving.values())
        self.detours: set[ClassMove] = set()

    def _awaited(self) -> set[int]:
        """NUMA nodes where VMs are still to come."""
        width = self.placement.classes.width
        return {node for kind, place in self.coming for node in range(place, place + int(width[kind]))}

    def _nodes(self, kind: int, place: int) -> range:
        return range(place, place + int(self.placement.classes.width[kind]))

    def fitting(self) -> ClassMove | None:
        """A move of the change that fits now, one that makes room for others before the rest."""
        awaited = self._awaited()
        kinds = sorted({kind for kind, _ in self.leaving})
        best, priority = None, -1.0
        for kind in kinds:
            targets = [place for k, place in self.coming if k == kind]
            for _, source in [key for key in self.leaving if key[0] == kind]:
                legal = self.placement.legal(kind, source)
                possible = [place for place in targets if legal[place]]
                if not possible:
                    continue
                wanted = any(node in awaited for node in self._nodes(kind, source))
                rank = wanted + float(self.rng.random())
                if rank > priority:
                    best = ClassMove(kind, source, possible[int(self.rng.integers(len(possible)))])
                    priority = rank
        return best

    def detour(self) -> ClassMove | None:
        """A move of a VM that others wait for to a place that is none of its targets."""
        if len(self.placement.moves) + self.pending + 1 > self.limit:
            return None
        awaited = self._awaited()
        options = []
        for kind, source in self.leaving:
            if not any(node in awaited for node in self._nodes(kind, source)):
                continue
            for place in np.flatnonzero(self.placement.legal(kind, source)).tolist():
                if ClassMove(kind, source, place) not in self.detours:
                    quiet = not any(node in awaited for node in self._nodes(kind, place))
                    options.append((quiet + float(self.rng.random()), ClassMove(kind, source, place)))
        if not options:
            return None
        move = max(options)[1]
        self.detours.add(move)
        return move

    def make(self, move: ClassMove) -> None:
        """Carries out a move and keeps account of what is still to be moved."""
        kind, source, target = move
        self.placement.apply(move)
        _decrease(self.leaving, (kind, source))
        if (kind, target) in self.coming:
            _decrease(self.coming, (kind, target))
            self.pending -= 1
        else:
            self.leaving[kind, target] = self.leaving.get((kind, target), 0) + 1


def _decrease(numbers: dict[tuple[int, int], int], key: tuple[int, int]) -> None:
    numbers[key] -= 1
    if numbers[key] == 0:
        del numbers[key]
