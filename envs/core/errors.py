"""Errors that are the user's to mend, and the one place where they become a line on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable


class UsageError(ValueError):
    """Bad input: the message is one sentence that names what is wrong, where, and what was expected."""


class UnsolvedError(UsageError):
    """A solver found no solution within the limits that it was given."""


class IllegalActionError(UsageError):
    """A masked action was taken in an environment made with ``strict=True``."""


def exit_on_usage_error(main: Callable[[], None]) -> None:
    """Runs ``main``; a `UsageError` becomes one line on standard error and exit status 2."""
    try:
        main()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
