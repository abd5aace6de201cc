"""JSON files, with errors that name file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from envs.core.errors import UsageError
from envs.core.fields import read_text


def load_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        UsageError: The file cannot be read or is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}, line {error.lineno}: is not JSON: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path}: is not JSON that can be read: {type(error).__name__}") from None
