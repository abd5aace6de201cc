"""The evaluation script and the results page, from the command line to the files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agents.evaluation.rows import read_csv, write_csv
from envs.core import UsageError
from scripts import evaluate, results_tables

ROOT = Path(__file__).parents[2]


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["scripts/evaluate.py", *arguments])
    evaluate.main()


def test_one_command_gives_rows_report_and_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ("benchmark=taillard_small", "instances=[ta01,ta02]", "output=out", "csv=results.csv", "resamples=50")
    entries = 'methods=["rule:spt_mwkr",{rule: mwkr, builder: append},"rule:spt;noise=0.5;samples=4"]'
    run(monkeypatch, *arguments, entries)
    printed = capsys.readouterr().out
    rows = read_csv("out/rows.csv")
    assert [row.objective for row in rows[:2]] == [1423, 1429]
    own = """'methods=["rule:spt_mwkr"]'"""  # of three; a mapping is no text, so its rows say the whole command
    beginning = "python scripts/evaluate.py benchmark=taillard_small 'instances=[ta01,ta02]' resamples=50"
    commands = [f"{beginning} {each}" for each in (own, f"'{entries}'")]
    assert [row.command for row in rows[:4]] == [commands[0]] * 2 + [commands[1]] * 2
    assert read_csv("results.csv") == rows
    assert "6 new rows, 0 there before" in printed
    assert "spt_mwkr" in printed
    report = Path("out/report.html").read_text(encoding="utf-8")
    assert "http" not in report
    assert report.count("<svg") > 3  # plots, and charts of the first instance
    write_csv("results.csv", [replace(row, reference=1.0, gap_percent=0.0) for row in rows])  # as of an older table
    run(monkeypatch, *arguments, "methods=[rule:spt_mwkr,rule:mwkr]")
    assert [(row.reference, row.gap_percent) for row in read_csv("results.csv")[:6]] == [
        (row.reference, row.gap_percent) for row in rows
    ]
    assert "2 new rows, 6 there before" in capsys.readouterr().out
    assert len(read_csv("results.csv")) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "results.csv"]


def test_the_user_s_own_files_are_a_benchmark_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text("2 2\n0 3 1 2\n0 2 1 4\n", encoding="utf-8")
    run(monkeypatch, "benchmark=files", "benchmark.files=[mine.txt]", "methods=[rule:spt]", "output=out")
    (row,) = read_csv("out/rows.csv")
    assert (row.instance, row.objective, row.gap_percent) == ("mine", 8.0, None)
    assert "no gaps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["benchmark=nope"], "Could not find 'benchmark/nope'"),
        (["benchmark.name=nope"], "benchmark.name is 'nope'; job_shop has"),
        (["benchmark.problem=nope"], "there is no problem 'nope'"),
        (["nope=1"], "Could not override 'nope'"),
        (["methods=["], "no viable alternative"),
        (["methods=[]"], "methods is empty"),
        (["methods=[rule:nope]"], "job_shop has no rule 'nope'"),
        (["methods=[checkpoint:nope]"], "there is no checkpoint folder nope"),
        (["methods=[onnx:nope.onnx]"], "there is no file nope.onnx"),
        (['methods=["solver:cp_sat;speed=9"]'], "unexpected keyword argument 'speed'"),
        (["instances=[ta99]"], "benchmark taillard has no instance 'ta99'"),
        (["instances=[]"], "instances is empty"),
        (["options.builder=brick"], "builder is 'brick'"),
        (["+options.wall=1"], "no option 'wall'"),
        (["seeds=[a]"], "seeds is 'a'; expected a whole number"),
        (["lanes=0"], "lanes is 0; expected at least 1"),
        (["baseline=nope"], "baseline is 'nope'; expected one of the methods spt_mwkr"),
        (["charts=[nope]"], "charts names 'nope'"),
        (["confidence=2"], "confidence is 2.0"),
        (["csv=bad.csv"], "bad.csv has the columns"),
        (["benchmark=files"], "benchmark.files is empty"),
        (["benchmark=files", "benchmark.files=[none.txt]"], "none.txt"),
        (["benchmark=files", "benchmark.files=[bad.csv]"], "bad.csv"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("bad.csv").write_text("a,b\n", encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "output=out", *arguments)
    printed = capsys.readouterr()
    assert stop.value.code == 2
    assert printed.err.startswith("error: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


@pytest.mark.slow
def test_a_killed_run_leaves_whole_files_and_resumes(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), "benchmark=taillard", "methods=[rule:random]"]
    command += [f"output={tmp_path / 'out'}", "report=false"]
    rows = tmp_path / "out" / "rows.csv"
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        deadline = time.monotonic() + 300
        while not (rows.exists() and len(read_csv(rows)) >= 3) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    done = read_csv(rows)
    assert 3 <= len(done) < 80
    command.append("instances=[ta01,ta02,ta03,ta04,ta05,ta06]")
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    after = read_csv(rows)
    assert after[: len(done)] == done
    assert {f"ta0{i}" for i in range(1, 7)} <= {row.instance for row in after}
    assert len({row.key for row in after}) == len(after)


def test_the_results_page_is_made_from_the_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(
        monkeypatch,
        "methods=[rule:spt_mwkr,rule:mwkr]",
        "instances=[ta01,ta02,ta03,ta04,ta05,ta06,ta07,ta08,ta09,ta10]",
        "output=out",
        "report=false",
        "csv=results/job_shop/taillard.csv",
    )
    (tmp_path / "results" / "literature").mkdir()
    published = ROOT / "results" / "literature" / "job_shop_taillard.csv"
    (tmp_path / "results" / "literature" / "job_shop_taillard.csv").write_bytes(published.read_bytes())
    page = tmp_path / "docs" / "results.md"
    results_tables.update(tmp_path / "results", page)
    text = page.read_text(encoding="utf-8")
    assert "| **`spt_mwkr`** | `builder=non_delay` | 16.6 | – |" in text
    assert "| **`mwkr`** | `builder=non_delay` | 19.2 | – |" in text
    assert "| L2D | `builder=insertion` | 26.0 | 30.0 | 31.6 | 33.0 | 33.6 | 20.9 | 23.1 | 13.5 | 26.5 |" in text
    assert "68 of these values are proven optimal; on the other 12 it is only the best anyone has found" in text
    results_tables.update(tmp_path / "results", page, check=True)
    page.write_text(text + "typed by hand\n", encoding="utf-8")
    with pytest.raises(UsageError, match="is out of date"):
        results_tables.update(tmp_path / "results", page, check=True)


@pytest.mark.parametrize("name", ["taillard", "demirkol"])
def test_the_committed_literature_can_be_read(name):
    from agents.evaluation.tables import read_literature
    from envs.core import problem

    benchmark = problem("job_shop").benchmarks[name]()
    found = read_literature(ROOT / "results" / "literature" / f"job_shop_{name}.csv", benchmark.groups)
    means = {entry.method: entry.mean for entry in found}
    expected = {"taillard": {"L2D": 26.5, "SLIM": 13.4}, "demirkol": {"L2D": 38.7, "SLIM": 20.0}}[name]
    for method, mean in expected.items():
        assert means[method] == pytest.approx(mean, abs=0.06)
