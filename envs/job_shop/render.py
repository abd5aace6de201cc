"""Gantt charts: a matplotlib figure, a picture array, an interactive HTML fragment, and text for the terminal.

Machines are rows, time runs to the right, every job has one colour. Operations with start -1 are left out, so that
schedules under construction can be drawn. Jobs, operations and machines are counted from 0.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.drawing import SYMBOLS, colours, figure_pixels, hex_colour, is_dark, round_step
from envs.job_shop.types import JobShopInstance, Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 100
_BAR_HEIGHT = 0.84


class _Bar(NamedTuple):
    job: int
    operation: int
    machine: int
    start: int
    end: int


def gantt_figure(instance: JobShopInstance, schedule: Schedule) -> Figure:
    """Draws a schedule as a matplotlib figure, which belongs to no pyplot state.

    Args:
        instance: The job shop.
        schedule: Start times, complete or not.

    Returns:
        The figure, about 12 inches wide and as high as the machines need; ``figure.savefig(path)`` writes it.
    """
    from matplotlib.figure import Figure

    bars = _bars(instance, schedule)
    figure = Figure(figsize=(12, 1.3 + 0.3 * instance.num_machines), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    _draw_axes(axes, instance, bars)
    _draw_bars(axes, instance, bars)
    return figure


def gantt_array(instance: JobShopInstance, schedule: Schedule) -> NDArray[np.uint8]:
    """Draws a schedule as a picture.

    Args:
        instance: The job shop.
        schedule: Start times, complete or not.

    Returns:
        ``(height, width, 3)`` uint8, the same size for every schedule of an instance.
    """
    return figure_pixels(gantt_figure(instance, schedule))


def gantt_text(instance: JobShopInstance, schedule: Schedule, width: int = 100) -> str:
    """Draws a schedule with characters, one line per machine.

    A column shows the job that is being processed at the column's first moment, or a dot. Jobs are written
    ``0`` to ``9``, ``a`` to ``z``, ``A`` to ``Z``, and over again from there.

    Args:
        instance: The job shop.
        schedule: Start times, complete or not.
        width: Most columns that the time axis may take.
    """
    bars = _bars(instance, schedule)
    horizon = _horizon(instance, bars)
    scale = -(-horizon // width)
    columns = -(-horizon // scale)
    rows = [["."] * columns for _ in range(instance.num_machines)]
    for bar in bars:
        for column in range(-(-bar.start // scale), -(-bar.end // scale)):
            rows[bar.machine][column] = SYMBOLS[bar.job % len(SYMBOLS)]
    margin = len(f"M{instance.num_machines - 1} ")
    lines = [f"{_summary(instance, bars)} (one column = {scale})"]
    lines += [f"M{machine}".ljust(margin) + "".join(row) for machine, row in enumerate(rows)]
    ruler = "".join(str(column * scale).ljust(10) for column in range(0, columns, 10))
    lines.append(" " * margin + ruler.rstrip())
    return "\n".join(lines)


def gantt_html(instance: JobShopInstance, schedule: Schedule) -> str:
    """Draws a schedule as an interactive HTML fragment that needs nothing from elsewhere.

    Pointing at an operation shows its data and dims the other jobs; a click keeps the job highlighted until the next.
    The fragment uses no element ids, so that a page can hold any number of charts.

    Args:
        instance: The job shop.
        schedule: Start times, complete or not.

    Returns:
        A ``<figure>`` element with inline style, SVG and script.
    """
    bars = _bars(instance, schedule)
    summary = html.escape(_summary(instance, bars))
    svg = _svg(instance, bars, summary)
    return (
        f'<figure class="gantt"><style>{_CSS}</style><figcaption>{summary}</figcaption>{svg}'
        f'<div class="gantt-tip" hidden></div><script>{_SCRIPT}</script></figure>\n'
    )


def _bars(instance: JobShopInstance, schedule: Schedule) -> list[_Bar]:
    """Lists the scheduled operations, job by job."""
    starts = np.asarray(schedule.starts)
    bars = []
    for job, operation in np.argwhere(starts >= 0).tolist():
        start = int(starts[job, operation])
        end = start + int(instance.times[job, operation])
        bars.append(_Bar(job, operation, int(instance.machines[job, operation]), start, end))
    return bars


def _latest_end(bars: list[_Bar]) -> int:
    return max((bar.end for bar in bars), default=0)


def _horizon(instance: JobShopInstance, bars: list[_Bar]) -> int:
    """Returns the end of the time axis, at least 1; the lower bound keeps it still while a schedule grows."""
    return max(_latest_end(bars), instance.lower_bound, 1)


def _summary(instance: JobShopInstance, bars: list[_Bar]) -> str:
    size = f"{instance.num_jobs} jobs, {instance.num_machines} machines"
    if len(bars) == instance.times.size:
        return f"{instance.name}: {size}, makespan {_latest_end(bars)}"
    return f"{instance.name}: {size}, {len(bars)} of {instance.times.size} operations, latest end {_latest_end(bars)}"


def _draw_axes(axes: Axes, instance: JobShopInstance, bars: list[_Bar]) -> None:
    horizon = _horizon(instance, bars)
    axes.set_xlim(0, horizon * 1.01)
    axes.set_ylim(instance.num_machines - 0.5, -0.5)
    axes.set_yticks(range(instance.num_machines), [f"M{machine}" for machine in range(instance.num_machines)])
    axes.set_xlabel("time")
    axes.set_ylabel("machine")
    axes.set_title(_summary(instance, bars), fontsize=11)
    axes.grid(axis="x", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0, labelsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    if bars:
        axes.axvline(_latest_end(bars), color="0.15", linestyle="--", linewidth=1.2)


def _draw_bars(axes: Axes, instance: JobShopInstance, bars: list[_Bar]) -> None:
    palette = colours(instance.num_jobs)
    points_per_unit = 780 / _horizon(instance, bars)  # the axes take about 780 of the figure's 864 points
    for machine in range(instance.num_machines):
        row = [bar for bar in bars if bar.machine == machine]
        axes.broken_barh(
            [(bar.start, bar.end - bar.start) for bar in row],
            (machine - _BAR_HEIGHT / 2, _BAR_HEIGHT),
            facecolors=[palette[bar.job] for bar in row],
            edgecolors="white",
            linewidth=0.4,
        )
        instants = [bar for bar in row if bar.start == bar.end]
        axes.vlines(
            [bar.start for bar in instants],
            machine - _BAR_HEIGHT / 2,
            machine + _BAR_HEIGHT / 2,
            colors=[palette[bar.job] for bar in instants],
            linewidth=1.5,
        )
    for bar in bars:
        label = str(bar.job)
        if (bar.end - bar.start) * points_per_unit > 4.5 * len(label) + 2:
            axes.text(
                (bar.start + bar.end) / 2,
                bar.machine,
                label,
                ha="center",
                va="center_baseline",
                fontsize=7,
                color="white" if is_dark(palette[bar.job]) else "black",
            )


_ROW = 22
_LEFT = 44
_RIGHT = 14
_CHART = 1000

_CSS = (
    ".gantt{margin:1em 0;position:relative;font:13px system-ui,sans-serif}"
    ".gantt figcaption{margin-bottom:4px;font-weight:600}"
    ".gantt svg{width:100%;height:auto;display:block}"
    ".gantt text{font-size:10px;fill:currentColor}"
    ".gantt .grid{stroke:currentColor;stroke-opacity:.15}"
    ".gantt .end{stroke:currentColor;stroke-dasharray:5 4}"
    ".gantt .job{transition:opacity .12s;cursor:pointer}"
    ".gantt .job rect{stroke:#fff;stroke-width:.5}"
    ".gantt .job text{fill:#000;text-anchor:middle;pointer-events:none}"
    ".gantt .job.dark text{fill:#fff}"
    ".gantt svg.focus .job:not(.on){opacity:.15}"
    ".gantt .gantt-tip{position:absolute;pointer-events:none;white-space:pre;background:#222;color:#fff;"
    "padding:5px 8px;border-radius:4px;font-size:12px;line-height:1.4;z-index:1}"
)

_SCRIPT = """
(function (figure) {
  var svg = figure.querySelector("svg"), tip = figure.querySelector(".gantt-tip"), pinned = null;
  function focus(job) {
    svg.querySelectorAll(".job.on").forEach(function (other) { other.classList.remove("on"); });
    svg.classList.toggle("focus", job !== null);
    if (job) { job.classList.add("on"); }
  }
  svg.addEventListener("mousemove", function (event) {
    var bar = event.target.closest("rect[data-operation]");
    tip.hidden = !bar;
    if (!bar) { focus(pinned); return; }
    var job = bar.parentNode, data = bar.dataset;
    focus(pinned || job);
    tip.textContent = "job " + job.dataset.job + ", operation " + data.operation + "\\nmachine " + data.machine +
      "\\nfrom " + data.start + " to " + data.end + " (" + (data.end - data.start) + ")";
    var box = figure.getBoundingClientRect(), x = event.clientX - box.left + 14;
    tip.style.left = Math.max(0, Math.min(x, box.width - tip.offsetWidth)) + "px";
    tip.style.top = event.clientY - box.top + 16 + "px";
  });
  svg.addEventListener("mouseleave", function () { tip.hidden = true; focus(pinned); });
  svg.addEventListener("click", function (event) {
    var bar = event.target.closest("rect[data-operation]");
    pinned = bar && bar.parentNode !== pinned ? bar.parentNode : null;
    focus(pinned);
  });
})(document.currentScript.parentNode);
"""


def _svg(instance: JobShopInstance, bars: list[_Bar], summary: str) -> str:
    scale = _CHART / _horizon(instance, bars)
    bottom = _ROW * instance.num_machines
    parts = [
        f'<svg viewBox="0 0 {_LEFT + _CHART + _RIGHT} {bottom + 34}" role="img" aria-label="Gantt chart of {summary}">'
    ]
    parts += [
        f'<text x="{_LEFT - 6}" y="{_ROW * machine + 15}" text-anchor="end">M{machine}</text>'
        for machine in range(instance.num_machines)
    ]
    for tick in _ticks(_horizon(instance, bars)):
        x = _LEFT + tick * scale
        parts.append(f'<line class="grid" x1="{x:.2f}" x2="{x:.2f}" y1="0" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.2f}" y="{bottom + 14}" text-anchor="middle">{tick}</text>')
    parts.append(f'<text x="{_LEFT + _CHART / 2:g}" y="{bottom + 29}" text-anchor="middle">time</text>')
    parts += _svg_jobs(instance, bars, scale)
    if bars:
        x = _LEFT + _latest_end(bars) * scale
        parts.append(f'<line class="end" x1="{x:.2f}" x2="{x:.2f}" y1="0" y2="{bottom}"/>')
    parts.append("</svg>")
    return "".join(parts)


def _svg_jobs(instance: JobShopInstance, bars: list[_Bar], scale: float) -> list[str]:
    palette = colours(instance.num_jobs)
    parts = []
    for job, colour in enumerate(palette):
        dark = " dark" if is_dark(colour) else ""
        parts.append(f'<g class="job{dark}" data-job="{job}" fill="{hex_colour(colour)}">')
        for bar in bars:
            if bar.job != job:
                continue
            x = _LEFT + bar.start * scale
            y = _ROW * bar.machine + 2
            width = max((bar.end - bar.start) * scale, 1)
            parts.append(
                f'<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{_ROW - 4}" data-operation="{bar.operation}"'
                f' data-machine="{bar.machine}" data-start="{bar.start}" data-end="{bar.end}"/>'
            )
            if width > 6 * len(str(job)) + 3:
                parts.append(f'<text x="{x + width / 2:.2f}" y="{y + 13}">{job}</text>')
        parts.append("</g>")
    return parts


def _ticks(horizon: int) -> range:
    """Returns about ten round marks of the time axis."""
    return range(0, horizon + 1, int(round_step(horizon, 12)))
