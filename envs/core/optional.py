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


def new_highs(highspy: Any, *, threads: int, seed: int) -> Any:
    """Returns a silent HiGHS solver that searches to proven optimality.

    The threads of HiGHS belong to the process: a solver that asks for another number than the one before it is refused
    unless the scheduler is made anew, as it is here.

    Args:
        highspy: The module.
        threads: Threads of HiGHS.
        seed: Its random seed.
    """
    highspy.Highs.resetGlobalScheduler(True)
    solver = highspy.Highs()
    for option, value in (("output_flag", False), ("threads", threads), ("random_seed", seed), ("mip_rel_gap", 0.0)):
        solver.setOptionValue(option, value)
    return solver


def run_highs(highspy: Any, solver: Any) -> None:
    """Runs a HiGHS solver.

    Raises:
        RuntimeError: HiGHS refuses the model or an option.
    """
    if solver.run() == highspy.HighsStatus.kError:
        raise RuntimeError(f"HiGHS failed: {solver.modelStatusToString(solver.getModelStatus())}")
