"""Where results come from: the revision of the program, the command, the versions of what it runs on."""

from __future__ import annotations

import platform
import shlex
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "dispatchlab"
_PACKAGES = (DISTRIBUTION, "gymnasium", "numba", "numpy", "onnxruntime", "ortools", "torch", "torch-geometric")
_LOCAL_OVERRIDES = ("output=", "csv=")


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


def package_versions() -> dict[str, str]:
    """Returns the installed versions of the packages that results depend on, Python first."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
