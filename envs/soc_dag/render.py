"""Gantt charts of executions: a matplotlib figure, a picture array, an HTML fragment, text; and Chrome's trace format.

Processing elements (PEs) are rows, time runs to the right, every job has one colour; a line goes from the end of a
task to the arrival of its data on another PE. Runs that were lost to a failure are pale. Jobs, tasks and PEs are
counted from 0.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.drawing import SYMBOLS, colours, figure_pixels, hex_colour, is_dark, round_step
from envs.soc_dag.types import SocInstance, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 100
_BAR_HEIGHT = 0.7
_SMALLEST_STEP = -6
_MICROSECONDS = {"ns": 1e-3, "us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6}


class _Run(NamedTuple):
    """One start of a task."""

    job: int
    task: int
    processor: int
    mapped: float
    start: float
    end: float
    lost: bool


class _Transfer(NamedTuple):
    """Data that one run sends to another on a different PE."""

    sender: _Run
    receiver: _Run
    arrival: float


def gantt_figure(instance: SocInstance, trace: Trace) -> Figure:
    """Draws an execution as a matplotlib figure, which belongs to no pyplot state.

    Args:
        instance: What was run.
        trace: The execution, complete or not.

    Returns:
        The figure, about 12 inches wide and as high as the PEs need; ``figure.savefig(path)`` writes it.
    """
    from matplotlib.figure import Figure

    runs = _runs(trace)
    figure = Figure(figsize=(12, 1.3 + 0.4 * instance.chip.num_processors), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    _draw_axes(axes, instance, trace)
    _draw_transfers(axes, _transfers(instance, trace, runs))
    _draw_runs(axes, instance, trace, runs)
    return figure


def gantt_array(instance: SocInstance, trace: Trace) -> NDArray[np.uint8]:
    """Draws an execution as an ``(height, width, 3)`` uint8 picture, of the same size for all of an instance."""
    return figure_pixels(gantt_figure(instance, trace))


def gantt_text(instance: SocInstance, trace: Trace, width: int = 100) -> str:
    """Draws an execution with characters, one line per PE.

    A column shows what runs at the column's first moment, or a dot: the job, of a single job the task, written ``0`` to
    ``9``, ``a`` to ``z``, ``A`` to ``Z``, and over again from there.

    Args:
        instance: What was run.
        trace: The execution, complete or not.
        width: Most columns that the time axis may take.
    """
    end = _horizon(instance, trace)
    step = round_step(end, width, _SMALLEST_STEP)
    columns = int(np.ceil(end / step - 1e-9))
    rows = [["."] * columns for _ in instance.chip.processors]
    single = _single_job(instance)
    for run in _runs(trace):
        first, last = (int(np.ceil(time / step - 1e-9)) for time in (run.start, run.end))
        for column in range(first, min(last, columns)):
            rows[run.processor][column] = SYMBOLS[(run.task if single else run.job) % len(SYMBOLS)]
    margin = max(len(name) for name in instance.chip.processors) + 1
    lines = [f"{_summary(instance, trace)} (one column = {step:g} {instance.time_unit})"]
    lines += [name.ljust(margin) + "".join(row) for name, row in zip(instance.chip.processors, rows, strict=True)]
    ruler = "".join(f"{column * step:g}".ljust(10) for column in range(0, columns, 10))
    return "\n".join([*lines, " " * margin + ruler.rstrip()])


def gantt_html(instance: SocInstance, trace: Trace) -> str:
    """Draws an execution as an HTML fragment that needs nothing from elsewhere, neither scripts nor element ids.

    Pointing at a run shows its data.

    Args:
        instance: What was run.
        trace: The execution, complete or not.

    Returns:
        A ``<figure>`` element with inline style and SVG.
    """
    summary = html.escape(_summary(instance, trace))
    return (
        f'<figure class="soc-gantt"><style>{_CSS}</style><figcaption>{summary}</figcaption>'
        f"{_svg(instance, trace, summary)}</figure>\n"
    )


def chrome_trace(instance: SocInstance, trace: Trace) -> list[dict[str, Any]]:
    """Returns an execution as events of Chrome's trace format, for ``chrome://tracing`` or Perfetto.

    PEs are threads of one process and runs complete events; data between PEs are flows, jobs asynchronous spans from
    admission to completion. Times are microseconds. ``json.dump({"traceEvents": events}, file)`` writes a file.

    Source: Google, "Trace Event Format".
    """
    unit = _MICROSECONDS.get(instance.time_unit, 1.0)
    runs = _runs(trace)
    events: list[dict[str, Any]] = [_named("process_name", 0, instance.chip.name)]
    events += [_named("thread_name", p, name) for p, name in enumerate(instance.chip.processors)]
    events += [
        {
            "name": _task_name(instance, trace, run),
            "cat": "lost" if run.lost else "task",
            "ph": "X",
            "pid": 0,
            "tid": run.processor,
            "ts": run.start * unit,
            "dur": (run.end - run.start) * unit,
            "args": {"job": run.job, "task": run.task, "mapped": run.mapped * unit},
        }
        for run in runs
    ]
    for number, transfer in enumerate(_transfers(instance, trace, runs)):
        flow = {"name": "data", "cat": "transfer", "id": number, "pid": 0}
        sender, receiver = transfer.sender, transfer.receiver
        events.append(flow | {"ph": "s", "tid": sender.processor, "ts": sender.end * unit})
        events.append(flow | {"ph": "f", "bp": "e", "tid": receiver.processor, "ts": receiver.start * unit})
    for job, kind in enumerate(trace.job_type.tolist()):
        span = {"name": f"job {job}: {instance.job_types[kind].name}", "cat": "job", "id": job, "pid": 0, "tid": 0}
        events.append(span | {"ph": "b", "ts": float(trace.admitted[job]) * unit})
        if np.isfinite(trace.completed[job]):
            events.append(span | {"ph": "e", "ts": float(trace.completed[job]) * unit})
    return events


def _named(what: str, thread: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": 0, "tid": thread, "args": {"name": name}}


def _runs(trace: Trace) -> list[_Run]:
    columns = (trace.job, trace.task, trace.processor, trace.mapped, trace.start, trace.end, trace.lost)
    return [_Run(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _transfers(instance: SocInstance, trace: Trace, runs: list[_Run]) -> list[_Transfer]:
    """Data that takes time on its way to another PE, to runs that were not lost."""
    done = {(run.job, run.task): run for run in runs if not run.lost}
    transfers = []
    for run in done.values():
        kind = instance.job_types[trace.job_type[run.job]]
        for before, volume in kind.predecessors[run.task]:
            sender = done.get((run.job, before))
            if sender is None or sender.processor == run.processor:
                continue
            if instance.transfer == "shared_memory":
                arrival = run.mapped + instance.memory_time(volume, run.processor)
            else:
                arrival = sender.end + instance.transfer_time(volume, sender.processor, run.processor)
            if arrival > sender.end:
                transfers.append(_Transfer(sender, run, arrival))
    return transfers


def _single_job(instance: SocInstance) -> bool:
    return instance.arrivals.mode == "static" and len(instance.arrivals.releases) == 1


def _task_name(instance: SocInstance, trace: Trace, run: _Run) -> str:
    name: str = instance.job_types[trace.job_type[run.job]].tasks[run.task]
    return name


def _label(instance: SocInstance, run: _Run) -> str:
    return str(run.task) if _single_job(instance) else f"{run.job}.{run.task}"


def _horizon(instance: SocInstance, trace: Trace) -> float:
    """Returns the end of the time axis: the window of a stream, else the latest end and at least any task's."""
    if instance.arrivals.mode != "static":
        return instance.arrivals.window
    least = [release + instance.job_types[kind].times.min(axis=1).max() for kind, release in instance.arrivals.releases]
    return float(max(trace.end.max(initial=0.0), *least, 1e-3))


