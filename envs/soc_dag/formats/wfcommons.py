"""WfCommons instances (WfFormat JSON): scientific workflow traces.

Read are schema 1.5 (``workflow.specification`` and ``workflow.execution``) and the older layout with
``workflow.tasks``. Runtimes are in seconds, file sizes in bytes; the volume of an edge is the total size of the files
that the parent writes and the child reads. Edges are the union of ``parents`` and ``children``. The machines of the
trace are not modelled, see `envs.soc_dag.formats.synthesis`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from envs.core.errors import UsageError
from envs.core.fields import naming, shorten
from envs.soc_dag.formats.fields import Fields
from envs.soc_dag.formats.json_text import load_json
from envs.soc_dag.formats.synthesis import Synthesis, synthesise
from envs.soc_dag.types import SocInstance


def is_wfcommons(data: Any) -> bool:
    """True if JSON data looks like a WfCommons instance."""
    return isinstance(data, dict) and "workflow" in data


def read_wfcommons(path: Path, synthesis: Synthesis | None = None, data: Any = None) -> SocInstance:
    """Reads a WfCommons instance; ``data`` is the file's content if it has been read already.

    Raises:
        UsageError: The file cannot be read or is no WfCommons instance; the message names file, field and value.
    """
    with naming(path):
        workflow = Fields.of(load_json(path) if data is None else data).fields("workflow")
        if workflow.has("specification"):
            specification = workflow.fields("specification")
            tasks = specification.entries("tasks")
            sizes = {entry.text("id"): entry.number("sizeInBytes") for entry in specification.entries("files")}
            runtimes = {
                entry.text("id"): entry.number("runtimeInSeconds")
                for entry in workflow.fields("execution").entries("tasks")
            }
            reads = [_named_files(task, "inputFiles", sizes) for task in tasks]
            writes = [_named_files(task, "outputFiles", sizes) for task in tasks]
        else:
            tasks = workflow.entries("tasks")
            runtimes = {_identity(task): _runtime(task) for task in tasks}
            reads = [_linked_files(task, "input") for task in tasks]
            writes = [_linked_files(task, "output") for task in tasks]
        names = [_identity(task) for task in tasks]
        for name in names:
            if name not in runtimes:
                raise UsageError(f"task {shorten(name)} has no runtime in workflow.execution.tasks")
        edges = [
            (source, target, sum(size for file, size in writes[source].items() if file in reads[target]))
            for source, target in _edges(tasks, names)
        ]
        return synthesise(path.stem, names, [runtimes[name] for name in names], edges, synthesis or Synthesis())


def _identity(task: Fields) -> str:
    return task.text("id") if task.has("id") else task.text("name")


def _runtime(task: Fields) -> float:
    return task.number("runtimeInSeconds" if task.has("runtimeInSeconds") else "runtime")


def _named_files(task: Fields, field: str, sizes: dict[str, float]) -> dict[str, float]:
    return {str(name): sizes.get(str(name), 0.0) for name in task.items(field)}


def _linked_files(task: Fields, link: str) -> dict[str, float]:
    return {
        file.text("name") if file.has("name") else file.text("id"): file.number(
            "sizeInBytes" if file.has("sizeInBytes") else "size", 0.0
        )
        for file in task.entries("files")
        if file.text("link") == link
    }


def _edges(tasks: list[Fields], names: list[str]) -> list[tuple[int, int]]:
    index: dict[str, int] = {}
    for position, (task, name) in enumerate(zip(tasks, names, strict=True)):
        for other in {name, task.text("name", name)}:
            index.setdefault(other, position)
    if len(set(names)) != len(names):
        raise UsageError("workflow has two tasks of the same id; expected distinct ids")
    found: set[tuple[int, int]] = set()
    for position, task in enumerate(tasks):
        for field in ("parents", "children"):
            for other in task.items(field):
                if str(other) not in index:
                    raise UsageError(f"{task.name(field)} names {shorten(other)}; expected a task of the workflow")
                there = index[str(other)]
                found.add((there, position) if field == "parents" else (position, there))
    return sorted(found)
