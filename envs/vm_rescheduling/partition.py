"""POP: the machines are split into parts that are solved one by one (Narayanan et al., SOSP 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.core.errors import UsageError
from envs.core.problem import Solver, SolverResult
from envs.vm_rescheduling.classes import classes_of
from envs.vm_rescheduling.exact import check_highs, result
from envs.vm_rescheduling.extraction import extract
from envs.vm_rescheduling.highs import solve_highs
from envs.vm_rescheduling.linear import Rescheduling
from envs.vm_rescheduling.types import VmInstance


def pop(*, parts: int = 2, time_limit: float = 60.0, threads: int = 2) -> Solver:
    """Returns a solver that cuts the machines into contiguous parts and shares out the migrations.

    Every part is solved by the type-aggregated integer programme on HiGHS within an equal share of the time, with an
    equal share of the migration limit (the first parts take what is over); VMs stay in their part. The plans are
    carried out one after the other. With a goal the weighted sum is minimised all the same, and moves that come after
    the goal are left out.

    Args:
        parts: Number of parts.
        time_limit: Seconds of wall-clock time for all parts together.
        threads: Threads of HiGHS.

    Returns:
        A solver; its results have no bound.

    Raises:
        UsageError: An option is out of range, or highspy is not installed.
    """
    if parts < 1:
        raise UsageError(f"pop: parts is {parts}; expected 1 or more")
    check_highs("pop", time_limit, threads)
    return _Pop(parts, float(time_limit), threads)


@dataclass(frozen=True)
class _Pop:
    parts: int
    time_limit: float
    threads: int

    def __call__(self, instance: VmInstance, /, *, seed: int = 0) -> SolverResult:
        classes, limit = classes_of(instance), instance.migration_limit
        change = classes.no_change()
        shares = [limit // self.parts + (part < limit % self.parts) for part in range(self.parts)]
        blocks = np.array_split(np.arange(len(instance.machines.names)), self.parts)
        for block, share in zip(blocks, shares, strict=True):
            if not len(block) or not share:
                continue
            free = np.zeros(len(instance.machines.names), np.bool_)
            free[block] = True
            programme = Rescheduling(classes, classes.no_change(), free, share)
            start = programme.start(classes.no_change())
            found = solve_highs(
                programme.model,
                time_limit=self.time_limit / self.parts,
                threads=self.threads,
                seed=seed,
                start=start,
            )
            if found.values is not None:
                change += programme.change(found.values)
        moves = extract(classes, change, limit, seed=seed).plan
        return result(instance, [moves], float("nan"))._replace(bound=None, status="heuristic")
