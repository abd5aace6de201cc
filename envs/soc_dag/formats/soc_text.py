"""The text files of DS3 and SoCRATES: a chip file, and one file a job type.

A chip file has a block a resource: ``add_new_resource CPU P1 0 1 10 performance`` (type, name, id, capacity, number
of tasks, governor), or the same with keywords (``resource_type LTL resource_name A7 ...``), then operating points,
power profiles and one ``task time`` line a task; then ``comm_band source target bandwidth`` between resource ids. A
resource of capacity n becomes n processing elements; that of type MEM is the shared memory. As in the simulators:
a task that is listed twice takes the first time, a bandwidth that is not given is 1, and data on the same processing
element costs nothing. The power of a running processing element is that of the last ``power_profile`` with all
capacity active, shared equally; 1 W where there is none. ``opp`` lines (MHz, mV) become the operating points of the
resource, with the measured powers of a ``power_profile`` at the same frequency.

A job file has ``job_name``, ``add_new_tasks n``, ``task id predecessors...`` lines (with HEAD, TAIL and deadline lines
that are not used) and ``comm_vol source target volume``. Files hold no arrivals: a folder or a chip file with the job
files beside it becomes DS3's usual stream (three jobs in flight, scale 25, window 5000, equal shares), a job file the
static instance of that one job on the chip beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from envs.core.errors import UsageError
from envs.core.fields import naming, read_text, shorten
from envs.soc_dag.formats.fields import parse_number
from envs.soc_dag.types import Arrivals, Chip, JobType, OperatingPoint, SocInstance, make_chip

CHIP_KEYWORD = "add_new_resource"
JOB_KEYWORD = "add_new_tasks"
_SETTINGS = ("trip_freq", "DTPM_trip_freq", "PG_profile")
_MOST = 100_000


@dataclass
class _Resource:
    """A block of a chip file."""

    type: str
    name: str
    identity: int
    capacity: int
    power: float = 1.0
    times: dict[str, float] = field(default_factory=dict)
    voltages: dict[float, float] = field(default_factory=dict)
    powers: dict[float, tuple[float, ...]] = field(default_factory=dict)

    def operating_points(self) -> tuple[OperatingPoint, ...]:
        """The frequencies with their voltages and, where they are known, measured powers."""
        return tuple(
            OperatingPoint(frequency, self.voltages[frequency], self.powers.get(frequency, ()))
            for frequency in sorted(self.voltages)
        )


@dataclass(frozen=True)
class _SocChip:
    """A chip, and the times that its resources give for tasks by name."""

    chip: Chip
    times: tuple[dict[str, float], ...]


def looks_like_soc_text(text: str) -> bool:
    """True if the text has the keyword of a chip file or of a job file."""
    return any(line.split()[:1] in ([CHIP_KEYWORD], [JOB_KEYWORD]) for line in text.splitlines())


def read_soc_text(path: Path) -> SocInstance:
    """Reads a folder with a chip file and job files, or one of its files (see the text of the module).

    Raises:
        UsageError: A file is missing or malformed; the message names file, line and value.
    """
    folder = path if path.is_dir() else path.parent
    chips, jobs = _files(folder)
    if path.is_dir() and len(chips) != 1:
        raise UsageError(f"{folder}: has {len(chips)} chip files (with {CHIP_KEYWORD}); expected one")
    if path in jobs:
        if len(chips) != 1:
            raise UsageError(f"{path}: has {len(chips)} chip files (with {CHIP_KEYWORD}) beside it; expected one")
        chosen, jobs = chips[0], [path]
    else:
        chosen = chips[0] if path.is_dir() else path
    if not jobs:
        raise UsageError(f"{folder}: has no job files (with {JOB_KEYWORD}); expected at least one")
    with naming(chosen):
        chip = _chip(chosen)
    job_types = tuple(_job(job, chip) for job in jobs)
    single = path in jobs
    return SocInstance(
        name=path.stem if path.is_file() else path.resolve().name,
        chip=chip.chip,
        job_types=job_types,
        arrivals=Arrivals() if single else Arrivals(mode="blocking", scale=25.0, window=5000.0, limit=3),
        whole_ticks=True,
        objective="makespan" if single else "mean_latency",
    )


def _files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The chip files and the job files of a folder, numbers in names in numerical order."""

    def natural(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d{1,9})", path.stem)]

    chips: list[Path] = []
    jobs: list[Path] = []
    for path in sorted(folder.glob("*.txt"), key=natural):
        try:
            text = read_text(path)
        except UsageError:  # other files may lie beside them
            continue
        first = {line.split()[0] for line in text.splitlines() if line.split()}
        if CHIP_KEYWORD in first:
            chips.append(path)
        elif JOB_KEYWORD in first:
            jobs.append(path)
    return chips, jobs


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The words of every line that has some, with the number of the line."""
    lines = [
        (number, line.partition("#")[0].split()) for number, line in enumerate(read_text(path).splitlines(), start=1)
    ]
    return [(number, words) for number, words in lines if words]


def _whole(words: list[str], position: int, line: int, what: str) -> int:
    word = words[position] if position < len(words) else ""
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise UsageError(f"line {line}: {what} is {shorten(word)}; expected a whole number of at least 0")
    return int(word)


def _chip(path: Path) -> _SocChip:
    resources: list[_Resource] = []
    links: list[tuple[int, int, int, float]] = []
    for line, words in _lines(path):
        if words[0] == CHIP_KEYWORD:
            resources.append(_resource(words, line))
        elif words[0] == "comm_band_self":
            continue
        elif words[0] == "comm_band":
            if len(words) != 4:
                raise UsageError(f"line {line}: comm_band has {len(words) - 1} values; expected source, target, value")
            ends = (_whole(words, 1, line, "source"), _whole(words, 2, line, "target"))
            links.append((line, *ends, parse_number(words[3], f"line {line}: bandwidth")))
        elif not resources:
            raise UsageError(f"line {line}: {shorten(words[0])} stands before the first {CHIP_KEYWORD}")
        else:
            _resource_line(resources[-1], words, line)
    return _assembled(path, resources, links)


def _resource(words: list[str], line: int) -> _Resource:
    values = words[1:]
    if "resource_type" in values:
        named = dict(zip(values[::2], values[1::2], strict=False))
        keys = ("resource_type", "resource_name", "resource_ID", "capacity")
        values = [named.get(key, "") for key in keys]
    if len(values) < 4 or not values[1]:
        raise UsageError(f"line {line}: {CHIP_KEYWORD} has too few values; expected type, name, id, capacity")
    capacity = _whole(values, 3, line, "capacity")
    if not 1 <= capacity <= _MOST:
        raise UsageError(f"line {line}: capacity is {capacity}; expected 1 to {_MOST}")
    return _Resource(values[0], values[1], _whole(values, 2, line, "id"), capacity)


def _resource_line(resource: _Resource, words: list[str], line: int) -> None:
    if words[0] == "power_profile":
        if len(words) < 2 + resource.capacity:
            raise UsageError(f"line {line}: power_profile has {len(words) - 2} powers; expected {resource.capacity}")
        numbers = [parse_number(word, f"line {line}: power") for word in words[1 : 2 + resource.capacity]]
        resource.power = numbers[-1] / resource.capacity
        if min(numbers) > 0:
            resource.powers[numbers[0]] = tuple(numbers[1:])
    elif words[0] == "opp":
        if len(words) != 3:
            raise UsageError(f"line {line}: opp has {len(words) - 1} values; expected frequency, voltage")
        frequency, voltage = (parse_number(word, f"line {line}: opp") for word in words[1:])
        if min(frequency, voltage) <= 0:
            raise UsageError(f"line {line}: opp is {frequency:g} {voltage:g}; expected numbers above 0")
        resource.voltages[frequency] = voltage
    elif words[0] not in _SETTINGS and words[0] != "None":
        if len(words) < 2:
            raise UsageError(f"line {line}: task {shorten(words[0])} has no execution time")
        resource.times.setdefault(words[0], parse_number(words[1], f"line {line}: time of {words[0]}"))


def _assembled(path: Path, resources: list[_Resource], links: list[tuple[int, int, int, float]]) -> _SocChip:
    identities = [resource.identity for resource in resources]
    for resource in resources:
        if identities.count(resource.identity) > 1:
            raise UsageError(f"resource id {resource.identity} is used twice; expected distinct ids")
    between = {(a, b): 1.0 for a in identities for b in identities}
    for line, source, target, value in links:
        for end in (source, target):
            if end not in identities:
                raise UsageError(f"line {line}: comm_band names resource {end}; expected one of {identities}")
        between[source, target] = between[target, source] = value
    memory = next((resource for resource in resources if resource.type == "MEM"), None)
    elements = [(each, copy) for each in resources if each is not memory for copy in range(each.capacity)]
    if not elements:
        raise UsageError(f"has no resource that runs tasks; expected a {CHIP_KEYWORD}")
    bandwidth = np.array([[between[a.identity, b.identity] for b, _ in elements] for a, _ in elements])
    to_memory = np.inf if memory is None else np.array([between[a.identity, memory.identity] for a, _ in elements])
    if (bandwidth[~np.eye(len(elements), dtype=np.bool_)] <= 0).any() or np.any(np.asarray(to_memory) <= 0):
        raise UsageError("comm_band is 0 between two resources; expected more than 0")
    chip = make_chip(
        path.stem,
        tuple(each.name if each.capacity == 1 else f"{each.name}_{copy}" for each, copy in elements),
        kinds=tuple(each.name for each, _ in elements),
        bandwidth=bandwidth,
        memory_bandwidth=to_memory,
        active_power=np.array([each.power for each, _ in elements]),
        operating_points=tuple(each.operating_points() for each, _ in elements),
    )
    return _SocChip(chip, tuple(each.times for each, _ in elements))


def _job(path: Path, chip: _SocChip) -> JobType:
    with naming(path):
        name, tasks, volumes = _job_lines(path)
        named = {(source, target): 0.0 for target, (_, before) in enumerate(tasks) for source in before}
        for source, target in named:
            if source >= len(tasks):
                raise UsageError(f"task {tasks[target][0]} has predecessor {source}; expected 0 to {len(tasks) - 1}")
        for source, target in volumes:
            if (source, target) not in named:
                raise UsageError(f"comm_vol {source} {target} belongs to no dependency; expected one of the tasks'")
        edges = volumes | {edge: 0.0 for edge in named if edge not in volumes}
        times = [[element.get(task, np.inf) for element in chip.times] for task, _ in tasks]
        return JobType(
            name or path.stem,
            tuple(task for task, _ in tasks),
            np.array(times, np.float64).reshape(len(tasks), len(chip.times)),
            np.array([source for source, _ in edges], np.int64),
            np.array([target for _, target in edges], np.int64),
            np.array(list(edges.values()), np.float64),
        )


def _job_lines(path: Path) -> tuple[str, list[tuple[str, list[int]]], dict[tuple[int, int], float]]:
    """Name of the job, its tasks with their predecessors, and the volumes on edges."""
    name, count = "", 0
    tasks: list[tuple[str, list[int]]] = []
    volumes: dict[tuple[int, int], float] = {}
    for line, words in _lines(path):
        if words[0] == "job_name":
            name = words[1] if len(words) > 1 else ""
        elif words[0] == JOB_KEYWORD:
            count = _whole(words, 1, line, "number of tasks")
        elif words[0] == "comm_vol":
            edge = (_whole(words, 1, line, "source"), _whole(words, 2, line, "target"))
            volumes[edge] = parse_number(words[3] if len(words) > 3 else "", f"line {line}: volume")
        elif words[1:2] and words[1] not in ("HEAD", "TAIL", "earliest_start"):
            if _whole(words, 1, line, "task id") != len(tasks):
                raise UsageError(f"line {line}: task id is {words[1]}; expected {len(tasks)}, as ids count up")
            before = [_whole(words, position, line, "predecessor") for position in range(2, len(words))]
            tasks.append((words[0], before))
    if len(tasks) != count:
        raise UsageError(f"has {len(tasks)} tasks; expected {count} by {JOB_KEYWORD}")
    return name, tasks, volumes
