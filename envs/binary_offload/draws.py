"""The published channel draws of Huang, Bi and Zhang with their optimal modes.

They are read from the folder that the environment variable ``DISPATCHLAB_DATA`` names, ``offload/droo/data_10.mat``,
and downloaded into it where they are not there (MIT licence, https://github.com/revenol/DROO). A file has thousands of
draws of ten (or five) channel gains, evenly spread distances times Rayleigh fading; devices weigh 1 and 1.5 in turn.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from envs.binary_offload.mat5 import read_matrices
from envs.binary_offload.types import BinaryOffloadInstance, Flags, Floats
from envs.core.errors import UsageError

DATA_VARIABLE = "DISPATCHLAB_DATA"
FOLDER = Path("offload", "droo")
WEIGHTS = (1.0, 1.5)
TEST_SHARE = 0.2
"""Share of the draws, the last ones, that the publication tests on."""

_SOURCE = "https://raw.githubusercontent.com/revenol/DROO"
_TIMEOUT = 30.0


class _File(NamedTuple):
    revision: str
    sha256: str


FILES: Mapping[int, _File] = MappingProxyType(
    {
        5: _File(
            "68f7a1c5133078089cec3e81ef36350fdc42deac",
            "f69d9472e617efc4764a30c6e4f15058ff77ed3d4878bf630d127dfa6f5f1076",
        ),
        10: _File(
            "f3c04e42645a8092b0902901228c4c97607ba274",
            "416e842670c17db13ea7a23700ee0e6770eff9bc25a9fca79315b00e8827c686",
        ),
    }
)
"""The published files by number of devices."""


class Draws(NamedTuple):
    """Published draws.

    Attributes:
        gains: ``(draws, devices)`` channel gains.
        offloads: ``(draws, devices)`` published optimal modes.
        rates: ``(draws,)`` published optimal rates, bit/s.
    """

    gains: Floats
    offloads: Flags
    rates: Floats


def load_draws(devices: int) -> Draws:
    """Returns the published draws with 5 or 10 devices.

    Raises:
        UsageError: There are none with so many devices, or the file is not there and cannot be downloaded, or is
            another one.
    """
    if devices not in FILES:
        raise UsageError(f"there are no draws with {devices} devices; expected one of {', '.join(map(str, FILES))}")
    if DATA_VARIABLE not in os.environ:
        raise UsageError(
            f"the draws are read from your files: set the environment variable {DATA_VARIABLE} to a folder, into which "
            f"{FOLDER / file_name(devices)} is downloaded if it is not there"
        )
    return _load(devices, Path(os.environ[DATA_VARIABLE]) / FOLDER / file_name(devices))


def file_name(devices: int) -> str:
    """Name of the published file."""
    return f"data_{devices}.mat"


def test_split(devices: int) -> range:
    """Numbers of the draws, counted from 0, that the publication tests on."""
    count = len(load_draws(devices).gains)
    return range(count - round(TEST_SHARE * count), count)


def instance_of(devices: int, draw: int, optimal_rate: float | None = None) -> BinaryOffloadInstance:
    """Returns a published draw as an instance, with an optimum if one is given."""
    gains = load_draws(devices).gains[draw]
    weights = np.resize(WEIGHTS, devices)
    return BinaryOffloadInstance(f"droo{devices}_{draw}", gains, weights, optimal_rate=optimal_rate)


@cache
def _load(devices: int, path: Path) -> Draws:
    file = FILES[devices]
    if not path.is_file():
        _download(file, path)
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: cannot read the draws: {error.strerror}") from None
    if found != file.sha256:
        raise UsageError(f"{path} differs from the published draws: SHA-256 {found} instead of {file.sha256}")
    matrices = read_matrices(path)
    return Draws(
        np.ascontiguousarray(matrices["input_h"]),
        np.ascontiguousarray(matrices["output_mode"]) == 1,
        matrices["output_obj"][:, 0].copy(),
    )


def _download(file: _File, path: Path) -> None:
    import pooch

    source = f"{_SOURCE}/{file.revision}/data/{path.name}"
    try:
        pooch.retrieve(
            source,
            known_hash=f"sha256:{file.sha256}",
            fname=path.name,
            path=path.parent,
            downloader=pooch.HTTPDownloader(timeout=_TIMEOUT),
        )
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} is not there, and cannot be downloaded from {source}: {type(error).__name__}"
        ) from None
