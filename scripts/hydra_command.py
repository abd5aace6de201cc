"""Runs a hydra program so that a mistake in its arguments is one line on the terminal and leaves no trace."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from envs.core.errors import UsageError, exit_on_usage_error

_SWEEP_FLAGS = ("-m", "--multirun")

Check = Callable[[DictConfig, bool], None]
"""Given a composed configuration (``hydra`` included) and whether it is one run of a sweep, raises `UsageError`."""


def run_command(config_name: str, program: Callable[[], None], check: Check | None = None) -> None:
    """Checks the command line against the configuration, then starts the hydra program.

    The flag of a sweep may stand anywhere among the overrides.

    Args:
        config_name: Name of the configuration in the package ``conf``.
        program: A function under ``hydra.main`` with that configuration.
        check: What else must hold of every configuration before hydra makes a folder.
    """
    exit_on_usage_error(lambda: check_overrides(config_name, sys.argv[1:], check))
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda argument: argument not in _SWEEP_FLAGS)
    program()


def check_overrides(config_name: str, arguments: Sequence[str], check: Check | None = None) -> None:
    """Composes every configuration that a command line asks for, to find mistakes before hydra makes a folder.

    Command lines with hydra's own flags (``--help``, ...), other than for a sweep, are left to hydra.

    Raises:
        UsageError: An override cannot be read, or names something that does not exist.
    """
    overrides = [argument for argument in arguments if argument not in _SWEEP_FLAGS]
    if any(argument.startswith("-") for argument in overrides):
        return
    sweeps = len(overrides) < len(arguments)
    try:
        with initialize_config_module("conf", version_base="1.3"):
            for choice in _sweep(overrides) if sweeps else [overrides]:
                config = compose(config_name, overrides=list(choice), return_hydra_config=True)
                settings = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
                OmegaConf.resolve(settings)
                if check:
                    check(config, sweeps)
    except (HydraException, OmegaConfBaseException) as error:
        message = " ".join(str(error).split("Config search path")[0].split())
        raise UsageError(message) from None


def _sweep(overrides: Sequence[str]) -> Iterator[Sequence[str]]:
    """The command lines of a sweep's runs; patterns and intervals, which only a sweeper can expand, are left out."""
    choices: dict[str, list[str]] = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if not override.is_sweep_override():
            choices[override.get_key_element()] = [str(override.input_line)]
        elif override.is_discrete_sweep() and not _is_glob(override):
            key = override.get_key_element()
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
    return itertools.product(*choices.values())


def _is_glob(override: Override) -> bool:
    value: Any = override.value_type
    return value is not None and value.name == "GLOB_CHOICE_SWEEP"
