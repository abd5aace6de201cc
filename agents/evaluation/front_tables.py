"""Tables of committed fronts, for the results page and for model cards."""

from __future__ import annotations

from collections.abc import Sequence

from agents.evaluation.rows import ResultRow

_POINT = "weights="


def are_volumes(rows: Sequence[ResultRow]) -> bool:
    """Whether the rows are hypervolumes of fronts."""
    return bool(rows) and all("preferences" in row.metrics for row in rows)


def are_points(rows: Sequence[ResultRow]) -> bool:
    """Whether the rows are points of fronts, one a preference."""
    return bool(rows) and all(_POINT in row.variant and "preferences" not in row.metrics for row in rows)


def volume_table(rows: Sequence[ResultRow]) -> str:
    """Returns a Markdown table with a line a front, best first within each system.

    Raises:
        ValueError: The rows are not hypervolumes.
    """
    if not are_volumes(rows):
        raise ValueError("rows without hypervolumes")
    lines = [
        "| system | method | setting | hypervolume | 95 % interval | ratio | 95 % interval | points | reference |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    order = list(dict.fromkeys(row.instance for row in rows))
    for row in sorted(rows, key=lambda row: (order.index(row.instance), -row.objective)):
        metrics = row.metrics
        ratio, interval = "–", "–"
        if "ratio" in metrics:
            ratio = f"{metrics['ratio']:.3f}"
            interval = f"{metrics['ratio_low']:.3f} – {metrics['ratio_high']:.3f}"
        point = ", ".join(f"{value:g}" for name, value in metrics.items() if name.startswith("reference_"))
        setting = f"`{row.variant}`" if row.variant else ""
        volume = f"{row.objective:.1f} | {metrics['low']:.1f} – {metrics['high']:.1f}"
        lines.append(
            f"| {row.instance} | **`{row.method}`** | {setting} | {volume} | {ratio} | {interval} | "
            f"{metrics['cardinality']:.0f} of {metrics['preferences']:.0f} | {point} |"
        )
    return "\n".join(lines) + "\n"
