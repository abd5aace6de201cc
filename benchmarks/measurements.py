"""What was measured, and the arithmetic from there to the table.

Rates are per second of processor time. Every contender runs on one thread of one core, so on an idle machine that is
wall time; on a busy one it leaves out the time in which the core served somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class Measurement:
    """One contender at one size and number of lanes.

    Attributes:
        contender: Name of the contender.
        jobs: Number of jobs.
        machines: Number of machines.
        lanes: Number of episodes side by side.
        repetitions: Of each repetition: steps, decisions, finished, core_seconds, wall_seconds.
        steps_per_schedule: Environment steps of one lane from reset to a finished schedule.
        prepare_seconds: Import, compilation, first steps.
        peak_mebibytes: Peak resident memory of the process.
        error: Why there is no figure, in one line.
    """

    contender: str
    jobs: int
    machines: int
    lanes: int
    repetitions: list[dict[str, float]] = field(default_factory=list)
    steps_per_schedule: float | None = None
    prepare_seconds: float | None = None
    peak_mebibytes: float | None = None
    error: str | None = None

    @property
    def size(self) -> str:
        """The size as text, ``"15x15"``."""
        return f"{self.jobs}x{self.machines}"

    @property
    def wall_seconds(self) -> float:
        """How long the repetitions took together."""
        return sum(row["wall_seconds"] for row in self.repetitions)

    @property
    def steps_per_second(self) -> float | None:
        """Median over the repetitions of environment steps a second of the core, all lanes together."""
        return self._median("steps")

    @property
    def decisions_per_second(self) -> float | None:
        """Median over the repetitions of operations dispatched a second of the core, all lanes together."""
        return self._median("decisions")

    @property
    def schedules_per_second(self) -> float | None:
        """Steps a second over the steps that a schedule takes.

        Counting finished schedules instead would depend on where in its episodes a contender happened to stand.
        """
        if self.steps_per_second is None or self.steps_per_schedule is None:
            return None
        return self.steps_per_second / self.steps_per_schedule

    def to_json(self) -> dict[str, Any]:
        """Returns everything, derived figures included."""
        return {
            "contender": self.contender,
            "size": self.size,
            "lanes": self.lanes,
            "schedules_per_second": self.schedules_per_second,
            "decisions_per_second": self.decisions_per_second,
            "steps_per_second": self.steps_per_second,
            "steps_per_schedule": self.steps_per_schedule,
            "prepare_seconds": self.prepare_seconds,
            "peak_mebibytes": self.peak_mebibytes,
            "core_share": self._median("core_seconds", "wall_seconds"),
            "error": self.error,
            "repetitions": self.repetitions,
        }

    def _median(self, quantity: str, per: str = "core_seconds") -> float | None:
        if not self.repetitions:
            return None
        return median(row[quantity] / row[per] for row in self.repetitions)


def share_steps_per_schedule(measurements: Sequence[Measurement], steps: float, schedules: float) -> None:
    """Gives all ``measurements`` of one contender and size the mean length ``steps / schedules`` of its episodes."""
    for measurement in measurements:
        measurement.steps_per_schedule = steps / schedules if schedules else None


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Returns how many times as fast we are; None where a figure is missing."""
    return ours / theirs if ours is not None and theirs else None


def best(measurements: Iterable[Measurement]) -> float | None:
    """Returns the most schedules a second over numbers of lanes; None if no figure exists."""
    figures = [m.schedules_per_second for m in measurements if m.schedules_per_second is not None]
    return max(figures, default=None)


def speed_table(measurements: Sequence[Measurement], ours: str) -> str:
    """Returns a Markdown table, one row a measurement; the ratio is ``ours`` over the row, same size and lanes."""
    by_key = {(m.contender, m.size, m.lanes): m for m in measurements}
    rows = []
    for m in measurements:
        our = by_key.get((ours, m.size, m.lanes))
        times = ratio(our.schedules_per_second if our else None, m.schedules_per_second)
        figures = [m.schedules_per_second, m.decisions_per_second, m.steps_per_second]
        rows.append(
            [
                m.size,
                str(m.lanes),
                m.contender,
                *(number(figure) for figure in figures),
                number(times) + (" ×" if times is not None else ""),
                number(m.peak_mebibytes),
                m.error or "",
            ]
        )
    head = ["size", "lanes", "contender", "schedules/s", "decisions/s", "steps/s", f"{ours} is", "peak MiB", "note"]
    return markdown(head, rows)


def best_table(measurements: Sequence[Measurement], ours: str) -> str:
    """Returns a Markdown table of schedules a second and ratios, every contender at its best number of lanes."""
    sizes = list(dict.fromkeys(m.size for m in measurements))
    contenders = list(dict.fromkeys(m.contender for m in measurements))
    rows = []
    for size in sizes:
        figures = {c: best(m for m in measurements if m.size == size and m.contender == c) for c in contenders}
        row = [size]
        for contender in contenders:
            times = ratio(figures[ours], figures[contender]) if contender != ours else None
            row.append(number(figures[contender]) + (f" ({number(times)} ×)" if times is not None else ""))
        rows.append(row)
    return markdown(["schedules/s, best lanes", *contenders], rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lays out a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None) -> str:
    """Writes a figure with three significant digits, or more before the point; a dash where there is none."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")
