"""Rows: what they hold, how they are stored, how a run resumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from pyarrow import parquet

from agents.evaluation.methods import build_methods
from agents.evaluation.rows import COLUMNS, ResultStore, gap_percent, merge, read_csv, write_csv, write_parquet
from agents.evaluation.runner import Origin, evaluate, refer
from agents.rollout import VerificationError
from envs.core import Benchmark, Reference, UsageError, problem
from envs.job_shop.types import JobShopInstance

JOB_SHOP = problem("job_shop")
ORIGIN = Origin("abc123", "python scripts/evaluate.py")
ISSUE_COLUMNS = (
    "instance, method, kind, variant, seed, objective, reference, reference_source, reference_is_bound, gap_percent, "
    "wall_seconds, decisions, ms_per_decision, verified, git_revision, command"
)


def instance(name, times):
    return JobShopInstance(name, np.array([[0, 1], [0, 1]]), np.array(times), 2)


BENCHMARK = Benchmark(
    "small",
    (instance("a", [[3, 2], [2, 4]]), instance("b", [[3, 2], [2, 4]]), instance("c", [[1, 1], [1, 1]])),
    {"a": Reference(8.0, "by hand", False, 8.0), "b": Reference(5.0, "someone, once", True, 4.0)},
    {"a": "2x2", "b": "2x2", "c": "2x2"},
)


def methods(*entries, definition=JOB_SHOP):
    return build_methods(definition, entries, {"builder": "non_delay"}, 128)


def run(store, *entries, seeds=(0,), **arguments):
    evaluate(BENCHMARK, methods(*entries), seeds, store, ORIGIN, **arguments)
    return store.rows


def test_a_row_says_everything(tmp_path):
    rows = run(ResultStore(tmp_path), "rule:spt")
    assert ", ".join(COLUMNS) == ISSUE_COLUMNS
    a, b, c = rows
    assert (a.instance, a.method, a.kind, a.variant, a.seed) == ("a", "spt", "rule", "builder=non_delay", 0)
    assert (a.objective, a.reference, a.gap_percent, a.reference_is_bound) == (8.0, 8.0, 0.0, False)
    assert (b.objective, b.gap_percent, b.reference_is_bound, b.reference_source) == (8.0, 60.0, True, "someone, once")
    assert (c.reference, c.gap_percent, c.reference_source) == (None, None, "")
    assert a.verified
    assert (a.decisions, a.git_revision, a.command) == (
        2, "abc123", "python scripts/evaluate.py 'methods=[\"rule:spt\"]'",
    )  # fmt: skip
    assert a.ms_per_decision == pytest.approx(1000 * a.wall_seconds / 2, abs=1e-3)


def test_a_row_says_the_command_of_its_own_method(tmp_path):
    rows = run(ResultStore(tmp_path), "rule:all;builder=active", {"rule": "spt", "builder": "append"}, "rule:random")
    told = {(row.variant, row.command) for row in rows if row.method in ("spt", "random")}
    assert told == {
        ("builder=active", "python scripts/evaluate.py 'methods=[\"rule:all;builder=active\"]'"),
        ("builder=append", "python scripts/evaluate.py"),  # a mapping is not written as one string
        ("builder=non_delay", "python scripts/evaluate.py 'methods=[\"rule:random\"]'"),
    }


def test_a_row_is_measured_against_a_new_reference(tmp_path):
    row = run(ResultStore(tmp_path), "rule:spt")[1]
    now = replace(BENCHMARK, references={"b": Reference(4.0, "someone else", False, 4.0)})
    expected = replace(row, reference=4.0, reference_source="someone else", reference_is_bound=False, gap_percent=100.0)
    assert refer(row, now) == expected
    assert refer(expected, BENCHMARK) == row


def test_both_files_give_the_rows_back(tmp_path):
    store = ResultStore(tmp_path)
    rows = run(store, "rule:spt", "rule:random;samples=3", seeds=(0, 7))
    assert read_csv(store.csv_path) == rows
    assert parquet.read_table(store.parquet_path).to_pylist() == [row.to_record() for row in rows]
    assert len(rows) == 3 + 2 * 3  # a plain rule runs once, whatever the seeds


def test_a_second_run_does_only_what_is_missing(tmp_path):
    first = list(run(ResultStore(tmp_path), "rule:spt"))
    new = []
    rows = run(ResultStore(tmp_path), "rule:spt", "rule:lpt", watch=lambda row, outcome: new.append(row))
    assert rows[:3] == first
    assert [row.method for row in new] == ["lpt"] * 3
    fresh = ResultStore(tmp_path, resume=False)
    assert fresh.rows == []


def test_a_run_that_stops_halfway_leaves_whole_files_and_goes_on_from_there(tmp_path):
    def stop(row, outcome):
        if row.instance == "b":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(ResultStore(tmp_path), "rule:random", watch=stop)
    assert [row.instance for row in read_csv(tmp_path / "rows.csv")] == ["a", "b"]
    assert parquet.read_table(tmp_path / "rows.parquet").num_rows == 2
    rows = run(ResultStore(tmp_path), "rule:random")
    assert [row.instance for row in rows] == ["a", "b", "c"]
    whole = run(ResultStore(tmp_path / "whole"), "rule:random")
    assert [row.objective for row in rows] == [row.objective for row in whole]


def test_a_wrong_objective_is_no_row(tmp_path):
    liar = replace(JOB_SHOP, verify=lambda instance, solution: 7.0)
    store = ResultStore(tmp_path)
    with pytest.raises(VerificationError):
        evaluate(BENCHMARK, methods("rule:spt", definition=liar), [0], store, ORIGIN)
    assert not store.csv_path.exists()


class Unwritable:
    """A row that fails while it is written."""

    metrics: Mapping[str, float] = {}

    def to_record(self):
        raise TypeError


def test_a_failed_write_leaves_the_old_file(tmp_path):
    store = ResultStore(tmp_path)
    rows = list(run(store, "rule:spt"))
    before = store.csv_path.read_bytes(), store.parquet_path.read_bytes()
    with pytest.raises(TypeError):
        write_csv(store.csv_path, [*rows, Unwritable()])
    with pytest.raises(TypeError):
        write_parquet(store.parquet_path, [*rows, Unwritable()])
    assert (store.csv_path.read_bytes(), store.parquet_path.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.parquet"]


def test_merging_replaces_runs_and_keeps_the_rest(tmp_path):
    old = list(run(ResultStore(tmp_path), "rule:spt"))
    new = [replace(old[1], objective=6.0)]
    assert [row.objective for row in merge(old, new)] == [8.0, 6.0, old[2].objective]


def test_gaps():
    assert gap_percent(1423.0, Reference(1231.0, "", False, 1231.0)) == 15.5971
    assert gap_percent(5.0, None) is None
    assert gap_percent(5.0, Reference(0.0, "", False, 0.0)) is None


def test_files_that_are_not_results_are_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"rows.csv has the columns \['a', 'b'\]; expected instance, method"):
        ResultStore(tmp_path)
    path.unlink()
    run(ResultStore(tmp_path), "rule:spt")
    path.write_text(path.read_text(encoding="utf-8").replace(",8,8,", ",eight,8,"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"rows.csv, line 2: objective is 'eight'; expected float"):
        ResultStore(tmp_path)


@pytest.mark.parametrize("seeds", [[], [-1], [True], [0.5]])
def test_seeds_are_checked_before_anything_is_written(tmp_path, seeds):
    with pytest.raises(UsageError, match="seeds"):
        run(ResultStore(tmp_path / "out"), "rule:spt", seeds=seeds)
    assert not (tmp_path / "out").exists()
