"""The virtual environment of the peers: made on first use, made again when its requirements change."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "benchmarks" / "peers-requirements.txt"
FOLDER = ROOT / ".venv-peers"


def peers_python() -> Path:
    """Returns the interpreter of the peers' virtual environment, after installing them if need be.

    Raises:
        SystemExit: The installation failed.
    """
    python = FOLDER / "bin" / "python"
    stamp = FOLDER / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing the peers into {FOLDER.name} (once)", file=sys.stderr)
    venv.create(FOLDER, with_pip=True, clear=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*install, "--requirement", str(REQUIREMENTS)], check=False).returncode:
        raise SystemExit(f"error: pip could not install {REQUIREMENTS.name}; --only dispatchlab measures without peers")
    stamp.write_text(wanted)
    return python
