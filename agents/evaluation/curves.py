"""Learning curves of trainings that get the same time of the processor, and what they come to."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from agents.evaluation.method import describe_settings
from agents.evaluation.rows import ResultRow
from agents.policy_dispatcher import PolicyDispatcher
from agents.registry import agent_named
from agents.rollout import best_of, roll_out
from agents.run import TrainingRun
from agents.training import train
from envs.core import problem
from models.network import Network

CPU_SECONDS, DECISIONS = "trained_cpu_seconds", "trained_decisions"
SAMPLING_SEED = 1


@dataclass(frozen=True)
class TestSet:
    """Instances that curves are measured on.

    Attributes:
        name: What the rows call it.
        instances: The instances.
        references: Objective that gaps are taken against, of each.
        source: Where the references are from.
    """

    name: str
    instances: Sequence[Any]
    references: Sequence[float]
    source: str

    def mean_gap(self, objectives: Sequence[float]) -> float:
        """Mean excess over the references in percent."""
        return float(np.mean([100.0 * (o / r - 1.0) for o, r in zip(objectives, self.references, strict=True)]))


@dataclass(frozen=True)
class Task:
    """One training whose curve is asked for.

    Attributes:
        variant: What the rows call the way of training.
        run: Its configuration; ``decisions`` is what fills the budget.
        sets: What it is measured on.
        points: Moments of measuring, evenly spread over the decisions; the last is the end.
        samples: At the end also the best of so many sampled solutions is measured; 0 leaves that out.
        revision: Revision of the program.
        command: Command that asked for it.
    """

    variant: str
    run: TrainingRun
    sets: Sequence[TestSet]
    points: int
    samples: int
    revision: str
    command: str


class Stopwatch:
    """Counts the processor time of this process, all threads together, while it is not paused."""

    def __init__(self) -> None:
        """Starts at 0, running."""
        self._since = time.process_time()
        self._before = 0.0

    def read(self) -> float:
        """Seconds so far."""
        return self._before + (time.process_time() - self._since)

    def without(self, work: Callable[[], None]) -> None:
        """Does something that does not count."""
        self._before = self.read()
        work()
        self._since = time.process_time()


class CurveCallback(BaseCallback):
    """Measures a policy while it is trained; what measuring takes is not counted.

    Args:
        task: What to measure and when.
    """

    def __init__(self, task: Task) -> None:
        """Starts without rows."""
        super().__init__()
        self.task = task
        self.rows: list[ResultRow] = []
        self._watch = Stopwatch()
        self._measured = 0

    def _on_training_start(self) -> None:
        self._watch = Stopwatch()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        points = self.task.points
        due = math.floor(points * self.num_timesteps / self.task.run.agent.decisions)
        if self._measured < due < points:
            self._measured = due
            self._watch.without(lambda: self._measure(due / points, 1))

    def _on_training_end(self) -> None:
        self._watch.without(lambda: self._measure(1.0, 1))
        if self.task.samples:
            self._watch.without(lambda: self._measure(1.0, self.task.samples))

    def _measure(self, share: float, samples: int) -> None:
        cpu_seconds = self._watch.read()
        network = self.model.policy.network
        assert isinstance(network, Network)
        for test_set in self.task.sets:
            began = time.perf_counter()
            objectives, decisions = measure(self.task.run, network, test_set, samples)
            wall_seconds = time.perf_counter() - began
            self.rows.append(
                ResultRow(
                    instance=test_set.name,
                    method=self.task.variant,
                    kind="learned",
                    variant=describe_settings({"share": round(share, 4), "samples": samples if samples > 1 else None}),
                    seed=seed_of(self.task.run),
                    objective=float(np.mean(objectives)),
                    reference=float(np.mean(test_set.references)),
                    reference_source=test_set.source,
                    reference_is_bound=True,
                    gap_percent=round(test_set.mean_gap(objectives), 4),
                    wall_seconds=round(wall_seconds, 3),
                    decisions=decisions,
                    ms_per_decision=round(1000.0 * wall_seconds / decisions, 4),
                    verified=True,
                    git_revision=self.task.revision,
                    command=self.task.command,
                    metrics={CPU_SECONDS: round(cpu_seconds, 1), DECISIONS: float(self.num_timesteps)},
                )
            )


def measure(run: TrainingRun, network: Network, test_set: TestSet, samples: int) -> tuple[list[float], int]:
    """Returns the objective of every instance, greedily or as the best of several samples, and the decisions taken."""
    definition = problem(run.problem)
    options = {key: value for key, value in run.options.items() if key in definition.behaviour}
    dispatcher = PolicyDispatcher(network, run.name)
    if samples == 1:
        outcomes = roll_out(definition, options, test_set.instances, dispatcher)
    else:
        drawing = dispatcher.sampling(SAMPLING_SEED)
        outcomes = [best_of(definition, options, each, drawing, samples) for each in test_set.instances]
    return [outcome.objective for outcome in outcomes], sum(outcome.decisions for outcome in outcomes)


def trace(task: Task, folder: Path) -> list[ResultRow]:
    """Trains in ``folder`` and returns the curve."""
    curve = CurveCallback(task)
    train(problem(task.run.problem), task.run, folder, callbacks=[curve])
    return curve.rows


class _Pace(BaseCallback):
    """Measures how many decisions a second of the processor gives, without the first update, and then stops."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.rate = 0.0
        self._updates = 0
        self._since = (0.0, 0)

    def _on_step(self) -> bool:
        return self.rate == 0.0

    def _on_rollout_start(self) -> None:
        self._updates += 1
        now = time.process_time()
        if self._updates == 2:
            self._since = (now, self.num_timesteps)
        elif self._updates > 2 and now - self._since[0] >= self.seconds:
            self.rate = self.rate_so_far()

    def rate_so_far(self) -> float:
        """Decisions a second since the first update; 0 where there was no other."""
        seconds, decisions = time.process_time() - self._since[0], self.num_timesteps - self._since[1]
        return decisions / seconds if self._updates >= 2 and decisions else 0.0


