"""Curves of methods under several budgets."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from agents.evaluation.budgets import budget_curves, budget_table
from agents.evaluation.plots import decision_plot
from agents.evaluation.report import ReportSettings, write_report
from agents.evaluation.summary import summarise
from envs.core import UsageError, problem
from scripts import results_tables
from tests.agents.evaluation.test_report import BENCHMARK, rows


def measured(variant, gap, decisions, **settings):
    return [replace(row, decisions=decisions) for row in rows("net", [gap] * 4, variant=variant, **settings)]


ROWS = [
    *measured("builder=append;samples=32;temperature=2", 8.0, 320, kind="learned"),
    *measured("builder=append;samples=8;temperature=2", 9.0, 80, kind="learned"),
    *measured("builder=append", 12.0, 10, kind="learned"),
    *measured("builder=append;plan=gumbel;simulations=4", 10.0, 500, kind="search"),
    *rows("cp_sat", [0.0] * 4, kind="solver", variant="time_limit=10"),
]


def test_methods_that_differ_in_their_budget_alone_are_one_curve():
    curves = budget_curves(summarise(ROWS, BENCHMARK.groups))
    found = {str(curve.key): [(p.decisions, p.mean.estimate) for p in curve.points] for curve in curves}
    assert found == {
        "net (builder=append;temperature=2)": [(80, 9.0), (320, 8.0)],
        "net (builder=append)": [(10, 12.0)],
        "net (builder=append;plan=gumbel)": [(500, 10.0)],
    }


def test_greedy_and_sampled_runs_of_one_variant_are_not_joined():
    some = [*measured("builder=append", 12.0, 10), *measured("builder=append;samples=8", 9.0, 80)]
    assert [len(curve.points) for curve in budget_curves(summarise(some, BENCHMARK.groups))] == [1, 1]


def test_the_table_has_a_line_a_point_by_growing_budget():
    lines = budget_table(budget_curves(summarise(ROWS, BENCHMARK.groups))).splitlines()
    assert [re.findall(r"\| (\d+) \| (\S+) \|", line) for line in lines[2:]] == [
        [("80", "9.0")],
        [("320", "8.0")],
        [("10", "12.0")],
        [("500", "10.0")],
    ]


def test_a_picture_is_the_same_every_time_and_names_every_curve():
    summaries = summarise(ROWS, BENCHMARK.groups)
    picture = decision_plot(summaries, whole=True)
    assert picture == decision_plot(summaries, whole=True)
    assert picture.startswith("<svg")
    assert "http://www.w3.org/2000/svg" in picture
    assert all(str(curve.key) in picture for curve in budget_curves(summaries))
    assert "http" not in decision_plot(summaries)


@pytest.mark.parametrize(("chosen", "shown"), [(ROWS, True), (rows("spt", [1.0] * 4), False)])
def test_a_report_has_the_plot_where_a_method_had_several_budgets(chosen, shown, tmp_path):
    write_report(tmp_path / "r.html", problem("job_shop"), BENCHMARK, chosen, [], ReportSettings())
    assert ("decisions an instance" in (tmp_path / "r.html").read_text(encoding="utf-8")) is shown


def test_a_planning_file_becomes_a_section_with_a_picture_that_is_checked(tmp_path, monkeypatch):
    file = tmp_path / "results" / "job_shop" / "planning.csv"
    file.parent.mkdir(parents=True)
    file.write_text("placeholder", encoding="utf-8")
    monkeypatch.setattr(results_tables, "read_csv", lambda _: ROWS)
    monkeypatch.setattr(results_tables, "find_owner", lambda definition, *_: (definition, BENCHMARK))
    page = tmp_path / "docs" / "results.md"
    (tmp_path / "docs" / "images").mkdir(parents=True)
    results_tables.update(tmp_path / "results", page)
    assert "![Gap against decisions](images/job_shop_planning.svg)" in page.read_text(encoding="utf-8")
    results_tables.update(tmp_path / "results", page, check=True)
    picture = tmp_path / "docs" / "images" / "job_shop_planning.svg"
    picture.write_text("other", encoding="utf-8")
    with pytest.raises(UsageError, match=r"job_shop_planning\.svg is out of date"):
        results_tables.update(tmp_path / "results", page, check=True)
