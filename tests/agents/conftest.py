"""What tests of several parts of ``agents`` share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import pytest

_FILE_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "shutil.rmtree")


@pytest.fixture(scope="session")
def killed_at_every_moment() -> Callable[[Callable[[], None], Callable[[], None]], Iterator[int]]:
    """Runs an action in processes that die, without a chance to clean up, before their 1st, 2nd, ... file operation.

    The fixture takes what brings the files back to the start and the action; it yields after every death, and last
    after the process that lived to the end.
    """

    def run(prepare: Callable[[], None], action: Callable[[], None]) -> Iterator[int]:
        for moment in range(1, 1000):
            prepare()
            child = os.fork()
            if child == 0:
                _die_at(moment, action)
            _, status = os.waitpid(child, 0)
            yield moment
            if os.waitstatus_to_exitcode(status) == 0:
                return
            assert os.waitstatus_to_exitcode(status) == 9
        raise AssertionError("the action never ended")

    return run


def _die_at(moment: int, action: Callable[[], None]) -> None:
    count = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        count += event in _FILE_EVENTS
        if count == moment:
            os._exit(9)

    status = 1
    try:
        sys.addaudithook(watch)
        action()
        status = 0
    finally:
        os._exit(status)
