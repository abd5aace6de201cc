"""LLM serving: engines that batch requests iteration by iteration, their schedulers, and what they are measured by."""

from __future__ import annotations

from envs.core.problem import ProblemDefinition

__all__ = ["PROBLEMS"]

PROBLEMS: tuple[ProblemDefinition, ...] = ()
