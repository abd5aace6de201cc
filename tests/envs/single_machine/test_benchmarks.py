"""The published collections: means of the rules that the research measured, and errors for files that are not there."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from agents.dispatcher import RuleDispatcher
from agents.rollout import roll_out
from envs.core import UsageError, problem
from envs.single_machine.benchmarks import BENCHMARKS
from envs.single_machine.instance import read_orlib

DEFINITION = problem("single_machine")
FOLDER = Path(os.environ.get("DISPATCHLAB_DATA", "/nonexistent")) / "jobshop"
collections = pytest.mark.skipif(not FOLDER.is_dir(), reason="DISPATCHLAB_DATA names no folder with jobshop")


def objectives(benchmark, method):
    if method.startswith("augmented_"):
        solver = DEFINITION.solvers["augmented"](rule=method.removeprefix("augmented_"))
        return np.array([solver(instance).objective for instance in benchmark.instances])
    dispatcher = RuleDispatcher(DEFINITION.rules[method])
    outcomes = roll_out(DEFINITION, DEFINITION.fit(benchmark.instances), benchmark.instances, dispatcher)
    return np.array([outcome.objective for outcome in outcomes])


@collections
@pytest.mark.parametrize(
    ("name", "method", "mean"),
    [
        ("tardiness_20", "edd", 46.48),
        ("tardiness_20", "eddc", 12.83),
        ("tardiness_20", "mdd", 1.88),
        ("tardiness_20", "mddc", 1.70),
        ("tardiness_20", "psk", 1.77),
        ("tardiness_20", "augmented_mdd", 1.18),
        ("tardiness_20", "augmented_mddc", 0.79),
        ("tardiness_100", "eddc", 28.12),
        ("tardiness_100", "mdd", 1.81),
        ("tardiness_100", "mddc", 1.52),
        ("tardiness_100", "psk", 1.795),
        ("tardiness_100", "augmented_mddc", 1.08),
    ],
)
def test_mean_gaps_are_the_published_ones(name, method, mean):
    benchmark = BENCHMARKS[name]()
    found = objectives(benchmark, method)
    best = np.array([benchmark.references[instance.name].value for instance in benchmark.instances])
    assert np.all(found >= best)
    assert 100.0 * (found[best > 0] / best[best > 0] - 1.0).mean() == pytest.approx(mean, abs=0.0051)


@collections
@pytest.mark.parametrize(("name", "gap"), [("wt40", 1.07), ("wt50", 1.42), ("wt100", 1.45)])
def test_wmdd_has_the_measured_aggregated_gap(name, gap):
    benchmark = BENCHMARKS[name]()
    best = sum(reference.value for reference in benchmark.references.values())
    assert 100.0 * (objectives(benchmark, "wmdd").sum() / best - 1.0) == pytest.approx(gap, abs=0.0051)


@collections
def test_dynasearch_finds_best_known_values():
    benchmark = BENCHMARKS["wt40"]()
    solver = DEFINITION.solvers["dynasearch"](rounds=300)
    chosen = benchmark.instances[:10]
    found = [solver(instance).objective for instance in chosen]
    assert found == [benchmark.references[instance.name].value for instance in chosen]


def test_drawn_benchmarks_have_proven_optima():
    for name in ("drawn_tardiness", "drawn_weighted_tardiness"):
        benchmark = BENCHMARKS[name]()
        assert len(benchmark.instances) == len(benchmark.references) == 100
        assert np.all(
            objectives(benchmark, "wmdd") >= [benchmark.references[i.name].value for i in benchmark.instances]
        )


def test_missing_files_are_named(monkeypatch, tmp_path):
    monkeypatch.delenv("DISPATCHLAB_DATA", raising=False)
    with pytest.raises(UsageError, match="set the environment variable DISPATCHLAB_DATA"):
        BENCHMARKS["wt40"]()
    monkeypatch.setenv("DISPATCHLAB_DATA", str(tmp_path))
    for name in ("wt40", "tardiness_20"):
        with pytest.raises(UsageError, match="is not a file"):
            BENCHMARKS[name]()


def test_own_files_of_orlib_are_read(monkeypatch, tmp_path):
    monkeypatch.setenv("DISPATCHLAB_DATA", str(tmp_path))
    folder = tmp_path / "single_machine"
    folder.mkdir()
    numbers = np.arange(1, 125 * 120 + 1)
    (folder / "wt40.txt").write_text("\n".join(" ".join(map(str, row)) for row in numbers.reshape(-1, 20)))
    (folder / "wtopt40.txt").write_text("\n".join("7" * 125))
    benchmark = BENCHMARKS["wt40"]()
    assert len(benchmark.instances) == 125
    assert benchmark.instances[1].due.tolist() == list(range(201, 241))
    assert benchmark.references["wt40_125"].value == 7.0
    (folder / "wtopt40.txt").write_text("1 2 three")
    with pytest.raises(UsageError, match=r"wtopt40\.txt: holds 3 words; expected 125"):
        BENCHMARKS["wt40"]()


def test_other_sizes_are_refused(tmp_path):
    (tmp_path / "wt.txt").write_text("1 2 3 4")
    with pytest.raises(UsageError, match=r"wt\.txt: holds 4 numbers; expected a multiple of 6"):
        read_orlib(tmp_path / "wt.txt", 2, "wt")


def test_broken_collections_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("DISPATCHLAB_DATA", str(tmp_path))
    (tmp_path / "jobshop").mkdir()
    file = tmp_path / "jobshop" / "orlib_wt.jsonl"
    file.write_text(json.dumps({"set": "wt40", "i": 1, "p": "no list", "d": [1], "best": 0}) + "\n")
    with pytest.raises(UsageError, match="p is 'no list'; expected a list of integers"):
        BENCHMARKS["wt40"]()
    file.write_text("{")
    with pytest.raises(UsageError, match=r"line 1: expected a JSON object"):
        BENCHMARKS["wt40"]()
