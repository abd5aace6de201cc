"""How a user names a method: ``KIND:TARGET;key=value;...`` or the same as a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envs.core import UsageError

METHOD_KINDS = ("rule", "solver", "checkpoint", "onnx", "formula")
_EXAMPLES = "rule:spt, solver:cp_sat;time_limit=10 or checkpoint:PATH;samples=128"

Scalar = bool | int | float | str


@dataclass(frozen=True)
class MethodSpecification:
    """A method as the user wrote it.

    Attributes:
        kind: One of `METHOD_KINDS`.
        target: Name of the rule or solver, or path of the checkpoint, ONNX file or file with a formula.
        settings: Everything after it.
    """

    kind: str
    target: str
    settings: Mapping[str, Scalar]

    def __str__(self) -> str:
        """The specification as one string."""
        return ";".join([f"{self.kind}:{self.target}", *(f"{key}={value}" for key, value in self.settings.items())])


def parse_method(text: str | Mapping[str, Any]) -> MethodSpecification:
    """Reads a method from a string such as ``rule:spt;noise=0.5;samples=128`` or from a mapping.

    A mapping has the kind as a key, e.g. ``{"rule": "spt", "noise": 0.5, "samples": 128}``.

    Raises:
        UsageError: It cannot be read.
    """
    return _parse_mapping(text) if isinstance(text, Mapping) else _parse_text(str(text))


def _parse_text(text: str) -> MethodSpecification:
    head, *rest = [part.strip() for part in text.split(";")]
    kind, colon, target = head.partition(":")
    if not colon or not target or kind not in METHOD_KINDS:
        raise UsageError(f"method {text!r} must start with KIND:NAME, KIND one of {', '.join(METHOD_KINDS)}; {_hint()}")
    settings: dict[str, Scalar] = {}
    for part in rest:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise UsageError(f"method {text!r}: {part!r} must be key=value; {_hint()}")
        if key in settings:
            raise UsageError(f"method {text!r} gives {key} twice")
        settings[key] = _scalar(value)
    return MethodSpecification(kind, target, settings)


def _parse_mapping(entries: Mapping[str, Any]) -> MethodSpecification:
    kinds = [kind for kind in METHOD_KINDS if kind in entries]
    if len(kinds) != 1:
        raise UsageError(f"method {dict(entries)} must have exactly one of the keys {', '.join(METHOD_KINDS)}")
    settings = {str(key): value for key, value in entries.items() if key != kinds[0]}
    for key, value in settings.items():
        if not isinstance(value, bool | int | float | str):
            raise UsageError(f"method {dict(entries)}: {key} is {value!r}; expected a number, a word or a flag")
    return MethodSpecification(kinds[0], str(entries[kinds[0]]), settings)


def _scalar(text: str) -> Scalar:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _hint() -> str:
    return f"for example {_EXAMPLES}"
