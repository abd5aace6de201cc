"""Instances on which the environment itself draws: every method meets the same draws, seed by seed."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
from pyarrow import parquet

from agents.dispatcher import RandomDispatcher, RuleDispatcher
from agents.evaluation.methods import build_methods
from agents.evaluation.report import ChartFolder, ReportSettings, write_report
from agents.evaluation.rows import COLUMNS, ResultRow, ResultStore, merge, read_csv, write_csv
from agents.evaluation.runner import Origin, evaluate
from agents.evaluation.seeds import group_seed_table, seed_table, stochastic_rows, summarise_seeds
from agents.rollout import best_of, roll_out
from envs.core import Benchmark, UsageError
from tests.agents.dice import DICE, DiceInstance

ORIGIN = Origin("abc123", "python scripts/evaluate.py")
SHORT, LONG, LOADED = DiceInstance("short", 3), DiceInstance("long", 6), DiceInstance("loaded", 3, loaded=True)
BENCHMARK = Benchmark("dice", (SHORT, LONG, LOADED))
SEEDS = (3, 4, 5, 6)


def run(store, *entries, seeds=SEEDS, benchmark=BENCHMARK, lanes=128, **arguments):
    evaluate(benchmark, build_methods(DICE, entries, {}, lanes), seeds, store, ORIGIN, **arguments)
    return store.rows


def by_key(rows):
    return {row.key: row for row in rows}


def times(row):
    """What says whether two runs were the same."""
    return row.objective, row.metrics


def test_every_method_runs_every_seed_where_the_environment_draws(tmp_path):
    rows = run(ResultStore(tmp_path), "rule:throw", "rule:random")
    count = {(r.method, r.instance): 0 for r in rows}
    for row in rows:
        count[row.method, row.instance] += 1
    assert count == {
        ("throw", "short"): 4, ("throw", "long"): 4, ("throw", "loaded"): 1,
        ("random", "short"): 4, ("random", "long"): 4, ("random", "loaded"): 4,
    }  # fmt: skip
    assert len({row.objective for row in rows if (row.method, row.instance) == ("throw", "long")}) > 1
    assert {row.seed for row in rows if row.instance == "long"} == set(SEEDS)


def test_all_methods_meet_the_same_dice(tmp_path):
    throw, alternate, same = (
        {
            row.seed: row
            for row in run(ResultStore(tmp_path / name), f"rule:{rule};name={name}")
            if row.instance == "long"
        }
        for name, rule in (("a", "throw"), ("b", "alternate"), ("c", "throw"))
    )
    for seed in SEEDS:
        assert times(throw[seed]) == times(same[seed])
    outcomes = roll_out(DICE, {}, [LONG] * 4, RuleDispatcher(DICE.rules["throw"]), seed=SEEDS)
    other = roll_out(DICE, {}, [LONG] * 4, RuleDispatcher(DICE.rules["alternate"]), seed=SEEDS)
    assert [outcome.seed for outcome in outcomes] == list(SEEDS)
    for first, second in zip(outcomes, other, strict=True):
        assert second.solution == tuple(2.0 if i % 2 else eyes for i, eyes in enumerate(first.solution))
    assert [alternate[seed].objective for seed in SEEDS] == [outcome.objective for outcome in other]


@pytest.mark.parametrize("lanes", [1, 3, 128])
def test_a_run_depends_on_its_seed_and_instance_alone(tmp_path, lanes):
    together = by_key(run(ResultStore(tmp_path / "a"), "rule:random", "rule:alternate;noise=2", lanes=lanes))
    for instance in (SHORT, LONG):
        alone = by_key(
            run(
                ResultStore(tmp_path / instance.name), "rule:random", "rule:alternate;noise=2",
                seeds=[5], benchmark=Benchmark("one", (instance,)), lanes=lanes,
            )
        )  # fmt: skip
        assert len(alone) == 2
        for key, row in alone.items():
            assert times(together[key]) == times(row)


def test_the_best_of_several_episodes_is_refused_where_the_environment_draws(tmp_path):
    message = r"method random \(samples=8\): samples is 8, but the environment draws .* runs short.*expected 1"
    with pytest.raises(UsageError, match=message):
        run(ResultStore(tmp_path / "out"), "rule:throw", "rule:random;samples=8")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="samples is 2, but the environment draws"):
        best_of(DICE, {}, SHORT, RandomDispatcher(0), 2)
    assert len(run(ResultStore(tmp_path / "one"), "rule:random;samples=1", seeds=[0])) == 3
    only = Benchmark("loaded", (LOADED,))
    assert run(ResultStore(tmp_path / "loaded"), "rule:random;samples=100", seeds=[0], benchmark=only)[0].objective == 6


def test_metrics_follow_the_fixed_columns_and_come_back(tmp_path):
    store = ResultStore(tmp_path)
    rows = run(store, "rule:throw")
    loaded = next(row for row in rows if row.instance == "loaded")
    assert loaded.metrics == {"longest": 3.0, "waits": 0.0}
    with store.csv_path.open(encoding="utf-8", newline="") as handle:
        assert tuple(next(csv.reader(handle))) == (*COLUMNS, "longest", "waits")
    assert read_csv(store.csv_path) == rows
    assert parquet.read_table(store.parquet_path).to_pylist() == [row.to_record() for row in rows]


def test_a_resumed_run_does_only_the_seeds_that_are_missing(tmp_path):
    first = list(run(ResultStore(tmp_path), "rule:throw", seeds=SEEDS[:2]))
    new = []
    rows = run(ResultStore(tmp_path), "rule:throw", watch=lambda row, outcome: new.append(row))
    assert rows[: len(first)] == first
    assert {(row.instance, row.seed) for row in new} == {("short", 5), ("long", 5), ("short", 6), ("long", 6)}
    assert len(new) == 4
    whole = by_key(run(ResultStore(tmp_path / "whole"), "rule:throw"))
    assert {key: times(row) for key, row in by_key(rows).items()} == {key: times(row) for key, row in whole.items()}


def plain_row(**values):
    row = ResultRow("a", "m", "rule", "", 0, 1.0, None, "", False, None, 0.5, 1, 500.0, True, "abc", "command")
    return replace(row, **values)


def test_rows_with_other_metrics_or_none_share_a_file(tmp_path):
    rows = [
        plain_row(),
        plain_row(seed=1, metrics={"b": 2.5, "a": math.inf}),
        plain_row(seed=2, metrics={"a": 0.0, "c": -1.0}),
    ]
    write_csv(tmp_path / "rows.csv", rows)
    lines = (tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[len(COLUMNS) :] for line in lines] == [
        ["b", "a", "c"], ["", "", ""], ["2.5", "inf", ""], ["", "0", "-1"],
    ]  # fmt: skip
    assert read_csv(tmp_path / "rows.csv") == rows
    assert merge(rows, [plain_row(seed=1, metrics={"a": 7.0})])[1].metrics == {"a": 7.0}
    undefined = plain_row(metrics={"a": math.nan})
    write_csv(tmp_path / "rows.csv", [undefined])
    assert math.isnan(read_csv(tmp_path / "rows.csv")[0].metrics["a"])
    text = (tmp_path / "rows.csv").read_text(encoding="utf-8")
    (tmp_path / "rows.csv").write_text(text.replace(",nan", ",many"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"rows.csv, line 2: a is 'many'; expected float"):
        read_csv(tmp_path / "rows.csv")


def test_a_metric_may_not_be_given_twice(tmp_path):
    write_csv(tmp_path / "rows.csv", [plain_row(metrics={"a": 1.0, "b": 2.0})])
    text = (tmp_path / "rows.csv").read_text(encoding="utf-8")
    (tmp_path / "rows.csv").write_text(text.replace(",a,b", ",a,a"), encoding="utf-8")
    with pytest.raises(UsageError, match="has the columns"):
        read_csv(tmp_path / "rows.csv")


def seeded(method, objectives, instance="a", seeds=None, **values):
    seeds = range(len(objectives)) if seeds is None else seeds
    return [
        plain_row(
            instance=instance, method=method, seed=seed, objective=objective, metrics={"late": objective - 1}, **values
        )
        for seed, objective in zip(seeds, objectives, strict=True)
    ]


def test_means_and_paired_differences_are_taken_seed_by_seed():
    base = seeded("base", [10.0, 20.0, 30.0])
    other = seeded("other", [9.0, 19.0, 29.0])
    partial = seeded("partial", [25.0, 99.0], seeds=[2, 7])
    strange = seeded("strange", [1.0], seeds=[50])
    first, second, third, fourth = summarise_seeds(base + other + partial + strange, baseline="base")
    assert (first.objective.estimate, first.seeds, first.difference) == (20.0, 3, None)
    assert first.objective.low < 20.0 < first.objective.high
    assert first.metrics == {"late": 19.0}
    assert second.difference == (-1.0, -1.0, -1.0)  # one less under every seed, however much seeds differ
    assert third.difference == (-5.0, -5.0, -5.0)  # seed 2 alone is common
    assert fourth.difference is None
    assert summarise_seeds([]) == []
    with pytest.raises(UsageError, match="baseline 'nobody' is not among the methods base, other"):
        summarise_seeds(base + other, baseline="nobody")


def test_undefined_measures_are_left_out_of_their_mean():
    rows = [plain_row(seed=i, metrics={"a": value, "b": math.nan}) for i, value in enumerate([1.0, math.nan, 3.0])]
    (summary,) = summarise_seeds(rows)
    assert summary.metrics["a"] == 2.0
    assert math.isnan(summary.metrics["b"])


def test_the_table_has_the_best_method_first():
    rows = seeded("base", [10.0, 20.0]) + seeded("other", [9.0, 18.0], variant="noise=1")
    table = seed_table(summarise_seeds(rows), ["late", "unknown"])
    lines = table.splitlines()
    assert lines[0] == "#### a"
    assert lines[4].startswith("| `other` | `noise=1` | 2 | 13.5 | 9.0 – 18.0 | -1.5 (-2.0 to -1.0) | 12.5 | – |")
    assert lines[5].startswith("| `base` |  | 2 | 15.0 | 10.0 – 20.0 | – | 14.0 | – |")


def test_the_report_shows_means_over_seeds_and_draws_one_of_them(tmp_path):
    store = ResultStore(tmp_path)
    charts = ChartFolder(tmp_path / "charts", DICE, ["short"], SEEDS[0])
    run(store, "rule:throw", "rule:alternate", watch=charts.watch)
    assert [row.instance for row in stochastic_rows(store.rows, BENCHMARK.instances, DICE.stochastic)].count(
        "loaded"
    ) == 0
    assert len(charts.charts(store.rows)) == 2
    write_report(tmp_path / "r.html", DICE, BENCHMARK, store.rows, charts.charts(store.rows), ReportSettings())
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Over seeds" in text
    assert "<th>longest</th><th>waits</th>" in text
    mean = np.mean([row.objective for row in store.rows if (row.method, row.instance) == ("throw", "long")])
    assert f"<td>{mean:.2f}</td>" in text


def test_groups_are_compared_run_by_run():
    """Ratios 2 and 4 on one instance, 6 on the other: their mean by instance is (3 + 6) / 2."""

    def row(method, instance, seed, objective):
        return ResultRow(
            instance, method, "rule", "", seed, objective, None, "", False, None, 2.0, 1, 1.0, True, "", ""
        )

    rows = [row("base", "a", 0, 10.0), row("base", "a", 1, 20.0), row("base", "b", 0, 5.0), row("base", "c", 0, 1.0)]
    rows += [row("other", "a", 0, 20.0), row("other", "a", 1, 80.0), row("other", "b", 0, 30.0)]
    rows += [row("better", "a", 0, 5.0)]
    table = group_seed_table(rows, {"a": "small", "b": "small", "c": "large"})
    assert table.index("#### small") < table.index("#### large")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| `")]
    assert [line[0] for line in lines] == ["`better`", "`base`", "`other`", "`base`"]
    assert lines[0][2:5] == ["1 × 1", "5.0", "0.5000"]
    assert lines[1][2:6] == ["2 × 2", "11.7", "1.0000", "1.0000 – 1.0000"]
    assert lines[2][2:6] == ["2 × 2", "43.3", "4.5000", "3.0000 – 6.0000"]
