"""Runs methods over a benchmark and stores a row for every run that is not there yet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agents.evaluation.method import Method
from agents.evaluation.rows import ResultRow, ResultStore, RunKey, gap_percent
from agents.provenance import command_of_method
from agents.rollout import Outcome
from envs.core import Benchmark, UsageError

Watcher = Callable[[ResultRow, Outcome], None]


@dataclass(frozen=True)
class Origin:
    """What every row says about where it comes from.

    Attributes:
        git_revision: Revision of the program.
        command: Command that produces the rows; a row says the part of it that runs its own method.
    """

    git_revision: str
    command: str


def evaluate(
    benchmark: Benchmark,
    methods: Sequence[Method],
    seeds: Sequence[int],
    store: ResultStore,
    origin: Origin,
    *,
    watch: Watcher | None = None,
    progress: bool = False,
) -> None:
    """Runs what the store does not hold yet; rows are stored as they come.

    Where no seed changes the result, a method runs with the first seed only; where the environment itself draws, every
    method runs with every seed and meets the same draws under the same seed.

    Args:
        benchmark: Instances and their references.
        methods: What to run.
        seeds: Seeds, the same for every method.
        store: Where the rows go.
        origin: What the rows say about where they come from.
        watch: Called with every new row and its outcome, e.g. to draw a chart.
        progress: Show a progress bar.
    """
    if not seeds:
        raise UsageError("seeds is empty; expected at least one whole number")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
            raise UsageError(f"seeds has the entry {seed!r}; expected whole numbers from 0 to 2147483647")
    for method in methods:
        for instance in benchmark.instances:
            method.check(instance)
    plan = _plan(benchmark, methods, seeds, store)
    with progress_bar(sum(len(own) for _, _, own in plan), progress) as advance:
        for method, instances, own in plan:
            for outcomes in method.run(instances, own):
                rows = [_row(benchmark, method, outcome, origin) for outcome in outcomes]
                store.append(rows)
                for row, outcome in zip(rows, outcomes, strict=True):
                    if watch is not None:
                        watch(row, outcome)
                advance(f"{method.name} {method.variant}", len(rows))


def _plan(
    benchmark: Benchmark, methods: Sequence[Method], seeds: Sequence[int], store: ResultStore
) -> list[tuple[Method, list[Any], list[int]]]:
    """The methods that have something to do, with the instance and the seed of every missing run."""
    plan = []
    for method in methods:
        missing = [
            (instance, seed)
            for number, seed in enumerate(dict.fromkeys(seeds))
            for instance in benchmark.instances
            if (number == 0 or method.stochastic or method.definition.stochastic(instance))
            and RunKey(instance.name, method.name, method.kind, method.variant, seed) not in store
        ]
        if missing:
            plan.append((method, [instance for instance, _ in missing], [seed for _, seed in missing]))
    return plan


def refer(row: ResultRow, benchmark: Benchmark) -> ResultRow:
    """Returns a row against the reference that a benchmark has for its instance now."""
    reference = benchmark.references.get(row.instance)
    return replace(
        row,
        reference=reference.value if reference else None,
        reference_source=reference.source if reference else "",
        reference_is_bound=reference.is_bound if reference else False,
        gap_percent=gap_percent(row.objective, reference),
    )


def _row(benchmark: Benchmark, method: Method, outcome: Outcome, origin: Origin) -> ResultRow:
    measure = method.definition.metrics
    row = ResultRow(
        instance=outcome.instance.name,
        method=method.name,
        kind=method.kind,
        variant=method.variant,
        seed=outcome.seed,
        objective=outcome.objective,
        reference=None,
        reference_source="",
        reference_is_bound=False,
        gap_percent=None,
        wall_seconds=round(outcome.wall_seconds, 6),
        decisions=outcome.decisions,
        ms_per_decision=round(outcome.ms_per_decision, 6) if outcome.decisions else None,
        verified=True,
        git_revision=origin.git_revision,
        command=command_of_method(origin.command, method.entry) if method.entry else origin.command,
        metrics=dict(measure(outcome.instance, outcome.solution)) if measure is not None else {},
    )
    return refer(row, benchmark)


@contextlib.contextmanager
def progress_bar(total: int, visible: bool) -> Iterator[Callable[[str, int], None]]:
    """Shows a progress bar on standard error and yields ``advance(text, count)``."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), disable=not visible or total == 0) as bar:
        task = bar.add_task("", total=total)
        yield lambda text, count: bar.update(task, description=text, advance=count)
