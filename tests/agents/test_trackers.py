"""Where training curves go."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from agents.trackers import check_tracker, make_logger
from envs.core import UsageError


def test_csv_is_always_written(tmp_path):
    logger = make_logger(tmp_path / "new", {}, {}, "_7")
    logger.record("a", 1.5)
    logger.dump(1)
    logger.close()
    with (tmp_path / "new" / "progress_7.csv").open(encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [{"a": "1.5"}]
    assert not (tmp_path / "new" / "tensorboard").exists()


@pytest.mark.parametrize(
    ("tracker", "message"),
    [
        ({"name": "mlflow"}, "tracker.name is 'mlflow'; expected one of none, tensorboard, wandb"),
        ({"name": "none", "project": "p"}, "tracker has no field 'project'; none has name"),
        ({"name": "wandb", "project": "p"}, "tracker lacks the field 'mode'; wandb needs project and mode"),
        ({"name": "wandb", "project": "p", "mode": "later"}, r"tracker\.mode is 'later'; expected one of offline"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(tmp_path, monkeypatch, tracker, message):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for check in (check_tracker, lambda tracker: make_logger(tmp_path / "new", tracker, {})):
        with pytest.raises(UsageError, match=message):
            check(tracker)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_environment_variable_is_named(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "later")
    with pytest.raises(UsageError, match="WANDB_MODE is 'later'"):
        check_tracker({"name": "wandb", "project": "p", "mode": "offline"})
    check_tracker({"name": "tensorboard"})


def test_wandb_offline_needs_neither_key_nor_network(tmp_path, monkeypatch):
    import wandb

    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens here
    tracker = {"name": "wandb", "project": "tests", "mode": "offline"}
    logger = make_logger(tmp_path, tracker, {"lanes": 4})
    assert wandb.run.settings.mode == "offline"
    assert wandb.run.config["lanes"] == 4
    logged = []
    monkeypatch.setattr(wandb.run, "log", lambda numbers, step: logged.append((numbers, step)))
    logger.record("whole", 3)
    logger.record("single", np.float32(0.5))
    logger.record("double", np.float64(0.25))
    logger.record("text", "not a number")
    logger.dump(96)
    logger.close()
    assert logged == [({"whole": 3, "single": 0.5, "double": 0.25}, 96)]
    (data,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert data.stat().st_size > 0
    assert wandb.run is None
