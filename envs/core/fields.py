"""Reading instance files and their fields: every mistake becomes one sentence that names file, field and value."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envs.core.errors import UsageError


def read_bytes(path: Path) -> bytes:
    """Reads a file, unpacked if it is gzipped.

    Raises:
        UsageError: The file cannot be read or unpacked.
    """
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise UsageError(f"{path}: cannot be unpacked; expected a whole gzip file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot read the instance file: {error.strerror}") from None


def read_text(path: Path) -> str:
    """Reads a text file in UTF-8, gzipped or not.

    Raises:
        UsageError: The file cannot be read or is not text.
    """
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"{path}: expected a text file, found binary data")
    return text


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Puts the file's name before the message of a `UsageError` that is raised inside."""
    try:
        yield
    except UsageError as error:
        message = str(error)
        raise UsageError(message if message.startswith(str(path)) else f"{path}: {message}") from None


def shorten(value: object) -> str:
    """Returns ``value`` as a message may show it: on one line and at most 40 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."
