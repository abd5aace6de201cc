"""Where results come from: the revision of the program, the command, the versions of what it runs on."""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "dispatchlab"
_PACKAGES = (DISTRIBUTION, "gymnasium", "numba", "numpy", "onnxruntime", "ortools", "torch", "torch-geometric")
_LOCAL_OVERRIDES = ("output=", "csv=", "csv_points=", "csv_hypervolume=")
_METHODS = "methods="


def git_revision() -> str:
    """Returns the commit of this source tree, with ``-dirty`` after uncommitted changes; the version outside of git."""
    root = Path(__file__).resolve().parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    if (root / ".git").exists():
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            pass
    return package_versions().get(DISTRIBUTION, "unknown")


def command_line(arguments: Sequence[str]) -> str:
    """Returns the command that was typed, program first, without where its output went.

    Args:
        arguments: ``sys.argv``.
    """
    program = Path(arguments[0]).name
    words = ["python", f"scripts/{program}"] if program.endswith(".py") else [program]
    return shlex.join([*words, *(word for word in arguments[1:] if not word.startswith(_LOCAL_OVERRIDES))])


def command_of_method(command: str, method: str) -> str:
    """Returns the command that runs one method and does otherwise what ``command`` does.

    Args:
        command: See `command_line`.
        method: The method as it stands in a list ``methods=``.
    """
    words = shlex.split(command)
    place = next((i for i, word in enumerate(words) if word.startswith(_METHODS)), len(words))
    others = [word for word in words[place:] if not word.startswith(_METHODS)]
    return shlex.join([*words[:place], _list([method]), *others])


def join_commands(commands: Iterable[str]) -> list[str]:
    """Returns commands that do the same together: those that differ only in their lists ``methods=`` become one."""
    joined: dict[tuple[str | None, ...], list[str]] = {}
    for command in commands:
        words: list[str | None] = [*shlex.split(command)]
        place = next((i for i, word in enumerate(words) if word and word.startswith(_METHODS)), None)
        methods = _listed(str(words[place])) if place is not None else []
        if place is not None and methods:
            words[place] = None
        known = joined.setdefault(tuple(words) if methods else (command,), [])
        known.extend(method for method in methods if method not in known)
    return [
        shlex.join([_list(methods) if word is None else word for word in words]) if methods else str(words[0])
        for words, methods in joined.items()
    ]


def _list(methods: Sequence[str]) -> str:
    return _METHODS + json.dumps(methods, ensure_ascii=False, separators=(",", ":"))


def _listed(word: str) -> list[str]:
    """The methods of a word ``methods=``; none if they are no list of quoted texts."""
    try:
        methods = json.loads(word.removeprefix(_METHODS))
    except json.JSONDecodeError:
        return []
    return methods if isinstance(methods, list) and all(isinstance(each, str) for each in methods) else []


def package_versions() -> dict[str, str]:
    """Returns the installed versions of the packages that results depend on, Python first."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
