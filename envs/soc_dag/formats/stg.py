"""Standard task graphs (Kasahara's STG): one number of tasks, then ``id time predecessors...`` a task.

The first line has the number n of tasks without the dummy entry and exit, which are listed too with time 0: n + 2
lines follow, each ``id time number-of-predecessors predecessor ...``; text after ``#`` is a comment. There is no
communication and there are no processors, see `envs.soc_dag.formats.synthesis`: volumes are 0 unless a ratio is asked
for. Times are in the file's unit.
"""

from __future__ import annotations

import re
from pathlib import Path

from envs.core.errors import UsageError
from envs.core.fields import naming, read_text, shorten
from envs.soc_dag.formats.fields import parse_number
from envs.soc_dag.formats.synthesis import Synthesis, synthesise
from envs.soc_dag.types import SocInstance


def looks_like_stg(text: str) -> bool:
    """True if the first line with content is one whole number."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words:
            return len(words) == 1 and words[0].isascii() and words[0].isdigit()
    return False


def read_stg(path: Path, synthesis: Synthesis | None = None) -> SocInstance:
    """Reads a standard task graph.

    Raises:
        UsageError: The file cannot be read or is no task graph; the message names file, line and value.
    """
    with naming(path):
        lines = [
            (number, line.partition("#")[0].split())
            for number, line in enumerate(re.split(r"\r\n|\r|\n", read_text(path)), start=1)
        ]
        rows = [(number, words) for number, words in lines if words]
        if not rows or len(rows[0][1]) != 1:
            raise UsageError("has no first line with the number of tasks")
        count = _whole(rows[0][1][0], rows[0][0], "number of tasks") + 2
        if len(rows) != count + 1:
            raise UsageError(f"has {len(rows) - 1} tasks; expected {count} (with two dummies) by the first line")
        runtimes: list[float] = []
        edges: list[tuple[int, int, float]] = []
        for task, (number, words) in enumerate(rows[1:]):
            time, before = _task(task, count, number, words)
            runtimes.append(time)
            edges += [(source, task, 0.0) for source in before]
        tasks = [f"t{task}" for task in range(count)]
        return synthesise(
            path.stem, tasks, runtimes, edges, synthesis or Synthesis(), volumes_known=False, time_unit="time"
        )


def _task(task: int, count: int, line: int, words: list[str]) -> tuple[float, list[int]]:
    if len(words) < 3:
        raise UsageError(f"line {line} has {len(words)} numbers; expected 'id time predecessors ...'")
    if _whole(words[0], line, "id") != task:
        raise UsageError(f"line {line}: id is {words[0]}; expected {task}, as tasks are listed in order")
    before = [_whole(word, line, "predecessor") for word in words[3:]]
    if _whole(words[2], line, "number of predecessors") != len(before):
        raise UsageError(f"line {line}: number of predecessors is {words[2]}, but {len(before)} are listed")
    for source in before:
        if source >= count:
            raise UsageError(f"line {line}: predecessor is {source}; expected 0 to {count - 1}")
    return parse_number(words[1], f"line {line}: time"), before


def _whole(word: str, line: int, what: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise UsageError(f"line {line}: {what} is {shorten(word)}; expected a whole number of at least 0")
    return int(word)
