"""Solvers of static instances by name: the list schedulers and CP-SAT."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

from envs.core.problem import Solver, SolverResult
from envs.soc_dag.types import SocInstance
from envs.soc_dag.verify import verify

_LIST_SCHEDULERS = ("heft", "cpop", "peft", "lookahead_heft", "dls", "mcp", "etf", "min_min", "met", "olb", "random")


@dataclass(frozen=True)
class _ListScheduler:
    """One of the modules of `envs.soc_dag.static` as a solver; of them only `random` takes the seed."""

    name: str

    def __call__(self, instance: SocInstance, /, *, seed: int = 0) -> SolverResult:
        schedule = getattr(import_module(f"envs.soc_dag.static.{self.name}"), self.name)
        seeded = "seed" in inspect.signature(schedule).parameters
        trace = schedule(instance, seed) if seeded else schedule(instance)
        return SolverResult(trace, verify(instance, trace), None, "heuristic")


def _list_scheduler(name: str) -> Callable[[], Solver]:
    return lambda: _ListScheduler(name)


def _cp_sat(**options: Any) -> Solver:
    from envs.soc_dag.exact import cp_sat

    return cp_sat(**options)


SOLVERS: Mapping[str, Callable[..., Solver]] = MappingProxyType(
    {name: _list_scheduler(name) for name in _LIST_SCHEDULERS} | {"cp_sat": _cp_sat}
)
