"""Reads the numeric matrices of a MATLAB file, level 5 (the format of MATLAB's ``save``), without further libraries.

"MAT-File Format", The MathWorks, chapter 1: a header of 128 bytes, then elements of a type, a length and data padded to
eight bytes. An element of type 15 holds another one, compressed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.errors import UsageError

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NUMERIC_CLASSES = range(6, 16)


class _Element(NamedTuple):
    kind: int
    data: bytes


def read_matrices(path: Path) -> dict[str, NDArray[Any]]:
    """Returns the real numeric matrices of a file by name; everything else in it is left out.

    Raises:
        UsageError: The file cannot be read, or is no MATLAB file of level 5.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot read the MATLAB file: {error.strerror}") from None
    if len(content) < _HEADER or content[126:128] not in (b"IM", b"MI"):
        raise UsageError(f"{path}: expected a MATLAB file of level 5, which has IM or MI at byte 126")
    order = "<" if content[126:128] == b"IM" else ">"
    try:
        elements = list(_elements(content[_HEADER:], order))
        return dict(matrix for element in elements if (matrix := _matrix(element, order)) is not None)
    except (struct.error, zlib.error, ValueError, IndexError):
        raise UsageError(f"{path}: is not a whole MATLAB file of level 5") from None


def _elements(content: bytes, order: str) -> Iterator[_Element]:
    """Yields the elements one after the other; those within compressed ones in their place."""
    at = 0
    while at < len(content):
        kind, length = struct.unpack_from(f"{order}II", content, at)
        if kind >> 16:  # a short element: length and data within the same eight bytes
            kind, length, start, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            start = at + 8
            following = start + length + (0 if kind == _COMPRESSED else -length % 8)
        data = content[start : start + length]
        if len(data) != length:
            raise ValueError("the file ends within an element")
        if kind == _COMPRESSED:
            yield from _elements(zlib.decompress(data), order)
        else:
            yield _Element(kind, data)
        at = following


def _matrix(element: _Element, order: str) -> tuple[str, NDArray[Any]] | None:
    """Returns name and values of a real numeric matrix, None for anything else."""
    if element.kind != _MATRIX:
        return None
    flags, shape, name, *parts = _elements(element.data, order)
    array_flags = int(np.frombuffer(flags.data, f"{order}u4")[0])
    if array_flags & 0xFF not in _NUMERIC_CLASSES or array_flags & 0x800 or not parts:
        return None
    if parts[0].kind not in _NUMBERS:
        raise ValueError("the values are of no numeric type")
    values = np.frombuffer(parts[0].data, order + _NUMBERS[parts[0].kind])
    dimensions = np.frombuffer(shape.data, f"{order}i4")
    return name.data.decode("ascii"), values.reshape(dimensions, order="F")
