"""Loading an ONNX policy for an environment of this project, with every mismatch as a `UsageError`."""

from __future__ import annotations

from pathlib import Path

from agents.onnx_dispatcher import OnnxDispatcher, OnnxPolicyError
from envs.core import ProblemDefinition, UsageError, problem


def load_onnx_dispatcher(
    path: str | Path, definition: ProblemDefinition | None = None, threads: int = 1
) -> OnnxDispatcher:
    """Loads an ONNX file as a greedy dispatcher.

    Args:
        path: The file.
        definition: The problem to run it on; None for the one that it was trained on.
        threads: Threads that one decision may use.

    Raises:
        UsageError: The file is unreadable, or holds a policy of another problem or for other observations.
    """
    try:
        dispatcher = OnnxDispatcher(path, threads)
        if definition is not None and dispatcher.problem != definition.name:
            raise UsageError(f"{path} holds a policy for {dispatcher.problem!r}; expected one for {definition.name!r}")
        spec = problem(dispatcher.problem).bind(dispatcher.options).spec
        dispatcher.check_interface(spec.to_metadata())
    except OnnxPolicyError as error:
        raise UsageError(str(error)) from None
    return dispatcher
