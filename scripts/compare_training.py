"""Trains several ways for the same processor time and measures what each comes to.

    python scripts/compare_training.py comparison=trainers
    python scripts/compare_training.py comparison=trainers variants=[ppo,slim] seeds=[3,4] cpu_seconds=300 workers=2

A comparison names variants of conf/train.yaml. First the pace of each is measured, which says how many decisions fill
the time; then each is trained once a seed, with its curve. Rows go to ``output``; a second run with the same output
does only what is missing, but a training that was cut short begins anew. All options: conf/compare_training.yaml.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from agents.evaluation.curves import Task, TestSet, curve_table, pace, trace, with_settings
from agents.evaluation.methods import build_methods
from agents.evaluation.rows import ResultRow, ResultStore, merge, read_csv, write_csv
from agents.provenance import command_line, git_revision
from agents.rollout import check_samples
from agents.run import TrainingRun, ValidationConfig
from agents.training import check_training, draw_instances
from envs.core import UsageError, problem
from envs.core.errors import exit_on_usage_error
from envs.core.files import write_text
from scripts.evaluate import entries, number, whole
from scripts.hydra_command import run_command
from scripts.train import training_run


def main() -> None:
    """Runs the command line."""
    run_command("compare_training", _hydra_main)


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="compare_training")
def _hydra_main(config: DictConfig) -> None:
    settings = OmegaConf.to_container(config, resolve=True)
    assert isinstance(settings, dict)
    exit_on_usage_error(lambda: run({str(key): value for key, value in settings.items()}))


def run(settings: Mapping[str, Any]) -> None:
    """Compares as the settings of conf/compare_training.yaml say; nothing is written before all of them are checked."""
    runs = variant_runs(settings["comparison"], settings["variants"])
    seeds = [whole("seeds", seed) for seed in entries("seeds", settings["seeds"])]
    seconds, pace_seconds = (number(name, settings[name]) for name in ("cpu_seconds", "pace_seconds"))
    points, samples, workers = (whole(name, settings[name]) for name in ("points", "samples", "workers"))
    for name, value, least in (("points", points, 1), ("samples", samples, 0), ("workers", workers, 1)):
        if value < least:
            raise UsageError(f"{name} is {value}; expected at least {least}")
    if seconds <= 0:
        raise UsageError(f"cpu_seconds is {seconds:g}; expected a positive number")
    folder = Path(settings["output"])
    store = ResultStore(folder)
    earlier = read_csv(settings["csv"]) if settings["csv"] and Path(settings["csv"]).exists() else []

    sets = test_sets(settings["comparison"], str(settings["reference"]), next(iter(runs.values())), folder, samples)
    origin = git_revision(), command_line(sys.argv)
    done = {(row.method, row.seed) for row in store.rows}
    missing = [(name, seed) for seed in seeds for name in runs if (name, seed) not in done]
    paces = measured_paces({name: runs[name] for name, _ in missing}, pace_seconds, folder)
    tasks = {}
    for name, seed in missing:
        budgeted = with_settings(runs[name], seed=seed, decisions=max(1, round(paces[name] * seconds)))
        tasks[f"{name}_{seed}"] = Task(name, budgeted, sets, points, samples, *origin)
    for label, rows in traced(tasks, folder, workers):
        store.append(rows)
        print(f"{label}: {_final(rows)}", flush=True)
    if settings["csv"]:
        write_csv(settings["csv"], merge(earlier, store.rows))
    print(curve_table(store.rows))


def variant_runs(comparison: Mapping[str, Any], chosen: Sequence[str] | None) -> dict[str, TrainingRun]:
    """Returns the training of every variant, checked.

    Raises:
        UsageError: There is no such variant, or one cannot be trained.
    """
    variants = {str(name): list(overrides) for name, overrides in comparison["variants"].items()}
    GlobalHydra.instance().clear()  # its configuration is read; every variant composes one of its own
    names = list(variants) if chosen is None else [str(name) for name in entries("variants", chosen)]
    runs = {}
    for name in names:
        if name not in variants:
            raise UsageError(f"variants names {name!r}; {comparison['name']} has {', '.join(variants)}")
        overrides = [*comparison["common"], *variants[name]]
        try:
            with initialize_config_module("conf", version_base="1.3"):
                config = compose("train", overrides=[str(override) for override in overrides])
            settings = OmegaConf.to_container(config, resolve=True)
        except (HydraException, OmegaConfBaseException) as error:
            message = " ".join(str(error).split("Config search path")[0].split())
            raise UsageError(f"variant {name}: {message}") from None
        training = training_run({**settings, "name": name})  # type: ignore[dict-item]
        bare = replace(training, save_every=0, validation=ValidationConfig({}, instances=1, every=0))
        check_training(problem(bare.problem), bare, None)
        runs[name] = bare
    return runs


def test_sets(
    comparison: Mapping[str, Any], reference: str, training: TrainingRun, folder: Path, samples: int
) -> list[TestSet]:
    """Draws the sets and solves them with the reference, unless an earlier run in the folder has.

    Raises:
        UsageError: Several samples are asked for where the environment draws.
    """
    definition = problem(training.problem)
    path = folder / "references.json"
    known: dict[str, list[float]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    method = build_methods(definition, [reference], {}, 1)[0]
    sets = []
    for name, settings in comparison["sets"].items():
        validation = ValidationConfig(dict(settings["options"]), settings["instances"], 0, settings["seed"])
        instances = draw_instances(definition, replace(training, validation=validation))
        for instance in instances:
            check_samples(definition, instance, samples)
        key = f"{reference} on {json.dumps(settings, sort_keys=True)}"
        if key not in known:
            outcomes = [outcome for each in method.run(instances, [0] * len(instances)) for outcome in each]
            by_name = {id(outcome.instance): outcome.objective for outcome in outcomes}
            known[key] = [by_name[id(instance)] for instance in instances]
            folder.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(known, indent=1))
        sets.append(TestSet(str(name), instances, known[key], reference))
    return sets


def measured_paces(runs: Mapping[str, TrainingRun], seconds: float, folder: Path) -> dict[str, float]:
    """Returns the decisions a processor second of every variant, measured unless an earlier run in the folder has."""
    path = folder / "pace.json"
    paces: dict[str, float] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name, training in runs.items():
        if name not in paces:
            scratch = folder / "trainings" / f"{name}_pace"
            shutil.rmtree(scratch, ignore_errors=True)
            with _pool(1) as pool:
                paces[name] = pool.submit(pace, training, scratch, seconds).result()
            shutil.rmtree(scratch)
            write_text(path, json.dumps(paces, indent=1))
            print(f"{name}: {paces[name]:,.0f} decisions a processor second", flush=True)
    return paces


def traced(tasks: Mapping[str, Task], folder: Path, workers: int) -> Iterator[tuple[str, list[ResultRow]]]:
    """Trains and yields the curves as they come, each training in a process of its own."""
    with _pool(workers) as pool:
        waiting = {}
        for label, task in tasks.items():
            scratch = folder / "trainings" / label
            shutil.rmtree(scratch, ignore_errors=True)
            waiting[pool.submit(trace, task, scratch)] = label
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BaseException:
            # Leaving the pool waits for all that was submitted: the rest would be trained for nothing.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1)


def _final(rows: Sequence[ResultRow]) -> str:
    words = []
    for row in rows:
        settings = dict(part.split("=") for part in row.variant.split(";"))
        if settings["share"] == "1":
            words.append(f"{row.instance} best of {settings.get('samples', '1')} {row.gap_percent:.2f} %")
    return ", ".join(words)


if __name__ == "__main__":
    main()
