"""Summaries, the report and the Markdown tables."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from agents.evaluation.report import ReportSettings, provenance, statement, write_report
from agents.evaluation.rows import ResultRow
from agents.evaluation.summary import summarise
from agents.evaluation.tables import comparison_table, entries, read_literature, variant_table
from envs.core import Benchmark, Reference, UsageError, problem
from envs.job_shop.generators import uniform

JOB_SHOP = problem("job_shop")


def benchmark():
    import numpy as np

    names = ("s1", "s2", "b1", "b2")
    instances = tuple(uniform(2, 2, np.random.default_rng(i), name=name) for i, name in enumerate(names))
    references = {name: Reference(100.0, "a survey", name == "b2", 90.0) for name in names}
    return Benchmark("small", instances, references, {"s1": "2x2", "s2": "2x2", "b1": "3x3", "b2": "3x3"})


BENCHMARK = benchmark()


def rows(method, gaps, kind="rule", variant="builder=non_delay", seed=0):
    return [
        ResultRow(
            instance=name,
            method=method,
            kind=kind,
            variant=variant,
            seed=seed,
            objective=100.0 + gap,
            reference=100.0,
            reference_source="a survey",
            reference_is_bound=name == "b2",
            gap_percent=gap,
            wall_seconds=0.5,
            decisions=0 if kind == "solver" else 10,
            ms_per_decision=None if kind == "solver" else 50.0,
            verified=True,
            git_revision="abc123",
            command="python scripts/evaluate.py <b>",
        )
        for name, gap in zip(("s1", "s2", "b1", "b2"), gaps, strict=False)
    ]


def test_a_summary_averages_seeds_then_instances():
    base = rows("spt", [10.0, 20.0, 30.0, 40.0])
    drawn = rows("random", [8.0, 18.0, 28.0, 38.0]) + rows("random", [12.0, 22.0, 32.0, 38.0], seed=1)
    spt, random = summarise(base + drawn, BENCHMARK.groups, baseline="spt")
    assert spt.group_gaps == {"2x2": 15.0, "3x3": 35.0}
    assert (spt.mean.estimate, spt.iqm.estimate) == (25.0, 25.0)
    assert (spt.seconds, spt.ms_per_decision, spt.seeds) == (0.5, 50.0, 1)
    assert spt.difference is None
    assert random.gaps == {"s1": 10.0, "s2": 20.0, "b1": 30.0, "b2": 38.0}
    assert random.seeds == 2
    assert random.difference.estimate == pytest.approx(-0.5)
    assert random.improvement.estimate == pytest.approx((0.5 + 0.5 + 0.5 + 1.0) / 4)
    with pytest.raises(UsageError, match="baseline 'nope' is not among the methods spt, random"):
        summarise(base + drawn, BENCHMARK.groups, baseline="nope")


def test_the_statement_says_which_references_are_only_bounds():
    text = statement(JOB_SHOP, BENCHMARK, ["s1", "s2", "b1", "b2"])
    assert "4 instances. Gaps are of the makespan to the best known value, in percent" in text
    assert "3 of these values are proven optimal; on the other 1 it is only the best anyone has found" in text
    assert "no gaps" in statement(JOB_SHOP, replace(BENCHMARK, references={}), ["s1"])


def test_the_report_needs_nothing_from_elsewhere_and_shows_what_was_measured(tmp_path):
    measured = rows("spt", [10.0, 20.0, 30.0, 40.0]) + rows("cp_sat", [0.0, 1.0, 2.0, 3.0], "solver", "time_limit=10")
    path = tmp_path / "report.html"
    write_report(path, JOB_SHOP, BENCHMARK, measured, [], ReportSettings())
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|//[a-z]|@import|<link|<script\s+src|<img", text)
    assert text.count("<svg") == 3
    assert "<td>15.00</td>" in text
    assert "abc123" in text
    assert "time_limit=10" in text
    assert "&lt;b&gt;" in text
    assert "100*</td>" in text
    assert "python 3." in text


def test_the_report_of_the_same_rows_is_the_same(tmp_path):
    for name in ("one", "two"):
        measured = rows("spt", [10.0, 20.0, 30.0, 40.0])
        write_report(tmp_path / name, JOB_SHOP, BENCHMARK, measured, [], ReportSettings(resamples=100))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_report_without_references_has_objectives(tmp_path):
    bare = [replace(row, reference=None, gap_percent=None) for row in rows("spt", [10.0, 20.0])]
    write_report(tmp_path / "r.html", JOB_SHOP, replace(BENCHMARK, references={}), bare, [], ReportSettings())
    assert "<td>110</td>" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_provenance_lists_every_command_once():
    found = provenance(rows("spt", [1.0, 2.0]) + rows("lpt", [1.0, 2.0], seed=3))
    assert found["command"] == "python scripts/evaluate.py <b>"
    assert (found["git revision"], found["seeds"], found["references"]) == ("abc123", "0, 3", "a survey")


def literature(tmp_path, text):
    path = tmp_path / "literature.csv"
    path.write_text(f"method,category,builder,group,gap_percent,seconds,source\n{text}", encoding="utf-8")
    return read_literature(path, BENCHMARK.groups)


def test_tables_set_our_rows_beside_the_literature(tmp_path):
    own = entries(
        rows("spt", [10.0, 20.0, 30.0, 40.0])
        + rows("spt", [50.0, 50.0, 50.0, 50.0], variant="builder=active")
        + rows("half", [1.0, 2.0])
        + rows("policy", [4.0, 4.0, 4.0, 4.0], "learned", "builder=non_delay;samples=8"),
        BENCHMARK,
    )
    published = literature(tmp_path, "L2D,greedy,insertion,2x2,12,1,A\nL2D,greedy,insertion,3x3,13,2,A\n")
    text = comparison_table(own, published, BENCHMARK)
    lines = text.splitlines()
    assert lines[2] == "| method | setting | 2x2 | 3x3 | mean | 95 % interval | s / instance | source |"
    assert lines[4] == "| L2D | `builder=insertion` | 12.0 | 13.0 | 12.5 | – | 1.5 | [1] |"
    assert lines[5].startswith("| **`spt`** | `builder=non_delay` | 15.0 | 35.0 | 25.0 |")
    assert lines[6].startswith("| **`half`** | `builder=non_delay` | 1.5 | – | – | – |")
    assert "builder=active" not in text
    assert "Best of several sampled schedules" in text
    assert "- [1] A" in text
    assert variant_table(own).splitlines()[2] == "| `spt` | 25.0 | 50.0 |"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("L2D,magic,,2x2,1,,A\n", "line 2: category is 'magic'; expected greedy"),
        ("L2D,greedy,,9x9,1,,A\n", "line 2: group is '9x9'; expected 2x2, 3x3"),
        ("L2D,greedy,,2x2,one,,A\n", "literature row of L2D"),
    ],
)
def test_mistakes_in_literature_files_are_named(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        literature(tmp_path, text)
