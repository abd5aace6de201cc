"""Job shop instances as text: the standard format and Taillard's, read with line-precise errors and written back.

The formats are those of `envs.core.shop_text`. A job may visit a machine more than once, or not at all: recirculation
is part of the problem, and permutation routes are its usual special case.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError
from envs.core.files import write_text
from envs.core.shop_text import parse_shop
from envs.job_shop.types import JobShopInstance


def read_instance(path: str | os.PathLike[str]) -> JobShopInstance:
    """Reads an instance from a file in the standard or in Taillard's format, whichever it is.

    Args:
        path: The file; the instance is named after it.

    Raises:
        UsageError: The file is missing, is not text, or does not hold an instance; the message names file, line
            and value.
    """
    path = Path(path)
    return parse_instance(read_text(path), path.stem, str(path))


def read_text(path: Path) -> str:
    """Reads a text file.

    Raises:
        UsageError: The file cannot be read or is not text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot read the instance file: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"{path}: expected a text file with a job shop instance, found binary data")
    return text


def parse_instance(text: str, name: str, source: str) -> JobShopInstance:
    """Reads an instance from text in the standard or in Taillard's format.

    Args:
        text: The text.
        name: Name of the instance.
        source: What error messages call the text, usually its path.

    Raises:
        UsageError: The text does not hold an instance; the message names source, line and value.
    """
    shop = parse_shop(text, source)
    return JobShopInstance(name, shop.machines, shop.times, shop.num_machines)


def format_standard(instance: JobShopInstance) -> str:
    """Returns the instance as text in the standard format."""
    pairs = np.stack([instance.machines, instance.times], axis=2).reshape(instance.num_jobs, -1)
    return _format(instance, pairs)


def format_taillard(instance: JobShopInstance) -> str:
    """Returns the instance as text in Taillard's format."""
    return _format(instance, np.concatenate([instance.times, instance.machines + 1]))


def write_standard(instance: JobShopInstance, path: str | os.PathLike[str]) -> None:
    """Writes the instance to ``path`` in the standard format, whole or not at all."""
    write_text(path, format_standard(instance))


def write_taillard(instance: JobShopInstance, path: str | os.PathLike[str]) -> None:
    """Writes the instance to ``path`` in Taillard's format, whole or not at all."""
    write_text(path, format_taillard(instance))


def _format(instance: JobShopInstance, rows: NDArray[np.int32]) -> str:
    header = [instance.num_jobs, instance.num_machines]
    if instance.num_operations != instance.num_machines:
        header.append(instance.num_operations)
    return "".join(" ".join(map(str, row)) + "\n" for row in [header, *rows.tolist()])
