"""Loading an ONNX policy for an environment of this project, with every mismatch as a `UsageError`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agents.onnx_dispatcher import OnnxDispatcher, OnnxPolicyError
from envs.core import ProblemDefinition, UsageError, problem

if TYPE_CHECKING:
    from envs.core import GraphVectorEnv, Observation


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
        dispatcher = _Deployed(path, threads)
        if definition is not None and dispatcher.problem != definition.name:
            raise UsageError(f"{path} holds a policy for {dispatcher.problem!r}; expected one for {definition.name!r}")
        spec = problem(dispatcher.problem).bind(dispatcher.options).spec
        dispatcher.check_interface(spec.to_metadata())
    except OnnxPolicyError as error:
        raise UsageError(str(error)) from None
    return dispatcher


class _Deployed(OnnxDispatcher):
    """Tells of environments that do not fit as this project tells its users of mistakes."""

    def reset(self, env: GraphVectorEnv, observation: Observation) -> None:
        """Encodes the static part of every lane."""
        try:
            super().reset(env, observation)
        except OnnxPolicyError as error:
            raise UsageError(str(error)) from None