def pace(run: TrainingRun, folder: Path, seconds: float) -> float:
    """Returns how many decisions a training takes a second of processor time.

    It is measured on a whole training that is scaled down, since schedules may make its end slower than its beginning;
    how far, is measured on the beginning of a long one.

    Args:
        run: Its configuration.
        folder: Where it may write.
        seconds: Processor time to measure over, for each of both; at least one update is.
    """
    beginning = _Pace(seconds)
    definition = problem(run.problem)
    train(definition, with_settings(run, decisions=10**12), folder / "beginning", callbacks=[beginning])
    whole = _Pace(math.inf)
    scaled = with_settings(run, decisions=max(1, round(beginning.rate * seconds)))
    train(definition, scaled, folder / "whole", callbacks=[whole])
    return whole.rate_so_far() or beginning.rate


def with_settings(run: TrainingRun, **settings: Any) -> TrainingRun:
    """Returns the run with other settings of its learner."""
    kind = agent_named(run.agent.name).settings
    return replace(run, agent=kind.from_mapping({**run.agent.to_mapping(), **settings}))


def seed_of(run: TrainingRun) -> int:
    """The seed of the run's learner."""
    return int(run.agent.to_mapping()["seed"])


def are_curves(rows: Sequence[ResultRow]) -> bool:
    """Whether the rows are learning curves."""
    return bool(rows) and all(CPU_SECONDS in row.metrics for row in rows)


_STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""97.5 % quantiles of Student's distribution by the number of values; beyond, the next smaller is on the safe side."""


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns the mean and the half width of its 95 % interval, taking the values for normal; NaN for a single one."""
    if len(values) < 2:
        return float(np.mean(values)), math.nan
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)), _STUDENT[min(len(values), max(_STUDENT))] * spread


def curve_table(rows: Sequence[ResultRow]) -> str:
    """Returns a Markdown table of what every way of training came to, the best greedy mean first."""
    sets = list(dict.fromkeys(row.instance for row in rows))
    by_key: dict[tuple[str, str, str], list[ResultRow]] = {}
    for row in rows:
        by_key.setdefault((row.method, row.variant, row.instance), []).append(row)
    final = list(dict.fromkeys(row.variant for row in rows if "share=1" in row.variant.split(";")))
    columns = [(variant, name) for variant in final for name in sets]
    headings = [f"{name}, {_words(variant)}" for variant, name in columns]
    lines = [
        f"| training | seeds | processor s | decisions | {' | '.join(headings)} |",
        f"| --- | --- | --- | --- |{' --- |' * len(columns)}",
    ]

    def mean_of(method: str) -> float:
        gaps = [row.gap_percent for name in sets for row in by_key[method, final[0], name]]
        return float(np.mean([gap for gap in gaps if gap is not None]))

    for method in sorted(dict.fromkeys(row.method for row in rows), key=mean_of):
        own = by_key[method, final[0], sets[0]]
        seconds, decisions = (np.mean([row.metrics[name] for row in own]) for name in (CPU_SECONDS, DECISIONS))
        cells = [_cell(by_key.get((method, variant, name), [])) for variant, name in columns]
        lines.append(f"| **`{method}`** | {len(own)} | {seconds:.0f} | {decisions:,.0f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(rows: Sequence[ResultRow]) -> str:
    gaps = [row.gap_percent for row in rows if row.gap_percent is not None]
    if not gaps:
        return "–"
    mean, half = interval(gaps)
    return f"{mean:.2f}" if math.isnan(half) else f"{mean:.2f} ± {half:.2f}"


def _words(variant: str) -> str:
    settings: Mapping[str, str] = dict(part.split("=") for part in variant.split(";"))
    return f"best of {settings['samples']}" if "samples" in settings else "greedy"
