"""Comparisons of trainings, from the command line to the table."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from agents.evaluation import curves
from agents.evaluation.curves import (
    CPU_SECONDS,
    DECISIONS,
    Task,
    TestSet,
    are_curves,
    curve_table,
    interval,
    with_settings,
)
from agents.evaluation.rows import ResultRow, read_csv
from envs.core import UsageError
from scripts import compare_training

CONF = Path(__file__).parents[2] / "conf" / "comparison"
TINY = {
    "name": "tiny",
    "common": [
        "env=job_shop",
        "env.options.builder=append",
        "env.options.sizes=[[3,3]]",
        "model.hidden=8",
        "model.heads=2",
        "agent.settings.threads=1",
    ],
    "sets": {
        "3x3": {"options": {"sizes": [[3, 3]]}, "instances": 4, "seed": 7},
        "4x3": {"options": {"sizes": [[4, 3]]}, "instances": 3, "seed": 8},
    },
    "variants": {
        "ppo": ["agent=ppo", "agent.settings.lanes=4", "agent.settings.steps=16", "agent.settings.minibatch=32"],
        "slim": ["agent=group_slim", "agent.settings.instances=2", "agent.settings.rollouts=4"],
    },
}


NOISY = {
    "common": ["env=stochastic_job_shop", "agent.settings.threads=1"],
    "sets": {"3x3": {"options": {"sizes": [[3, 3]]}, "instances": 1, "seed": 7}},
    "variants": {"ppo": []},
}


@pytest.fixture
def settings(tmp_path):
    return {
        "comparison": TINY,
        "variants": None,
        "seeds": [0],
        "cpu_seconds": 0.4,
        "pace_seconds": 0.2,
        "points": 2,
        "samples": 4,
        "reference": "solver:cp_sat;time_limit=5;workers=1",
        "workers": 1,
        "output": str(tmp_path / "out"),
        "csv": str(tmp_path / "curves.csv"),
    }


@pytest.mark.slow
def test_a_comparison_writes_curves_once(settings, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scripts/compare_training.py", "comparison=tiny", "output=x"])
    compare_training.run({**settings, "variants": ["slim"]})
    first = read_csv(tmp_path / "curves.csv")
    compare_training.run(settings)
    rows = read_csv(tmp_path / "curves.csv")
    assert rows[: len(first)] == first
    assert are_curves(rows)
    assert {(row.method, row.seed) for row in rows} == {(name, 0) for name in TINY["variants"]}
    assert {row.command for row in rows} == {"python scripts/compare_training.py comparison=tiny"}
    for row in rows:
        assert row.verified
        assert row.gap_percent >= 0  # the reference is optimal on such instances
        assert row.metrics[CPU_SECONDS] > 0
        own = [each for each in rows if (each.method, each.seed, each.instance) == (row.method, row.seed, row.instance)]
        assert [each.variant for each in own][-2:] == ["share=1", "share=1;samples=4"]
        assert own[-2].metrics[DECISIONS] == max(each.metrics[DECISIONS] for each in own)
        assert [each.metrics[DECISIONS] for each in own] == sorted(each.metrics[DECISIONS] for each in own)
    references = json.loads((tmp_path / "out" / "references.json").read_text(encoding="utf-8"))
    assert sorted(len(objectives) for objectives in references.values()) == [3, 4]
    paces = json.loads((tmp_path / "out" / "pace.json").read_text(encoding="utf-8"))
    assert set(paces) == set(TINY["variants"])
    assert "| training | seeds |" in capsys.readouterr().out


def test_the_pace_is_that_of_a_whole_training(tmp_path, monkeypatch):
    """A learner whose decisions cost ten times as much in the second half of any training."""
    clock = [0.0]

    def train(definition, run, folder, *, callbacks):
        del definition, folder
        (callback,) = callbacks
        decisions = min(run.agent.to_mapping()["decisions"], 10**6)
        for step in range(0, decisions, 10):
            callback.num_timesteps = step
            callback._on_rollout_start()
            if not callback._on_step():
                return
            clock[0] += 0.01 if run.agent.to_mapping()["decisions"] > 10**9 or step < decisions / 2 else 0.1
        callback.num_timesteps = decisions

    monkeypatch.setattr(curves, "train", train)
    monkeypatch.setattr(curves.time, "process_time", lambda: clock[0])
    run = next(iter(compare_training.variant_runs(TINY, ["slim"]).values()))
    found = curves.pace(run, tmp_path, 10.0)
    assert found == pytest.approx(2 / (1 / 1000 + 1 / 100), rel=0.01)


def test_a_training_that_fails_stops_the_comparison(tmp_path):
    run = next(iter(compare_training.variant_runs(TINY, ["slim"]).values()))
    broken = TestSet("3x3", (), (1.0,), "no instances, one reference")
    task = Task("slim", with_settings(run, decisions=10), (broken,), 1, 0, "revision", "command")
    tasks = {f"task_{i}": task for i in range(6)}
    with pytest.raises(ValueError, match="zip"):
        list(compare_training.traced(tasks, tmp_path, 1))
    assert (tmp_path / "trainings" / "task_0").exists()
    assert not (tmp_path / "trainings" / "task_5").exists()


def test_the_table_ranks_by_greedy_mean_and_shows_intervals():
    metrics = {CPU_SECONDS: 1.0, DECISIONS: 10.0}
    last = ResultRow(
        "3x3", "", "learned", "share=1", 0, 1.0, 1.0, "rule:spt", True, 0.0, 1.0, 9, 1.0, True, "", "", metrics
    )
    rows = [
        replace(last, method=method, seed=seed, gap_percent=gap)
        for method, gaps in {"worse": (9.0, 11.0), "better": (1.0, 2.0, 3.0), "alone": (5.0,)}.items()
        for seed, gap in enumerate(gaps)
    ]
    lines = curve_table(rows).splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == ["better", "alone", "worse"]
    assert lines[2].endswith("| 2.00 ± 2.48 |")  # 4.303 / sqrt(3)
    assert lines[3].endswith("| 5.00 |")


def test_intervals_by_hand():
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 4.303 / math.sqrt(3)))
    assert interval([4.0, 4.0]) == (4.0, 0.0)
    assert math.isnan(interval([4.0])[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variants": ["sac"]}, "variants names 'sac'; tiny has ppo, slim"),
        ({"points": 0}, "points is 0; expected at least 1"),
        ({"cpu_seconds": 0}, "cpu_seconds is 0; expected a positive number"),
        ({"comparison": {**TINY, "variants": {"odd": ["agent=odd"]}}}, "variant odd: .*odd"),
        ({"comparison": {**TINY, "variants": {"odd": ["agent.settings.critic=post_decision"]}}}, "shows no state"),
        ({"comparison": {**TINY, **NOISY}}, "samples is 4, but the environment draws at random"),
        ({"reference": "rule:fastest"}, "has no rule 'fastest'"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(settings, tmp_path, change, message):
    with pytest.raises(UsageError, match=message):
        compare_training.run({**settings, **change})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["trainers", "representation", "post_decision"])
def test_every_variant_of_the_comparisons_can_be_trained(name):
    comparison = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
    assert list(compare_training.variant_runs(comparison, None)) == list(comparison["variants"])
