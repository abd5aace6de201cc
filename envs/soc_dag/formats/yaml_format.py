"""The project's own instance files, in YAML: the whole of a `SocInstance`, compact enough to write by hand.

::

    format: soc_dag/1
    name: example
    time_unit: us
    chip:
      processors:                                 # PEs: kind, and optionally name, count and powers in watts
        - {kind: A15, count: 4, active_power: 1.7, idle_power: 0}
        - {kind: FFT, active_power: 0.09}           # and operating_points: [{frequency: 1000, voltage: 900}]
      bandwidth:                                  # or one number, or a matrix; volume a time unit
        default: 1000
        between: [{source: A15, target: FFT, value: 10}]      # processors or kinds, both directions
      latency: 0                                  # as bandwidth
      memory_bandwidth: 1000                      # one number, or one a PE
    kernels:                                      # execution time by PE or kind; a missing one cannot run it
      filter: {A15: 114, FFT: 12}
    job_types:
      - name: radio
        tasks: {head: {A15: 5}, "branch_[1-5]": filter, "tail_[1-5]": {A15: 4}}
        edges: [[head, "branch_[1-5]", 3000], ["branch_[1-5]", "tail_[1-5]", 80]]
    arrivals: {mode: blocking, scale: 25, window: 5000, limit: 3, probabilities: [1]}
    noise: 0.1
    objective: mean_latency

``name_[1-5]`` stands for five tasks; consecutive entries with the same range are written out copy by copy. An edge
between two ranges of the same length joins them pairwise, any other edge joins every source with every target. Tasks
may also be a list of ``{name, times}`` with one time a PE (null where it cannot run), and edges may name tasks by
number, from 0; so `dump_instance` writes them. ``include: other.yaml`` takes ``kernels`` and ``job_types`` from a file
in the same folder; an entry of ``job_types`` that is only a name picks one of those. ``source``, ``notice`` and
``notes`` are free text. ``transfer``, ``whole_ticks`` and ``failures`` (``between``, ``repair``) are as in
`SocInstance`; ``arrivals.releases`` is a list of ``[job type (name or number), time]``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.errors import UsageError
from envs.core.fields import naming, read_text, shorten
from envs.core.files import write_text
from envs.soc_dag.formats.fields import Fields, number
from envs.soc_dag.types import Arrivals, Chip, Failures, Floats, JobType, OperatingPoint, SocInstance, make_chip

FORMAT = "soc_dag/1"
_TOP = (
    "format", "name", "source", "notice", "notes", "include", "time_unit", "chip", "kernels", "job_types", "arrivals",
    "noise", "transfer", "whole_ticks", "failures", "objective",
)  # fmt: skip
_RANGE = re.compile(r"^(.*)\[(\d+)-(\d+)\](.*)$")
_MOST_COPIES = 100_000


def read_yaml(path: str | os.PathLike[str]) -> SocInstance:
    """Reads an instance from a YAML file.

    Raises:
        UsageError: The file cannot be read or is not an instance; the message names file, field and value.
    """
    path = Path(path)
    with naming(path):
        top = _load(path)
        top.check_known(_TOP)
        library = _included(top, path)
        chip = _chip(top.fields("chip"))
        job_types = _job_types(top, library, chip)
        return SocInstance(
            name=top.text("name", path.stem),
            chip=chip,
            job_types=job_types,
            arrivals=_arrivals(top, job_types),
            noise=top.number("noise", 0.0),
            transfer=top.text("transfer", "direct"),
            whole_ticks=top.flag("whole_ticks", False),
            failures=_failures(top),
            objective=top.text("objective", "makespan"),
            time_unit=top.text("time_unit", "us"),
        )


def dump_instance(instance: SocInstance) -> str:
    """Returns ``instance`` as YAML text that `read_yaml` reads back as the same instance."""
    import yaml

    text: str = yaml.dump(_as_data(instance), Dumper=yaml.SafeDumper, sort_keys=False, default_flow_style=None)
    return text


def write_yaml(instance: SocInstance, path: str | os.PathLike[str]) -> None:
    """Writes ``instance`` to ``path`` as YAML, whole or not at all."""
    write_text(path, dump_instance(instance))


def _load(path: Path) -> Fields:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = read_text(path)
    try:
        data = yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise UsageError(f"{path}{line}: is not YAML: {getattr(error, 'problem', None) or 'malformed'}") from None
    except (RecursionError, ValueError) as error:
        raise UsageError(f"{path}: is not YAML: {shorten(str(error))}") from None
    top = Fields.of(data)
    if top.text("format", "") != FORMAT:
        raise UsageError(f"format is {shorten(top.values.get('format'))}; expected {FORMAT!r}")
    return top


def _included(top: Fields, path: Path) -> Fields:
    """The kernels and job types that this file may use: its own and those of the included file."""
    if not top.has("include"):
        return Fields({"kernels": top.values.get("kernels") or {}, "job_types": []})
    name = top.text("include")
    if Path(name).name != name:
        raise UsageError(f"include is {shorten(name)}; expected the name of a file in the same folder")
    other = _load(path.parent / name)
    kernels = {
        **Fields.of(other.values.get("kernels") or {}, f"kernels of {name}").values,
        **Fields.of(top.values.get("kernels") or {}, "kernels").values,
    }
    return Fields({"kernels": kernels, "job_types": other.items("job_types")})


def _chip(fields: Fields) -> Chip:
    fields.check_known(("name", "processors", "bandwidth", "latency", "memory_bandwidth"))
    names: list[str] = []
    kinds: list[str] = []
    active: list[float] = []
    idle: list[float] = []
    points: list[tuple[OperatingPoint, ...]] = []
    for entry in fields.entries("processors"):
        entry.check_known(("name", "kind", "count", "active_power", "idle_power", "operating_points"))
        kind = entry.text("kind") if entry.has("kind") else entry.text("name")
        name, count = entry.text("name", kind), entry.integer("count", 1, low=1)
        if count > _MOST_COPIES:
            raise UsageError(f"{entry.name('count')} is {count}; expected at most {_MOST_COPIES}")
        names += [name] if count == 1 else [f"{name}_{copy}" for copy in range(count)]
        kinds += [kind] * count
        active += [entry.number("active_power", 1.0)] * count
        idle += [entry.number("idle_power", 0.0)] * count
        points += [tuple(_operating_point(point) for point in entry.entries("operating_points"))] * count
    if not names:
        raise UsageError(f"{fields.name('processors')} is empty; expected at least one")
    for index, name in enumerate(names):
        if name in names[:index]:
            raise UsageError(f"{fields.name('processors')} has {name!r} twice; expected distinct names")
    return make_chip(
        fields.text("name", "chip"),
        tuple(names),
        kinds=tuple(kinds),
        bandwidth=_pairs(fields, "bandwidth", 1.0, names, kinds),
        latency=_pairs(fields, "latency", 0.0, names, kinds),
        memory_bandwidth=_vector(fields, "memory_bandwidth", np.inf, len(names)),
        active_power=np.array(active),
        idle_power=np.array(idle),
        operating_points=tuple(points),
    )


def _operating_point(fields: Fields) -> OperatingPoint:
    fields.check_known(("frequency", "voltage", "power"))
    return OperatingPoint(
        fields.number("frequency"),
        fields.number("voltage") if fields.has("voltage") else None,
        tuple(number(watts, fields.name("power")) for watts in fields.items("power")),
    )


def _pairs(fields: Fields, field: str, default: float, names: list[str], kinds: list[str]) -> Floats:
    value = fields.values.get(field, default)
    count, where = len(names), fields.name(field)
    if isinstance(value, list):
        if len(value) != count or not all(isinstance(row, list) and len(row) == count for row in value):
            raise UsageError(f"{where} is {shorten(value)}; expected {count} rows of {count} numbers")
        return np.array([[number(each, where, infinite=True) for each in row] for row in value])
    if not isinstance(value, Mapping):
        return np.full((count, count), number(value, where, infinite=True))
    rules = Fields.of(value, where)
    rules.check_known(("default", "between"))
    matrix = np.full((count, count), rules.number("default", default, infinite=True))
    for rule in rules.entries("between"):
        rule.check_known(("source", "target", "value"))
        source, target = (_members(rule, end, names, kinds) for end in ("source", "target"))
        matrix[np.ix_(source, target)] = matrix[np.ix_(target, source)] = rule.number("value", infinite=True)
    return matrix


def _members(rule: Fields, field: str, names: list[str], kinds: list[str]) -> list[int]:
    value = rule.raw(field)
    wanted = [str(each) for each in value] if isinstance(value, list) else [str(value)]
    found = [index for index, (name, kind) in enumerate(zip(names, kinds, strict=True)) if {name, kind} & set(wanted)]
    for each in wanted:
        if each not in names and each not in kinds:
            raise UsageError(f"{rule.name(field)} is {shorten(each)}; expected a processor or a kind of the chip")
    return found


def _vector(fields: Fields, field: str, default: float, count: int) -> Floats:
    value, where = fields.values.get(field, default), fields.name(field)
    values = value if isinstance(value, list) else [value] * count
    if len(values) != count:
        raise UsageError(f"{where} has {len(values)} numbers; expected one for each of {count} processors")
    return np.array([number(each, where, infinite=True) for each in values])


def _job_types(top: Fields, library: Fields, chip: Chip) -> tuple[JobType, ...]:
    kernels = library.fields("kernels")
    known = {entry.text("name"): entry for entry in library.entries("job_types")}
    chosen = []
    for index, value in enumerate(top.items("job_types") if top.has("job_types") else list(known)):
        where = f"job_types[{index}]"
        if isinstance(value, str):
            if value not in known:
                raise UsageError(f"{where} is {shorten(value)}; expected fields, or one of {', '.join(known) or '-'}")
            chosen.append(known[value])
        else:
            chosen.append(Fields.of(value, where))
    return tuple(_job_type(entry, kernels, chip) for entry in chosen)


def _job_type(fields: Fields, kernels: Fields, chip: Chip) -> JobType:
    fields.check_known(("name", "tasks", "edges", "notes"))
    name = fields.text("name")
    value = fields.raw("tasks")
    where = fields.name("tasks")
    specified: list[tuple[str, Any]]
    if isinstance(value, list):
        specified = [(entry.text("name"), entry.raw("times")) for entry in fields.entries("tasks")]
    else:
        specified = _expanded(Fields.of(value, where))
    rows = [_times(times, kernels, chip, f"{where}.{task}") for task, times in specified]
    tasks = tuple(task for task, _ in specified)
    edges = _edges(fields, tasks)
    return JobType(
        name,
        tasks,
        np.array(rows, np.float64).reshape(len(tasks), chip.num_processors),
        np.array([source for source, _, _ in edges], np.int64),
        np.array([target for _, target, _ in edges], np.int64),
        np.array([volume for _, _, volume in edges], np.float64),
    )


def _copies(pattern: str) -> tuple[str, ...]:
    """The names that ``pattern`` stands for."""
    match = _RANGE.match(pattern)
    if match is None:
        return (pattern,)
    before, first, last, after = match.groups()
    if len(first) > 6 or len(last) > 6 or not 0 <= int(last) - int(first) < _MOST_COPIES:
        raise UsageError(f"task {shorten(pattern)} has a bad range; expected [first-last] with first <= last")
    return tuple(f"{before}{copy}{after}" for copy in range(int(first), int(last) + 1))


def _expanded(tasks: Fields) -> list[tuple[str, Any]]:
    """The tasks written out, copy by copy within a block of entries with the same range."""

    def range_of(item: tuple[str, Any]) -> tuple[str, str] | str:
        match = _RANGE.match(item[0])
        return item[0] if match is None else (match[2], match[3])

    result: list[tuple[str, Any]] = []
    for _, block in groupby(tasks.values.items(), range_of):
        written = [[(name, times) for name in _copies(pattern)] for pattern, times in block]
        result += [task for copy in zip(*written, strict=True) for task in copy]
    return result


def _times(value: object, kernels: Fields, chip: Chip, where: str) -> list[float]:
    if isinstance(value, list):
        if len(value) != chip.num_processors:
            raise UsageError(f"{where} has {len(value)} times; expected one for each of {chip.num_processors} PEs")
        return [np.inf if each is None else number(each, where, infinite=True) for each in value]
    if isinstance(value, str):
        if not kernels.has(value):
            raise UsageError(f"{where} is {shorten(value)}; expected times or a kernel")
        table = kernels.fields(value)
    else:
        table = Fields.of(value, where)
    times = [np.inf] * chip.num_processors
    for index, (name, kind) in enumerate(zip(chip.processors, chip.kinds, strict=True)):
        key = name if table.has(name) else kind
        if table.has(key):
            times[index] = table.number(key, infinite=True)
    return times


def _edges(fields: Fields, tasks: tuple[str, ...]) -> list[tuple[int, int, float]]:
    index = {task: position for position, task in enumerate(tasks)}
    result = []
    for position, edge in enumerate(fields.items("edges")):
        where = f"{fields.name('edges')}[{position}]"
        if not isinstance(edge, list) or len(edge) not in (2, 3):
            raise UsageError(f"{where} is {shorten(edge)}; expected [source, target, volume]")
        sources, targets = (_ends(end, index, where) for end in edge[:2])
        volume = number(edge[2], where) if len(edge) == 3 else 0.0
        pairwise = len(sources) == len(targets)
        pairs = zip(sources, targets, strict=True) if pairwise else ((a, b) for a in sources for b in targets)
        result += [(source, target, volume) for source, target in pairs]
    return result


def _ends(end: object, index: Mapping[str, int], where: str) -> list[int]:
    if isinstance(end, int) and not isinstance(end, bool):
        if not 0 <= end < len(index):
            raise UsageError(f"{where} names task {end}; expected 0 to {len(index) - 1}")
        return [end]
    names = _copies(str(end))
    for name in names:
        if name not in index:
            raise UsageError(f"{where} names task {shorten(name)}; expected a task of the job type")
    return [index[name] for name in names]


def _arrivals(top: Fields, job_types: tuple[JobType, ...]) -> Arrivals:
    if not top.has("arrivals"):
        return Arrivals()
    fields = top.fields("arrivals")
    fields.check_known(("mode", "scale", "window", "warm_up", "limit", "probabilities", "releases"))
    shares = fields.items("probabilities")
    defaults = Arrivals()
    return Arrivals(
        mode=fields.text("mode", defaults.mode),
        scale=fields.number("scale", defaults.scale),
        window=fields.number("window", defaults.window),
        warm_up=fields.number("warm_up", defaults.warm_up),
        limit=fields.integer("limit", defaults.limit, low=1),
        probabilities=tuple(number(share, fields.name("probabilities")) for share in shares),
        releases=_releases(fields, job_types) if fields.has("releases") else defaults.releases,
    )


def _releases(fields: Fields, job_types: tuple[JobType, ...]) -> tuple[tuple[int, float], ...]:
    names = [job_type.name for job_type in job_types]
    result = []
    for position, release in enumerate(fields.items("releases")):
        where = f"{fields.name('releases')}[{position}]"
        if not isinstance(release, list) or len(release) != 2:
            raise UsageError(f"{where} is {shorten(release)}; expected [job type, time]")
        kind = names.index(release[0]) if release[0] in names else release[0]
        if isinstance(kind, bool) or not isinstance(kind, int):
            raise UsageError(f"{where} names job type {shorten(kind)}; expected one of {', '.join(names)}")
        result.append((kind, number(release[1], where)))
    return tuple(result)


def _failures(top: Fields) -> Failures:
    if not top.has("failures"):
        return Failures()
    fields = top.fields("failures")
    fields.check_known(("between", "repair"))
    return Failures(fields.number("between", 0.0), fields.number("repair", 0.0))


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def _matrix(values: Floats, diagonal: float) -> float | int | list[list[float | int]]:
    """One number where all entries off the diagonal are equal, else the matrix."""
    others = values[~np.eye(len(values), dtype=np.bool_)]
    if len(others) and (others == others[0]).all() and (np.diag(values) == diagonal).all():
        return _plain(others[0])
    return [[_plain(each) for each in row] for row in values]


def _as_data(instance: SocInstance) -> dict[str, Any]:
    chip, arrivals = instance.chip, instance.arrivals
    return {
        "format": FORMAT,
        "name": instance.name,
        "time_unit": instance.time_unit,
        "chip": {
            "name": chip.name,
            "processors": [
                {"name": name, "kind": kind, "active_power": _plain(active), "idle_power": _plain(idle)}
                | ({"operating_points": [_point_data(point) for point in points]} if points else {})
                for name, kind, active, idle, points in zip(
                    chip.processors, chip.kinds, chip.active_power, chip.idle_power, chip.operating_points, strict=True
                )
            ],
            "bandwidth": _matrix(chip.bandwidth, np.inf),
            "latency": _matrix(chip.latency, 0.0),
            "memory_bandwidth": [_plain(each) for each in chip.memory_bandwidth],
        },
        "job_types": [_job_data(job_type) for job_type in instance.job_types],
        "arrivals": {
            "mode": arrivals.mode,
            "scale": _plain(arrivals.scale),
            "window": _plain(arrivals.window),
            "warm_up": _plain(arrivals.warm_up),
            "limit": arrivals.limit,
            "probabilities": [_plain(share) for share in arrivals.probabilities],
            "releases": [[int(kind), _plain(time)] for kind, time in arrivals.releases],
        },
        "noise": _plain(instance.noise),
        "transfer": instance.transfer,
        "whole_ticks": instance.whole_ticks,
        "failures": {"between": _plain(instance.failures.between), "repair": _plain(instance.failures.repair)},
        "objective": instance.objective,
    }


def _point_data(point: OperatingPoint) -> dict[str, Any]:
    data: dict[str, Any] = {"frequency": _plain(point.frequency)}
    if point.voltage is not None:
        data["voltage"] = _plain(point.voltage)
    return data | ({"power": [_plain(watts) for watts in point.power]} if point.power else {})


def _job_data(job_type: JobType) -> dict[str, Any]:
    return {
        "name": job_type.name,
        "tasks": [
            {"name": task, "times": [_plain(time) if np.isfinite(time) else None for time in row]}
            for task, row in zip(job_type.tasks, job_type.times, strict=True)
        ],
        "edges": [
            [int(source), int(target), _plain(volume)]
            for source, target, volume in zip(job_type.sources, job_type.targets, job_type.volumes, strict=True)
        ],
    }
