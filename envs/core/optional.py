"""Solvers that are optional dependencies: imported when they are needed, with a sentence where they are missing."""

from __future__ import annotations

from typing import Any

from envs.core.errors import UsageError

_INSTALL = "which is not installed: pip install 'dispatchlab[solvers]'"


def import_cp_model(solver: str) -> Any:
    """Returns the CP-SAT module of OR-Tools.

    Raises:
        UsageError: It is not installed; ``solver`` is named as what needs it.
    """
    try:
        from ortools.sat.python import cp_model
    except ImportError as error:
        raise UsageError(f"{solver} needs OR-Tools, {_INSTALL}") from error
    return cp_model


def import_highspy(solver: str) -> Any:
    """Returns the module highspy.

    Raises:
        UsageError: It is not installed; ``solver`` is named as what needs it.
    """
    try:
        import highspy
    except ImportError as error:
        raise UsageError(f"{solver} needs highspy, {_INSTALL}") from error
    return highspy
