"""The published snapshots of two production clusters (ByteDance's DRL-based-VM-Rescheduling, Apache-2.0).

They are no part of the package: they are read from the folder that the environment variable ``DISPATCHLAB_DATA`` names,

- ``$DISPATCHLAB_DATA/vm/vmr2l_bytedance/reset_vm_pm_id_clear2.json`` (Medium, 279 machines, 2089 VMs),
- ``$DISPATCHLAB_DATA/vm/vmr2l_bytedance/reset_vm_pm_id_clear_big2.json`` (Large, 1176 machines, 4546 VMs),

and downloaded into it when they are first asked for. Their digests are known, so that no result is taken on other data.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

from envs.core.errors import UsageError
from envs.vm_rescheduling.instance import read_instance
from envs.vm_rescheduling.types import VmInstance

DATA_VARIABLE = "DISPATCHLAB_DATA"
FOLDER = Path("vm", "vmr2l_bytedance")
SOURCE = (
    "https://raw.githubusercontent.com/bytedance/DRL-based-VM-Rescheduling/"
    "a1232df1bce7851c991229fd7a34871f0685f5f0/data/"
)
_TIMEOUT = 30.0


@dataclass(frozen=True)
class SnapshotFile:
    """A published file.

    Attributes:
        name: Its name.
        sha256: Its SHA-256 digest in hexadecimal digits.
    """

    name: str
    sha256: str


SNAPSHOTS: Mapping[str, SnapshotFile] = MappingProxyType(
    {
        "medium": SnapshotFile(
            "reset_vm_pm_id_clear2.json", "60a4db31443d83f8d5d18ce95ade9adeb62b67d0f8ee19360a68ed0d9de1ee1f"
        ),
        "large": SnapshotFile(
            "reset_vm_pm_id_clear_big2.json", "3155d73bded95f3f236f074618a6b7a5601edb2c48898e6bc2e3c5d0a7c65a19"
        ),
    }
)
"""The published snapshots by name."""


def load_snapshot(name: str) -> VmInstance:
    """Returns the snapshot "medium" or "large", see the module's text for where it comes from.

    Raises:
        UsageError: There is no such snapshot, or its file is not there and cannot be downloaded, or is another one.
    """
    if name not in SNAPSHOTS:
        raise UsageError(f"there is no snapshot {name!r}; expected one of {', '.join(SNAPSHOTS)}")
    if DATA_VARIABLE not in os.environ:
        raise UsageError(
            f"snapshot {name} is read from your files: set the environment variable {DATA_VARIABLE} to a folder, into "
            f"which {FOLDER / SNAPSHOTS[name].name} is downloaded if it is not there"
        )
    return _load(name, Path(os.environ[DATA_VARIABLE]) / FOLDER / SNAPSHOTS[name].name)


@cache
def _load(name: str, path: Path) -> VmInstance:
    if not path.is_file():
        _download(name, path)
    known = SNAPSHOTS[name].sha256
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: cannot read the snapshot: {error.strerror}") from None
    if found != known:
        raise UsageError(f"{path} differs from the published snapshot {name}: SHA-256 {found} instead of {known}")
    return replace(read_instance(path), name=name)


def _download(name: str, path: Path) -> None:
    import pooch

    file = SNAPSHOTS[name]
    try:
        pooch.retrieve(
            SOURCE + file.name,
            known_hash=f"sha256:{file.sha256}",
            fname=file.name,
            path=path.parent,
            downloader=pooch.HTTPDownloader(timeout=_TIMEOUT),
        )
    except (OSError, ValueError) as error:
        raise UsageError(
            f"snapshot {name}: {path} is not there, and cannot be downloaded from {SOURCE}{file.name}: "
            f"{type(error).__name__}"
        ) from None
