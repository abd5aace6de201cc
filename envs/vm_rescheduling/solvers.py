"""Exact methods and searches by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from envs.core.problem import Solver

_MODULES = {"highs": "exact", "per_vm": "per_vm", "cp_sat": "exact", "pop": "partition", "lns": "neighbourhood"} | {
    name: name for name in ("lookahead", "alpha_vbpp", "mcts")
}


def _solver(name: str, module: str) -> Callable[..., Solver]:
    def make(**options: Any) -> Solver:
        solver: Solver = getattr(import_module(f"envs.vm_rescheduling.{module}"), name)(**options)
        return solver

    return make


SOLVERS: Mapping[str, Callable[..., Solver]] = MappingProxyType(
    {name: _solver(name, module) for name, module in _MODULES.items()}
)
"""Solver factories by name."""