def _summary(instance: SocInstance, trace: Trace) -> str:
    completed = trace.completed[np.isfinite(trace.completed)]
    size = f"{instance.chip.num_processors} PEs, {len(completed)} of {_expected_jobs(instance, trace)} jobs completed"
    if not len(completed):
        return f"{instance.name}: {size}"
    if instance.objective == "makespan":
        return f"{instance.name}: {size}, latest end {completed.max():g} {instance.time_unit}"
    latency = np.nanmean(trace.completed - trace.arrived)
    return f"{instance.name}: {size}, mean latency {latency:.5g} {instance.time_unit}"


def _expected_jobs(instance: SocInstance, trace: Trace) -> int:
    arrivals = instance.arrivals
    return len(arrivals.releases) if arrivals.mode == "static" else len(trace.job_type)


def _draw_axes(axes: Axes, instance: SocInstance, trace: Trace) -> None:
    processors = instance.chip.processors
    axes.set_xlim(0, _horizon(instance, trace) * 1.01)
    axes.set_ylim(len(processors) - 0.5, -0.5)
    axes.set_yticks(range(len(processors)), list(processors))
    axes.set_xlabel(f"time ({instance.time_unit})")
    axes.set_title(_summary(instance, trace), fontsize=11)
    axes.grid(axis="x", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0, labelsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _draw_transfers(axes: Axes, transfers: list[_Transfer]) -> None:
    from matplotlib.collections import LineCollection

    segments = [
        [(each.sender.end, each.sender.processor), (each.arrival, each.receiver.processor)] for each in transfers
    ]
    axes.add_collection(LineCollection(segments, colors="0.45", linewidths=0.7, linestyles="dashed", zorder=1.5))


def _draw_runs(axes: Axes, instance: SocInstance, trace: Trace, runs: list[_Run]) -> None:
    palette = colours(max(len(trace.job_type), 1))
    points_per_unit = 780 / _horizon(instance, trace)  # the axes take about 780 of the figure's 864 points
    for processor in range(instance.chip.num_processors):
        row = [run for run in runs if run.processor == processor]
        axes.broken_barh(
            [(run.start, run.end - run.start) for run in row],
            (processor - _BAR_HEIGHT / 2, _BAR_HEIGHT),
            facecolors=[(*palette[run.job], 0.3 if run.lost else 1.0) for run in row],
            edgecolors="white",
            linewidth=0.4,
            zorder=2,
        )
    for run in runs:
        label = _label(instance, run)
        if (run.end - run.start) * points_per_unit > 4.5 * len(label) + 2:
            axes.text(
                (run.start + run.end) / 2,
                run.processor,
                label,
                ha="center",
                va="center_baseline",
                fontsize=7,
                color="white" if is_dark(palette[run.job]) and not run.lost else "black",
                clip_on=True,
            )


_ROW = 28
_RIGHT = 14
_CHART = 1000

_CSS = (
    ".soc-gantt{margin:1em 0;font:13px system-ui,sans-serif}"
    ".soc-gantt figcaption{margin-bottom:4px;font-weight:600}"
    ".soc-gantt svg{width:100%;height:auto;display:block}"
    ".soc-gantt text{font-size:10px;fill:currentColor;pointer-events:none}"
    ".soc-gantt .grid{stroke:currentColor;stroke-opacity:.15}"
    ".soc-gantt .transfer{stroke:currentColor;stroke-opacity:.55;stroke-dasharray:3 2}"
    ".soc-gantt rect{stroke:#fff;stroke-width:.5}"
    ".soc-gantt rect:hover{stroke:currentColor;stroke-width:1.5}"
    ".soc-gantt rect.lost{opacity:.3}"
    ".soc-gantt .bar{fill:#000;text-anchor:middle}"
    ".soc-gantt .bar.dark{fill:#fff}"
)


def _svg(instance: SocInstance, trace: Trace, summary: str) -> str:
    processors = instance.chip.processors
    end = _horizon(instance, trace)
    left = 12 + 6 * max(len(name) for name in processors)
    scale, bottom = _CHART / end, _ROW * len(processors)
    parts = [
        f'<svg viewBox="0 0 {left + _CHART + _RIGHT} {bottom + 34}" role="img" aria-label="Gantt chart of {summary}">'
    ]
    parts += [
        f'<text x="{left - 6}" y="{_ROW * row + 18}" text-anchor="end">{html.escape(name)}</text>'
        for row, name in enumerate(processors)
    ]
    step = round_step(end, 12, _SMALLEST_STEP)
    for mark in range(int(end / step + 1e-9) + 1):
        x = left + mark * step * scale
        parts.append(f'<line class="grid" x1="{x:.2f}" x2="{x:.2f}" y1="0" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.2f}" y="{bottom + 14}" text-anchor="middle">{mark * step:g}</text>')
    unit = html.escape(instance.time_unit)
    parts.append(f'<text x="{left + _CHART / 2:g}" y="{bottom + 29}" text-anchor="middle">time ({unit})</text>')
    runs = _runs(trace)
    for sender, receiver, arrival in _transfers(instance, trace, runs):
        ends = [(left + sender.end * scale, sender.processor), (left + arrival * scale, receiver.processor)]
        (x1, y1), (x2, y2) = ((x, _ROW * row + _ROW / 2) for x, row in ends)
        parts.append(f'<line class="transfer" x1="{x1:.2f}" y1="{y1:g}" x2="{x2:.2f}" y2="{y2:g}"/>')
    parts += _svg_runs(instance, trace, runs, left, scale)
    return "".join([*parts, "</svg>"])


def _svg_runs(instance: SocInstance, trace: Trace, runs: list[_Run], left: float, scale: float) -> list[str]:
    palette = colours(len(trace.job_type))
    parts = []
    for run in runs:
        x, y = left + run.start * scale, _ROW * run.processor + 4
        end = min(run.end, _horizon(instance, trace))
        width = max((end - run.start) * scale, 1)
        name = html.escape(_task_name(instance, trace, run))
        note = f"job {run.job}, task {run.task} ({name}), {run.start:g} to {run.end:g}" + (", lost" if run.lost else "")
        parts.append(
            f'<rect class="{"lost" if run.lost else "run"}" x="{x:.2f}" y="{y}" width="{width:.2f}"'
            f' height="{_ROW - 8}" fill="{hex_colour(palette[run.job])}" data-job="{run.job}" data-task="{run.task}"'
            f' data-processor="{run.processor}" data-start="{run.start:g}" data-end="{run.end:g}">'
            f"<title>{note}</title></rect>"
        )
        label = _label(instance, run)
        if width > 6 * len(label) + 3:
            dark = " dark" if is_dark(palette[run.job]) and not run.lost else ""
            parts.append(f'<text class="bar{dark}" x="{x + width / 2:.2f}" y="{y + 14}">{label}</text>')
    return parts
