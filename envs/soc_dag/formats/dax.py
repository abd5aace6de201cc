"""Pegasus DAX (XML, versions 2 and 3): abstract workflows with reference runtimes.

``job`` has a ``runtime`` in seconds and ``uses`` with ``file`` (or ``name``), ``link`` and ``size`` in bytes; ``child``
and ``parent`` elements are the edges. The volume of an edge is the total size of the files that the parent writes and
the child reads. Processors are not part of the format, see `envs.soc_dag.formats.synthesis`.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from envs.core.errors import UsageError
from envs.core.fields import naming, read_text, shorten
from envs.soc_dag.formats.fields import parse_number
from envs.soc_dag.formats.synthesis import Synthesis, synthesise
from envs.soc_dag.types import SocInstance


def read_dax(path: Path, synthesis: Synthesis | None = None) -> SocInstance:
    """Reads a DAX workflow.

    Raises:
        UsageError: The file cannot be read or is no workflow; the message names file, field and value.
    """
    with naming(path):
        root = _root(path)
        jobs = [element for element in root if _tag(element) == "job"]
        index = {_attribute(job, "id", "job"): position for position, job in enumerate(jobs)}
        if len(index) != len(jobs):
            raise UsageError("two jobs have the same id; expected distinct ids")
        names = list(index)
        runtimes = [
            parse_number(_attribute(job, "runtime", f"job {name}"), f"runtime of job {name}")
            for name, job in zip(names, jobs, strict=True)
        ]
        reads = [_files(job, name, "input") for name, job in zip(names, jobs, strict=True)]
        writes = [_files(job, name, "output") for name, job in zip(names, jobs, strict=True)]
        edges = [
            (source, target, sum(size for file, size in writes[source].items() if file in reads[target]))
            for source, target in _edges(root, index)
        ]
        return synthesise(path.stem, names, runtimes, edges, synthesis or Synthesis())


def _root(path: Path) -> Element:
    try:
        root = ElementTree.fromstring(read_text(path).encode())
    except ElementTree.ParseError as error:
        raise UsageError(f"{path}, line {error.position[0]}: is not XML: {error}") from None
    if _tag(root) != "adag":
        raise UsageError(f"the root element is {shorten(_tag(root))}; expected 'adag'")
    return root


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _attribute(element: Element, name: str, owner: str) -> str:
    value = element.get(name)
    if value is None:
        raise UsageError(f"attribute {name} of {owner} is missing")
    return value


def _files(job: Element, name: str, link: str) -> dict[str, float]:
    files = {}
    for use in job:
        if _tag(use) == "uses" and use.get("link") == link:
            file = use.get("file") or _attribute(use, "name", f"a file of job {name}")
            files[file] = parse_number(use.get("size", "0"), f"size of {shorten(file)} in job {name}")
    return files


def _edges(root: Element, index: dict[str, int]) -> list[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for child in root:
        if _tag(child) != "child":
            continue
        target = _attribute(child, "ref", "child")
        for parent in child:
            if _tag(parent) != "parent":
                continue
            source = _attribute(parent, "ref", "parent")
            for reference in (source, target):
                if reference not in index:
                    raise UsageError(f"an edge refers to {shorten(reference)}; expected the id of a job")
            found.add((index[source], index[target]))
    return sorted(found)
