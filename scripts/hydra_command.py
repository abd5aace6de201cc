"""Runs a hydra program so that a mistake in its arguments is one line on the terminal and leaves no trace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from envs.core.errors import UsageError, exit_on_usage_error


def run_command(config_name: str, program: Callable[[], None]) -> None:
    """Checks the command line against the configuration, then starts the hydra program.

    Args:
        config_name: Name of the configuration in the package ``conf``.
        program: A function under ``hydra.main`` with that configuration.
    """
    exit_on_usage_error(lambda: check_overrides(config_name, sys.argv[1:]))
    program()


def check_overrides(config_name: str, arguments: Sequence[str]) -> None:
    """Composes the configuration once, to find mistakes before hydra makes a folder.

    Command lines with hydra's own flags (``--help``, ``--multirun``, ...) are left to hydra.

    Raises:
        UsageError: An override cannot be read, or names something that does not exist.
    """
    if any(argument.startswith("-") for argument in arguments):
        return
    try:
        with initialize_config_module("conf", version_base="1.3"):
            OmegaConf.resolve(compose(config_name, overrides=list(arguments)))
    except (HydraException, OmegaConfBaseException) as error:
        message = " ".join(str(error).split("Config search path")[0].split())
        raise UsageError(message) from None
