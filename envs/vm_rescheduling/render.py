"""What a plan does to a placement: free cores of every NUMA node before and after it, and how they add up to fragments.

The picture has a square a NUMA node, the nodes of a machine one above the other, as dark as it has free cores; what a
plan changed is framed. The histogram beside it counts NUMA nodes by their free cores modulo 16, which is what they
waste: all of it should stand at 0.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.drawing import figure_pixels
from envs.vm_rescheduling.dynamics import PIECE, weighted_sum
from envs.vm_rescheduling.execution import migrate, start
from envs.vm_rescheduling.state import VmState
from envs.vm_rescheduling.types import Flags, Integers, Plan, VmInstance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 60
_SHADES = " .:-=+*#%@"


class Picture(NamedTuple):
    """Placements before and after a plan.

    Attributes:
        before: ``(numas,)`` free cores at the first migration.
        after: ``(numas,)`` free cores at the end.
        changed: ``(numas,)`` whether VMs came or left by the plan, or by themselves.
        sums: Weighted sums of the objective before and after.
        migrations: How many.
    """

    before: Integers
    after: Integers
    changed: Flags
    sums: tuple[float, float]
    migrations: int


def placements(instance: VmInstance, plan: Plan) -> Picture:
    """Returns the free cores before and after a plan."""
    state = start(instance)
    before, hosts, first = _free(state), state.vm["host"][0].copy(), float(weighted_sum(state, 0))
    for vm, numa in zip(plan.vm.tolist(), plan.numa.tolist(), strict=True):
        migrate(state, vm, numa)
    moved = np.flatnonzero(state.vm["host"][0, : len(hosts)] != hosts)
    changed = np.zeros(len(before), np.bool_)
    for vm in moved.tolist():
        for host in (int(hosts[vm]), int(state.vm["host"][0, vm])):
            if host >= 0:
                changed[host : host + int(instance.vms.numa_count[vm])] = True
    return Picture(before, _free(state), changed, (first, float(weighted_sum(state, 0))), len(plan.vm))


def placement_text(instance: VmInstance, plan: Plan) -> str:
    """Draws a character a machine, the darker the more free cores, and the histogram of what they waste."""
    picture = placements(instance, plan)
    lines = [_summary(instance, picture)]
    most = max(1, int(np.bincount(instance.machines.machine_of_numa, instance.machines.cores).max(initial=1)))
    for name, free in (("before", picture.before), ("after", picture.after)):
        sums = np.bincount(instance.machines.machine_of_numa, free, minlength=len(instance.machines.names))
        shades = "".join(_SHADES[math.ceil((len(_SHADES) - 1) * each / most)] for each in sums.tolist())
        lines += [f"{name}:", *(shades[at : at + _COLUMNS] for at in range(0, len(shades), _COLUMNS))]
    lines.append("free cores modulo 16: NUMA nodes before -> after")
    before, after = histogram(picture.before), histogram(picture.after)
    lines += [
        f"{rest:>2}: {before[rest]:>5} -> {after[rest]:>5}" for rest in range(PIECE) if before[rest] + after[rest]
    ]
    return "\n".join(lines)


def placement_figure(instance: VmInstance, plan: Plan) -> Figure:
    """Draws both placements and their histograms as a matplotlib figure, which belongs to no pyplot state."""
    from matplotlib.figure import Figure

    picture = placements(instance, plan)
    figure = Figure(figsize=(13, 6.5), dpi=100, layout="constrained")
    figure.suptitle(_summary(instance, picture), fontsize=11)
    most = max(1, int(instance.machines.cores.max(initial=1)))
    for row, (name, free) in enumerate((("before", picture.before), ("after", picture.after))):
        axes = figure.add_subplot(2, 3, (3 * row + 1, 3 * row + 2))
        image = axes.imshow(_grid(instance, free), cmap="viridis_r", vmin=0, vmax=most, interpolation="nearest")
        if row == 1:
            ys, xs = np.nonzero(np.nan_to_num(_grid(instance, picture.changed)) > 0)
            axes.scatter(xs, ys, s=10, marker="s", facecolors="none", edgecolors="red", linewidths=0.6)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"free cores {name}" + (", changes framed" if row else ""), fontsize=9)
        figure.colorbar(image, ax=axes, shrink=0.8)
        bars = figure.add_subplot(2, 3, 3 * row + 3)
        counts = histogram(free)
        bars.bar(range(PIECE), counts, color=["#4c9a6a", *["#c0504d"] * (PIECE - 1)])
        bars.set_ylim(0, max(histogram(picture.before).max(), histogram(picture.after).max()) * 1.08)
        bars.set_xlabel("free cores modulo 16")
        bars.set_ylabel("NUMA nodes")
        bars.set_title(f"fragments {name}: {int(counts @ np.arange(PIECE))} cores", fontsize=9)
    return figure


def placement_array(instance: VmInstance, plan: Plan) -> NDArray[np.uint8]:
    """Draws both placements as an ``(height, width, 3)`` uint8 picture of one size."""
    return figure_pixels(placement_figure(instance, plan))


def placement_html(instance: VmInstance, plan: Plan) -> str:
    """Draws both placements as an HTML fragment that needs nothing from elsewhere; pointing at a node names it."""
    picture = placements(instance, plan)
    most = max(1, int(instance.machines.cores.max(initial=1)))
    columns = min(_COLUMNS, max(1, len(instance.machines.names)))
    lines = math.ceil(len(instance.machines.names) / columns)
    parts, height = [], 30 * lines + 24
    for drawing, (name, free) in enumerate((("before", picture.before), ("after", picture.after))):
        top = drawing * height
        parts.append(f'<text x="2" y="{top + 12}" font-size="11" fill="currentColor">free cores {name}</text>')
        for numa, machine in enumerate(instance.machines.machine_of_numa.tolist()):
            node = numa - int(instance.machines.first_numa[machine])
            x, y = 16 * (machine % columns) + 2, top + 18 + 30 * (machine // columns) + 13 * node
            share = int(free[numa]) / most
            frame = ' stroke="#d00" stroke-width="1.5"' if drawing and picture.changed[numa] else ""
            told = (
                f"{instance.machines.names[machine]}, NUMA node {node}: {int(free[numa])} of "
                f"{int(instance.machines.cores[numa])} cores free"
            )
            parts.append(
                f'<rect x="{x}" y="{y}" width="12" height="12" fill="{_shade(share)}"{frame}>'
                f"<title>{html.escape(told)}</title></rect>"
            )
    summary = html.escape(_summary(instance, picture))
    return (
        f'<figure style="margin:1em 0;font:13px system-ui,sans-serif"><figcaption>{summary}</figcaption>'
        f'<svg viewBox="0 0 {16 * columns + 4} {2 * height}" style="width:100%;height:auto" role="img" '
        f'aria-label="Free cores before and after: {summary}">{"".join(parts)}</svg></figure>\n'
    )


def histogram(free_cores: Integers) -> Integers:
    """Returns the number ``(16,)`` of NUMA nodes by their free cores modulo 16."""
    return np.bincount(free_cores % PIECE, minlength=PIECE).astype(np.int64)


def _free(state: VmState) -> Integers:
    free: Integers = state.numa["free_cores"][0].copy()
    return free


def _grid(instance: VmInstance, values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Lays the NUMA nodes out: machines in rows, their nodes one above the other; NaN where there is none."""
    machines = instance.machines
    columns = max(1, math.ceil(math.sqrt(3 * len(machines.names))))
    grid = np.full((2 * math.ceil(len(machines.names) / columns) or 1, columns), np.nan)
    node = np.arange(len(machines.machine_of_numa)) - machines.first_numa[machines.machine_of_numa]
    grid[2 * (machines.machine_of_numa // columns) + node, machines.machine_of_numa % columns] = values
    return grid


def _shade(share: float) -> str:
    """A colour from pale to dark blue."""
    red, green, blue = (round(low + (high - low) * share) for low, high in ((235, 20), (240, 60), (248, 130)))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _summary(instance: VmInstance, picture: Picture) -> str:
    size = f"{len(instance.machines.names)} machines, {len(instance.vms.names)} VMs"
    before, after = picture.sums
    return f"{instance.name}: {size}, {before:.4f} -> {after:.4f} in {picture.migrations} migrations"
