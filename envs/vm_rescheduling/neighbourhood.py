"""Large-neighbourhood search: the exact programme, again and again, on some of the machines (Shaw, CP 1998)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.problem import Solver, SolverResult
from envs.vm_rescheduling.classes import VmClasses, classes_of
from envs.vm_rescheduling.exact import check_highs, greedy, result
from envs.vm_rescheduling.extraction import Extraction, extract
from envs.vm_rescheduling.highs import solve_highs
from envs.vm_rescheduling.linear import Rescheduling
from envs.vm_rescheduling.types import VmInstance

_LONGEST, _USUAL = 1.5, 0.4
_GROW, _SHRINK = 1.25, 0.8


def lns(*, time_limit: float = 60.0, machines: int = 40, threads: int = 2) -> Solver:
    """Returns a solver that improves the greedy plan by solving parts of the instance exactly.

    Each round frees some machines of one cluster: those of moves of the plan drawn at random, up to half of them, and
    others drawn in proportion to their fragments (free cores mod 16). The programme then chooses all moves to, from
    and between them anew, with what the moves elsewhere leave of the migration limit, started from the plan as it is.
    The number of machines grows by a quarter after a round that was solved to the end soon and shrinks by a fifth
    after any other. Of plans that reach the same, those with fewer moves are better, since other rounds can use what
    is left of the limit. A new plan is kept if it can be carried out and is no worse.

    With a goal the weighted sum is minimised, and moves that come after the goal are left out.

    Args:
        time_limit: Seconds of wall-clock time; what is found by then counts.
        machines: Machines freed in the first round.
        threads: Threads of HiGHS.

    Returns:
        A solver; its results have no bound.

    Raises:
        UsageError: An option is out of range, or highspy is not installed.
    """
    if machines < 2:
        raise UsageError(f"lns: machines is {machines}; expected 2 or more")
    check_highs("lns", time_limit, threads)
    return _Lns(float(time_limit), machines, threads)


@dataclass(frozen=True)
class _Lns:
    time_limit: float
    machines: int
    threads: int

    def __call__(self, instance: VmInstance, /, *, seed: int = 0) -> SolverResult:
        deadline = time.perf_counter() + self.time_limit
        rng = np.random.default_rng(seed)
        classes = classes_of(instance)
        best = greedy(classes)
        size, rounds = float(self.machines), 0
        while (left := deadline - time.perf_counter()) > 0.02:
            free = _choose(classes, best, round(size), rng)
            limit = instance.migration_limit
            programme = Rescheduling(classes, best.change, free, limit, move_cost=0.5 / limit)
            began = time.perf_counter()
            found = solve_highs(
                programme.model,
                time_limit=min(left, _LONGEST, self.time_limit / 4),
                threads=self.threads,
                seed=rounds,
                start=programme.start(best.change),
            )
            rounds += 1
            quick = found.proven and time.perf_counter() - began < _USUAL
            if found.values is not None:
                change = programme.change(found.values)
                if (change != best.change).any():
                    new = extract(classes, change, limit, seed=seed, attempts=4)
                    best = new if _rank(new) <= _rank(best) else best
            if found.proven and free.all():
                break
            size = min(float(len(free)), max(2.0, size * (_GROW if quick else _SHRINK)))
        return result(instance, [best.plan], float("nan"))._replace(bound=None, status="heuristic")


def _rank(found: Extraction) -> tuple[float, int]:
    """What a plan reaches, and with how many moves: those that are left over are of use in later rounds."""
    return round(found.reached, 12), len(found.plan.vm)


def _choose(classes: VmClasses, best: Extraction, size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Returns the ``(machines,)`` flags of the machines of a round."""
    instance, machines = classes.instance, classes.instance.machines
    cores, _ = classes.needs(best.change)
    fragments = np.bincount(machines.machine_of_numa, (instance.free_cores - cores) % 16, len(machines.names))
    weights = np.bincount(machines.cluster, fragments + 1e-3)
    cluster = machines.cluster == rng.choice(len(weights), p=weights / weights.sum())
    ends = np.stack([instance.vms.host[best.plan.vm], best.plan.numa], axis=1)
    moves = machines.machine_of_numa[rng.permutation(ends)]
    free = np.zeros(len(machines.names), np.bool_)
    free[moves[cluster[moves].all(axis=1)][: size // 4].ravel()] = True
    weight = np.where(cluster & ~free, fragments + 1.0, 0.0)
    count = min(size - int(free.sum()), int((weight > 0).sum()))
    if count > 0:
        free[rng.choice(len(free), count, replace=False, p=weight / weight.sum())] = True
    rest = np.flatnonzero(~free)
    free[rng.permutation(rest)[: max(0, size - int(free.sum()))]] = True
    return free
