"""Finds the problems in the folders of ``envs`` and registers them with Gymnasium."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import gymnasium

from envs.core.errors import UsageError
from envs.core.problem import ProblemDefinition
from envs.core.several import VectorRewardEnv, VectorRewardVectorEnv
from envs.core.single import GraphEnv
from envs.core.vector import GraphVectorEnv


@cache
def problems() -> Mapping[str, ProblemDefinition]:
    """Returns every problem by folder name."""
    package = importlib.import_module("envs")
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.ispkg and module.name != "core":
            folder = importlib.import_module(f"envs.{module.name}")
            several: tuple[ProblemDefinition, ...] = (
                folder.PROBLEMS if hasattr(folder, "PROBLEMS") else (folder.PROBLEM,)
            )
            found.update({definition.name: definition for definition in several})
    return MappingProxyType(found)


def problem(name: str) -> ProblemDefinition:
    """Returns one problem.

    Raises:
        UsageError: There is no problem of that name.
    """
    if name not in problems():
        raise UsageError(f"there is no problem {name!r}; there are {', '.join(problems())}")
    return problems()[name]


def make_env(problem_name: str, *, strict: bool = False, render_mode: str | None = None, **options: Any) -> GraphEnv:
    """Makes the single environment of a problem; ``options`` are the fields of its config."""
    return GraphEnv(problem(problem_name).bind(options), strict=strict, render_mode=render_mode)


def make_vector_env(problem_name: str, num_envs: int = 1, *, options: Any = None, **arguments: Any) -> GraphVectorEnv:
    """Makes the native vector environment of a problem.

    Args:
        problem_name: Folder name of the problem.
        num_envs: Number of lanes.
        options: Fields of the problem's config.
        arguments: Arguments of `GraphVectorEnv`; everything else is a field of the config too.
    """
    shell = {key: arguments.pop(key) for key in _SHELL_ARGUMENTS if key in arguments}
    return GraphVectorEnv(problem(problem_name).bind({**(options or {}), **arguments}), num_envs, **shell)


def make_vector_reward_env(
    problem_name: str, *, strict: bool = False, render_mode: str | None = None, **options: Any
) -> VectorRewardEnv:
    """Makes the single environment of a problem that rewards every objective on its own."""
    return VectorRewardEnv(problem(problem_name).bind(options), strict=strict, render_mode=render_mode)


def make_vector_reward_vector_env(
    problem_name: str, num_envs: int = 1, *, options: Any = None, **arguments: Any
) -> VectorRewardVectorEnv:
    """Makes the native vector environment that rewards every objective on its own; see `make_vector_env`."""
    shell = {key: arguments.pop(key) for key in _SHELL_ARGUMENTS if key in arguments}
    return VectorRewardVectorEnv(problem(problem_name).bind({**(options or {}), **arguments}), num_envs, **shell)


_SHELL_ARGUMENTS = ("strict", "copy", "skip_forced", "autoreset_mode", "max_episode_steps", "render_mode")


def register_all() -> None:
    """Registers every problem with Gymnasium, once; one with several objectives also with a vector of rewards."""
    for definition in problems().values():
        _register(definition.env_id, definition, "env")
        if definition.trade_off:
            _register(definition.vector_env_id, definition, "vector_reward_env")


def _register(env_id: str, definition: ProblemDefinition, kind: str) -> None:
    if env_id not in gymnasium.registry:
        gymnasium.register(
            id=env_id,
            entry_point=f"envs.core.registry:make_{kind}",
            vector_entry_point=f"envs.core.registry:make_{kind.removesuffix('env')}vector_env",
            kwargs={"problem_name": definition.name},
        )
